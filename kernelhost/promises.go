package kernelhost

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"vatworkerd/kernelhost/capdata"
)

// States of a promise.
const (
	Unresolved = "unresolved"
	Fulfilled  = "fulfilled"
	Rejected   = "rejected"
)

// policyPanic makes the rejection of a promise stop the kernel.
const policyPanic = "panic"

// promise is a row of the promise table without its queue.
type promise struct {
	state       string
	decider     string // vat that may resolve it; "" = the kernel or an item in a queue
	policy      string
	subscribers []string // vats to notify, sorted
	data        capdata.CapData
}

// addPromise makes an unresolved promise decided by vatID, or by the kernel
// if that is "".
func (t tables) addPromise(vatID, policy string) (string, error) {
	n, err := t.allocate("kp.nextID")
	if err != nil {
		return "", err
	}
	kpid := "kp" + n
	t.kv.Set(kpid+".state", Unresolved)
	t.kv.Set(kpid+".subscribers", "")
	t.kv.Set(kpid+".queue.nextID", "0")
	t.kv.Set(countKey(kpid), "0")
	t.kv.Set(kpid+".decider", vatID)
	if policy != "" {
		t.kv.Set(kpid+".policy", policy)
	}
	return kpid, nil
}

// promise reads a row.
func (t tables) promise(kpid string) (promise, error) {
	state, err := t.require(kpid + ".state")
	if err != nil {
		return promise{}, err
	}
	p := promise{state: state}
	if state != Unresolved {
		p.data, err = t.promiseData(kpid)
		return p, err
	}
	p.decider, _ = t.kv.Get(kpid + ".decider")
	p.policy, _ = t.kv.Get(kpid + ".policy")
	subscribers, _ := t.kv.Get(kpid + ".subscribers")
	p.subscribers = commaSplit(subscribers)
	return p, t.kv.Err()
}

func (t tables) promiseData(kpid string) (capdata.CapData, error) {
	body, err := t.require(kpid + ".data.body")
	if err != nil {
		return capdata.CapData{}, err
	}
	slots, err := t.require(kpid + ".data.slots")
	if err != nil {
		return capdata.CapData{}, err
	}
	return capdata.CapData{Body: body, Slots: commaSplit(slots)}, nil
}

// commaSplit is the inverse of joining with commas; "" is no element. It never
// gives nil: slots are written as [] in JSON.
func commaSplit(s string) []string {
	if s == "" {
		return []string{}
	}
	return strings.Split(s, ",")
}

// subscribe adds a vat to those an unresolved promise notifies.
func (t tables) subscribe(kpid, vatID string, p promise) {
	if slices.Contains(p.subscribers, vatID) {
		return
	}
	subscribers := append(p.subscribers, vatID)
	slices.Sort(subscribers)
	t.kv.Set(kpid+".subscribers", strings.Join(subscribers, ","))
}

// setDecider hands an undecided promise to a vat.
func (t tables) setDecider(kpid, vatID string) { t.kv.Set(kpid+".decider", vatID) }

// clearDecider takes the authority over a promise back from its vat: an item
// in a queue holds it from then on.
func (t tables) clearDecider(kpid string) { t.kv.Set(kpid+".decider", "") }

// queueToPromise lets a message wait in an unresolved promise. The references of
// a message are counted when it enters the first queue and taken back when it
// leaves the last, not on its way from one to another.
func (t tables) queueToPromise(kpid string, msg message) error {
	n, err := t.allocate(kpid + ".queue.nextID")
	if err != nil {
		return err
	}
	t.kv.Set(kpid+".queue."+n, string(appendMessage(nil, msg)))
	return nil
}

// takePromiseQueue empties a promise's queue and gives the messages in order.
func (t tables) takePromiseQueue(kpid string) ([]message, error) {
	next, err := t.require(kpid + ".queue.nextID")
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(next)
	if err != nil {
		return nil, brokenf("%s.queue.nextID holds %q, no number", kpid, next)
	}
	var messages []message
	for i := range n {
		key := kpid + ".queue." + strconv.Itoa(i)
		text, err := t.require(key)
		if err != nil {
			return nil, err
		}
		var msg message
		if err := json.Unmarshal([]byte(text), &msg); err != nil {
			return nil, brokenf("%s: %v", key, err)
		}
		messages = append(messages, msg)
		t.kv.Delete(key)
	}
	t.kv.Set(kpid+".queue.nextID", "0")
	return messages, nil
}

// promiseColumns are the parts of a promise's row, but for its count and the
// messages that wait in it.
func promiseColumns() []string {
	return []string{".state", ".decider", ".policy", ".subscribers", ".queue.nextID", ".data.body", ".data.slots"}
}

// deletePromise deletes a promise's row. An unresolved one has nothing waiting
// in it then: what waits refers to it.
func (t tables) deletePromise(kpid string) {
	for _, column := range promiseColumns() {
		t.kv.Delete(kpid + column)
	}
	t.kv.Delete(countKey(kpid))
}

// settle writes a promise's resolution; its queue must be empty, and what the
// data refers to be counted.
func (t tables) settle(kpid string, rejected bool, data capdata.CapData) {
	for _, column := range promiseColumns() {
		t.kv.Delete(kpid + column)
	}
	state := Fulfilled
	if rejected {
		state = Rejected
	}
	t.kv.Set(kpid+".state", state)
	t.kv.Set(kpid+".data.body", data.Body)
	t.kv.Set(kpid+".data.slots", strings.Join(data.Slots, ","))
}

// closure gives a resolved promise and every resolved promise its data leads
// to, depth first in the order of the slots: what one notify delivers. It is
// SwingSet's getKpidsToRetire (kernel/cleanup.js).
func (t tables) closure(kpid string) ([]string, error) {
	var order []string
	seen := map[string]bool{}
	var scan func(kpid string) error
	scan = func(kpid string) error {
		p, err := t.promise(kpid)
		if err != nil || p.state == Unresolved {
			return err
		}
		seen[kpid] = true
		order = append(order, kpid)
		for _, slot := range p.data.Slots {
			if !isPromise(slot) || seen[slot] {
				continue
			}
			if err := scan(slot); err != nil {
				return err
			}
		}
		return nil
	}
	return order, scan(kpid)
}

// decidedBy gives the unresolved promises a vat decides, by the bytes of their
// vrefs, SwingSet's order.
func (t tables) decidedBy(vatID string) ([]string, error) {
	prefix := clistKey(vatID, "p")
	var kpids []string
	for key, ok := t.kv.NextKey(prefix, prefix); ok; key, ok = t.kv.NextKey(key, prefix) {
		kpid, err := t.require(key)
		if err != nil {
			return nil, err
		}
		p, err := t.promise(kpid)
		if err != nil {
			return nil, err
		}
		if p.state == Unresolved && p.decider == vatID {
			kpids = append(kpids, kpid)
		}
	}
	return kpids, t.kv.Err()
}
