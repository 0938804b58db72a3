package store

import (
	"errors"
	"fmt"
)

// Check verifies the file and the store's own invariants. It reads the whole
// database. transcripts.Check verifies the transcripts.
func (d *DB) Check() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.readable(); err != nil {
		return err
	}
	return errors.Join(d.checkFile(), d.checkBlock())
}

func (d *DB) checkFile() error {
	rows, err := d.rows("query", -1, "PRAGMA integrity_check")
	if err != nil {
		return err
	}
	if len(rows) == 1 && rows[0].Text(0) == "ok" {
		return nil
	}
	var found []error
	for _, r := range rows {
		found = append(found, errors.New(r.Text(0)))
	}
	return &CorruptError{Path: d.path, Err: errors.Join(found...)}
}

// checkBlock: an undo exists only for an open or prepared block, and the
// prepared height is the one in meta.
func (d *DB) checkBlock() error {
	undo, err := d.number("SELECT count(*) FROM undo")
	if err != nil {
		return err
	}
	prepared, height, err := d.storedHeights()
	if err != nil {
		return err
	}
	if undo != 0 && prepared == 0 && !d.inBlock {
		return fmt.Errorf("database %s has %d undo rows and no prepared block", d.path, undo)
	}
	if prepared != 0 && prepared != height {
		return fmt.Errorf("database %s has block %d prepared but is at height %d", d.path, prepared, height)
	}
	if prepared != d.prepared {
		return fmt.Errorf("database %s has block %d prepared, memory says %d", d.path, prepared, d.prepared)
	}
	return nil
}
