package kernelhost

import (
	"strconv"

	"vatworkerd/store"
)

// First numbers of IDs: SwingSet's, so that dumps of both read alike.
const (
	firstVat     = 1
	firstObject  = 20
	firstPromise = 40
	firstImport  = 50 // o-50, in each vat
	firstVatProm = 60 // p-60
	firstVatDev  = 70 // d-70
)

// tables are the kernel's tables as one crank sees them. docs/kernelhost.md
// lists the keys.
type tables struct {
	kv    *store.Crank
	loose *looseEnds // what collect looks at; nil where nothing is changed
	slog  *slogNote  // nil where no slog is written
}

// require reads a key that must be there.
func (t tables) require(key string) (string, error) {
	value, ok := t.kv.Get(key)
	if ok {
		return value, nil
	}
	if err := t.kv.Err(); err != nil {
		return "", err
	}
	return "", brokenf("%s is missing", key)
}

// has tells whether a key is there.
func (t tables) has(key string) bool {
	_, ok := t.kv.Get(key)
	return ok
}

// allocate gives the number under key and raises it.
func (t tables) allocate(key string) (string, error) {
	text, err := t.require(key)
	if err != nil {
		return "", err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return "", brokenf("%s holds %q, no number", key, text)
	}
	t.kv.Set(key, strconv.FormatInt(n+1, 10))
	return text, nil
}

// create writes the keys a new kernel begins with.
func (t tables) create() {
	t.kv.Set("version", "1")
	t.kv.Set("vat.nextID", strconv.Itoa(firstVat))
	t.kv.Set("ko.nextID", strconv.Itoa(firstObject))
	t.kv.Set("kp.nextID", strconv.Itoa(firstPromise))
	t.kv.Set(gcTurnNextKey, "1")
	t.kv.Set(deadNextKey, "1")
}
