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
	return kref, nil
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
// gets "vat terminated" from then on.
func (t tables) orphan(vatID, kref string) error {
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
	return nil
}

// retireObject forgets an object whose exporter has given it up. Its importers
// keep their c-list entries until garbage collection tells them.
func (t tables) retireObject(kref string) { t.kv.Delete(ownerKey(kref)) }

// rootVref is what a vat calls its root object.
const rootVref = "o+0"

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
