package store

import (
	"errors"
	"fmt"
)

// View is a database of this package, read only, beside the process that may be
// writing to it: see ReadOnly. It belongs to one goroutine.
type View struct {
	*ReadOnly
	at      standing
	sum     stateSum // zero in a file that is outdated
	version int
}

// OpenView opens the database file at path, an absolute path, as of its last
// commit: a block that is open is not seen, one that is prepared is. Errors:
// *EmptyError, *NewerSchemaError, *ForeignFileError, *CorruptError, *IOError.
func OpenView(path string) (*View, error) {
	r, err := OpenReadOnly(path)
	if err != nil {
		return nil, err
	}
	v := &View{ReadOnly: r}
	if err := v.load(); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return v, nil
}

func (v *View) load() (err error) {
	if v.version, err = schemaVersion(v.ReadOnly, v.path); err != nil {
		return err
	}
	if v.version == 0 {
		return &EmptyError{Path: v.path}
	}
	return v.stand()
}

// stand reads where the file stands.
func (v *View) stand() (err error) {
	if v.at, err = readStanding(v.ReadOnly); err != nil || v.Outdated() {
		return err
	}
	if v.sum, err = readSum(v.ReadOnly); err != nil {
		err = &CorruptError{Path: v.path, Err: err}
	}
	return err
}

// Outdated tells that the file lacks migrations, which the next Open makes up
// for: tables or columns may not be there yet.
func (v *View) Outdated() bool { return v.version < len(migrations) }

// Height gives the last committed height.
func (v *View) Height() int64 { return v.at.committed() }

// Prepared gives the height of a block that is durable but not yet committed.
func (v *View) Prepared() (height int64, ok bool) { return v.at.prepared, v.at.prepared != 0 }

// ActivityHash gives the hex activity hash as of the last crank that is seen.
func (v *View) ActivityHash() string { return v.at.activity }

// StateHash gives the hash of all keys and values, hex.
func (v *View) StateHash() string { return v.sum.hash() }

// Get gives the value of a key.
func (v *View) Get(key string) (value string, ok bool, err error) { return kvGet(v.ReadOnly, key) }

// NextKey gives the least key above prior that starts with prefix, in bytewise order.
func (v *View) NextKey(prior, prefix string) (key string, ok bool, err error) {
	return kvNext(v.ReadOnly, prior, prefix)
}

// LocalGet gives a local value.
func (v *View) LocalGet(key string) (value string, ok bool, err error) {
	return storedLocal(v.ReadOnly, key)
}

// Rewind makes the view show what was before the prepared block, if there is
// one, as Align would make it for a host that lacks the block. The file stays as
// it is.
func (v *View) Rewind() error {
	if v.at.prepared == 0 {
		return nil
	}
	if err := v.conn.script("PRAGMA query_only = 0;" + rewindViews() + "PRAGMA query_only = 1"); err != nil {
		return typedError("rewind", v.path, err)
	}
	return v.stand()
}

// rewindViews is SQL that hides each consensus table behind a temporary view of
// the same name, which puts the images of the undo in the place of their rows.
// Nothing is prepared in it.
func rewindViews() string {
	sql := "CREATE TEMP VIEW prepared AS SELECT 1 AS one, 0 AS height WHERE 0;\n"
	for _, t := range consensusTables() {
		columns := columnList("", t.keys) + ", " + columnList("", t.values)
		keys, images := numbered("k", len(t.keys)), numbered("k", len(t.keys))+", "+numbered("v", len(t.values))
		sql += fmt.Sprintf("CREATE TEMP VIEW %[1]s (%[2]s) AS SELECT %[2]s FROM main.%[1]s"+
			" WHERE (%[3]s) NOT IN (SELECT %[4]s FROM main.undo WHERE tbl = '%[1]s')"+
			" UNION ALL SELECT %[5]s FROM main.undo WHERE tbl = '%[1]s' AND existed = 1;\n",
			t.name, columns, columnList("", t.keys), keys, images)
	}
	return sql
}
