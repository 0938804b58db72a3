package dbdir

import (
	"errors"
	"os"
	"path/filepath"

	"vatworkerd/kernelhost"
	"vatworkerd/snapshots"
	"vatworkerd/store"
	"vatworkerd/supervisor"
)

// State is one consistent state of a directory: both databases as of the same
// block, and the snapshot files they name, which stay until Close. Whoever uses
// the directory goes on. It belongs to one goroutine.
type State struct {
	dir        string // absolute
	host, vats *store.View
	hold       *snapshots.Hold
	// undone: the host has not committed the block that vatworkerd has prepared,
	// so that the next opening undoes it.
	undone bool
	// mismatch: the two databases stand at heights that no crash leads to.
	mismatch *store.HeightError
}

// Open opens the state of the database directory dir. Errors: *NoDatabaseError;
// those of store.OpenView.
func Open(dir string) (*State, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, &store.IOError{Op: "open", Path: dir, Err: err}
	}
	for _, name := range []string{kernelhost.DatabaseFile, supervisor.DatabaseFile} {
		if _, err := os.Stat(filepath.Join(dir, name)); errors.Is(err, os.ErrNotExist) {
			return nil, &NoDatabaseError{Dir: dir, Missing: name}
		} else if err != nil {
			return nil, &store.IOError{Op: "open", Path: filepath.Join(dir, name), Err: err}
		}
	}
	s := &State{dir: dir}
	// First the hold: no file that the databases name goes from here on.
	if s.hold, err = snapshots.HoldFiles(s.snapshotDir()); err != nil {
		return nil, err
	}
	if err := s.pair(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *State) snapshotDir() string { return filepath.Join(s.dir, supervisor.SnapshotDir) }

// Close ends the reading.
func (s *State) Close() error {
	err := s.closeViews()
	if s.hold != nil {
		err = errors.Join(err, s.hold.Close())
	}
	return err
}

func (s *State) closeViews() error {
	var errs []error
	for _, v := range []*store.View{s.host, s.vats} {
		if v != nil {
			errs = append(errs, v.Close())
		}
	}
	s.host, s.vats = nil, nil
	return errors.Join(errs...)
}

// Height gives the height of the state: the host's, whose commit decides.
func (s *State) Height() int64 { return s.host.Height() }

// changed tells whether the views may show a mixture of states.
func (s *State) changed() error {
	for _, v := range []*store.View{s.host, s.vats} {
		changed, err := v.Changed()
		if err != nil {
			return err
		}
		if changed {
			return &ChangedError{Dir: s.dir}
		}
	}
	return nil
}

// unchanged runs f, which reads a directory, again if somebody began to use that
// meanwhile. A second time there are locks that keep the writer apart.
func unchanged(f func() error) (err error) {
	for range 2 {
		var changed *ChangedError
		if err = f(); !errors.As(err, &changed) {
			return err
		}
	}
	return err
}

// inUse tells whether a process has the databases open.
func (s *State) inUse() (bool, error) {
	holder, err := store.Holder(filepath.Join(s.dir, kernelhost.DatabaseFile))
	return holder != 0, err
}
