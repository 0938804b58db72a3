package supervisor

import "vatworkerd/transcripts"

// Workers that were brought in beside the supervisor's goroutine join the pool
// here and nowhere else: each is taken only if its plan is what the store says at
// this moment. So it does not matter what happened while it was on its way.

// awaited gives the vat's worker if it is on its way in, and waits for it. One
// that did not come, or for another state of the vat, is forgotten without a
// word: the vat is then paged in as if nothing had been tried.
func (s *Supervisor) awaited(r transcripts.Reader, rec *record) (*worker, error) {
	a := s.pager.claim(rec.ID)
	if a == nil || a.err != nil {
		return nil, nil
	}
	holds, err := a.plan.holds(r, rec)
	if err != nil || !holds {
		s.reaper.end(a.w)
		return nil, err
	}
	return s.receive(rec, a), nil
}

// collect takes in what has come since the last crank.
func (s *Supervisor) collect() {
	for _, a := range s.pager.landed() {
		if a.err != nil {
			continue
		}
		rec := s.stillWanted(a)
		if rec == nil {
			s.reaper.end(a.w)
			continue
		}
		s.receive(rec, a)
		if a.why != forSnapshot {
			s.live.note(func() { s.live.pageIns.add(a.took) })
		}
	}
}

// stillWanted gives the present record of a vat whose worker has come, nil if
// the vat cannot use it. Trouble with the store is met again by who needs the vat.
func (s *Supervisor) stillWanted(a *arrival) *record {
	vatID := a.plan.rec.ID
	rec, err := s.recordOf(vatID)
	if err != nil || s.pool.has(vatID) || rec.state() != running {
		return nil
	}
	if behind, err := s.behind(rec); err != nil || behind {
		return nil
	}
	if holds, err := a.plan.holds(s.db, rec); err != nil || !holds {
		return nil
	}
	return rec
}

func (s *Supervisor) receive(rec *record, a *arrival) *worker {
	defer s.live.at(rec.ID, a.plan.span.EndPos)
	if a.why == forUsed {
		s.pool.adoptLast(rec.ID, a.w)
	} else {
		s.pool.adopt(rec.ID, a.w)
	}
	if a.why != forSnapshot {
		s.tellPagedIn(rec, a.report, a.took, a.why)
	}
	return a.w
}

// adopt makes a worker the one of its vat.
func (s *Supervisor) adopt(vatID string, w *worker) {
	s.pager.drop(vatID)
	s.pool.adopt(vatID, w)
}

// isOnline tells whether a vat has a worker; one that takes over after a
// snapshot counts while it is still loading.
func (s *Supervisor) isOnline(vatID string) bool {
	return s.pool.has(vatID) || s.pager.takesOver(vatID)
}
