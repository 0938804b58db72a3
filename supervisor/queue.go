package supervisor

import (
	"encoding/json"
	"fmt"
	"strconv"

	"vatworkerd/pipeproto"
	"vatworkerd/store"
)

// A vat's input queue is the key range q.<vat>.<priority>.<sequence>. Items of
// vats that hold nothing back have a second key, run.<priority>.<sequence> →
// vat, in which the scheduler finds the lowest; parking a queue removes those
// keys and releasing it puts them back, so an item keeps its place for ever.

// itemOrder is the part of both keys that orders items: priority, then sequence.
type itemOrder string

func makeItemOrder(priority uint8, sequence int64) itemOrder {
	return itemOrder(fmt.Sprintf("%d.%016x", priority, sequence))
}

func queuePrefix(vatID string) string              { return prefixQueue + vatID + "." }
func queueKey(vatID string, o itemOrder) string    { return queuePrefix(vatID) + string(o) }
func runKey(o itemOrder) string                    { return prefixRun + string(o) }
func orderOfRunKey(key string) itemOrder           { return itemOrder(key[len(prefixRun):]) }
func orderOfQueueKey(key, prefix string) itemOrder { return itemOrder(key[len(prefix):]) }

// queued is an item at rest.
type queued struct {
	Start   bool   `json:"start,omitempty"`
	Payload []byte `json:"payload,omitempty"`
}

// enqueue appends items to their vats' queues, in order. Items for a vat that
// holds go straight to the held side.
func (c *crank) enqueue(items []pipeproto.Item) error {
	for _, item := range items {
		if err := c.enqueueOne(item); err != nil {
			return err
		}
	}
	return nil
}

func (c *crank) enqueueOne(item pipeproto.Item) error {
	rec, err := c.load(item.VatID)
	if err != nil {
		return fmt.Errorf("cannot enqueue: %w", err)
	}
	text, err := json.Marshal(queued{Start: item.Start, Payload: item.Payload})
	if err != nil {
		return fmt.Errorf("cannot encode an item for %s: %w", item.VatID, err)
	}
	order := makeItemOrder(item.Priority, c.nextSequence())
	c.s.foresight.stale = true
	c.tx.Set(queueKey(item.VatID, order), string(text))
	c.addQueueLen(item.VatID, +1)
	if rec.state().holds() {
		c.tally().Held++
		c.s.emitAfter(c, pipeproto.VatEvent{Kind: pipeproto.VatHeld, VatID: rec.ID, Name: rec.Name})
		return c.tx.Err()
	}
	c.tx.Set(runKey(order), item.VatID)
	c.tally().Queued++
	return c.tx.Err()
}

func (c *crank) nextSequence() int64 {
	n, err := readNumber(c, keySequence)
	c.fail(err)
	n++
	c.tx.Set(keySequence, strconv.FormatInt(n, 10))
	return n
}

// take removes an item that was runnable and gives its content.
func (c *crank) take(vatID string, order itemOrder) (queued, error) {
	text, ok := c.tx.Get(queueKey(vatID, order))
	if !ok {
		if err := c.tx.Err(); err != nil {
			return queued{}, err
		}
		return queued{}, fmt.Errorf("cannot find item %s of %s that the run index names", order, vatID)
	}
	var item queued
	if err := json.Unmarshal([]byte(text), &item); err != nil {
		return queued{}, fmt.Errorf("cannot decode item %s of %s: %w", order, vatID, err)
	}
	c.tx.Delete(queueKey(vatID, order))
	c.tx.Delete(runKey(order))
	c.addQueueLen(vatID, -1)
	c.tally().Queued--
	return item, c.tx.Err()
}

// park takes the vat's items out of the run index; wake puts them back.
func (c *crank) park(vatID string) error {
	c.eachItem(vatID, func(order itemOrder) {
		if _, runnable := c.tx.Get(runKey(order)); runnable {
			c.fail(c.setAside(order))
		}
	})
	return c.tx.Err()
}

// priority is the leading digit of an item's place.
func (o itemOrder) priority() uint8 { return o[0] - '0' }

// dropReaps removes the bringOutYourDead items that wait for an incarnation
// that ends: the next one has nothing yet that could be dead.
func (c *crank) dropReaps(vatID string) error {
	var reaps []itemOrder
	c.eachItem(vatID, func(order itemOrder) {
		if order.priority() == pipeproto.PriorityReap {
			reaps = append(reaps, order)
		}
	})
	for _, order := range reaps {
		n := c.tally()
		if _, runnable := c.tx.Get(runKey(order)); runnable {
			n.Queued--
		} else {
			n.Held--
		}
		c.tx.Delete(queueKey(vatID, order))
		c.tx.Delete(runKey(order))
		c.addQueueLen(vatID, -1)
	}
	return c.tx.Err()
}

// setAside takes one item out of the run index.
func (c *crank) setAside(order itemOrder) error {
	c.s.foresight.stale = true
	c.tx.Delete(runKey(order))
	n := c.tally()
	n.Queued--
	n.Held++
	return c.tx.Err()
}

// wake makes every item of a vat runnable, each in its place.
func (c *crank) wake(vatID string) error {
	c.eachItem(vatID, func(order itemOrder) {
		if _, runnable := c.tx.Get(runKey(order)); runnable {
			return
		}
		c.s.foresight.stale = true
		c.tx.Set(runKey(order), vatID)
		n := c.tally()
		n.Queued++
		n.Held--
	})
	return c.tx.Err()
}

// eachItem visits a vat's items in order.
func (c *crank) eachItem(vatID string, visit func(itemOrder)) {
	prefix := queuePrefix(vatID)
	for key, ok := c.tx.NextKey(prefix, prefix); ok; key, ok = c.tx.NextKey(key, prefix) {
		visit(orderOfQueueKey(key, prefix))
	}
}

func (c *crank) addQueueLen(vatID string, by int64) {
	n, err := readQueueLen(c, vatID)
	c.fail(err)
	n += by
	if n == 0 {
		c.tx.Delete(prefixQueueLen + vatID)
		return
	}
	c.tx.Set(prefixQueueLen+vatID, strconv.FormatInt(n, 10))
}

func readQueueLen(r keyReader, vatID string) (int64, error) {
	return readNumber(r, prefixQueueLen+vatID)
}

// readNumber reads an absent number as 0.
func readNumber(r keyReader, key string) (int64, error) {
	text, ok, err := r.Get(key)
	if err != nil || !ok {
		return 0, err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("cannot decode %s: %w", key, err)
	}
	return n, nil
}

// head is the runnable item with the lowest priority number and sequence.
type head struct {
	vatID string
	order itemOrder
}

// heads gives up to n runnable items in the order they will run while nothing
// else changes.
func (s *Supervisor) heads(n int) ([]head, error) {
	rows, err := store.FirstKeys(s.db, prefixRun, n)
	if err != nil {
		return nil, err
	}
	found := make([]head, len(rows))
	for i, row := range rows {
		found[i] = head{vatID: row.Text(1), order: orderOfRunKey(row.Text(0))}
	}
	return found, nil
}
