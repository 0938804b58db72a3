package kernelhost

import (
	"context"
	"fmt"
	"math"
	"strconv"

	"vatworkerd/internal/crashpoint"
	"vatworkerd/pipeproto"
)

// A terminated vat is dead at once by the one key v1.terminated. What the
// tables hold of it goes step by step, under the budget of a block, oldest vat
// first: dead.NUMBER = v1 says what is left to do. vatworkerd does the same for
// what it holds.

const (
	deadPrefix  = "dead.0"
	deadNextKey = "dead.nextID"
)

func deadKey(n int64) string { return fmt.Sprintf("dead.%016x", n) }

func terminatedKey(vatID string) string { return vatID + ".terminated" }

// terminated tells whether a vat is gone for good. Nothing is left of it once
// it is cleaned up.
func (t tables) terminated(vatID string) bool {
	return t.has(terminatedKey(vatID)) || !t.has(optionsKey(vatID))
}

// terminate marks a vat as gone: from now on nothing is routed to it.
func (c *crank) terminate(vatID string) error {
	if c.terminated(vatID) {
		return c.kv.Err()
	}
	text, err := c.allocate(deadNextKey)
	if err != nil {
		return err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return brokenf("%s holds %q, no number", deadNextKey, text)
	}
	c.kv.Set(deadKey(n), vatID)
	c.kv.Set(terminatedKey(vatID), "true")
	return c.forgetGC(vatID)
}

// cleanUp deletes what is left of terminated vats, worth up to budget units: a
// c-list entry, or another key of the vat.
func (k *Kernel) cleanUp(ctx context.Context, budget int64) (done int64, err error) {
	left := budget
	if budget == pipeproto.UnlimitedCleanup {
		left = math.MaxInt64
	}
	for left > 0 {
		key, ok, err := k.db.NextKey(deadPrefix, deadPrefix)
		if err != nil || !ok {
			return done, err
		}
		var n int64
		err = k.change(ctx, func(c *crank) error {
			n, err = c.cleanUpVat(key, left)
			return err
		})
		crashpoint.Here(crashpoint.HostCleaned)
		done, left = done+n, left-n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// cleanUpVat does up to budget units of the work that is left for a vat, in the
// order of SwingSet's cleanupAfterTerminatedVat (kernel/state/kernelKeeper.js):
// exports are orphaned, imports and promises let go of, the rest is deleted.
func (c *crank) cleanUpVat(dead string, budget int64) (done int64, err error) {
	vatID, err := c.require(dead)
	if err != nil {
		return 0, err
	}
	orphan := func(kref string) error { return c.orphan(vatID, kref) }
	release := func(kref string) error { return c.deleteEntry(vatID, kref) }
	for _, phase := range []struct {
		vrefs  string
		remove func(kref string) error
	}{{"o+", orphan}, {"o-", release}, {"p", release}} {
		n, err := c.removeEntries(clistKey(vatID, phase.vrefs), budget-done, phase.remove)
		done += n
		if err != nil || done == budget {
			return done, err
		}
	}
	n, err := c.removeKeys(vatID, budget-done)
	done += n
	if err == nil && done < budget {
		c.kv.Delete(dead)
		done++
	}
	return done, err
}

// removeEntries removes c-list entries by their vrefs.
func (c *crank) removeEntries(prefix string, budget int64, remove func(kref string) error) (done int64, err error) {
	for key, ok := c.kv.NextKey(prefix, prefix); ok && done < budget; key, ok = c.kv.NextKey(key, prefix) {
		kref, err := c.require(key)
		if err != nil {
			return done, err
		}
		if err := remove(kref); err != nil {
			return done, err
		}
		done++
	}
	return done, c.kv.Err()
}

// removeKeys deletes a vat's other keys. Its parameters let go of what they
// refer to, which SwingSet forgets.
func (c *crank) removeKeys(vatID string, budget int64) (done int64, err error) {
	prefix := vatID + "."
	for key, ok := c.kv.NextKey(prefix, prefix); ok && done < budget; key, ok = c.kv.NextKey(key, prefix) {
		if key == parametersKey(vatID) {
			params, err := c.parameters(vatID)
			if err != nil {
				return done, err
			}
			if err := c.dropRefs(params.Slots); err != nil {
				return done, err
			}
		}
		c.kv.Delete(key)
		done++
	}
	return done, c.kv.Err()
}
