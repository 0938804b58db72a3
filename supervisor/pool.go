package supervisor

import (
	"container/list"

	"vatworkerd/internal/crashpoint"
	"vatworkerd/pipeproto"
)

// worker is a vat's process while the vat is online.
type worker struct {
	vatID   string
	name    string
	process process
	seat    *seat
	heavy   bool // it was told that this one alone exceeds the bounds
}

// pool holds the workers of the vats that are online, least recently used
// first to go. Paging out writes nothing. It belongs to the supervisor's
// goroutine.
type pool struct {
	cpu    int // where workers in the pool run; -1 = anywhere
	byVat  map[string]*list.Element
	recent *list.List // of *worker, most recently used in front
	reaper *reaper    // takes the workers that go
	live   *live
	onOut  func(w *worker, why string)
}

func newPool(cpu int, reaper *reaper, live *live, onOut func(w *worker, why string)) *pool {
	return &pool{cpu: cpu, byVat: map[string]*list.Element{}, recent: list.New(), reaper: reaper, live: live, onOut: onOut}
}

func (p *pool) size() int { return p.recent.Len() }

// last names the vat whose worker was used least recently.
func (p *pool) last() string { return p.recent.Back().Value.(*worker).vatID }

func (p *pool) has(vatID string) bool { return p.byVat[vatID] != nil }

// peek gives a vat's worker, nil if the vat is offline.
func (p *pool) peek(vatID string) *worker {
	if elem := p.byVat[vatID]; elem != nil {
		return elem.Value.(*worker)
	}
	return nil
}

// latest gives the worker that was used most recently, nil if there is none.
func (p *pool) latest() *worker {
	if elem := p.recent.Front(); elem != nil {
		return elem.Value.(*worker)
	}
	return nil
}

// use gives a vat's worker and marks it as the most recently used.
func (p *pool) use(vatID string) *worker {
	elem := p.byVat[vatID]
	if elem == nil {
		return nil
	}
	p.recent.MoveToFront(elem)
	return elem.Value.(*worker)
}

// evictOldest pages out the least recently used vat but the one that is spared;
// ok tells whether there was one.
func (p *pool) evictOldest(spared, why string) (ok bool) {
	for elem := p.recent.Back(); elem != nil; elem = elem.Prev() {
		if elem.Value.(*worker).vatID != spared {
			p.remove(elem, why)
			return true
		}
	}
	return false
}

// adopt puts a worker, for which there is room, into the pool; a former one of
// the same vat goes.
func (p *pool) adopt(vatID string, w *worker) {
	if p.cpu >= 0 {
		// A worker and the thread that delivers to it never run at the same
		// time; on one CPU a round trip costs no wake-up of another. A worker
		// that cannot be pinned is only slower.
		_ = w.process.PinTo(p.cpu)
	}
	p.live.workerUp(w)
	if elem := p.byVat[vatID]; elem != nil {
		p.reaper.end(elem.Value.(*worker))
		elem.Value = w
		p.recent.MoveToFront(elem)
		return
	}
	p.byVat[vatID] = p.recent.PushFront(w)
}

// evict ends a vat's worker, if it has one.
func (p *pool) evict(vatID, why string) {
	if elem := p.byVat[vatID]; elem != nil {
		p.remove(elem, why)
	}
}

func (p *pool) remove(elem *list.Element, why string) {
	w := p.forget(elem)
	p.reaper.end(w)
	crashpoint.Here(crashpoint.SupervisorPageOut)
	p.onOut(w, why)
}

// discard ends a worker whose heap is ahead of the store.
func (p *pool) discard(vatID string) {
	if elem := p.byVat[vatID]; elem != nil {
		p.reaper.end(p.forget(elem))
	}
}

func (p *pool) forget(elem *list.Element) *worker {
	w := p.recent.Remove(elem).(*worker)
	delete(p.byVat, w.vatID)
	p.live.workerGone(w.vatID)
	return w
}

// closeAll ends every worker.
func (p *pool) closeAll() {
	for p.recent.Len() > 0 {
		p.reaper.end(p.forget(p.recent.Back()))
	}
}

// evict pages a vat out because its life says so.
func (s *Supervisor) evict(vatID, why string) { s.pool.evict(vatID, why) }

// pagedOut tells the people that a worker went.
func (s *Supervisor) pagedOut(w *worker, why string) {
	s.speech.forget(w.vatID)
	s.emit(pipeproto.VatEvent{Kind: pipeproto.VatPagedOut, VatID: w.vatID, Name: w.name, Detail: why})
}
