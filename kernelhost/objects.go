package kernelhost

import "strings"

func ownerKey(kref string) string { return kref + ".owner" }

// addObject makes a kernel object that vatID exports.
func (t tables) addObject(vatID string) (string, error) {
	n, err := t.allocate("ko.nextID")
	if err != nil {
		return "", err
	}
	kref := "ko" + n
	t.kv.Set(ownerKey(kref), vatID)
	return kref, t.setObjectCount(kref, objectCount{})
}

// owner gives the live vat that exports an object; ok is false when there is
// none: it was abandoned, or its vat is terminated.
func (t tables) owner(kref string) (vatID string, ok bool) {
	vatID, ok = t.kv.Get(ownerKey(kref))
	if !ok || t.terminated(vatID) {
		return "", false
	}
	return vatID, true
}

// orphan takes an object away from the vat that exports it. Who still holds it
// gets "vat terminated" from then on; it goes when nobody does. The pin of a
// root object ends with it: it stands for the vat's name.
func (t tables) orphan(vatID, kref string) error {
	if root, _ := t.kv.Get(clistKey(vatID, rootVref)); root == kref {
		if err := t.unpin(kref); err != nil {
			return err
		}
	}
	if err := t.removeExport(vatID, kref); err != nil {
		return err
	}
	t.loose.add(kref)
	return nil
}

// removeExport removes an object's owner, and its entry there.
func (t tables) removeExport(vatID, kref string) error {
	if owner, _ := t.kv.Get(ownerKey(kref)); owner != vatID {
		return brokenf("%s is exported by %q, not by %s", kref, owner, vatID)
	}
	entry, ok, err := t.clistEntry(vatID, kref)
	if err != nil {
		return err
	}
	if !ok {
		return brokenf("%s is not in the c-list of %s that exports it", kref, vatID)
	}
	t.kv.Delete(ownerKey(kref))
	t.kv.Delete(clistKey(vatID, kref))
	t.kv.Delete(clistKey(vatID, entry.vref))
	return t.kv.Err()
}

// deleteObject deletes an object's row. Vats that recognize the object keep
// their c-list entries until they are told, or let go by themselves.
func (t tables) deleteObject(kref string) {
	t.kv.Delete(ownerKey(kref))
	t.kv.Delete(countKey(kref))
}

// rootVref is what a vat calls its root object.
const rootVref = "o+0"

// rootRetiredKey is there once an incarnation was told to retire its root
// object: liveslots does not know o+0 from then on.
func rootRetiredKey(vatID string) string { return vatID + ".rootRetired" }

func (t tables) noteRootRetired(vatID, vref string) {
	if vref == rootVref {
		t.kv.Set(rootRetiredKey(vatID), "true")
	}
}

// nonDurableExports gives the krefs of what vatID exports and the next
// incarnation cannot know, in SwingSet's order: ephemeral objects, then
// virtual ones, each by the bytes of the vref.
func (t tables) nonDurableExports(vatID string) ([]string, error) {
	prefix := clistKey(vatID, "o+")
	var krefs []string
	for key, ok := t.kv.NextKey(prefix, prefix); ok; key, ok = t.kv.NextKey(key, prefix) {
		vref := key[len(prefix)-len("o+"):]
		if vref == rootVref {
			continue // the next incarnation replaces it
		}
		if strings.HasPrefix(vref, "o+d") {
			key = clistKey(vatID, "o+d\xff") // past all durable ones
			continue
		}
		kref, err := t.require(key)
		if err != nil {
			return nil, err
		}
		krefs = append(krefs, kref)
	}
	return krefs, t.kv.Err()
}
