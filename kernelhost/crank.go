package kernelhost

import (
	"fmt"

	"vatworkerd/kernelhost/capdata"
	"vatworkerd/pipeproto"
	"vatworkerd/store"
)

// crank is the host's half of a crank: what it changes in the tables, and what
// that sets in motion. It ends with commit, or is forgotten.
type crank struct {
	tables
	// accepted is SwingSet's acceptance queue: what syscalls sent and resolved,
	// in their order. It is routed when the crank is over, so that a message to
	// a promise sees what the same crank made of it.
	accepted []event
	items    []pipeproto.Item // for input queues, in order
	testLog  []string

	delivering string // type of the event that is being delivered
	beginning  string // why the incarnation that begins does so
	started    []string
	gcKrefs    int                // of the garbage collection delivery that is being made
	gcVats     map[string]bool    // vats that may need a turn: see askGCTurns
	exiting    *exitRequest       // made before a callNow
	actions    []pipeproto.Action // to be done at the end of the crank
	illegal    string             // found in callNow: the crank must not commit
	panicked   error              // the crank, and its block, must not commit
	resolved   []string           // promises
}

func newCrank(kv *store.Crank) *crank {
	return &crank{tables: tables{kv: kv, loose: &looseEnds{}}, gcVats: map[string]bool{}}
}

// accept puts an event into the acceptance queue; what it refers to is counted
// already.
func (c *crank) accept(e event) { c.accepted = append(c.accepted, e) }

// acceptSend accepts a new message.
func (c *crank) acceptSend(target string, msg message) error {
	c.accept(event{Type: eventSend, Target: target, Msg: msg})
	return c.holdMessage(target, msg)
}

// acceptNotify accepts a new notification.
func (c *crank) acceptNotify(vatID, kpid string) error {
	c.accept(event{Type: eventNotify, vatID: vatID, KPID: kpid})
	return c.addRef(kpid)
}

// enqueue appends an item to a vat's input queue.
func (c *crank) enqueue(vatID string, priority uint8, e event) {
	c.items = append(c.items, pipeproto.Item{VatID: vatID, Priority: priority, Payload: e.encode()})
}

// finish collects what the crank has let go of, empties the acceptance queue
// and asks for the garbage collection that all of it calls for. Routing may
// itself resolve promises and so add to the end of the queue; SwingSet collects
// after each step of it. A second finish changes nothing.
func (c *crank) finish() error {
	if err := c.collect(); err != nil {
		return err
	}
	for i := 0; i < len(c.accepted); i++ {
		if err := c.routeOne(c.accepted[i]); err != nil {
			return err
		}
		if err := c.collect(); err != nil {
			return err
		}
	}
	c.accepted = nil
	return c.askGCTurns()
}

func (c *crank) routeOne(e event) error {
	if e.Request != nil {
		return c.enqueueRequest(e)
	}
	if e.Type == eventNotify {
		if c.terminated(e.vatID) {
			return c.dropRef(e.KPID)
		}
		c.enqueue(e.vatID, pipeproto.PriorityMessage, e)
		return nil
	}
	vatID, target, err := c.route(e)
	if err != nil || vatID == "" {
		return err
	}
	return c.pass(vatID, target, e)
}

// pass gives a message to the input queue of the vat it was routed to.
func (c *crank) pass(vatID, target string, e event) error {
	if target != e.Target {
		if err := c.dropRef(e.Target); err != nil {
			return err
		}
		if err := c.addRef(target); err != nil {
			return err
		}
	}
	c.enqueue(vatID, pipeproto.PriorityMessage, event{Type: eventSend, Target: target, Msg: e.Msg})
	return nil
}

// route finds the vat a message goes to, and the target it is for there: the
// object its promise was fulfilled to, maybe. No vat means that the message is
// dealt with: it waits in a promise, or its result is rejected. This is
// SwingSet's routeSendEvent (kernel/kernel.js).
func (c *crank) route(e event) (vatID, target string, err error) {
	kind, err := kslotType(e.Target)
	if err != nil {
		return "", "", brokenf("%v", err)
	}
	switch kind {
	case typeObject:
		return c.routeToObject(e.Target, e)
	case typePromise:
		return c.routeToPromise(e)
	}
	return "", "", brokenf("a message is for %s, neither object nor promise", e.Target)
}

