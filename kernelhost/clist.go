package kernelhost

import (
	"strings"

	"vatworkerd/pipeproto"
)

// A vat's c-list maps krefs to vrefs and back: v1.c.ko20 = "R o+0" and
// v1.c.o+0 = "ko20". The flag before the vref is R when the vat can reach the
// object and _ when it can only recognize it; garbage collection lives on it.
// Vats that import an object and can only recognize it are also found from the
// object, by ko20.recognizer.v1: they must be told when it is gone.

func clistKey(vatID, slot string) string { return vatID + ".c." + slot }

// clistEntry is one entry seen from the kernel's side.
type clistEntry struct {
	reachable bool
	vref      string
}

// exported tells whether the vat itself allocated the vref.
func (e clistEntry) exported() bool { return len(e.vref) > 1 && e.vref[1] == '+' }

func (e clistEntry) String() string {
	if e.reachable {
		return "R " + e.vref
	}
	return "_ " + e.vref
}

// clistEntry reads the entry of a kref.
func (t tables) clistEntry(vatID, kref string) (clistEntry, bool, error) {
	value, ok := t.kv.Get(clistKey(vatID, kref))
	if !ok {
		return clistEntry{}, false, t.kv.Err()
	}
	e, ok := parseEntry(value)
	if !ok {
		return clistEntry{}, false, brokenf("%s holds %q", clistKey(vatID, kref), value)
	}
	return e, true, nil
}

// parseEntry reads what String wrote.
func parseEntry(text string) (e clistEntry, ok bool) {
	flag, vref, found := strings.Cut(text, " ")
	if !found || flag != "R" && flag != "_" {
		return clistEntry{}, false
	}
	return clistEntry{reachable: flag == "R", vref: vref}, true
}

func recognizerKey(kref, vatID string) string { return kref + ".recognizer." + vatID }

// recognizers gives the vats that import an object and can only recognize it,
// sorted.
func (t tables) recognizers(kref string) ([]string, error) {
	prefix := recognizerKey(kref, "")
	var vatIDs []string
	for key, ok := t.kv.NextKey(prefix, prefix); ok; key, ok = t.kv.NextKey(key, prefix) {
		vatIDs = append(vatIDs, key[len(prefix):])
	}
	return vatIDs, t.kv.Err()
}

// setReachable writes the flag of an entry and counts it for the object, unless
// the vat exports that.
func (t tables) setReachable(vatID, kref string, e clistEntry, reachable bool) error {
	if e.reachable == reachable {
		return t.kv.Err()
	}
	e.reachable = reachable
	t.kv.Set(clistKey(vatID, kref), e.String())
	if e.exported() || !isObject(kref) {
		return t.kv.Err()
	}
	if reachable {
		t.kv.Delete(recognizerKey(kref, vatID))
		return t.countObject(kref, 1, 0)
	}
	t.kv.Set(recognizerKey(kref, vatID), "1")
	return t.countObject(kref, -1, 0)
}

// addEntry writes both halves of a new, reachable entry and counts it.
func (t tables) addEntry(vatID, kref, vref string) error {
	e := clistEntry{reachable: true, vref: vref}
	t.kv.Set(clistKey(vatID, kref), e.String())
	t.kv.Set(clistKey(vatID, vref), kref)
	mode := pipeproto.CListImport
	if e.exported() {
		mode = pipeproto.CListExport
	}
	t.slog.cList(mode, vatID, kref, vref)
	switch {
	case isPromise(kref):
		return t.countPromise(kref, 1)
	case isObject(kref) && !e.exported():
		return t.countObject(kref, 1, 1)
	}
	return t.kv.Err()
}

