package kernelhost

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"vatworkerd/pipeproto"
)

// A GC action is a thing a vat must be told about an object. The actions that
// wait are keys gc.v1.dropExport.ko20; SwingSet keeps the same set as a list
// under gcActions. Read in the order of the bytes they are sorted as there: by
// vat, then by type, then by kref.
//
// Each vat with actions has one item in its input queue, which says no more
// than that its turn has come: what is delivered is decided then, because the
// action may be void by that time. Turns are numbered (v1.gcTurn, and
// gcTurn.NUMBER = v1), so that a vat can tell whether a vat before it in
// SwingSet's order waits behind it in the queue.
const (
	dropExport   = "dropExport"
	retireExport = "retireExport"
	retireImport = "retireImport"
)

// gcTypes are the types of GC actions, the most urgent first.
func gcTypes() []string { return []string{dropExport, retireExport, retireImport} }

const gcTurnNextKey = "gcTurn.nextID"

func gcVatPrefix(vatID string) string   { return "gc." + vatID + "." }
func gcKey(vatID, action string) string { return gcVatPrefix(vatID) + action + "." }
func gcTurnKey(vatID string) string     { return vatID + ".gcTurn" }
func gcOrderKey(turn int64) string      { return fmt.Sprintf("gcTurn.%016x", turn) }

// addGCAction adds to the set of actions.
func (c *crank) addGCAction(vatID, action, kref string) {
	c.kv.Set(gcKey(vatID, action)+kref, "true")
	c.gcVats[vatID] = true
}

// askGCTurns queues a turn for each vat that this crank has given actions, or
// taken a turn from, and that has actions but no turn.
func (c *crank) askGCTurns() error {
	for _, vatID := range slices.Sorted(maps.Keys(c.gcVats)) {
		prefix := gcVatPrefix(vatID)
		if _, any := c.kv.NextKey(prefix, prefix); !any || c.has(gcTurnKey(vatID)) {
			continue
		}
		text, err := c.allocate(gcTurnNextKey)
		if err != nil {
			return err
		}
		turn, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return brokenf("%s holds %q, no number", gcTurnNextKey, text)
		}
		c.kv.Set(gcTurnKey(vatID), text)
		c.kv.Set(gcOrderKey(turn), vatID)
		c.enqueue(vatID, pipeproto.PriorityGC, event{Type: eventGC})
	}
	clear(c.gcVats)
	return c.kv.Err()
}

// takeGCTurn ends a vat's turn and gives its number; ok is false for a vat that
// has none any more, because it was terminated.
func (c *crank) takeGCTurn(vatID string) (turn int64, ok bool, err error) {
	text, ok := c.kv.Get(gcTurnKey(vatID))
	if !ok {
		return 0, false, c.kv.Err()
	}
	if turn, err = strconv.ParseInt(text, 10, 64); err != nil {
		return 0, false, brokenf("%s holds %q, no number", gcTurnKey(vatID), text)
	}
	c.kv.Delete(gcTurnKey(vatID))
	c.kv.Delete(gcOrderKey(turn))
	return turn, true, nil
}

// forgetGC drops what waits for a vat that can be told no more.
func (c *crank) forgetGC(vatID string) error {
	prefix := gcVatPrefix(vatID)
	for key, ok := c.kv.NextKey(prefix, prefix); ok; key, ok = c.kv.NextKey(key, prefix) {
		c.kv.Delete(key)
	}
	_, _, err := c.takeGCTurn(vatID)
	return err
}

// deliverGC gives the delivery of a vat's most urgent group of actions that are
// not void, or none: then there is nothing left to tell, or another vat goes
// first.
func (c *crank) deliverGC(vatID string) ([]byte, error) {
	turn, ok, err := c.takeGCTurn(vatID)
	if err != nil || !ok {
		return nil, err
	}
	c.gcVats[vatID] = true
	if c.goesBefore(vatID, turn) {
		return nil, c.kv.Err()
	}
	for _, action := range gcTypes() {
		krefs, err := c.takeGCGroup(vatID, action)
		if err != nil {
			return nil, err
		}
		if len(krefs) > 0 {
			c.gcKrefs = len(krefs)
			return c.gcDelivery(vatID, action, krefs)
		}
	}
	return nil, c.kv.Err()
}

// goesBefore tells whether a vat that SwingSet would let go first waits behind
// this turn. A vat whose own turn was earlier than this one and has not come
// holds its items, so that nobody waits for it.
func (c *crank) goesBefore(vatID string, turn int64) bool {
	const prefix = "gcTurn.0"
	for key, ok := c.kv.NextKey(gcOrderKey(turn), prefix); ok; key, ok = c.kv.NextKey(key, prefix) {
		if other, _ := c.kv.Get(key); other < vatID {
			return true
		}
	}
	return false
}

// takeGCGroup empties the set of a vat's actions of a type and gives the krefs
// of those that are not void.
func (c *crank) takeGCGroup(vatID, action string) ([]string, error) {
	prefix := gcKey(vatID, action)
	var krefs []string
	for key, ok := c.kv.NextKey(prefix, prefix); ok; key, ok = c.kv.NextKey(key, prefix) {
		kref := key[len(prefix):]
		c.kv.Delete(key)
		holds, err := c.stillHolds(vatID, action, kref)
		if err != nil {
			return nil, err
		}
		if holds {
			krefs = append(krefs, kref)
		}
	}
	return krefs, c.kv.Err()
}

// stillHolds tells whether an action is to be done: the object may have been
// sent again since, or the vat may have let go of it by itself. It is
// shouldProcessAction of SwingSet's kernel/gc-actions.js.
func (c *crank) stillHolds(vatID, action, kref string) (bool, error) {
	e, known, err := c.clistEntry(vatID, kref)
	if err != nil || !known {
		return false, err
	}
	if action == retireImport {
		return true, nil
	}
	n, exists, err := c.objectCount(kref)
	if err != nil || !exists || n.reachable > 0 {
		return false, err
	}
	if action == dropExport {
		return e.reachable, nil
	}
	return n.recognizable == 0, nil
}

// gcDelivery translates a group of actions and changes the vat's c-list as the
// vat will: what is dropped it still recognizes, what is retired is gone.
func (c *crank) gcDelivery(vatID, action string, krefs []string) ([]byte, error) {
	vrefs := make([]string, len(krefs))
	for i, kref := range krefs {
		e, known, err := c.clistEntry(vatID, kref)
		if err != nil {
			return nil, err
		}
		if !known {
			return nil, brokenf("%s is to be told of %s, which it does not know", vatID, kref)
		}
		vrefs[i] = e.vref
		if action == dropExport {
			err = c.setReachable(vatID, kref, e, false)
		} else {
			if action == retireExport {
				c.deleteObject(kref)
				c.noteRootRetired(vatID, e.vref)
			}
			err = c.deleteEntry(vatID, kref)
		}
		if err != nil {
			return nil, err
		}
	}
	c.slog.garbage(action, krefs)
	b := append([]byte(`["`), action...)
	b = append(b, `s",`...)
	b = appendStrings(b, vrefs)
	return append(b, ']'), c.kv.Err()
}
