package supervisor

import (
	"encoding/json"
	"fmt"
)

// counts are totals over all vats. They are kept with every change, so that a
// status costs the same for ten vats and for a million.
type counts struct {
	Vats       int64 `json:"vats"`
	Suspended  int64 `json:"suspended"`
	Paused     int64 `json:"paused"`
	Terminated int64 `json:"terminated"`
	Queued     int64 `json:"queued"` // items in runnable queues
	Held       int64 `json:"held"`   // items in held queues
}

// tally gives the crank's counts for reading and changing; they are written
// once, at its commit.
func (c *crank) tally() *counts {
	if c.counts == nil {
		read, err := readCounts(c)
		c.fail(err)
		c.counts = &read
	}
	return c.counts
}

func (c *crank) saveCounts() error {
	if c.counts == nil {
		return nil
	}
	return c.setJSON(keyCounts, *c.counts)
}

// keyReader reads the consensus key-value store: a crank or the database.
type keyReader interface {
	Get(key string) (string, bool, error)
}

func readCounts(r keyReader) (counts, error) {
	var n counts
	return n, readJSON(r, keyCounts, &n)
}

func readUsage(r keyReader, vatID string) (usage, error) {
	var u usage
	return u, readJSON(r, usageKey(vatID), &u)
}

// readJSON leaves value alone when the key is absent.
func readJSON(r keyReader, key string, value any) error {
	text, ok, err := r.Get(key)
	if err != nil || !ok {
		return err
	}
	if err := json.Unmarshal([]byte(text), value); err != nil {
		return fmt.Errorf("cannot decode %s: %w", key, err)
	}
	return nil
}

// move counts a vat from one state to another.
func (n *counts) move(from, next state) {
	n.add(from, -1)
	n.add(next, +1)
}

func (n *counts) add(s state, by int64) {
	isSuspended, isPaused := s.flags()
	if isSuspended {
		n.Suspended += by
	}
	if isPaused {
		n.Paused += by
	}
	if s == terminated {
		n.Terminated += by
	}
}
