package kernelhost

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"vatworkerd/store"
)

// tables checks every key by itself and against those it must agree with, and
// counts the references in them. A key that the kernel does not write is a
// problem too: docs/kernelhost.md lists them all.
func (c *auditor) tables() error {
	n := 0
	return c.each("", func(key, value string) error {
		if n++; n%1000 == 0 {
			if err := c.Interrupted(); err != nil {
				return err
			}
		}
		head, rest, _ := strings.Cut(key, ".")
		switch {
		case isVatID(head):
			return c.vatKey(head, rest, key, value)
		case isID(head, "d"):
			return c.deviceKey(head, rest, key, value)
		case isID(head, "m"):
			return c.meterKey(rest, key, value)
		case isID(head, "ko"):
			return c.objectKey(head, rest, key, value)
		case isID(head, "kp"):
			return c.promiseKey(head, rest, key, value)
		case isID(head, "kd"):
			return c.nodeKey(rest, key, value)
		}
		return c.globalKey(head, rest, key, value)
	})
}

// isID tells whether text is a kind's letters and a number.
func isID(text, kind string) bool {
	return strings.HasPrefix(text, kind) && isNumber(text[len(kind):])
}

func (c *auditor) foreign(key string) error {
	c.wrong(KindForeign, "", key, "no such key belongs into this database", "", "")
	return nil
}

func (c *auditor) vatKey(vatID, rest, key, value string) error {
	switch rest {
	case "name", "adminKey", "reapQueued", "rootRetired", "terminated", "dynamic", "watched":
		return nil
	case "options":
		c.json(KindRecord, vatID, key, value, &vatOptions{})
		return c.number("vat.nextID", vatID, vatID[1:], key)
	case "reapDirt":
		c.json(KindRecord, vatID, key, value, &dirt{})
		return nil
	case "state":
		c.json(KindRecord, vatID, key, value, &vatState{})
		return nil
	case "vatParameters":
		c.strong(c.capdataSlots(vatID, key, value)...)
		return nil
	case "o.nextID", "p.nextID", "d.nextID":
		c.isCount(KindRecord, vatID, key, value)
		return nil
	case "gcTurn":
		return c.turn(vatID, key, value)
	}
	if slot, ok := strings.CutPrefix(rest, "c."); ok {
		return c.clistKey(vatID, slot, key, value)
	}
	return c.foreign(key)
}

func (c *auditor) deviceKey(deviceID, rest, key, value string) error {
	switch rest {
	case "name":
		return c.number("device.nextID", "", deviceID[1:], key)
	case "parameters":
		c.json(KindRecord, "", key, value, &json.RawMessage{})
		return nil
	case "o.nextID", "d.nextID", "out.nextID":
		c.isCount(KindRecord, "", key, value)
		return nil
	}
	if slot, ok := strings.CutPrefix(rest, "c."); ok {
		return c.clistKey(deviceID, slot, key, value)
	}
	if strings.HasPrefix(rest, "vs.") {
		return nil
	}
	return c.foreign(key)
}

func (c *auditor) meterKey(rest, key, value string) error {
	if rest != meterRemaining && rest != meterThreshold {
		return c.foreign(key)
	}
	n, ok := new(big.Int).SetString(value, 10)
	if rest == meterRemaining && value == meterUnlimited {
		return nil
	}
	if !ok || n.Sign() < 0 {
		c.wrong(KindRecord, "", key, "it is no number of computrons", "", value)
	}
	return nil
}

// clistKey checks one half of an entry against the other; the half under the
// kref is counted.
func (c *auditor) clistKey(owner, slot, key, value string) error {
	if _, err := kslotType(slot); err == nil {
		c.Count(CountEntries, 1)
		return c.entry(owner, slot, key, value)
	}
	text, ok, err := c.get(clistKey(owner, value))
	if err != nil {
		return err
	}
	e, _ := parseEntry(text)
	if !ok || e.vref != slot {
		c.wrong(KindClist, owner, key, "its other half, "+clistKey(owner, value), slot, orElse(text, "none"))
	}
	return nil
}

