package kernelhost

import (
	"errors"

	"vatworkerd/store"
)

// VatNamesBeside gives the names of vats that begin with start, sorted, limit of
// them at most. It reads the database file at path, an absolute path, beside
// whoever uses it, as of its last commit; vats without a name of their own are
// left out. Errors: those of store.OpenView.
func VatNamesBeside(path, start string, limit int) (names []string, err error) {
	view, err := store.OpenView(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, view.Close()) }()
	const prefix = "vat.name."
	key := prefix + start
	_, ok, err := view.Get(key) // NextKey gives what comes after it
	if err == nil && !ok {
		key, ok, err = view.NextKey(key, prefix+start)
	}
	for err == nil && ok && len(names) < limit {
		names = append(names, key[len(prefix):])
		key, ok, err = view.NextKey(key, prefix+start)
	}
	return names, err
}
