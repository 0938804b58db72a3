package dbdir

import (
	"path/filepath"

	"vatworkerd/kernelhost"
	"vatworkerd/store"
	"vatworkerd/supervisor"
)

// standing is where the two databases were found.
type standing struct {
	host, vats, prepared int64
}

// fits: vatworkerd is where the host is, or has prepared the host's block or the
// next one. docs/store.md tells how that comes about.
func (a standing) fits() bool {
	if a.prepared != 0 {
		return a.host == a.prepared || a.host == a.prepared-1
	}
	return a.host == a.vats
}

// pair opens a view of each database so that both are of one instant. Blocks are
// committed between the two openings, so it may take a few tries; heights that
// do not fit twice in the same way do not fit at all.
func (s *State) pair() error {
	var before *standing
	for {
		at, again, err := s.tryPair()
		switch {
		case err != nil:
			return err
		case at.fits() && !again:
			s.undone = at.prepared != 0 && at.host == at.prepared-1
			return nil
		case !at.fits() && before != nil && *before == at:
			s.mismatch = &store.HeightError{Op: "pair with a host at", Asked: at.host, Height: at.vats, Prepared: at.prepared}
			return nil
		}
		before = &at
		if err := s.closeViews(); err != nil {
			return err
		}
	}
}

// tryPair opens both views; again says that they may be of two instants although
// they fit.
func (s *State) tryPair() (at standing, again bool, err error) {
	if s.vats, err = store.OpenView(filepath.Join(s.dir, supervisor.DatabaseFile)); err != nil {
		return at, false, err
	}
	if s.host, err = store.OpenView(filepath.Join(s.dir, kernelhost.DatabaseFile)); err != nil {
		return at, false, err
	}
	at = standing{host: s.host.Height(), vats: s.vats.Height()}
	at.prepared, _ = s.vats.Prepared()
	if at.prepared == 0 || at.host != at.prepared {
		return at, false, nil
	}
	// The block that was prepared when the first view began may have been rolled
	// back, and the host may have committed another of the same height.
	now, err := store.OpenView(filepath.Join(s.dir, supervisor.DatabaseFile))
	if err != nil {
		return at, false, err
	}
	return at, now.ActivityHash() != s.vats.ActivityHash(), now.Close()
}
