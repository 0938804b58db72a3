package kernelhost

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// This file takes over c-lists, objects and promises. References are counted
// afresh, as those of vats that stay behind do not count here.

// elsewhere decides promises of which no vat is known that could: SwingSet's vats
// begin at v1.
const elsewhere = "v0"

// clist writes a vat's c-list, with what is in it.
func (a *adoption) clist(vatID string) error {
	return a.from.EachKey(clistKey(vatID, "k"), func(key, value string) error {
		kref := strings.TrimPrefix(key, clistKey(vatID, ""))
		e, ok := parseEntry(value)
		if _, err := kslotType(kref); err != nil || !ok {
			return &AdoptError{Key: key, What: fmt.Sprintf("it is no entry of a c-list: %.60q", value)}
		}
		if isPromise(kref) {
			a.kv.Set(key, value)
			a.kv.Set(clistKey(vatID, e.vref), kref)
			return a.refer(kref)
		}
		return a.entry(vatID, kref, e)
	})
}

// entry writes the entry of an object and, for what the vat exports, its owner.
func (a *adoption) entry(vatID, kref string, e clistEntry) error {
	a.kv.Set(clistKey(vatID, kref), e.String())
	a.kv.Set(clistKey(vatID, e.vref), kref)
	a.refs.countEntry(kref, e)
	a.entries = append(a.entries, adoptedEntry{vatID, kref, e})
	if e.exported() {
		a.kv.Set(ownerKey(kref), vatID)
	}
	return a.kv.Err()
}

// refer counts references that reach, and takes over the promises among them.
func (a *adoption) refer(krefs ...string) error {
	a.refs.strong(krefs...)
	for _, kref := range krefs {
		if !isPromise(kref) || a.promised[kref] {
			continue
		}
		a.promised[kref] = true
		if err := a.oldPromise(kref); err != nil {
			return err
		}
	}
	return a.kv.Err()
}

// oldPromise takes over a promise.
func (a *adoption) oldPromise(kpid string) error {
	state, err := a.requireOld(kpid + ".state")
	if err != nil {
		return err
	}
	a.kv.Set(kpid+".state", state)
	switch state {
	case Unresolved:
		return a.unresolved(kpid)
	case Fulfilled, Rejected:
		return a.resolved(kpid)
	}
	return &AdoptError{Key: kpid + ".state", What: fmt.Sprintf("it is no state of a promise: %.40q", state)}
}

func (a *adoption) resolved(kpid string) error {
	body, err := a.requireOld(kpid + ".data.body")
	if err != nil {
		return err
	}
	slots, err := a.requireOld(kpid + ".data.slots")
	if err != nil {
		return err
	}
	a.kv.Set(kpid+".data.body", body)
	a.kv.Set(kpid+".data.slots", slots)
	return a.refer(commaSplit(slots)...)
}

func (a *adoption) unresolved(kpid string) error {
	decider, _, err := a.from.Get(kpid + ".decider")
	if err != nil {
		return err
	}
	subscribers, _, err := a.from.Get(kpid + ".subscribers")
	if err != nil {
		return err
	}
	a.kv.Set(kpid+".decider", decider)
	if decider == "" {
		a.orphans = append(a.orphans, kpid)
	}
	a.kv.Set(kpid+".subscribers", strings.Join(a.filter(commaSplit(subscribers)), ","))
	if err := a.count(kpid + ".queue.nextID"); err != nil {
		return err
	}
	next, _ := a.kv.Get(kpid + ".queue.nextID")
	n, err := strconv.Atoi(next)
	if err != nil {
		return &AdoptError{Key: kpid + ".queue.nextID", What: err.Error()}
	}
	for i := range n {
		if err := a.waiting(kpid, kpid+".queue."+strconv.Itoa(i)); err != nil {
			return err
		}
	}
	return nil
}

// waiting takes over a message that waits in a promise.
func (a *adoption) waiting(kpid, key string) error {
	text, err := a.requireOld(key)
	if err != nil {
		return err
	}
	var msg message
	if err := msg.UnmarshalJSON([]byte(text)); err != nil {
		return &AdoptError{Key: key, What: err.Error()}
	}
	a.kv.Set(key, string(appendMessage(nil, msg)))
	if msg.Result != "" {
		a.refs.results[msg.Result] = true
		if err := a.refer(msg.Result); err != nil {
			return err
		}
	}
	return a.refer(append([]string{kpid}, msg.Methargs.Slots...)...)
}

// finish holds what only vats that stay behind hold, and writes the counts.
func (a *adoption) finish() error {
	for _, kpid := range a.orphans {
		if !a.refs.results[kpid] {
			a.setDecider(kpid, elsewhere)
		}
	}
	kept := a.entries[:0]
	for _, e := range a.entries {
		keep, err := a.settle(e)
		if err != nil {
			return err
		}
		if keep {
			kept = append(kept, e)
		}
	}
	a.entries = kept
	for _, kref := range slices.Sorted(maps.Keys(a.refs.objects)) {
		// What has no owner stays for as long as somebody reaches it.
		if a.refs.objects[kref].reachable == 0 && !a.has(ownerKey(kref)) {
			if err := a.hold(kref); err != nil {
				return err
			}
		}
	}
	return a.counts()
}

// settle looks at an object that is exported: the vats that hold it may all have
// stayed behind. keep is false for one that these could only recognize: it is
// forgotten here, and its vat exports it anew if it sends it again.
func (a *adoption) settle(e adoptedEntry) (keep bool, err error) {
	n := a.refs.objects[e.kref]
	switch {
	case !e.exported():
		return true, nil
	case e.reachable && n.reachable == 0:
		return true, a.hold(e.kref)
	case !e.reachable && n.recognizable == 0:
		a.kv.Delete(ownerKey(e.kref))
		a.kv.Delete(clistKey(e.vatID, e.kref))
		a.kv.Delete(clistKey(e.vatID, e.vref))
		return false, a.kv.Err()
	}
	return true, nil
}

// counts writes all counts of references.
func (a *adoption) counts() error {
	for _, e := range a.entries {
		if !e.exported() && !e.reachable {
			a.kv.Set(recognizerKey(e.kref, e.vatID), "1")
		}
	}
	for kref, n := range a.refs.objects {
		if err := a.setObjectCount(kref, n); err != nil {
			return err
		}
	}
	for kpid, n := range a.refs.promises {
		a.kv.Set(countKey(kpid), strconv.FormatInt(n, 10))
	}
	return a.kv.Err()
}

// filter gives the vats of a list that come along, sorted.
func (a *adoption) filter(vatIDs []string) []string {
	kept := slices.DeleteFunc(slices.Clone(vatIDs), func(id string) bool { return !a.here[id] })
	slices.Sort(kept)
	return kept
}
