package kernelhost

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"vatworkerd/store"
)

// Swingset is the table of keys of a SwingSet kernel (kernelKeeper.js).
type Swingset interface {
	Get(key string) (value string, ok bool, err error)
	// EachKey visits the keys that start with prefix, in bytewise order.
	EachKey(prefix string, visit func(key, value string) error) error
}

// AdoptedVat is a vat of a SwingSet kernel that another kernel takes over.
type AdoptedVat struct {
	VatID    string
	Name     string // empty if it has none that is its own
	AdminKey string
}

// adoptedDigest is what config.digest says of a kernel that no config has made.
const adoptedDigest = "taken over from a SwingSet kernel"

// swingsetVersion is that of the tables that can be taken over.
const swingsetVersion = "3"

// CheckSwingset tells whether vats can be taken over from a kernel: its tables are
// of a version that is known, and nothing waits in it. Errors: *AdoptError.
func CheckSwingset(from Swingset) error {
	version, _, err := from.Get("version")
	if err != nil {
		return err
	}
	if version != swingsetVersion {
		return &AdoptError{Key: "version", What: fmt.Sprintf("the kernel's tables have version %.20q; those of version %s can be read", version, swingsetVersion),
			Hint: "start the JavaScript system once with a present version of SwingSet, which brings them up to date"}
	}
	for _, key := range []string{"acceptanceQueue", "runQueue", "gcActions", "reapQueue"} {
		waits, err := somethingWaits(from, key)
		if err != nil {
			return err
		}
		if waits {
			return &AdoptError{Key: key, What: "something waits there, and would be lost",
				Hint: "let the JavaScript system run until its queues are empty, and stop it then"}
		}
	}
	return nil
}

// somethingWaits reads a queue: the numbers [head,tail], or a list.
func somethingWaits(from Swingset, key string) (bool, error) {
	text, ok, err := from.Get(key)
	if err != nil || !ok {
		return false, err
	}
	var list []json.RawMessage
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return false, &AdoptError{Key: key, What: fmt.Sprintf("it cannot be read: %v", err)}
	}
	if strings.HasSuffix(key, "Queue") && len(list) == 2 && isNumber(string(list[0])) {
		return string(list[0]) != string(list[1]), nil
	}
	return len(list) > 0, nil
}

// WhyNotAdopt says why a vat cannot be taken over, as far as the kernel's tables
// tell; empty if it can.
func WhyNotAdopt(from Swingset, vatID string) (why string, err error) {
	err = from.EachKey(clistKey(vatID, "kd"), func(key, _ string) error {
		if why == "" {
			why = "it holds device nodes (" + strings.TrimPrefix(key, clistKey(vatID, "")) + "), and there is no such device here"
		}
		return nil
	})
	return why, err
}

// Adopt writes the tables of a new kernel that takes over vats of a SwingSet
// kernel, with their c-lists, and the objects and promises in these. Vats that
// stay behind are to it as vats that were terminated, but nobody is told: what
// they hold is pinned, messages to them are rejected, and promises that only they
// could resolve stay unresolved. hasBundle tells which bundles come along. The
// kernel must be one that CheckSwingset accepts, and the vats such that WhyNotAdopt
// has no objection. Errors: *AdoptError.
func Adopt(c *store.Crank, from Swingset, vats []AdoptedVat, hasBundle func(id string) bool) error {
	a := &adoption{tables: tables{kv: c, loose: &looseEnds{}}, from: from, here: map[string]bool{}, refs: newAuditor(nil, nil, Daemon{}), promised: map[string]bool{}}
	for _, vat := range vats {
		a.here[vat.VatID] = true
	}
	if err := a.globals(hasBundle); err != nil {
		return err
	}
	for _, vat := range vats {
		if err := a.vat(vat); err != nil {
			return err
		}
	}
	for _, vat := range vats {
		if err := a.root(vat.VatID); err != nil {
			return err
		}
	}
	return a.finish()
}

// adoption is one Adopt.
type adoption struct {
	tables
	from     Swingset
	here     map[string]bool // vats that come along
	refs     *auditor        // counts references
	promised map[string]bool // promises that are written
	entries  []adoptedEntry  // of objects
	orphans  []string        // unresolved promises that nobody decides
}

type adoptedEntry struct {
	vatID, kref string
	clistEntry
}

// requireOld reads a key that every such kernel has.
func (a *adoption) requireOld(key string) (string, error) {
	text, ok, err := a.from.Get(key)
	if err == nil && !ok {
		err = &AdoptError{Key: key, What: "it is missing"}
	}
	return text, err
}

func (a *adoption) count(key string) error {
	text, err := a.requireOld(key)
	if err == nil && !isNumber(text) {
		err = &AdoptError{Key: key, What: fmt.Sprintf("it is no number: %.40q", text)}
	}
	a.kv.Set(key, text)
	return err
}

func (a *adoption) globals(hasBundle func(id string) bool) error {
	a.create()
	a.kv.Set(configKey, adoptedDigest)
	for _, key := range []string{"vat.nextID", "ko.nextID", "kp.nextID"} {
		if err := a.count(key); err != nil {
			return err
		}
	}
	text, err := a.requireOld("kernel.defaultReapDirtThreshold")
	if err != nil {
		return err
	}
	deliveries, krefs, err := parseDirtThreshold([]byte(text))
	if err != nil {
		return &AdoptError{Key: "kernel.defaultReapDirtThreshold", What: err.Error()}
	}
	for key, n := range map[string]int64{defaultReapKey: deliveries, defaultReapGCKey: krefs} {
		if n == 0 {
			n = neverReap
		}
		a.kv.Set(key, strconv.FormatInt(n, 10))
	}
	return a.from.EachKey(bundleNameKey(""), func(key, id string) error {
		if hasBundle(id) {
			a.kv.Set(key, id)
		}
		return nil
	})
}

// AdoptError says what of a SwingSet kernel's tables is in the way of taking vats
// over.
type AdoptError struct {
	Key  string
	What string
	Hint string
}

func (e *AdoptError) Error() string {
	return fmt.Sprintf("cannot import vats: kv.%s: %s", e.Key, e.What)
}

// ErrorHint is the user's next step.
func (e *AdoptError) ErrorHint() string {
	if e.Hint == "" {
		return "`vatworkerd swingstore verify` says whether the store is damaged; nothing was changed"
	}
	return e.Hint + "; nothing was changed"
}
