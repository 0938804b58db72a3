package supervisor

import (
	"slices"

	"vatworkerd/store"
)

// PreloadAll is as many vats as the bounds have room for.
const PreloadAll = int(^uint(0) >> 1)

// preload has vats brought in that are likely to be needed, in the background
// and into free places only: nobody goes for them. Nothing waits for it and
// nothing fails by it; a delivery to a vat that is on its way waits for that one
// alone.
func (s *Supervisor) preload(most int) {
	most = min(most, s.census.bounds.workers)
	if most <= 0 {
		return
	}
	vatIDs, err := s.likely(most)
	if err != nil {
		s.warn("nothing is preloaded: %v", err)
		return
	}
	for i, vatID := range vatIDs {
		if most == 0 {
			return
		}
		if p, ok := s.planOfRunning(vatID); ok {
			s.pager.schedule(newArrival(p, forUsed, rankUsed+i, nil))
			most--
		}
	}
}

// planOfRunning gives the plan of a vat that may be online. Of the others only a
// delivery that needs one may tell what is wrong.
func (s *Supervisor) planOfRunning(vatID string) (plan, bool) {
	rec, err := s.recordOf(vatID)
	if err != nil || rec.state() != running {
		return plan{}, false
	}
	if behind, err := s.behind(rec); err != nil || behind {
		return plan{}, false
	}
	p, err := s.planFor(s.db, rec)
	return p, err == nil && s.pager.worthTrying(p)
}

// likely lists the vats to preload: pinned ones, then those that were used last.
// A store that remembers none has its static vats, in order, for half of the
// places: which others will be needed is anybody's guess.
func (s *Supervisor) likely(most int) ([]string, error) {
	vatIDs, err := s.used()
	if err != nil {
		return nil, err
	}
	if len(vatIDs) == 0 {
		if vatIDs, err = s.staticVats(min(most, s.census.bounds.workers/2)); err != nil {
			return nil, err
		}
	}
	for _, pin := range s.pins.all() {
		if !slices.Contains(vatIDs, pin) {
			vatIDs = append(vatIDs, pin) // a name is no vat's ID, and is found among the others or not at all
		}
	}
	slices.SortStableFunc(vatIDs, func(a, b string) int { return s.pinRank(a) - s.pinRank(b) })
	return vatIDs, nil
}

// staticVats lists the first vats of the config.
func (s *Supervisor) staticVats(most int) ([]string, error) {
	rows, err := store.FirstKeys(s.db, prefixImmediate, most)
	vatIDs := make([]string, len(rows))
	for i, row := range rows {
		vatIDs[i] = vatIDOfKey(row.Text(0), prefixImmediate)
	}
	return vatIDs, err
}
