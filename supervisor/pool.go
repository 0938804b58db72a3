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
	cpu     int  // that it is pinned to; -1 = none

	early *earlyRun // that no crank has taken yet
}

// pool holds the workers of the vats that are online, least recently used
// first to go. Paging out writes nothing. It belongs to the supervisor's
// goroutine.
type pool struct {
	kit    *kit
	byVat  map[string]*list.Element
	recent *list.List // of *worker, most recently used in front
	onOut  func(w *worker, why string)
}

func newPool(k *kit, onOut func(w *worker, why string)) *pool {
	return &pool{kit: k, byVat: map[string]*list.Element{}, recent: list.New(), onOut: onOut}
}

func (p *pool) size() int { return p.recent.Len() }

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

// need is what an eviction goes by.
type need struct {
	spared string         // a vat that stays
	uses   map[string]int // at which distance vats are needed, as far as known
	within int            // whoever is needed within this distance stays
	keeps  func(w *worker) bool
}

// evictLeastNeeded pages a vat out: of those that no known item waits for the
// least recently used, else the one whose item comes last. ok tells whether
// there was one.
func (p *pool) evictLeastNeeded(n need, why string) (ok bool) {
	var last *list.Element
	furthest := n.within
	for elem := p.recent.Back(); elem != nil; elem = elem.Prev() {
		w := elem.Value.(*worker)
		distance, needed := n.uses[w.vatID]
		if w.vatID == n.spared || needed && distance <= furthest || n.keeps(w) {
			continue
		}
		last, furthest = elem, distance
		if !needed {
			break
		}
	}
	if last == nil {
		return false
	}
	p.remove(last, why)
	return true
}

// adopt puts a worker, for which there is room, into the pool; a former one of
// the same vat goes.
func (p *pool) adopt(vatID string, w *worker) {
	w.cpu = -1
	w.pinTo(p.kit.cpu)
	// A recording may have begun after this worker was made, while it was not here yet.
	w.process.Tape().RecordTo(p.kit.recorders.of(vatID))
	p.kit.live.workerUp(w)
	if elem := p.byVat[vatID]; elem != nil {
		p.kit.reaper.end(elem.Value.(*worker))
		elem.Value = w
		p.recent.MoveToFront(elem)
		return
	}
	p.byVat[vatID] = p.recent.PushFront(w)
}

// pinTo lets a worker run on the CPU of the thread that delivers to it, if that
// has one of its own: the two never run at the same time, and on one CPU a round
// trip costs no wake-up of another. A worker that cannot be pinned is only slower.
func (w *worker) pinTo(cpu int) {
	if cpu >= 0 && w.cpu != cpu && w.process.PinTo(cpu) == nil {
		w.cpu = cpu
	}
}

// adoptLast is adopt for a worker that was used longer ago than all others.
func (p *pool) adoptLast(vatID string, w *worker) {
	p.adopt(vatID, w)
	p.recent.MoveToBack(p.byVat[vatID])
}

// vatIDs lists who is online, most recently used first.
func (p *pool) vatIDs() (vatIDs []string) {
	for elem := p.recent.Front(); elem != nil; elem = elem.Next() {
		vatIDs = append(vatIDs, elem.Value.(*worker).vatID)
	}
	return vatIDs
}

// evict ends a vat's worker, if it has one.
func (p *pool) evict(vatID, why string) {
	if elem := p.byVat[vatID]; elem != nil {
		p.remove(elem, why)
	}
}

func (p *pool) remove(elem *list.Element, why string) {
	w := p.forget(elem)
	p.kit.reaper.end(w)
	crashpoint.Here(crashpoint.SupervisorPageOut)
	p.onOut(w, why)
}

// discard ends a worker whose heap is ahead of the store.
func (p *pool) discard(vatID string) {
	if elem := p.byVat[vatID]; elem != nil {
		p.kit.reaper.end(p.forget(elem))
	}
}

func (p *pool) forget(elem *list.Element) *worker {
	w := p.recent.Remove(elem).(*worker)
	delete(p.byVat, w.vatID)
	p.kit.live.workerGone(w.vatID)
	return w
}

// closeAll ends every worker.
func (p *pool) closeAll() {
	for p.recent.Len() > 0 {
		p.kit.reaper.end(p.forget(p.recent.Back()))
	}
}

// retire ends a vat's worker whose place another one takes.
func (p *pool) retire(vatID string) { p.discard(vatID) }

// evict pages a vat out because its life says so.
func (s *Supervisor) evict(vatID, why string) {
	s.pager.drop(vatID)
	s.pool.evict(vatID, why)
}

// evictAll pages everybody out without a word.
func (s *Supervisor) evictAll() {
	s.pager.dropAll()
	s.pool.closeAll()
}

// pagedOut tells the people that a worker went.
func (s *Supervisor) pagedOut(w *worker, why string) {
	s.speech.forget(w.vatID)
	s.emit(pipeproto.VatEvent{Kind: pipeproto.VatPagedOut, VatID: w.vatID, Name: w.name, Detail: why})
}
