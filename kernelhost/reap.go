package kernelhost

import (
	"encoding/json"
	"strconv"

	"vatworkerd/pipeproto"
)

// What vats that do not say are reaped by: a count, or neverReap.
const (
	defaultReapKey   = "kernel.defaultReapInterval"
	defaultReapGCKey = "kernel.defaultReapGCKrefs"
)

// dirt counts what has happened to a vat since its last bringOutYourDead.
// SwingSet can count computrons too, and never does.
type dirt struct {
	Deliveries int64 `json:"deliveries,omitempty"`
	GCKrefs    int64 `json:"gcKrefs,omitempty"`
}

func dirtKey(vatID string) string { return vatID + ".reapDirt" }

// reapKey is there while a bringOutYourDead waits in the vat's input queue.
func reapKey(vatID string) string { return vatID + ".reapQueued" }

// addDirt counts a delivery, and the krefs of garbage collection in it, and asks
// for a bringOutYourDead once there are enough of either: SwingSet's addDirt
// (kernel/state/vatKeeper.js). What can never be enough is not counted.
func (c *crank) addDirt(vatID string, krefs int) error {
	interval, limit, err := c.reapThresholds(vatID)
	if err != nil {
		return err
	}
	var before dirt
	if text, ok := c.kv.Get(dirtKey(vatID)); ok {
		if err := json.Unmarshal([]byte(text), &before); err != nil {
			return brokenf("%s: %v", dirtKey(vatID), err)
		}
	}
	d, due := before, false
	if interval != neverReap {
		d.Deliveries++
		due = d.Deliveries >= interval
	}
	if limit != neverReap && krefs > 0 {
		d.GCKrefs += int64(krefs)
		due = due || d.GCKrefs >= limit
	}
	if d == before {
		return c.kv.Err()
	}
	text, err := json.Marshal(d)
	if err != nil {
		return err
	}
	c.kv.Set(dirtKey(vatID), string(text))
	if due && !c.has(reapKey(vatID)) {
		c.kv.Set(reapKey(vatID), "true")
		c.enqueue(vatID, pipeproto.PriorityReap, event{Type: eventBOYD})
	}
	return c.kv.Err()
}

// clearDirt starts the count anew after a bringOutYourDead.
func (c *crank) clearDirt(vatID string) { c.kv.Delete(dirtKey(vatID)) }

// reapThresholds gives how many deliveries, and how many krefs in garbage
// collection deliveries, make a bringOutYourDead due.
func (c *crank) reapThresholds(vatID string) (deliveries, krefs int64, err error) {
	opts, err := c.options(vatID)
	if err != nil {
		return 0, 0, err
	}
	if deliveries, err = c.threshold(opts.ReapInterval, defaultReapKey); err != nil {
		return 0, 0, err
	}
	krefs, err = c.threshold(opts.ReapGCKrefs, defaultReapGCKey)
	return deliveries, krefs, err
}

func (c *crank) threshold(own int64, defaultKey string) (int64, error) {
	if own != 0 {
		return own, nil
	}
	text, err := c.require(defaultKey)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, brokenf("%s holds %q, no number", defaultKey, text)
	}
	return n, nil
}
