package supervisor

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"vatworkerd/internal/crashpoint"
	"vatworkerd/pipeproto"
	"vatworkerd/snapshots"
	"vatworkerd/transcripts"
)

// Kinds of deferred deletion.
const (
	cleanupTruncate  = "truncate"  // transcript items before a position
	cleanupTerminate = "terminate" // everything of a terminated vat
)

// cleanup is a deletion that waits for a budget, in the order it was asked for.
type cleanup struct {
	Kind   string `json:"kind"`
	VatID  string `json:"vatID"`
	Before int64  `json:"before,omitempty"`
}

func (c *crank) addCleanup(task cleanup) error {
	return c.setJSON(fmt.Sprintf("%s%016x", prefixCleanup, c.nextSequence()), task)
}

// discard marks all of a terminated vat's data for deletion.
func (c *crank) discard(rec *record) error {
	c.tx.Delete(immediateKey(rec.ID))
	return c.addCleanup(cleanup{Kind: cleanupTerminate, VatID: rec.ID})
}

// cleanUp does deferred deletions worth up to budget units (transcript items,
// spans, snapshots, vatstore keys, records settled after a restart-all). 0 does
// nothing; UnlimitedCleanup does all there is.
func (s *Supervisor) cleanUp(budget int64) (done int64, err error) {
	left := budget
	if budget == pipeproto.UnlimitedCleanup {
		left = math.MaxInt32
	}
	for left > 0 {
		n, err := s.cleanUpOnce(left)
		done += n
		left -= n
		s.baton.lend()
		if err != nil || n == 0 {
			return done, err
		}
	}
	return done, nil
}

func (s *Supervisor) cleanUpOnce(budget int64) (int64, error) {
	key, ok, err := s.db.NextKey(prefixCleanup, prefixCleanup)
	if err != nil {
		return 0, err
	}
	if !ok {
		return s.settleNext()
	}
	var used int64
	err = s.runCrank(func(c *crank) error {
		text, _ := c.tx.Get(key)
		var task cleanup
		if err := json.Unmarshal([]byte(text), &task); err != nil {
			return fmt.Errorf("cannot decode %s: %w", key, errors.Join(err, c.tx.Err()))
		}
		n, finished, err := c.clean(task, budget)
		if err != nil {
			return err
		}
		used = n
		crashpoint.Here(crashpoint.SupervisorCleaned)
		if finished {
			c.tx.Delete(key)
			used++
		}
		return nil
	})
	return used, err
}

func (c *crank) clean(task cleanup, budget int64) (int64, bool, error) {
	if task.Kind == cleanupTruncate {
		n, finished, err := transcripts.TruncateItems(c.tx, task.VatID, task.Before, int(budget))
		return int64(n), finished, err
	}
	n, finished := c.deleteVatstore(task.VatID, budget)
	if !finished || c.tx.Err() != nil {
		return n, false, c.tx.Err()
	}
	if n >= budget {
		return n, false, nil
	}
	spans, finished, err := transcripts.Delete(c.tx, task.VatID, int(budget-n))
	n += int64(spans)
	if err != nil || !finished || n >= budget {
		return n, false, err
	}
	rows, finished, err := snapshots.ForgetVat(c.tx, task.VatID, int(budget-n))
	return n + int64(rows), finished, err
}

func (c *crank) deleteVatstore(vatID string, budget int64) (n int64, finished bool) {
	prefix := vatstorePrefix(vatID)
	for n < budget {
		key, ok := c.tx.NextKey(prefix, prefix)
		if !ok {
			return n, true
		}
		c.tx.Delete(key)
		n++
	}
	return n, false
}

// settleNext settles the next record that a restart-all left behind.
func (s *Supervisor) settleNext() (int64, error) {
	cursor, ok, err := s.db.Get(keyCursor)
	if err != nil || !ok {
		return 0, err
	}
	next, ok, err := s.db.NextKey(cursor, prefixVat)
	if err != nil {
		return 0, err
	}
	err = s.runCrank(func(c *crank) error {
		if !ok {
			c.tx.Delete(keyCursor)
			return nil
		}
		c.tx.Set(keyCursor, next)
		_, err := c.settled(vatIDOfKey(next, prefixVat))
		return err
	})
	return 1, err
}
