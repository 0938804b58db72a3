package kernelhost

import (
	"fmt"
	"strings"
)

// checkTables looks for tables that contradict each other, in the eyes of one
// crank.
func checkTables(t tables) error {
	if err := t.kv.Err(); err != nil {
		return err
	}
	for key, ok := t.kv.NextKey("", ""); ok; key, ok = t.kv.NextKey(key, "") {
		value, _ := t.kv.Get(key)
		var err error
		switch {
		case strings.Contains(key, ".c.k"):
			err = checkEntry(t, key, value)
		case strings.Contains(key, ".c."):
			err = checkReverse(t, key, value)
		case strings.HasPrefix(key, "kp") && strings.HasSuffix(key, ".state"):
			err = checkPromise(t, strings.TrimSuffix(key, ".state"))
		case strings.HasPrefix(key, "ko") && strings.HasSuffix(key, ".owner"):
			err = checkObject(t, strings.TrimSuffix(key, ".owner"), value)
		}
		if err != nil {
			return fmt.Errorf("%s = %s: %w", key, value, err)
		}
	}
	return t.kv.Err()
}

// checkEntry: v1.c.ko20 has its other half, and an export belongs to its vat.
func checkEntry(t tables, key, _ string) error {
	vatID, kref, _ := strings.Cut(key, ".c.")
	e, _, err := t.clistEntry(vatID, kref)
	if err != nil {
		return err
	}
	if back, _ := t.kv.Get(clistKey(vatID, e.vref)); back != kref {
		return fmt.Errorf("its other half says %q", back)
	}
	slot, err := parseVref(e.vref)
	if err != nil {
		return err
	}
	owner, _ := t.kv.Get(ownerKey(kref))
	if slot.slotType == typeObject && slot.exported != (owner == vatID) {
		return fmt.Errorf("the owner is %q", owner)
	}
	if slot.slotType == typePromise && !t.has(kref+".state") {
		return fmt.Errorf("no such promise")
	}
	return nil
}

func checkReverse(t tables, key, kref string) error {
	vatID, vref, _ := strings.Cut(key, ".c.")
	e, ok, err := t.clistEntry(vatID, kref)
	if err != nil || !ok || e.vref != vref {
		return fmt.Errorf("its other half says %q, %v", e, err)
	}
	return nil
}

// checkPromise: a decider knows its promise, a resolved promise holds nothing
// back, and its data can be used.
func checkPromise(t tables, kpid string) error {
	p, err := t.promise(kpid)
	if err != nil {
		return err
	}
	if p.state != Unresolved {
		if t.has(kpid+".decider") || t.has(kpid+".queue.nextID") || t.has(kpid+".queue.0") {
			return fmt.Errorf("it is resolved, but is not finished")
		}
		return nil
	}
	if p.decider == "" || t.terminated(p.decider) {
		return nil
	}
	if _, known, err := t.clistEntry(p.decider, kpid); err != nil || !known {
		return fmt.Errorf("its decider %s does not know it, %v", p.decider, err)
	}
	return nil
}

func checkObject(t tables, kref, owner string) error {
	if _, known, err := t.clistEntry(owner, kref); err != nil || !known {
		return fmt.Errorf("its owner does not know it, %v", err)
	}
	return nil
}
