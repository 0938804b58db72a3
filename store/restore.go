package store

import "fmt"

// CommitRestored makes the open block durable as the state of another database,
// whose height and activity hash it takes over: the cranks in it have copied what
// is there, and their own hashes are of no account. The database must be new, and
// be opened without an undo. After an error the block is lost.
func (d *DB) CommitRestored(height int64, activityHash string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.opts.Undo:
		return fmt.Errorf("cannot restore a state: this database keeps an undo")
	case d.height != 0 || height < 0:
		return &HeightError{Op: "restore", Asked: height, Height: d.height}
	}
	d.now.activity = activityHash
	d.height = height - 1 // seal wants the next one
	err := d.seal("restore", height)
	if err != nil {
		d.height = 0
		return err
	}
	d.height, d.settled = height, d.now
	d.checkpointIfLarge()
	return nil
}