func (c *crank) routeToObject(kref string, e event) (vatID, target string, err error) {
	vatID, ok := c.owner(kref)
	if !ok {
		return "", "", c.splat(e, capdata.MakeError(vatTerminated))
	}
	return vatID, kref, nil
}

func (c *crank) routeToPromise(e event) (vatID, target string, err error) {
	kpid := e.Target
	p, err := c.promise(kpid)
	if err != nil {
		return "", "", err
	}
	switch p.state {
	case Fulfilled:
		slot, err := capdata.SingleSlot(p.data)
		if err != nil {
			return "", "", brokenf("the data of %s: %v", kpid, err)
		}
		if kind, _ := kslotType(slot); kind == typeObject {
			return c.routeToObject(slot, e)
		}
		text := fmt.Sprintf("data is not callable, has no method %s", capdata.Method(e.Msg.Methargs))
		return "", "", c.splat(e, capdata.MakeError(text))
	case Rejected:
		return "", "", c.splat(e, p.data)
	}
	if p.decider == "" {
		return "", "", c.queueToPromise(kpid, e.Msg)
	}
	if c.terminated(p.decider) {
		return "", "", c.splat(e, capdata.MakeError(vatTerminated))
	}
	opts, err := c.options(p.decider)
	if err != nil {
		return "", "", err
	}
	if opts.EnablePipelining {
		return p.decider, kpid, nil
	}
	return "", "", c.queueToPromise(kpid, e.Msg)
}

// vatTerminated is the text of the error that messages to a dead vat, and to
// what an incarnation has abandoned, are rejected with.
const vatTerminated = "vat terminated"

// splat rejects the result of a message that goes nowhere, and lets go of it.
func (c *crank) splat(e event, reason capdata.CapData) error {
	if e.Msg.Result != "" {
		if err := c.resolve("", []resolution{{kpid: e.Msg.Result, rejected: true, data: reason}}); err != nil {
			return err
		}
	}
	return c.releaseMessage(e.Target, e.Msg)
}

// resolution is what a promise becomes; kernel-space.
type resolution struct {
	kpid     string
	rejected bool
	data     capdata.CapData
}

// resolve settles promises that vatID decides ("" = the kernel): it notifies
// the subscribers, in order, and sends what waited in the promise on its way.
func (c *crank) resolve(vatID string, resolutions []resolution) error {
	for _, r := range resolutions {
		p, err := c.promise(r.kpid)
		if err != nil {
			return err
		}
		if p.state != Unresolved {
			return illegalf("promise %s is resolved already", r.kpid)
		}
		if p.decider != vatID {
			return illegalf("promise %s is decided by %q, not by %q", r.kpid, p.decider, vatID)
		}
		for _, subscriber := range p.subscribers {
			if err := c.acceptNotify(subscriber, r.kpid); err != nil {
				return err
			}
		}
		if err := c.addRefs(r.data.Slots); err != nil {
			return err
		}
		if err := c.requeue(r.kpid); err != nil {
			return err
		}
		c.settle(r.kpid, r.rejected, r.data)
		c.resolved = append(c.resolved, r.kpid)
		if r.rejected && p.policy == policyPanic {
			c.panicked = &BootstrapError{Promise: r.kpid, Reason: capdata.Legible(r.data)}
		}
	}
	return c.kv.Err()
}

// requeue sends the messages that wait in a promise through routing again. It
// keeps what they refer to counted.
func (c *crank) requeue(kpid string) error {
	waiting, err := c.takePromiseQueue(kpid)
	if err != nil {
		return err
	}
	for _, msg := range waiting {
		c.accept(event{Type: eventSend, Target: kpid, Msg: msg})
	}
	return nil
}

// commit finishes the crank, makes the crank part of the block and gives
// the items to enqueue and the digest: the host's activity hash, which is that
// of all its cranks up to this one.
func (c *crank) commit() (items []pipeproto.Item, digest []byte, err error) {
	if err := c.finish(); err != nil {
		c.kv.Abort()
		return nil, nil, err
	}
	if c.panicked != nil {
		c.kv.Abort()
		return nil, nil, c.panicked
	}
	if c.illegal != "" {
		c.kv.Abort()
		return nil, nil, fmt.Errorf("cannot commit a crank with an illegal syscall: %s", c.illegal)
	}
	hash, err := c.kv.Commit(nil)
	if err != nil {
		return nil, nil, err
	}
	return c.items, []byte(hash), nil
}
