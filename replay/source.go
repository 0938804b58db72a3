package replay

import (
	"errors"
	"fmt"
	"path/filepath"

	"vatworkerd/snapshots"
	"vatworkerd/store"
	"vatworkerd/supervisor"
)

// Source is a database of vats that is read as of its last durable block, beside
// whoever uses it. Its heap snapshots stay until Close. It belongs to one
// goroutine.
type Source struct {
	dir   string
	db    *store.View
	hold  *snapshots.Hold
	heaps *snapshots.Dir
}

// Open opens the vats' database in dir. Errors: those of store.OpenView,
// *store.OutdatedError.
func Open(dir string) (*Source, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, &store.IOError{Op: "open", Path: dir, Err: err}
	}
	files := filepath.Join(dir, supervisor.SnapshotDir)
	// First the hold: no file that the database names goes from here on.
	hold, err := snapshots.HoldFiles(files)
	if err != nil {
		return nil, err
	}
	s := &Source{dir: dir, hold: hold, heaps: snapshots.ReadDir(files)}
	if s.db, err = store.OpenView(filepath.Join(dir, supervisor.DatabaseFile)); err != nil {
		return nil, errors.Join(err, hold.Close())
	}
	if s.db.Outdated() {
		return nil, errors.Join(&store.OutdatedError{Dir: dir}, s.Close())
	}
	return s, nil
}

// Close ends the reading.
func (s *Source) Close() error { return errors.Join(s.db.Close(), s.hold.Close()) }

// settle turns an error that came of reading a mixture of states into that.
func (s *Source) settle(err error) error {
	changed, lookErr := s.db.Changed()
	if lookErr == nil && changed {
		return &ChangedError{Dir: s.dir}
	}
	return err
}

// Find gives the ID of a vat that is named by its ID or name, of those that are
// not terminated. Errors: *NoVatError.
func (s *Source) Find(vat string) (vatID string, err error) {
	facts, err := supervisor.ReadFacts(s.db)
	if err != nil {
		return "", err
	}
	none := &NoVatError{Vat: vat}
	for _, f := range facts.Vats {
		if f.VatID == vat {
			return vat, nil
		}
		if f.Name == vat && !f.Terminated {
			none.Named = append(none.Named, f.VatID)
		}
	}
	if len(none.Named) == 1 {
		return none.Named[0], nil
	}
	return "", none
}

func (s *Source) startFacts(vatID string) (supervisor.StartFacts, error) {
	facts, ok, err := supervisor.ReadStartFacts(s.db, vatID)
	if err == nil && !ok {
		err = &NoVatError{Vat: vatID}
	}
	return facts, err
}

func (s *Source) bundle(id string) ([]byte, error) {
	data, ok, err := s.db.Bundle(id)
	if err == nil && !ok {
		err = fmt.Errorf("cannot find bundle %s in %s", id, s.dir)
	}
	return data, err
}
