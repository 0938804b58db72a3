package kernelhost

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"vatworkerd/kernelhost/capdata"
	"vatworkerd/pipeproto"
	"vatworkerd/store"
)

// Kinds of problems of the kernel's tables.
const (
	KindClist   store.ProblemKind = "c-list"
	KindObject  store.ProblemKind = "object"
	KindPromise store.ProblemKind = "promise"
	KindGarbage store.ProblemKind = "gc"     // actions, turns, who recognizes what
	KindRecord  store.ProblemKind = "record" // of a vat, device or meter, and what there is one of
	KindForeign store.ProblemKind = "key"    // one that the kernel does not write
	KindPair    store.ProblemKind = "pair"   // what the host and vatworkerd should agree on
)

// Names under which an audit counts.
const (
	CountEntries  = "c-list entries"
	CountObjects  = "objects"
	CountPromises = "promises"
	CountOutputs  = "outputs"
)

// Daemon is what vatworkerd keeps that the kernel's tables must agree with.
type Daemon struct {
	StoreID string
	Epoch   int64 // of the last restart-all
	// Vats by ID; nil = unknown, then they are not compared.
	Vats map[string]DaemonVat
	// HasBundle tells whether a bundle is stored.
	HasBundle func(id string) (bool, error)
	// EachItem visits the items of all input queues; nil = unknown, then nothing is
	// counted.
	EachItem func(visit func(DaemonItem) error) error
}

// DaemonVat is vatworkerd's record of a vat.
type DaemonVat struct {
	AdminKey    string
	State       string // as the record has it, whatever a restart-all will make of it
	Incarnation int64  // of the last one started; -1 = none
	Terminated  bool
}

// DaemonItem is an item of an input queue.
type DaemonItem struct {
	Place string // for people
	pipeproto.Item
}

// Audit checks the kernel's tables: c-lists both ways, every reference counted
// afresh, promises, garbage collection, records, and that they agree with what
// vatworkerd keeps. The file itself is store.CheckFile's. A problem does not stop
// it. It holds a few words for every object and promise in memory. Errors: that
// of the audit's context, those of the disk.
func Audit(a *store.Audit, src store.Source, daemon Daemon) error {
	c := newAuditor(a, sourceKeys{src}, daemon)
	if err := a.Step(DatabaseFile + " tables"); err != nil {
		return err
	}
	checks := []func() error{
		c.tables, func() error { return c.outbox(src) }, func() error { return c.pair(src) },
	}
	if daemon.EachItem != nil {
		checks = append([]func() error{c.items}, append(checks, c.counts, c.garbage, c.authority)...)
	}
	for _, check := range checks {
		if err := a.Survive("", DatabaseFile, check()); err != nil {
			return err
		}
	}
	return nil
}

// keys is what an audit reads the tables by.
type keys interface {
	get(key string) (value string, ok bool, err error)
	each(prefix string, visit func(key, value string) error) error
}

type sourceKeys struct{ src store.Source }

func (k sourceKeys) get(key string) (string, bool, error) { return k.src.Get(key) }

func (k sourceKeys) each(prefix string, visit func(key, value string) error) error {
	return store.EachKey(k.src, prefix, visit)
}

type auditor struct {
	*store.Audit
	keys
	daemon   Daemon
	promises map[string]int64       // references counted
	objects  map[string]objectCount // references counted
	results  map[string]bool        // of messages that wait somewhere
	waiting  map[string]int         // items by vat and type of event
}

func newAuditor(a *store.Audit, k keys, daemon Daemon) *auditor {
	return &auditor{
		Audit: a, keys: k, daemon: daemon, promises: map[string]int64{}, objects: map[string]objectCount{},
		results: map[string]bool{}, waiting: map[string]int{},
	}
}

func (c *auditor) wrong(kind store.ProblemKind, vatID, key, what, expected, got string) {
	c.Add(store.Problem{Kind: kind, VatID: vatID, Place: DatabaseFile + " kv." + key, What: what, Expected: expected, Got: got})
}

// has tells whether a key is there.
func (c *auditor) has(key string) (bool, error) {
	_, ok, err := c.get(key)
	return ok, err
}

// dead tells whether a vat is gone for good, as tables.terminated does.
func (c *auditor) dead(vatID string) (bool, error) {
	marked, err := c.has(terminatedKey(vatID))
	if err != nil || marked {
		return marked, err
	}
	known, err := c.has(optionsKey(vatID))
	return !known, err
}

