package supervisor

import (
	"errors"
	"math"
	"path/filepath"
	"slices"

	"vatworkerd/pipeproto"
)

// Pinned vats keep their workers: they are preloaded first and never paged out
// to make room. The operator names them when the supervisor starts, or has them
// remembered, locally. One place must be left for all others.

// pins are the vats that are to keep their workers, most important first.
type pins struct {
	asked []string // names or IDs, for the life of this process
	kept  []string // IDs, remembered in the file
	file  string   // the path of PinsFile
}

// all lists them, most important first; it is never nil, as lists of documents.
func (p pins) all() []string { return append(append([]string{}, p.asked...), p.kept...) }

// noRank is the pinRank of a vat that is not pinned.
const noRank = math.MaxInt32

func (p pins) rank(vatID, name string) int {
	if i := slices.IndexFunc(p.asked, func(pin string) bool { return pin == vatID || pin == name }); i >= 0 {
		return i
	}
	if i := slices.Index(p.kept, vatID); i >= 0 {
		return len(p.asked) + i
	}
	return noRank
}

// loadPins reads the remembered pins.
func (s *Supervisor) loadPins(dir string, asked []string) (err error) {
	s.pins.asked, s.pins.file = asked, filepath.Join(dir, PinsFile)
	if s.pins.kept, err = s.readPins(); err != nil {
		return err
	}
	s.forgetGone()
	s.pinsChanged()
	return nil
}

// pinsChanged tells who has to know.
func (s *Supervisor) pinsChanged() {
	s.live.note(func() { s.live.now.Pinned = s.pins.all() })
	if n, most := len(s.pins.asked)+len(s.pins.kept), s.mostPins(); n > most {
		s.warn("%d vats are pinned, only the first %d keep their workers: one place must be left; raise --max-online", n, most)
	}
}

// mostPins is how many vats may keep their workers.
func (s *Supervisor) mostPins() int { return s.census.bounds.workers - 1 }

// pinned tells whether a worker stays whatever is needed.
func (s *Supervisor) pinned(w *worker) bool { return s.pins.rank(w.vatID, w.name) < s.mostPins() }

// pinRank orders vats by how important it is to have them; a vat that cannot be
// read is not pinned.
func (s *Supervisor) pinRank(vatID string) int {
	rec, err := s.recordOf(vatID)
	if err != nil {
		return noRank
	}
	return s.pins.rank(vatID, rec.Name)
}

// pin remembers, or forgets, that a vat is pinned: at once, whatever becomes of the
// block that is open.
func (s *Supervisor) pin(req pipeproto.Pin) (pipeproto.VatStatus, error) {
	rec, err := s.recordOf(req.VatID)
	if err != nil {
		return pipeproto.VatStatus{}, err
	}
	if req.Pinned && rec.state() == terminated {
		return pipeproto.VatStatus{}, &RefusedError{VatID: rec.ID, State: terminated.String(), Event: "pin", Why: gone}
	}
	kept := slices.DeleteFunc(slices.Clone(s.pins.kept), func(vatID string) bool { return vatID == req.VatID })
	if req.Pinned {
		kept = append(kept, req.VatID)
	}
	if err := s.keepPins(kept); err != nil {
		return pipeproto.VatStatus{}, err
	}
	return s.vatStatus(req.VatID)
}

// forgetGone takes the pins from vats that are terminated, or that were never made
// in the end. It is called with no block open, so that none of that is undone. Pins
// are no reason to stop: what fails is done after the next block.
func (s *Supervisor) forgetGone() {
	kept := slices.DeleteFunc(slices.Clone(s.pins.kept), func(vatID string) bool {
		rec, err := s.recordOf(vatID)
		var unknown *UnknownVatError
		return errors.As(err, &unknown) || err == nil && rec.state() == terminated
	})
	if len(kept) == len(s.pins.kept) {
		return
	}
	if err := s.keepPins(kept); err != nil {
		s.warn("%v", err)
	}
}
