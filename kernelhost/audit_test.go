package kernelhost

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// audit is a naive model of reference counting: it goes through all tables and
// all that waits in input queues, counts every reference afresh, and compares.
type audit struct {
	kv       map[string]string
	items    []fakeItem
	promises map[string]int64
	objects  map[string]objectCount
	problems []error
}

func (a *audit) fail(format string, args ...any) {
	a.problems = append(a.problems, fmt.Errorf(format, args...))
}

// auditTables compares what the tables say with what they should.
func auditTables(kv map[string]string, items []fakeItem) error {
	a := &audit{kv: kv, items: items, promises: map[string]int64{}, objects: map[string]objectCount{}}
	a.count()
	a.compareCounts()
	a.checkExports()
	a.checkRecognizers()
	a.checkTurns()
	return errors.Join(a.problems...)
}

func (a *audit) strong(krefs ...string) {
	for _, kref := range krefs {
		switch {
		case isPromise(kref):
			a.promises[kref]++
		case isObject(kref):
			n := a.objects[kref]
			a.objects[kref] = objectCount{n.reachable + 1, n.recognizable + 1}
		}
	}
}

func (a *audit) message(target string, msg message) {
	a.strong(target)
	a.strong(msg.Methargs.Slots...)
	if msg.Result != "" {
		a.strong(msg.Result)
	}
}

func (a *audit) count() {
	for key, value := range a.kv {
		switch {
		case strings.Contains(key, ".c.k"):
			a.countEntry(key, value)
		case strings.HasSuffix(key, ".vatParameters"):
			data, err := decodeCapData([]byte(value))
			if err != nil {
				a.fail("%s: %v", key, err)
			}
			a.strong(data.Slots...)
		case strings.HasSuffix(key, ".data.slots"):
			a.strong(commaSplit(value)...)
		case strings.HasPrefix(key, "pin."):
			a.strong(strings.TrimPrefix(key, "pin."))
		case strings.Contains(key, ".queue.") && !strings.HasSuffix(key, ".nextID"):
			kpid, _, _ := strings.Cut(key, ".")
			a.event(fmt.Appendf(nil, `{"type":"send","target":%q,"msg":%s}`, kpid, value))
		}
	}
	for _, item := range a.items {
		if !item.Start {
			a.event(item.Payload)
		}
	}
}

func (a *audit) event(payload []byte) {
	e, err := decodeEvent(payload)
	if err != nil {
		a.fail("%s: %v", payload, err)
	}
	if e.Request != nil && e.Request.Parameters != nil {
		a.strong(e.Request.Parameters.Slots...)
	}
	switch e.Type {
	case eventSend:
		a.message(e.Target, e.Msg)
	case eventNotify:
		a.strong(e.KPID)
	}
}

func (a *audit) countEntry(key, value string) {
	_, kref, _ := strings.Cut(key, ".c.")
	if isPromise(kref) {
		a.strong(kref)
	}
	if !isObject(kref) || !strings.Contains(value, "o-") {
		return
	}
	n := a.objects[kref]
	n.recognizable++
	if strings.HasPrefix(value, "R ") {
		n.reachable++
	}
	a.objects[kref] = n
}

// compareCounts: a count is what the model counts; a promise without
// references is gone; what is gone is at most recognized.
func (a *audit) compareCounts() {
	for _, key := range slices.Sorted(maps.Keys(a.kv)) {
		kref, ok := strings.CutSuffix(key, ".refCount")
		if !ok {
			continue
		}
		want := fmt.Sprint(a.promises[kref])
		if isObject(kref) {
			n := a.objects[kref]
			want = fmt.Sprintf("%d,%d", n.reachable, n.recognizable)
			if _, owned := a.kv[ownerKey(kref)]; n.reachable == 0 && !owned {
				a.fail("%s is an orphan that nobody reaches", kref)
			}
		}
		if a.kv[key] != want {
			a.fail("%s = %s, counted %s", key, a.kv[key], want)
		}
		if want == "0" {
			a.fail("%s has no references", kref)
		}
	}
	for kpid := range a.promises {
		if _, ok := a.kv[kpid+".state"]; !ok {
			a.fail("%s is referred to and gone", kpid)
		}
	}
	for kref, n := range a.objects {
		if _, ok := a.kv[countKey(kref)]; !ok && n.reachable > 0 {
			a.fail("%s is reachable and gone", kref)
		}
	}
}

