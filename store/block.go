package store

import (
	"errors"
	"fmt"
	"os"

	"vatworkerd/internal/crashpoint"
)

// Height gives the last committed height, 0 for a new database.
func (d *DB) Height() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.height
}

// Prepared gives the height of a block that is durable but not yet committed.
func (d *DB) Prepared() (height int64, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.prepared, d.prepared != 0
}

// ActivityHash gives the hex activity hash as of the last committed crank,
// "" before the first.
func (d *DB) ActivityHash() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now.activity
}

// BeginCrank opens a crank, and a block around it if none is open.
func (d *DB) BeginCrank() (*Crank, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.readyForBlock("begin a crank"); err != nil {
		return nil, err
	}
	if err := d.openBlock(); err != nil {
		return nil, err
	}
	if err := d.flushIfDue(); err != nil {
		return nil, err
	}
	d.crank = newCrank(d)
	return d.crank, nil
}

// Prepare makes the open block (or an empty one) durable together with its
// undo. height must be Height()+1. After an error the block is lost.
func (d *DB) Prepare(height int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.opts.Undo {
		return errors.New("cannot prepare a block: this database keeps no undo")
	}
	if err := d.seal("prepare", height); err != nil {
		return err
	}
	d.prepared = height
	return nil
}

// Commit ends a block. With Undo it finishes the prepared block of that height
// (again is harmless); without, it makes the open block durable, and after an
// error the block is lost.
func (d *DB) Commit(height int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.opts.Undo {
		return d.finish(height)
	}
	if err := d.seal("commit", height); err != nil {
		return err
	}
	d.height, d.settled = height, d.now
	d.checkpointIfLarge()
	return nil
}

// Rollback drops the open block, or undoes the prepared one: the database is
// as after the last Commit. It also accepts the loss of a block.
func (d *DB) Rollback() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rollback()
}

// Align makes the database fit a kernel host that stands at hostHeight: the
// prepared block is committed if the host has it and undone if not. An open
// block is dropped. A host elsewhere is a *HeightError.
func (d *DB) Align(hostHeight int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.align(hostHeight); err != nil {
		return err
	}
	crashpoint.Here(crashpoint.StoreAlignDone)
	return nil
}

func (d *DB) align(hostHeight int64) error {
	if err := d.dropOpenBlock(); err != nil {
		return err
	}
	switch {
	case d.prepared != 0 && hostHeight == d.prepared:
		return d.finish(hostHeight)
	case d.prepared != 0 && hostHeight == d.prepared-1:
		return d.rollback()
	case d.prepared == 0 && hostHeight == d.height:
		return d.readable()
	}
	return &HeightError{Op: "align with a kernel host at", Asked: hostHeight, Height: d.height, Prepared: d.prepared}
}

func (d *DB) readyForBlock(what string) error {
	if err := d.usable(); err != nil {
		return fmt.Errorf("cannot %s: %w", what, err)
	}
	if d.crank != nil {
		return fmt.Errorf("cannot %s: a crank is open", what)
	}
	if d.prepared != 0 {
		return fmt.Errorf("cannot %s: block %d is prepared; commit it or roll it back", what, d.prepared)
	}
	return nil
}

func (d *DB) openBlock() error {
	if d.inBlock {
		return nil
	}
	if err := d.begin(); err != nil {
		return err
	}
	d.inBlock = true
	crashpoint.Here(crashpoint.StoreBlockBegun)
	return nil
}

// seal writes the height, the activity hash and the local writes of the block
// and commits its transaction.
func (d *DB) seal(op string, height int64) error {
	if err := d.readyForBlock(op); err != nil {
		return err
	}
	if height != d.height+1 {
		return &HeightError{Op: op, Asked: height, Height: d.height}
	}
	if err := d.openBlock(); err != nil {
		return err
	}
	if err := d.writeSeal(height); err != nil {
		return d.loseBlock(err)
	}
	crashpoint.Here(crashpoint.StoreSealWritten)
	if err := d.commitTransaction(); err != nil {
		return d.loseBlock(err)
	}
	crashpoint.Here(crashpoint.StoreSealDurable)
	d.inBlock = false
	clear(d.local)
	return nil
}

func (d *DB) writeSeal(height int64) error {
	if err := d.flush(); err != nil {
		return err
	}
	const setMeta = "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value"
	if err := d.exec("exec", setMeta, "height", height); err != nil {
		return err
	}
	if d.now.activity != "" {
		if err := d.exec("exec", setMeta, "activityHash", d.now.activity); err != nil {
			return err
		}
	}
	d.sumUp()
	if d.now.sum != d.settled.sum {
		if err := d.exec("exec", setMeta, sumKey, d.now.sum.encode()); err != nil {
			return err
		}
	}
	if d.opts.Undo {
		if err := d.exec("exec", "INSERT INTO prepared (one, height) VALUES (1, ?)", height); err != nil {
			return err
		}
	}
	return d.writeLocal()
}