// entry: v1.c.ko20 has its other half, and what it exports belongs to it.
func (c *auditor) entry(owner, kref, key, value string) error {
	e, ok := parseEntry(value)
	slot, err := parseVref(e.vref)
	if !ok || err != nil || slot.slotType != slotType(kref[1]) {
		c.wrong(KindClist, owner, key, "it is no entry for such a reference", "", value)
		return nil
	}
	c.countEntry(kref, e)
	back, _, err := c.get(clistKey(owner, e.vref))
	if err != nil {
		return err
	}
	if back != kref {
		c.wrong(KindClist, owner, key, "its other half, "+clistKey(owner, e.vref), kref, orElse(back, "none"))
	}
	if slot.slotType == typePromise {
		if ok, err := c.has(kref + ".state"); err != nil {
			return err
		} else if !ok {
			c.wrong(KindClist, owner, key, "there is no such promise", "", "")
		}
		return nil
	}
	exporter, _, err := c.get(ownerKey(kref))
	switch {
	case err != nil:
		return err
	case slot.exported && exporter != owner:
		c.wrong(KindClist, owner, key, "the owner of what it exports", owner, orElse(exporter, "none"))
	case !slot.exported && exporter == owner:
		c.wrong(KindClist, owner, key, "it imports what it owns itself", "", "")
	}
	if slot.slotType != typeObject || slot.exported {
		return nil
	}
	return c.recognizes(owner, kref, key, e)
}

func (c *auditor) countEntry(kref string, e clistEntry) {
	switch {
	case isPromise(kref):
		c.strong(kref)
	case isObject(kref) && !e.exported():
		n := c.objects[kref]
		n.recognizable++
		if e.reachable {
			n.reachable++
		}
		c.objects[kref] = n
	}
}

// recognizes: who imports an object and can only recognize it is found from the
// object.
func (c *auditor) recognizes(importer, kref, key string, e clistEntry) error {
	found, err := c.has(recognizerKey(kref, importer))
	if err == nil && found == e.reachable {
		c.wrong(KindGarbage, importer, recognizerKey(kref, importer), "whether it is there, as "+key+" is "+e.String(), fmt.Sprint(!e.reachable), fmt.Sprint(found))
	}
	return err
}

func (c *auditor) objectKey(kref, rest, key, value string) error {
	if importer, ok := strings.CutPrefix(rest, "recognizer."); ok {
		text, _, err := c.get(clistKey(importer, kref))
		if e, _ := parseEntry(text); err == nil && (e.reachable || e.exported() || e.vref == "") {
			c.wrong(KindGarbage, importer, key, "the vat's entry is none that can only recognize the object", "", orElse(text, "none"))
		}
		return err
	}
	switch rest {
	case "owner":
		c.Count(CountObjects, 1)
		known, err := c.has(clistKey(value, kref))
		if err == nil && !known {
			c.wrong(KindObject, value, key, "the vat that owns it does not know it", "", "")
		}
		return err
	case "refCount":
		if !isPair(value) {
			c.wrong(KindObject, "", key, "they are no numbers of references", "", value)
		}
		return c.number("ko.nextID", "", kref[2:], key)
	}
	return c.foreign(key)
}

// isPair tells whether text is "2,3".
func isPair(text string) bool {
	a, b, found := strings.Cut(text, ",")
	return found && isNumber(a) && isNumber(b)
}

func (c *auditor) promiseKey(kpid, rest, key, value string) error {
	if n, ok := strings.CutPrefix(rest, "queue."); ok && rest != "queue.nextID" {
		next, _, err := c.get(kpid + ".queue.nextID")
		if i, _ := strconv.Atoi(n); err == nil && (!isNumber(n) || strconv.Itoa(i) != n || !below(n, next)) {
			c.wrong(KindPromise, "", key, "it lies outside of the promise's queue", "", "")
		}
		c.queuedMessage(kpid, key, value)
		return err
	}
	switch rest {
	case "state":
		c.Count(CountPromises, 1)
		return c.promise(kpid, key, value)
	case "data.slots":
		c.strong(commaSplit(value)...)
		return nil
	case "refCount", "queue.nextID":
		c.isCount(KindPromise, "", key, value)
		return c.number("kp.nextID", "", kpid[2:], key)
	}
	if slices.Contains(promiseColumns(), "."+rest) {
		return nil
	}
	return c.foreign(key)
}

