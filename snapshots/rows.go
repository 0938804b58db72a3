package snapshots

import (
	"fmt"
	"strconv"

	"vatworkerd/internal/crashpoint"
	"vatworkerd/store"
)

// Row says that a vat has, or had, a snapshot. All of it is in consensus. The
// columns are those of the JavaScript snapStore, with the incarnation added and
// the content kept in a file.
type Row struct {
	VatID            string
	SnapPos          int64 // the transcript position the snapshot was taken at
	Incarnation      int64
	Hash             string
	UncompressedSize int64
	InUse            bool // the vat starts from it; at most one row of a vat
}

// Place is the name of the row's artifact, as the JavaScript store exports it.
func (r Row) Place() string { return fmt.Sprintf("snapshot.%s.%d", r.VatID, r.SnapPos) }

// Querier reads rows: a *store.DB, or a *store.Crank to see its own changes.
type Querier interface {
	Query(query string, args ...any) ([]store.Row, error)
	QueryRow(query string, args ...any) (row store.Row, ok bool, err error)
}

// Crank is the part of a *store.Crank that changes rows. Note feeds the crank
// hash.
type Crank interface {
	Querier
	Exec(query string, args ...any) error
	Note(parts ...string)
}

const columns = "vatID, snapPos, incarnation, hash, uncompressedSize, inUse"

func rowOf(r store.Row) Row {
	return Row{
		VatID:            r.Text(0),
		SnapPos:          r.Int64(1),
		Incarnation:      r.Int64(2),
		Hash:             r.Text(3),
		UncompressedSize: r.Int64(4),
		InUse:            r.Int64(5) == 1,
	}
}

func rowsOf(found []store.Row) []Row {
	rows := make([]Row, len(found))
	for i, r := range found {
		rows[i] = rowOf(r)
	}
	return rows
}

// Record makes a snapshot the one its vat starts from; the one before it stays
// as a record only. Recording what is in use already is no change.
func Record(c Crank, vatID string, snapPos, incarnation int64, info Info) error {
	if vatID == "" || snapPos < 0 || incarnation < 0 {
		return fmt.Errorf("cannot record a snapshot of vat %q at position %d of incarnation %d", vatID, snapPos, incarnation)
	}
	if err := checkHash(info.Hash); err != nil {
		return err
	}
	row := Row{VatID: vatID, SnapPos: snapPos, Incarnation: incarnation, Hash: info.Hash,
		UncompressedSize: info.UncompressedSize, InUse: true}
	now, ok, err := InUse(c, vatID)
	if err != nil {
		return err
	}
	if ok && now == row {
		return nil
	}
	if err := StopUsing(c, vatID); err != nil {
		return err
	}
	err = c.Exec(`INSERT INTO snapshots (`+columns+`) VALUES (?, ?, ?, ?, ?, 1)
ON CONFLICT (vatID, snapPos) DO UPDATE SET incarnation = excluded.incarnation, hash = excluded.hash,
uncompressedSize = excluded.uncompressedSize, inUse = 1`,
		row.VatID, row.SnapPos, row.Incarnation, row.Hash, row.UncompressedSize)
	if err != nil {
		return fmt.Errorf("cannot record the snapshot of vat %s: %w", vatID, err)
	}
	note(c, row)
	crashpoint.Here(crashpoint.SnapshotRecorded)
	return nil
}

// note puts a row's new state into the crank hash. How large the file is on this
// node is nobody else's business: column storedSize is of the first release, and
// stays empty.
func note(c Crank, r Row) {
	inUse := "0"
	if r.InUse {
		inUse = "1"
	}
	c.Note("snapshot", r.VatID, strconv.FormatInt(r.SnapPos, 10), strconv.FormatInt(r.Incarnation, 10),
		r.Hash, strconv.FormatInt(r.UncompressedSize, 10), inUse)
}

// InUse gives the row a vat starts from; ok is false if it has none.
func InUse(q Querier, vatID string) (row Row, ok bool, err error) {
	r, ok, err := q.QueryRow("SELECT "+columns+" FROM snapshots WHERE vatID = ? AND inUse = 1", vatID)
	if err != nil {
		return Row{}, false, fmt.Errorf("cannot look up the snapshot of vat %s: %w", vatID, err)
	}
	if !ok {
		return Row{}, false, nil
	}
	return rowOf(r), true, nil
}

// StopUsing makes the vat start from no snapshot; its rows stay as records. A
// vat that has none in use is no error.
func StopUsing(c Crank, vatID string) error {
	row, ok, err := InUse(c, vatID)
	if err != nil || !ok {
		return err
	}
	if err := c.Exec("UPDATE snapshots SET inUse = NULL WHERE vatID = ? AND snapPos = ?", vatID, row.SnapPos); err != nil {
		return fmt.Errorf("cannot stop using the snapshot of vat %s: %w", vatID, err)
	}
	row.InUse = false
	note(c, row)
	return nil
}

// List gives the rows of a vat, or of all vats for "", by vat and position.
func List(q Querier, vatID string) ([]Row, error) {
	query, args := "SELECT "+columns+" FROM snapshots WHERE vatID = ? ORDER BY snapPos", []any{vatID}
	if vatID == "" {
		query, args = "SELECT "+columns+" FROM snapshots ORDER BY vatID, snapPos", nil
	}
	found, err := q.Query(query, args...)
	if err != nil {
		return nil, fmt.Errorf("cannot list the snapshots: %w", err)
	}
	return rowsOf(found), nil
}

// ForgetVat removes at most budget rows of a vat, the newest first so that the
// one in use goes at once; a negative budget is no limit. done says that none
// is left.
func ForgetVat(c Crank, vatID string, budget int) (removed int, done bool, err error) {
	found, err := c.Query("SELECT "+columns+" FROM snapshots WHERE vatID = ? ORDER BY snapPos DESC LIMIT ?", vatID, limitOf(budget))
	if err != nil {
		return 0, false, fmt.Errorf("cannot list the snapshots of vat %s: %w", vatID, err)
	}
	done = budget < 0 || len(found) <= budget
	if !done {
		found = found[:budget]
	}
	for _, row := range rowsOf(found) {
		if err := c.Exec("DELETE FROM snapshots WHERE vatID = ? AND snapPos = ?", vatID, row.SnapPos); err != nil {
			return removed, false, fmt.Errorf("cannot forget a snapshot of vat %s: %w", vatID, err)
		}
		c.Note("snapshot-forgotten", vatID, strconv.FormatInt(row.SnapPos, 10))
		removed++
	}
	return removed, done, nil
}

// limitOf asks for one row more than the budget, which tells whether any is left.
func limitOf(budget int) int64 {
	if budget < 0 {
		return -1
	}
	return int64(budget) + 1
}