// finish drops the undo of the prepared block. It does not wait for the disk:
// the host's own commit is durable by then, so if the power fails now the
// block is found prepared again and Align commits it again.
func (d *DB) finish(height int64) error {
	if err := d.usable(); err != nil {
		return fmt.Errorf("cannot commit: %w", err)
	}
	if d.prepared == 0 && height == d.height && !d.inBlock {
		return nil
	}
	if height != d.prepared {
		return &HeightError{Op: "commit", Asked: height, Height: d.height, Prepared: d.prepared}
	}
	if err := d.script("sync", "PRAGMA synchronous = NORMAL"); err != nil {
		return err
	}
	crashpoint.Here(crashpoint.StoreFinishBegun)
	err := d.inTransaction(d.dropUndo)
	if fullErr := d.script("sync", "PRAGMA synchronous = FULL"); fullErr != nil {
		d.broken = fullErr
		return errors.Join(err, &BrokenError{fullErr})
	}
	if err != nil {
		return err
	}
	d.height, d.prepared, d.settled = height, 0, d.now
	crashpoint.Here(crashpoint.StoreFinishDone)
	d.checkpointIfLarge()
	return nil
}

func (d *DB) rollback() error {
	if err := d.dropOpenBlock(); err != nil {
		return err
	}
	if err := d.readable(); err != nil {
		return fmt.Errorf("cannot roll back: %w", err)
	}
	if d.prepared == 0 {
		return nil
	}
	crashpoint.Here(crashpoint.StoreUndoBegun)
	if err := d.inTransaction(d.applyUndo); err != nil {
		return err
	}
	crashpoint.Here(crashpoint.StoreUndoDurable)
	return d.loadState()
}

// dropOpenBlock ends an open block and its crank, and keeps the local writes.
func (d *DB) dropOpenBlock() error {
	if d.conn == nil || d.broken != nil {
		return d.readable()
	}
	d.endCrank()
	if d.inBlock {
		d.inBlock = false
		if err := d.rollbackTransaction(); err != nil {
			return err
		}
		crashpoint.Here(crashpoint.StoreRollbackOpen)
	}
	d.now, d.touched, d.lost = d.settledOrNow(), touched{}, nil
	if len(d.local) == 0 {
		return nil
	}
	if err := d.inTransaction(d.writeLocal); err != nil {
		return err
	}
	clear(d.local)
	return nil
}

// settledOrNow gives the hashes that hold without an open block: a prepared
// block has its own until it is undone.
func (d *DB) settledOrNow() hashes {
	if d.prepared != 0 {
		return d.now
	}
	return d.settled
}

// loseBlock gives up the open block because of err.
func (d *DB) loseBlock(err error) error {
	d.endCrank()
	d.inBlock = false
	d.now, d.touched = d.settled, touched{}
	d.lost = err
	if rollErr := d.rollbackTransaction(); rollErr != nil {
		return errors.Join(err, rollErr)
	}
	return err
}

func (d *DB) endCrank() {
	if d.crank != nil {
		d.crank.end(ErrCrankOver)
		d.crank = nil
	}
}

// inTransaction runs f in a transaction of its own.
func (d *DB) inTransaction(f func() error) error {
	if err := d.begin(); err != nil {
		return err
	}
	if err := f(); err != nil {
		return d.giveUp(err)
	}
	if err := d.commitTransaction(); err != nil {
		return d.giveUp(err)
	}
	return nil
}

func (d *DB) begin() error { return d.exec("begin", "BEGIN IMMEDIATE") }

// commitTransaction is the one place where a transaction becomes durable. What
// an I/O error there left on the disk is unknown (a full disk left nothing).
func (d *DB) commitTransaction() error {
	if err := d.exec("commit", "COMMIT"); err != nil {
		if !errors.Is(err, ErrDiskFull) {
			d.broken = err
		}
		return err
	}
	return nil
}

// giveUp rolls a transaction back and gives the error that made it necessary.
func (d *DB) giveUp(err error) error {
	return errors.Join(err, d.rollbackTransaction())
}

// rollbackTransaction ends the transaction if SQLite has not done so itself.
func (d *DB) rollbackTransaction() error {
	d.recent.forget()
	d.pending.forget()
	if !d.conn.inTransaction() {
		return nil
	}
	if err := d.exec("rollback", "ROLLBACK"); err != nil {
		d.broken = err
		return err
	}
	return nil
}

// checkpointIfLarge moves the -wal file into the database once it is large.
// The block is durable already, so an error here costs nothing yet.
func (d *DB) checkpointIfLarge() {
	info, err := os.Stat(d.path + "-wal")
	if err == nil && info.Size() <= d.opts.CheckpointBytes {
		return
	}
	if err == nil {
		crashpoint.Here(crashpoint.StoreCheckpoint)
		// A reader keeps its part of the log for as long as it likes; no block waits for it.
		err = d.conn.impatiently(func() error {
			_, err := d.rows("checkpoint", 1, "PRAGMA wal_checkpoint(TRUNCATE)")
			return err
		})
		crashpoint.Here(crashpoint.StoreCheckpointDone)
	}
	if err != nil && d.opts.Warn != nil {
		d.opts.Warn(fmt.Errorf("cannot move the write-ahead log into the database: %w", err))
	}
}