// deleteEntry removes both halves of an entry, and what it counted for.
func (t tables) deleteEntry(vatID, kref string) error {
	e, ok, err := t.clistEntry(vatID, kref)
	if err != nil {
		return err
	}
	if !ok {
		return brokenf("%s is not in the c-list of %s", kref, vatID)
	}
	if err := t.setReachable(vatID, kref, e, false); err != nil {
		return err
	}
	t.kv.Delete(clistKey(vatID, kref))
	t.kv.Delete(clistKey(vatID, e.vref))
	t.slog.cList(pipeproto.CListDrop, vatID, kref, e.vref)
	switch {
	case isPromise(kref):
		return t.countPromise(kref, -1)
	case isObject(kref) && !e.exported():
		t.kv.Delete(recognizerKey(kref, vatID))
		return t.countObject(kref, 0, -1)
	}
	return t.kv.Err()
}

// toVat translates a kref for a vat. A kref the vat has not seen becomes a new
// import; an import becomes reachable again.
func (t tables) toVat(vatID, kref string) (string, error) {
	e, ok, err := t.clistEntry(vatID, kref)
	if err != nil {
		return "", err
	}
	if !ok {
		return t.importSlot(vatID, kref)
	}
	if e.exported() {
		if !e.reachable {
			return "", brokenf("%s was sent to %s that exports it, but is not reachable", kref, vatID)
		}
		return e.vref, nil
	}
	return e.vref, t.setReachable(vatID, kref, e, true)
}

func (t tables) importSlot(vatID, kref string) (string, error) {
	kind, err := kslotType(kref)
	if err != nil {
		return "", brokenf("%v", err)
	}
	n, err := t.allocate(vatID + "." + string(kind) + ".nextID")
	if err != nil {
		return "", err
	}
	vref := string(kind) + "-" + n
	return vref, t.addEntry(vatID, kref, vref)
}

// allToVat translates slots.
func (t tables) allToVat(vatID string, krefs []string) ([]string, error) {
	return translateAll(krefs, func(kref string) (string, error) { return t.toVat(vatID, kref) })
}

// toKernel translates a vref a vat used. A vref it allocated itself becomes a
// new kernel object or promise; another it must have been given, and be able
// to reach. What it must not say is an *illegalError.
func (t tables) toKernel(vatID, vref string) (string, error) {
	slot, err := parseVref(vref)
	if err != nil {
		return "", err
	}
	kref, ok := t.kv.Get(clistKey(vatID, vref))
	if !ok {
		if err := t.kv.Err(); err != nil {
			return "", err
		}
		return t.exportSlot(vatID, vref, slot)
	}
	e, _, err := t.clistEntry(vatID, kref)
	if err != nil {
		return "", err
	}
	if !slot.exported && !e.reachable {
		return "", illegalf("%s is an import the vat has dropped", vref)
	}
	return kref, t.setReachable(vatID, kref, e, true)
}

func (t tables) exportSlot(vatID, vref string, slot vslot) (kref string, err error) {
	if !slot.exported {
		return "", illegalf("unknown vref %s", vref)
	}
	switch slot.slotType {
	case typeObject:
		kref, err = t.addObject(vatID)
	case typePromise:
		kref, err = t.addPromise(vatID, "")
	default:
		return "", illegalf("vats cannot export device nodes such as %s", vref)
	}
	if err != nil {
		return "", err
	}
	return kref, t.addEntry(vatID, kref, vref)
}

// allToKernel translates slots.
func (t tables) allToKernel(vatID string, vrefs []string) ([]string, error) {
	return translateAll(vrefs, func(vref string) (string, error) { return t.toKernel(vatID, vref) })
}

// knownToKernel translates a vref that must be in the c-list, without making
// it reachable: the vref of a garbage collection syscall.
func (t tables) knownToKernel(vatID, vref string) (string, error) {
	kref, ok := t.kv.Get(clistKey(vatID, vref))
	if !ok {
		if err := t.kv.Err(); err != nil {
			return "", err
		}
		return "", illegalf("vref %s is not in the c-list", vref)
	}
	return kref, nil
}

func translateAll(slots []string, one func(string) (string, error)) ([]string, error) {
	out := make([]string, len(slots))
	for i, slot := range slots {
		var err error
		if out[i], err = one(slot); err != nil {
			return nil, err
		}
	}
	return out, nil
}
