package kernelhost

import (
	"context"
	"fmt"
	"strconv"

	"vatworkerd/internal/crashpoint"
	"vatworkerd/kernelhost/capdata"
	"vatworkerd/pipeproto"
)

// QueueToVat queues a message to the root object of a vat, named by name or
// ID. args is the capdata of the array of arguments; its slots are krefs. The
// result is the kref of the promise for the message's result, which
// PromiseResult reads once Run has let the vat answer. The message is part of
// the open block: Run or Commit makes it durable. Errors: *UnknownVatError.
func (k *Kernel) QueueToVat(ctx context.Context, vat, method string, args capdata.CapData) (promise string, err error) {
	defer k.leave()
	if err := k.enter(); err != nil {
		return "", err
	}
	vatID, err := k.vatID(vat)
	if err != nil {
		return "", err
	}
	methargs, err := capdata.MethArgs(method, args)
	if err != nil {
		return "", fmt.Errorf("cannot queue %s() to vat %s: %w", method, vat, err)
	}
	err = k.change(ctx, func(c *crank) error {
		if promise, err = c.queueFromOutside(vatID, methargs); err != nil {
			return err
		}
		return c.pin(promise)
	})
	return promise, err
}

// queueFromOutside queues a message to the root object of a vat that is known by
// name or ID outside. The root is pinned from then on.
func (c *crank) queueFromOutside(vatID string, methargs capdata.CapData) (string, error) {
	for _, kref := range methargs.Slots {
		if err := c.checkKref(kref); err != nil {
			return "", err
		}
	}
	if c.terminated(vatID) {
		kpid, err := c.addPromise("", "")
		if err != nil {
			return "", err
		}
		reason := capdata.MakeError(vatTerminated)
		return kpid, c.resolve("", []resolution{{kpid: kpid, rejected: true, data: reason}})
	}
	if _, err := c.rootForOutside(vatID); err != nil {
		return "", err
	}
	return c.queueToRoot(vatID, methargs, "")
}

// rootForOutside gives the root object of a vat that lives, and pins it.
func (c *crank) rootForOutside(vatID string) (string, error) {
	if c.has(rootRetiredKey(vatID)) {
		return "", pipeproto.Errorf(pipeproto.CodeRefused, "the root object of %s is gone: nobody held it, and the vat has forgotten it; upgrade the vat", vatID)
	}
	root, err := c.rootOf(vatID)
	if err != nil {
		return "", err
	}
	return root, c.pin(root)
}

// Root gives the kref of a vat's root object, to be an argument of a message to
// another vat: capdata.Ref{Kref: kref}. Errors: *UnknownVatError;
// *pipeproto.Error of pipeproto.CodeRefused where the vat or its root is gone.
// The change is part of the open block.
func (k *Kernel) Root(ctx context.Context, vat string) (kref string, err error) {
	defer k.leave()
	if err := k.enter(); err != nil {
		return "", err
	}
	vatID, err := k.vatID(vat)
	if err != nil {
		return "", err
	}
	err = k.change(ctx, func(c *crank) error {
		if c.terminated(vatID) {
			return pipeproto.Errorf(pipeproto.CodeRefused, "the root object of %s is gone: the vat is terminated", vatID)
		}
		kref, err = c.rootForOutside(vatID)
		return err
	})
	return kref, err
}

// queueToRoot queues a message to a vat's root object and gives the promise for
// its result.
func (c *crank) queueToRoot(vatID string, methargs capdata.CapData, policy string) (string, error) {
	root, err := c.rootOf(vatID)
	if err != nil {
		return "", err
	}
	kpid, err := c.addPromise("", policy)
	if err != nil {
		return "", err
	}
	return kpid, c.acceptSend(root, message{Methargs: methargs, Result: kpid})
}

// checkKref refuses a kref from outside that names nothing, or nothing any more.
// An object that was abandoned but is still held is fine: messages to it are
// answered.
func (c *crank) checkKref(kref string) error {
	kind, err := kslotType(kref)
	if err != nil {
		return err
	}
	switch kind {
	case typeDevice:
		if !c.has(ownerKey(kref)) {
			return also(fmt.Errorf("there is no %s", kref), c.kv.Err())
		}
	case typePromise, typeObject:
		if !c.has(countKey(kref)) {
			return also(fmt.Errorf("there is no %s", kref), c.kv.Err())
		}
	}
	return nil
}

