package kernelhost

import (
	"fmt"
	"strconv"
	"strings"
)

// This file counts references as SwingSet's kernelKeeper does. A promise has
// one count: each c-list entry, each queue, each promise's data, vat parameters
// and pins that name it. An object has two: how many of these can reach it, and
// how many can at least recognize it; the entry of the vat that exports it
// counts for neither. Devices are not counted. What a crank lets go of is looked
// at when the crank is over, by collect.

func countKey(kref string) string { return kref + ".refCount" }

// objectCount is the reference count of an object: ko20.refCount = "2,3".
type objectCount struct{ reachable, recognizable int64 }

// objectCount reads a count; ok is false when there is no such object.
func (t tables) objectCount(kref string) (n objectCount, ok bool, err error) {
	text, ok := t.kv.Get(countKey(kref))
	if !ok {
		return n, false, t.kv.Err()
	}
	reachable, recognizable, _ := strings.Cut(text, ",")
	var err1, err2 error
	n.reachable, err1 = strconv.ParseInt(reachable, 10, 64)
	n.recognizable, err2 = strconv.ParseInt(recognizable, 10, 64)
	if err1 != nil || err2 != nil {
		return n, false, brokenf("%s holds %q", countKey(kref), text)
	}
	return n, true, nil
}

func (t tables) setObjectCount(kref string, n objectCount) error {
	if n.reachable < 0 || n.recognizable < n.reachable {
		return brokenf("the count of %s would be %d,%d", kref, n.reachable, n.recognizable)
	}
	t.kv.Set(countKey(kref), fmt.Sprintf("%d,%d", n.reachable, n.recognizable))
	return nil
}

// countObject changes the count of an object. One that is gone already has no
// count to change, which is how an exporter's retirement may run ahead of an
// importer's; it cannot be reached again.
func (t tables) countObject(kref string, reachable, recognizable int64) error {
	n, ok, err := t.objectCount(kref)
	if err != nil {
		return err
	}
	if !ok {
		if reachable > 0 || recognizable > 0 {
			return brokenf("%s is gone, and cannot be referred to again", kref)
		}
		return nil
	}
	n.reachable += reachable
	n.recognizable += recognizable
	if (reachable < 0 || recognizable < 0) && (n.reachable == 0 || n.recognizable == 0) {
		t.loose.add(kref)
	}
	return t.setObjectCount(kref, n)
}

func (t tables) countPromise(kpid string, by int64) error {
	text, err := t.require(countKey(kpid))
	if err != nil {
		return err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n+by < 0 {
		return brokenf("%s holds %q, and should change by %d", countKey(kpid), text, by)
	}
	t.kv.Set(countKey(kpid), strconv.FormatInt(n+by, 10))
	if n+by == 0 {
		t.loose.add(kpid)
	}
	return nil
}

// addRef counts a reference that reaches: from a queue, a promise's data, vat
// parameters, a device's c-list or a pin.
func (t tables) addRef(kref string) error { return t.changeRef(kref, 1) }

// dropRef takes back what addRef counted.
func (t tables) dropRef(kref string) error { return t.changeRef(kref, -1) }

func (t tables) changeRef(kref string, by int64) error {
	kind, err := kslotType(kref)
	if err != nil {
		return brokenf("%v", err)
	}
	switch kind {
	case typePromise:
		return t.countPromise(kref, by)
	case typeObject:
		return t.countObject(kref, by, by)
	}
	return nil
}

func (t tables) addRefs(krefs []string) error { return each(krefs, t.addRef) }

func (t tables) dropRefs(krefs []string) error { return each(krefs, t.dropRef) }

func each(krefs []string, do func(string) error) error {
	for _, kref := range krefs {
		if err := do(kref); err != nil {
			return err
		}
	}
	return nil
}

// holdMessage counts what a message in a queue refers to.
func (t tables) holdMessage(target string, msg message) error {
	return t.changeMessage(target, msg, t.addRef)
}

// releaseMessage takes back what holdMessage counted.
func (t tables) releaseMessage(target string, msg message) error {
	return t.changeMessage(target, msg, t.dropRef)
}

func (t tables) changeMessage(target string, msg message, change func(string) error) error {
	if err := change(target); err != nil {
		return err
	}
	if msg.Result != "" {
		if err := change(msg.Result); err != nil {
			return err
		}
	}
	return each(msg.Methargs.Slots, change)
}

// pinKey holds on to a promise or object that the world outside knows.
func pinKey(kref string) string { return "pin." + kref }

// pin keeps a promise or object until unpin. A second pin changes nothing.
func (t tables) pin(kref string) error {
	if t.has(pinKey(kref)) {
		return t.kv.Err()
	}
	t.kv.Set(pinKey(kref), "1")
	return t.addRef(kref)
}

// unpin lets go of what pin keeps, if it does.
func (t tables) unpin(kref string) error {
	if !t.has(pinKey(kref)) {
		return t.kv.Err()
	}
	t.kv.Delete(pinKey(kref))
	return t.dropRef(kref)
}

// looseEnds are the krefs that a crank may have let go of, each once, in the
// order in which it did.
type looseEnds struct {
	krefs   []string
	waiting map[string]bool
}

func (l *looseEnds) add(kref string) {
	if l.waiting == nil {
		l.waiting = map[string]bool{}
	}
	if !l.waiting[kref] {
		l.waiting[kref] = true
		l.krefs = append(l.krefs, kref)
	}
}

func (l *looseEnds) next() (kref string, ok bool) {
	if len(l.krefs) == 0 {
		return "", false
	}
	kref, l.krefs = l.krefs[0], l.krefs[1:]
	delete(l.waiting, kref)
	return kref, true
}
