package kernelhost

import (
	"encoding/json"
	"strconv"

	"vatworkerd/pipeproto"
)

// defaultReapKey holds the reap interval of vats that have none of their own.
const defaultReapKey = "kernel.defaultReapInterval"

// dirt counts what has happened to a vat since its last bringOutYourDead.
// SwingSet counts dropped krefs and computrons too; the former come with
// garbage collection, the latter it never uses.
type dirt struct {
	Deliveries int64 `json:"deliveries,omitempty"`
}

func dirtKey(vatID string) string { return vatID + ".reapDirt" }

// reapKey is there while a bringOutYourDead waits in the vat's input queue.
func reapKey(vatID string) string { return vatID + ".reapQueued" }

// addDirt counts a delivery and asks for a bringOutYourDead once there are
// enough: SwingSet's addDirt (kernel/state/vatKeeper.js).
func (c *crank) addDirt(vatID string) error {
	interval, err := c.reapInterval(vatID)
	if err != nil || interval == neverReap {
		return err
	}
	var d dirt
	if text, ok := c.kv.Get(dirtKey(vatID)); ok {
		if err := json.Unmarshal([]byte(text), &d); err != nil {
			return brokenf("%s: %v", dirtKey(vatID), err)
		}
	}
	d.Deliveries++
	text, err := json.Marshal(d)
	if err != nil {
		return err
	}
	c.kv.Set(dirtKey(vatID), string(text))
	if d.Deliveries >= interval && !c.has(reapKey(vatID)) {
		c.kv.Set(reapKey(vatID), "true")
		c.enqueue(vatID, pipeproto.PriorityReap, event{Type: eventBOYD})
	}
	return c.kv.Err()
}

// clearDirt starts the count anew after a bringOutYourDead.
func (c *crank) clearDirt(vatID string) { c.kv.Delete(dirtKey(vatID)) }

func (c *crank) reapInterval(vatID string) (int64, error) {
	opts, err := c.options(vatID)
	if err != nil {
		return 0, err
	}
	if opts.ReapInterval != 0 {
		return opts.ReapInterval, nil
	}
	text, err := c.require(defaultReapKey)
	if err != nil {
		return 0, err
	}
	interval, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, brokenf("%s holds %q, no number", defaultReapKey, text)
	}
	return interval, nil
}
