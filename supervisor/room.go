package supervisor

// Why a vat was paged out to keep the workers within bounds.
const (
	outOldest = "least recently used"
	outMemory = "the workers' memory is full"
)

// makeRoom pages out, least recently used first, until one more worker fits. A
// vat that is spared stays: its worker is the one that writes its heap into
// the new one.
func (s *Supervisor) makeRoom(spared string) {
	for !s.census.fits() && s.pool.evictOldest(spared, outOldest) {
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
		s.weighOne(s.pool.peek(vatID))
	}
	for _, w := range started {
		s.weighOne(w)
	}
	latest := s.pool.latest()
	for latest != nil && s.census.over() {
		if !s.pool.evictOldest(latest.vatID, outMemory) {
			s.tellHeavy(latest)
			return
		}
	}
}

func (s *Supervisor) weighOne(w *worker) {
	if w == nil {
		return
	}
	n, err := w.process.MemoryBytes()
	if err != nil {
		s.log.Debug("a worker's memory is unknown", "vatID", w.vatID, "error", err)
		return
	}
	w.seat.weigh(n)
}

// tellHeavy warns, once in a worker's life, that it takes all there is.
func (s *Supervisor) tellHeavy(w *worker) {
	if w.heavy {
		return
	}
	w.heavy = true
	s.warn("the worker of %s takes %d MB of memory, all workers may take %d MB: it runs alone; give more with --max-memory",
		label(w.vatID, w.name), w.seat.bytes/1e6, s.census.bounds.bytes/1e6)
}
