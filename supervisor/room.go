package supervisor

// Why a vat was paged out to keep the workers within bounds.
const (
	outOldest = "least recently used"
	outLatest = "its next item comes last"
	outMemory = "the workers' memory is full"
)

// makeRoom gives a seat for a worker that is needed now. The worker of a vat
// that is spared stays: it is the one that writes its heap into the new one.
func (s *Supervisor) makeRoom(spared string) *seat {
	for {
		seat := s.census.takeIfFits()
		if seat != nil {
			return seat
		}
		if !s.giveUp(need{spared: spared, uses: s.knownUses(), within: -1, keeps: s.pinned}, outOldest) {
			return s.census.take()
		}
	}
}

// giveUp ends what is needed least: spares, then what is on its way in only
// because it was in use once, then vats that are online, then the rest of what
// is on its way in. ok tells whether there was anything.
func (s *Supervisor) giveUp(n need, why string) (ok bool) {
	if s.spares.shed() || s.census.lacksMemory() && s.hulls.shed() || s.pager.shed(rankUsed) {
		return true
	}
	s.collect()
	return s.pool.evictLeastNeeded(n, why) || s.pager.shed(0)
}

// makeRoomAhead gives a seat for a worker that is needed at a distance, nil if
// all others are needed sooner.
func (s *Supervisor) makeRoomAhead(distance int, uses map[string]int) *seat {
	n := need{uses: uses, within: distance, keeps: s.pinned}
	for {
		seat := s.census.takeIfFits()
		if seat != nil {
			return seat
		}
		if !s.spares.shed() && !(s.census.lacksMemory() && s.hulls.shed()) && !s.pager.shed(rankUsed) && !s.pool.evictLeastNeeded(n, outLatest) {
			return nil
		}
	}
}

// weigh measures the workers that a crank has used (no other can have grown)
// and pages others out while all together take more than they may. A worker
// that exceeds the bound by itself goes on alone.
func (s *Supervisor) weigh(ran []string, started map[string]*worker) {
	if s.census.bounds.bytes == 0 {
		return
	}
	for _, vatID := range ran {
		if w := s.pool.peek(vatID); w != nil {
			weigh(w.process, w.seat)
		}
	}
	for _, w := range started {
		weigh(w.process, w.seat)
	}
	latest := s.pool.latest()
	for latest != nil && s.census.over() {
		if !s.giveUp(need{spared: latest.vatID, uses: s.knownUses(), within: -1, keeps: s.pinned}, outMemory) {
			s.tellHeavy(latest)
			return
		}
	}
}

// weigh measures one worker. Where that is impossible the last figure stays.
func weigh(w process, at *seat) {
	if n, err := w.MemoryBytes(); err == nil {
		at.weigh(n)
	}
}

// tellHeavy warns, once in a worker's life, that more memory is taken than may
// be and nobody can go.
func (s *Supervisor) tellHeavy(w *worker) {
	if w.heavy {
		return
	}
	w.heavy = true
	who := "the worker of " + label(w.vatID, w.name)
	if s.pool.size() > 1 {
		who += " and the pinned ones"
	}
	_, bytes := s.census.figures()
	s.warn("%s take %d MB of memory, all workers may take %d MB: nobody is left to be paged out; give more with --max-memory",
		who, bytes/1e6, s.census.bounds.bytes/1e6)
}