// checkExports: the exporter of an object that nobody reaches, or recognizes,
// knows, or will be told.
func (a *audit) checkExports() {
	for key, owner := range a.kv {
		kref, ok := strings.CutSuffix(key, ".owner")
		if !ok || !isObject(kref) || a.dead(owner) {
			continue
		}
		n, entry := a.objects[kref], a.kv[clistKey(owner, kref)]
		reachable := strings.HasPrefix(entry, "R ")
		_, drop := a.kv[gcKey(owner, dropExport)+kref]
		_, retire := a.kv[gcKey(owner, retireExport)+kref]
		switch {
		case n.reachable > 0 && !reachable:
			a.fail("%s is reachable, %s thinks it is not", kref, owner)
		case n.reachable == 0 && reachable && !drop:
			a.fail("%s is not told that %s is unreachable", owner, kref)
		case n.recognizable == 0 && !retire:
			a.fail("%s is not told that %s is gone", owner, kref)
		}
	}
}

// checkRecognizers: they are the imports that are not reachable; those of an
// object that is gone will be told.
func (a *audit) checkRecognizers() {
	want := map[string]bool{}
	for key, value := range a.kv {
		vatID, kref, ok := strings.Cut(key, ".c.")
		if !ok || !strings.HasPrefix(value, "_ o-") {
			continue
		}
		want[recognizerKey(kref, vatID)] = true
		_, exists := a.kv[countKey(kref)]
		_, told := a.kv[gcKey(vatID, retireImport)+kref]
		if !exists && !told && !a.dead(vatID) {
			a.fail("%s is not told that its import %s is gone", vatID, kref)
		}
	}
	for key := range a.kv {
		if strings.Contains(key, ".recognizer.") != want[key] {
			a.fail("%s should be there: %v", key, want[key])
		}
		delete(want, key)
	}
	for key := range want {
		a.fail("%s is missing", key)
	}
}

// checkTurns: each vat with actions has a turn, one item in its queue, and is
// alive.
func (a *audit) checkTurns() {
	waiting := map[string]int{}
	for _, item := range a.items {
		if e, err := decodeEvent(item.Payload); !item.Start && err == nil && e.Type == eventGC {
			waiting[item.VatID]++
		}
	}
	for key := range a.kv {
		if rest, ok := strings.CutPrefix(key, "gc."); ok {
			vatID, _, _ := strings.Cut(rest, ".")
			if _, ok := a.kv[gcTurnKey(vatID)]; !ok || waiting[vatID] != 1 || a.dead(vatID) {
				a.fail("%s waits: turn %v, %d items", key, ok, waiting[vatID])
			}
		}
	}
}

func (a *audit) dead(vatID string) bool {
	_, marked := a.kv[terminatedKey(vatID)]
	_, known := a.kv[optionsKey(vatID)]
	return marked || !known
}

// tables reads all keys, the open block's included.
func (r *rig) tables() (map[string]string, error) {
	kv := map[string]string{}
	key, ok, err := r.k.db.NextKey("", "")
	for ; ok && err == nil; key, ok, err = r.k.db.NextKey(key, "") {
		if kv[key], _, err = r.k.db.Get(key); err != nil {
			return nil, err
		}
	}
	return kv, err
}

// afterUnit audits the tables after every crank, whatever the test is about.
// The host waits for the daemon meanwhile.
func (r *rig) afterUnit(items []fakeItem) {
	if r.fault != nil {
		return
	}
	kv, err := r.tables()
	if err == nil {
		err = auditTables(kv, items)
	}
	if err != nil {
		r.t.Errorf("after a crank: %v", err)
		return
	}
	r.audits++
}
