package kernelhost

import (
	"fmt"
	"path/filepath"

	"vatworkerd/store"
)

// Changed tells whether the open block may hold something: who does not want it
// calls Rollback.
func (k *Kernel) Changed() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.changed
}

// Dead gives why only Close is left, or nil.
func (k *Kernel) Dead() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.dead
}

// Gone is closed once the daemon has ended, whether or not it was asked to.
func (k *Kernel) Gone() <-chan struct{} { return k.gone }

// ForgetTestLog drops what TestLog gives, for a Kernel that is open for long.
func (k *Kernel) ForgetTestLog() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.testLog = append([]string(nil), k.testLog[k.settled:]...)
	k.settled = 0
}

// FindVat gives the ID of a vat, named by name or ID, as of the last commit in
// the database of dir, which another process may have open. Errors:
// *UnknownVatError; those of store.OpenView.
func FindVat(dir, vat string) (vatID string, err error) {
	path, err := filepath.Abs(filepath.Join(dir, DatabaseFile))
	if err != nil {
		return "", fmt.Errorf("cannot find the database of %s: %w", dir, err)
	}
	view, err := store.OpenView(path)
	if err != nil {
		return "", err
	}
	vatID, err = findVat(view, vat)
	return vatID, also(err, view.Close())
}