// strong counts references that reach.
func (c *auditor) strong(krefs ...string) {
	for _, kref := range krefs {
		switch {
		case isPromise(kref):
			c.promises[kref]++
		case isObject(kref):
			n := c.objects[kref]
			c.objects[kref] = objectCount{n.reachable + 1, n.recognizable + 1}
		}
	}
}

func (c *auditor) message(target string, msg message) {
	c.strong(target)
	c.strong(msg.Methargs.Slots...)
	if msg.Result != "" {
		c.strong(msg.Result)
		c.results[msg.Result] = true
	}
}

// items counts what waits in vatworkerd's input queues.
func (c *auditor) items() error {
	return c.daemon.EachItem(func(item DaemonItem) error {
		if item.Start {
			return nil
		}
		e, err := decodeEvent(item.Payload)
		if err != nil {
			c.Add(store.Problem{Kind: KindPair, VatID: item.VatID, Place: item.Place, What: err.Error()})
			return nil
		}
		c.waiting[item.VatID+" "+e.Type]++
		c.event(e)
		return nil
	})
}

func (c *auditor) event(e event) {
	if e.Request != nil && e.Request.Parameters != nil {
		c.strong(e.Request.Parameters.Slots...)
	}
	switch e.Type {
	case eventSend:
		c.message(e.Target, e.Msg)
	case eventNotify:
		c.strong(e.KPID)
	}
}

// counts compares the kept reference counts with those counted: a promise
// without references is gone, and what is gone is at most recognized.
func (c *auditor) counts() error {
	for _, prefix := range []string{"ko", "kp"} {
		err := c.each(prefix, func(key, value string) error {
			kref, ok := strings.CutSuffix(key, ".refCount")
			if !ok {
				return nil
			}
			if isPromise(kref) {
				c.promiseCount(kref, key, value)
				return nil
			}
			return c.objectCount(kref, key, value)
		})
		if err != nil {
			return err
		}
	}
	for _, kpid := range slices.Sorted(maps.Keys(c.promises)) {
		if ok, err := c.has(kpid + ".state"); err != nil {
			return err
		} else if !ok {
			c.wrong(KindPromise, "", kpid, "it is referred to and gone", "", "")
		}
	}
	for _, kref := range slices.Sorted(maps.Keys(c.objects)) {
		if ok, err := c.has(countKey(kref)); err != nil {
			return err
		} else if !ok && c.objects[kref].reachable > 0 {
			c.wrong(KindObject, "", kref, "it can be reached and is gone", "", "")
		}
	}
	return nil
}

func (c *auditor) promiseCount(kpid, key, value string) {
	want := strconv.FormatInt(c.promises[kpid], 10)
	switch {
	case value != want:
		c.wrong(KindPromise, "", key, "the number of references", want, value)
	case want == "0":
		c.wrong(KindPromise, "", key, "nothing refers to it and it is still there", "", "")
	}
}

func (c *auditor) objectCount(kref, key, value string) error {
	n := c.objects[kref]
	if want := fmt.Sprintf("%d,%d", n.reachable, n.recognizable); value != want {
		c.wrong(KindObject, "", key, "the numbers of references that reach it, and that recognize it", want, value)
	}
	owned, err := c.has(ownerKey(kref))
	if err == nil && n.reachable == 0 && !owned {
		c.wrong(KindObject, "", key, "it is an orphan that nobody reaches and still there", "", "")
	}
	return err
}

// authority: an unresolved promise that no vat decides is the result of a
// message that waits somewhere; else nobody could ever resolve it.
func (c *auditor) authority() error {
	return c.each("kp", func(key, value string) error {
		kpid, ok := strings.CutSuffix(key, ".decider")
		if ok && value == "" && !c.results[kpid] {
			c.wrong(KindPromise, "", key, "nobody can resolve it: no vat decides it, and it is the result of no message that waits", "", "")
		}
		return nil
	})
}

// capdataSlots reads the slots of capdata that is kept under a key.
func (c *auditor) capdataSlots(vatID, key, value string) []string {
	data, err := decodeCapData([]byte(value))
	if err != nil {
		c.wrong(KindRecord, vatID, key, fmt.Sprintf("it is no capdata: %v", err), "", "")
		return nil
	}
	return data.Slots
}

// queuedMessage reads a message that waits in a promise.
func (c *auditor) queuedMessage(kpid, key, value string) {
	e, err := decodeEvent([]byte(`{"type":` + string(capdata.AppendString(nil, eventSend)) + `,"msg":` + value + `}`))
	if err != nil {
		c.wrong(KindPromise, "", key, err.Error(), "", "")
		return
	}
	c.message(kpid, e.Msg)
}
