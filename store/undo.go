package store

import (
	"fmt"
	"strings"

	"vatworkerd/internal/crashpoint"
)

// The undo of a block is one row image per row it touched: what the row was
// before the block (existed = 1), or that it was not there (existed = 0). The
// first image counts, so the undo grows with the rows touched, not with the
// writes made. Triggers write it, so no writer can forget it.

// undoImage is an SQL statement that keeps one image unless there is one.
func undoImage(t consensusTable, row string, existed bool) string {
	keys := columnList(row+".", t.keys)
	if len(t.keys) == 1 {
		keys += ", ''"
	}
	columns, values := "tbl, k0, k1, existed", fmt.Sprintf("'%s', %s, 0", t.name, keys)
	if existed {
		columns += ", " + numbered("v", len(t.values))
		values = fmt.Sprintf("'%s', %s, 1, %s", t.name, keys, columnList(row+".", t.values))
	}
	seen := fmt.Sprintf("tbl = '%s' AND k0 = %s.%s", t.name, row, t.keys[0])
	if len(t.keys) == 2 {
		seen += fmt.Sprintf(" AND k1 = %s.%s", row, t.keys[1])
	}
	// Not INSERT OR IGNORE: an OR clause of the outer statement would win over it.
	return fmt.Sprintf("INSERT INTO undo (%s) SELECT %s WHERE NOT EXISTS (SELECT 1 FROM undo WHERE %s);", columns, values, seen)
}

func createTriggers(t consensusTable) string {
	trigger := func(event, body string) string {
		return fmt.Sprintf("CREATE TRIGGER undo_%s_%s AFTER %s ON %s BEGIN %s END;\n", event, t.name, event, t.name, body)
	}
	return trigger("insert", undoImage(t, "NEW", false)) +
		trigger("delete", undoImage(t, "OLD", true)) +
		trigger("update", undoImage(t, "OLD", true)+" "+undoImage(t, "NEW", false))
}

func dropTriggers(t consensusTable) string {
	var b strings.Builder
	for _, event := range []string{"insert", "delete", "update"} {
		fmt.Fprintf(&b, "DROP TRIGGER IF EXISTS undo_%s_%s;\n", event, t.name)
	}
	return b.String()
}

// applyUndo puts every touched row back. It runs in a transaction. The triggers
// fire but find an image of every row they see.
func (d *DB) applyUndo() error {
	d.recent.forget()
	d.pending.forget()
	for _, t := range consensusTables() {
		keys := numbered("k", len(t.keys))
		remove := fmt.Sprintf("DELETE FROM %s WHERE (%s) IN (SELECT %s FROM undo WHERE tbl = '%s')",
			t.name, columnList("", t.keys), keys, t.name)
		restore := fmt.Sprintf("INSERT INTO %s (%s, %s) SELECT %s, %s FROM undo WHERE tbl = '%s' AND existed = 1",
			t.name, columnList("", t.keys), columnList("", t.values), keys, numbered("v", len(t.values)), t.name)
		for _, sql := range []string{remove, restore} {
			if err := d.exec("undo", sql); err != nil {
				return err
			}
		}
	}
	crashpoint.Here(crashpoint.StoreUndoApplied)
	return d.dropUndo()
}

// dropUndo forgets the undo and the mark of the prepared block.
func (d *DB) dropUndo() error {
	if err := d.exec("undo", "DELETE FROM undo"); err != nil {
		return err
	}
	err := d.exec("undo", "DELETE FROM prepared")
	crashpoint.Here(crashpoint.StoreFinishDropped)
	return err
}

// numbered gives "v0, v1, …".
func numbered(letter string, n int) string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s%d", letter, i)
	}
	return strings.Join(out, ", ")
}
