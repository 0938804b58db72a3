package store

import (
	"errors"
	"fmt"

	"vatworkerd/internal/crashpoint"
)

// Crank is one crank of the open block. It belongs to one goroutine. Its first
// error sticks: from then on its methods do nothing, and Commit gives it.
type Crank struct {
	Draft
	hash      *crankHasher
	savepoint bool // opened by the first Exec
	over      bool
}

func newCrank(d *DB) *Crank {
	return &Crank{Draft: Draft{db: d, kv: newOverlay()}, hash: newCrankHasher()}
}

func (c *Crank) end(err error) {
	c.over = true
	if c.err == nil {
		c.err = err
	}
}

// Exec runs an INSERT, UPDATE or DELETE inside the crank. For transcripts and
// snapshots only; they must Note what is consensus. The query text must be a
// constant of the program.
func (c *Crank) Exec(query string, args ...any) error {
	_, err := c.ExecCount(query, args...)
	return err
}

// ExecCount is Exec that gives the number of rows it changed.
func (c *Crank) ExecCount(query string, args ...any) (changed int64, err error) {
	if c.err != nil {
		return 0, c.err
	}
	c.db.mu.Lock()
	defer c.db.mu.Unlock()
	if err := c.openSavepoint(); err != nil {
		c.err = err
		return 0, err
	}
	changed, err = c.db.execCount("exec", query, args)
	c.err = err
	return changed, err
}

// Query runs a SELECT and gives all its rows.
func (c *Crank) Query(query string, args ...any) ([]Row, error) {
	return c.query(-1, query, args)
}

// QueryRow is Query for the first row only; ok tells whether there is one.
func (c *Crank) QueryRow(query string, args ...any) (row Row, ok bool, err error) {
	rows, err := c.query(1, query, args)
	if err != nil || len(rows) == 0 {
		return nil, false, err
	}
	return rows[0], true, nil
}

func (c *Crank) query(most int, query string, args []any) ([]Row, error) {
	if c.err != nil {
		return nil, c.err
	}
	c.db.mu.Lock()
	defer c.db.mu.Unlock()
	rows, err := c.db.rows("query", most, query, args...)
	c.err = err
	return rows, err
}

// Note puts a consensus change that is not in kv into the crank hash. Notes
// count in the order they are made.
func (c *Crank) Note(parts ...string) {
	if c.err == nil {
		c.hash.record("note", parts...)
	}
}

// Commit puts the crank into the open block and gives the new activity hash.
// hostDigest stands for what the host changed in the same crank. After an
// error the crank never was; if the disk was at fault the whole block is lost
// and everything fails with a *BlockLostError until Rollback.
func (c *Crank) Commit(hostDigest []byte) (activityHash string, err error) {
	c.db.mu.Lock()
	defer c.db.mu.Unlock()
	if c.over {
		return "", fmt.Errorf("cannot commit the crank: %w", c.err)
	}
	if c.err != nil {
		err := c.err
		return "", errors.Join(fmt.Errorf("cannot commit the crank: %w", err), c.drop(err))
	}
	changes, err := c.apply()
	if err != nil {
		return "", errors.Join(fmt.Errorf("cannot commit the crank: %w", err), c.drop(err))
	}
	for _, ch := range changes {
		c.db.recent.put(ch.key, ch.entry)
	}
	c.db.pending.put(changes)
	c.db.touch(changes)
	c.hash.changes(changes)
	c.hash.record("host", string(hostDigest))
	c.db.now.activity = nextActivityHash(c.db.now.activity, c.hash.sum())
	c.db.endCrank()
	crashpoint.Here(crashpoint.StoreCrankKept)
	return c.db.now.activity, nil
}

// apply gives the kv changes and closes the savepoint.
func (c *Crank) apply() ([]change, error) {
	changes, err := c.kv.changes(c.load)
	if err != nil {
		return nil, err
	}
	crashpoint.Here(crashpoint.StoreCrankWritten)
	if !c.savepoint {
		return changes, nil
	}
	return changes, c.db.exec("release", "RELEASE crank")
}

// Abort ends the crank as if it had never begun. It does nothing to a crank
// that is over.
func (c *Crank) Abort() {
	c.db.mu.Lock()
	defer c.db.mu.Unlock()
	if !c.over {
		// What goes wrong costs the block and is told by the next call.
		_ = c.drop(c.err)
	}
}

func (c *Crank) openSavepoint() error {
	if c.savepoint {
		return nil
	}
	if err := c.db.exec("savepoint", "SAVEPOINT crank"); err != nil {
		return err
	}
	c.savepoint = true
	return nil
}

// drop takes the crank back, or the whole block if its error demands that.
func (c *Crank) drop(cause error) error {
	d := c.db
	if cause != nil && (costsBlock(cause) || !d.conn.inTransaction()) {
		if lost := d.loseBlock(cause); lost != cause {
			return lost
		}
		return nil
	}
	if c.savepoint {
		err := d.exec("rollback", "ROLLBACK TO crank")
		if err == nil {
			err = d.exec("release", "RELEASE crank")
		}
		if err != nil {
			return d.loseBlock(err)
		}
	}
	d.endCrank()
	return nil
}