// change runs body in a crank of the host's own, and lets the daemon enqueue
// what it causes. After an error nothing of it is left; trouble with the store
// costs the block on both sides.
func (k *Kernel) change(ctx context.Context, body func(*crank) error) error {
	kv, err := k.db.BeginCrank()
	if err != nil {
		return also(fmt.Errorf("cannot begin a crank: %w", err), k.rollback(ctx))
	}
	c := newCrank(kv)
	err = body(c)
	if err == nil {
		err = c.finish()
	}
	if err == nil && len(c.items) > 0 {
		err = k.call(ctx, pipeproto.ReqEnqueue, pipeproto.Enqueue{Items: c.items}, nil)
	}
	if err != nil {
		broken := kv.Err() != nil && k.dead == nil
		kv.Abort()
		if broken {
			return also(err, k.rollback(ctx))
		}
		return err
	}
	k.changed = true
	crashpoint.Here(crashpoint.HostChangeEnqueued)
	if _, _, err := c.commit(); err != nil {
		return also(err, k.rollback(ctx))
	}
	crashpoint.Here(crashpoint.HostChangeKept)
	k.embargo(c)
	return nil
}

// PromiseResult gives the state of a promise, Unresolved, Fulfilled or
// Rejected, and what it was resolved to, kernel-space; the kernel keeps the
// promise until Unpin. What the open block has resolved is Unresolved until the
// block is committed.
func (k *Kernel) PromiseResult(promise string) (state string, data capdata.CapData, err error) {
	defer k.leave()
	if err := k.enter(); err != nil {
		return "", data, err
	}
	if kind, err := kslotType(promise); err != nil || kind != typePromise {
		return "", data, fmt.Errorf("%q is no promise", promise)
	}
	state, ok, err := k.db.Get(promise + ".state")
	if err != nil {
		return "", data, err
	}
	if !ok {
		return "", data, fmt.Errorf("there is no promise %s", promise)
	}
	if state == Unresolved || k.resolved[promise] {
		return Unresolved, data, nil
	}
	body, _, err := k.db.Get(promise + ".data.body")
	if err != nil {
		return "", data, err
	}
	slots, _, err := k.db.Get(promise + ".data.slots")
	return state, capdata.CapData{Body: body, Slots: commaSplit(slots)}, err
}

// Unpin lets go of a promise that QueueToVat or Initialize gave.
func (k *Kernel) Unpin(ctx context.Context, promise string) error {
	defer k.leave()
	if err := k.enter(); err != nil {
		return err
	}
	return k.change(ctx, func(c *crank) error {
		return c.unpin(promise)
	})
}

// vatID finds a vat by its name or ID; a name goes first.
func (k *Kernel) vatID(ref string) (string, error) { return findVat(k.db, ref) }

// keyReader reads the kernel's tables: the database, or a view of it.
type keyReader interface {
	Get(key string) (value string, ok bool, err error)
}

func findVat(kv keyReader, ref string) (string, error) {
	vatID, ok, err := kv.Get("vat.name." + ref)
	if err != nil || ok {
		return vatID, err
	}
	if isVatID(ref) {
		if ok, err = wasVat(kv, ref); err != nil {
			return "", err
		}
	}
	if !ok {
		return "", &UnknownVatError{Ref: ref}
	}
	return ref, nil
}

// wasVat tells whether an ID was ever given to a vat. vatworkerd still knows
// those of which the tables hold nothing more.
func wasVat(kv keyReader, vatID string) (bool, error) {
	next, ok, err := kv.Get("vat.nextID")
	if err != nil || !ok {
		return false, err
	}
	limit, err := strconv.ParseInt(next, 10, 64)
	if err != nil {
		return false, brokenf("vat.nextID holds %q, no number", next)
	}
	n, err := strconv.ParseInt(vatID[1:], 10, 64)
	return err == nil && n >= firstVat && n < limit, nil
}