// promise: a decider knows its promise; a resolved one is finished.
func (c *auditor) promise(kpid, key, state string) error {
	columns := map[string]bool{}
	for _, column := range promiseColumns() {
		ok, err := c.has(kpid + column)
		if err != nil {
			return err
		}
		columns[column] = ok
	}
	resolved := state == Fulfilled || state == Rejected
	switch {
	case !resolved && state != Unresolved:
		c.wrong(KindPromise, "", key, "it is no state of a promise", "", state)
	case resolved && (columns[".decider"] || columns[".queue.nextID"] || columns[".subscribers"] || !columns[".data.body"] || !columns[".data.slots"]):
		c.wrong(KindPromise, "", key, "it is resolved, but its row is not that of a resolved promise", "", "")
	case !resolved && (!columns[".decider"] || !columns[".queue.nextID"] || !columns[".subscribers"] || columns[".data.body"] || columns[".data.slots"]):
		c.wrong(KindPromise, "", key, "it is unresolved, but its row is not that of an unresolved promise", "", "")
	case !resolved:
		return c.decider(kpid)
	}
	return nil
}

func (c *auditor) decider(kpid string) error {
	decider, _, err := c.get(kpid + ".decider")
	if err != nil || decider == "" {
		return err
	}
	if dead, err := c.dead(decider); err != nil || dead {
		return err
	}
	known, err := c.has(clistKey(decider, kpid))
	if err == nil && !known {
		c.wrong(KindPromise, decider, kpid+".decider", "the vat that decides the promise does not know it", "", "")
	}
	return err
}

func (c *auditor) nodeKey(rest, key, value string) error {
	if rest != "owner" {
		return c.foreign(key)
	}
	ok, err := c.has(value + ".name")
	if err == nil && !ok {
		c.wrong(KindRecord, "", key, "there is no such device", "", value)
	}
	return err
}

// globalKey checks what is not of one vat, device, meter, object or promise.
func (c *auditor) globalKey(head, rest, key, value string) error {
	switch key {
	case "version":
		if value != "1" {
			c.wrong(KindRecord, "", key, "the version of the tables", "1", value)
		}
		return nil
	case "vat.nextID", "ko.nextID", "kp.nextID", "kd.nextID", "device.nextID", meterIDKey, upgradeIDKey, gcTurnNextKey, deadNextKey, epochKey:
		c.isCount(KindRecord, "", key, value)
		return nil
	case configKey, defaultReapKey, defaultReapGCKey, bootstrapKey, adminRootKey, adminVatKey:
		return nil
	}
	switch {
	case head == "pin":
		c.strong(rest)
		return nil
	case head == "gc":
		return c.action(rest, key)
	case head == "gcTurn":
		return c.turnOf(key, value)
	case head == "dead":
		return c.deadEntry(key, value)
	case strings.HasPrefix(key, "vat.name."):
		return c.number("vat.nextID", value, strings.TrimPrefix(value, "v"), key)
	case strings.HasPrefix(key, deviceNamePrefix):
		ok, err := c.has(value + ".name")
		if err == nil && !ok {
			c.wrong(KindRecord, "", key, "there is no such device", "", value)
		}
		return err
	case head == "namedBundleID", head == "bundle":
		return nil // compared with the daemon's
	}
	return c.foreign(key)
}

// number: what has a number got it from the counter under nextKey.
func (c *auditor) number(nextKey, vatID, n, key string) error {
	next, _, err := c.get(nextKey)
	if err == nil && !below(n, next) {
		c.wrong(KindRecord, vatID, key, "its number was never given out", "below "+orElse(next, "any"), n)
	}
	return err
}

// below compares two numbers in decimal.
func below(n, limit string) bool {
	a, errA := strconv.ParseInt(n, 10, 64)
	b, errB := strconv.ParseInt(limit, 10, 64)
	return errA == nil && errB == nil && a >= 0 && a < b
}

func (c *auditor) isCount(kind store.ProblemKind, vatID, key, value string) {
	if !isNumber(value) {
		c.wrong(kind, vatID, key, "it is no number", "", value)
	}
}

func (c *auditor) json(kind store.ProblemKind, vatID, key, value string, into any) {
	if err := json.Unmarshal([]byte(value), into); err != nil {
		c.wrong(kind, vatID, key, fmt.Sprintf("it cannot be decoded: %v", err), "", "")
	}
}
