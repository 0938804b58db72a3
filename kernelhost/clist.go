package kernelhost

import "strings"

// A vat's c-list maps krefs to vrefs and back: v1.c.ko20 = "R o+0" and
// v1.c.o+0 = "ko20". The flag before the vref is R when the vat can reach the
// object and _ when it can only recognize it; garbage collection lives on it.

func clistKey(vatID, slot string) string { return vatID + ".c." + slot }

// clistEntry is one entry seen from the kernel's side.
type clistEntry struct {
	reachable bool
	vref      string
}

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
	flag, vref, found := strings.Cut(value, " ")
	if !found || (flag != "R" && flag != "_") {
		return clistEntry{}, false, brokenf("%s holds %q", clistKey(vatID, kref), value)
	}
	return clistEntry{reachable: flag == "R", vref: vref}, true, nil
}

// setReachable writes the flag of an entry. Reference counts of imported
// objects will change here.
func (t tables) setReachable(vatID, kref string, e clistEntry, reachable bool) {
	if e.reachable != reachable {
		e.reachable = reachable
		t.kv.Set(clistKey(vatID, kref), e.String())
	}
}

// addEntry writes both halves of a new entry.
func (t tables) addEntry(vatID, kref string, e clistEntry) {
	t.kv.Set(clistKey(vatID, kref), e.String())
	t.kv.Set(clistKey(vatID, e.vref), kref)
}

// deleteEntry removes both halves of an entry.
func (t tables) deleteEntry(vatID, kref string) error {
	e, ok, err := t.clistEntry(vatID, kref)
	if err != nil {
		return err
	}
	if !ok {
		return brokenf("%s is not in the c-list of %s", kref, vatID)
	}
	t.kv.Delete(clistKey(vatID, kref))
	t.kv.Delete(clistKey(vatID, e.vref))
	return nil
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
	slot, err := parseVref(e.vref)
	if err != nil {
		return "", brokenf("the c-list of %s: %v", vatID, err)
	}
	if slot.exported {
		if !e.reachable {
			return "", brokenf("%s was sent to %s that exports it, but is not reachable", kref, vatID)
		}
		return e.vref, nil
	}
	t.setReachable(vatID, kref, e, true)
	return e.vref, nil
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
	t.addEntry(vatID, kref, clistEntry{reachable: true, vref: vref})
	return vref, nil
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
	t.setReachable(vatID, kref, e, true)
	return kref, nil
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
	t.addEntry(vatID, kref, clistEntry{reachable: true, vref: vref})
	return kref, nil
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
