package supervisor

import (
	"errors"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

	"vatworkerd/xsnap"
)

// maxTriesBeside is how often a vat is brought in beside the deliveries at one
// position of its transcript. After that it waits until it is needed, when a
// failure is told and counts.
const maxTriesBeside = 3

// maxFailed bounds how many failures are remembered.
const maxFailed = 1000

// pager brings vats' workers in beside the supervisor's goroutine, each on a
// thread that shares a CPU with the worker, as deliveries do. What it made has no
// effect until the supervisor's goroutine takes it and finds that its plan
// still holds. Safe for concurrent use.
type pager struct {
	kit     *kit
	threads int // how many it may have

	mu       sync.Mutex // guards the rest
	changed  *sync.Cond
	arrivals map[string]*arrival // by vat, until they are taken or dropped
	waiting  []*arrival          // of these, what has not started, in order of rank
	running  int                 // threads that were started
	busy     int                 // of these, how many have work
	failed   map[string]failure  // of vats that did not come
	closed   bool
	over     sync.WaitGroup
}

// failure is how often a plan has come to nothing.
type failure struct {
	plan  plan
	tries int
}

func newPager(k *kit, threads int) *pager {
	p := &pager{kit: k, threads: threads, arrivals: map[string]*arrival{}, failed: map[string]failure{}}
	p.changed = sync.NewCond(&p.mu)
	return p
}

// schedule has an arrival brought in when its turn comes. It must be the only
// one of its vat.
func (p *pager) schedule(a *arrival) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.arrivals[a.plan.rec.ID] = a
	at, _ := slices.BinarySearchFunc(p.waiting, a.rank, func(b *arrival, rank int) int { return b.rank - rank })
	p.waiting = slices.Insert(p.waiting, at, a)
	if p.running < p.threads {
		p.running++
		n := p.running
		p.over.Go(func() { p.work(n) })
	}
	p.changed.Broadcast()
}

// join adds an arrival that somebody else brings in.
func (p *pager) join(a *arrival) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.arrivals[a.plan.rec.ID] = a
}

// work is one of the threads. It ends with the goroutine, as nothing unlocks it.
func (p *pager) work(n int) {
	runtime.LockOSThread()
	cpu := -1
	if others := p.kit.others; len(others) > 0 {
		cpu = others[n%len(others)]
		if _, err := xsnap.PinThread(cpu); err != nil {
			cpu = -1 // only slower
		}
	}
	for a := p.next(); a != nil; a = p.next() {
		began := time.Now()
		w, report, err := p.kit.bringIn(a, cpu)
		p.note(a, err)
		a.land(w, report, time.Since(began), err)
		p.rest()
	}
}

// rest says that a thread's work is done.
func (p *pager) rest() {
	p.mu.Lock()
	p.busy--
	idle := len(p.waiting) == 0
	p.changed.Broadcast()
	p.mu.Unlock()
	if idle {
		p.kit.hulls.fill()
	}
}

// settle waits until nobody has anything to do, or all is over.
func (p *pager) settle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for !p.closed && (p.busy > 0 || len(p.waiting) > 0) {
		p.changed.Wait()
	}
}

// next waits for something to do; nil is the end.
func (p *pager) next() *arrival {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		for len(p.waiting) > 0 {
			a := p.waiting[0]
			p.waiting = p.waiting[1:]
			if a.seat != nil || p.seat(a) {
				p.busy++
				return a
			}
		}
		if p.closed {
			return nil
		}
		p.changed.Wait()
	}
}

// seat finds a place for an arrival that has none. Without one it is not
// brought in, and neither are those behind it: nobody has to go for them.
func (p *pager) seat(a *arrival) bool {
	if a.seat = p.kit.census.takeIfFits(); a.seat != nil {
		return true
	}
	delete(p.arrivals, a.plan.rec.ID)
	return false
}

// note remembers a failure, so that nobody tries for ever.
func (p *pager) note(a *arrival, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	vatID := a.plan.rec.ID
	if err == nil || a.leash.isCut() {
		delete(p.failed, vatID)
		return
	}
	var lost *lostError
	if len(p.failed) >= maxFailed {
		clear(p.failed)
	}
	f := p.failed[vatID]
	switch {
	case !errors.As(err, &lost):
		f = failure{a.plan, maxTriesBeside} // it would fail again
	case f.plan.span != a.plan.span:
		f = failure{a.plan, 1}
	default:
		f.tries++
	}
	p.failed[vatID] = f
	p.kit.log.Debug("a vat was not brought in", "vatID", vatID, "error", err)
}

// worthTrying tells whether a plan has not failed too often.
func (p *pager) worthTrying(pl plan) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	f, ok := p.failed[pl.rec.ID]
	return !ok || f.plan.span != pl.span || f.tries < maxTriesBeside
}

// has tells whether a vat's worker is on its way in.
func (p *pager) has(vatID string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.arrivals[vatID] != nil
}

// underWay lists the vats that are under way, or have come, for a reason, in no
// order.
func (p *pager) underWay(why string) (vatIDs []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for vatID, a := range p.arrivals {
		if a.why == why {
			vatIDs = append(vatIDs, vatID)
		}
	}
	return vatIDs
}

// count gives how many are under way or have come.
func (p *pager) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.arrivals)
}

// takesOver tells whether a vat's worker is on its way in after a snapshot.
func (p *pager) takesOver(vatID string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.arrivals[vatID]
	return a != nil && a.why == forSnapshot
}

// takingOver gives how many are on their way in after a snapshot.
func (p *pager) takingOver() int { return len(p.underWay(forSnapshot)) }

// claim gives a vat's arrival once it has landed, nil if there is none, or if
// it has not even started: then the caller is faster.
func (p *pager) claim(vatID string) *arrival {
	a := p.remove(vatID)
	if a != nil {
		<-a.done
	}
	return a
}

// remove takes an arrival out; one that has not started is no more.
func (p *pager) remove(vatID string) *arrival {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.arrivals[vatID]
	if a == nil {
		return nil
	}
	delete(p.arrivals, vatID)
	i := slices.Index(p.waiting, a)
	if i < 0 {
		return a
	}
	p.waiting = slices.Delete(p.waiting, i, i+1)
	if a.seat != nil {
		a.seat.leave()
	}
	return nil
}

// landed takes out all that have landed, lowest rank first.
func (p *pager) landed() []*arrival {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []*arrival
	for vatID, a := range p.arrivals {
		if a.landed() {
			delete(p.arrivals, vatID)
			all = append(all, a)
		}
	}
	slices.SortFunc(all, func(a, b *arrival) int { return a.rank - b.rank })
	return all
}

// drop forgets a vat's arrival.
func (p *pager) drop(vatID string) {
	if a := p.remove(vatID); a != nil {
		p.kit.reaper.abandon(a)
	}
}

// dropAll forgets all arrivals.
func (p *pager) dropAll() {
	p.mu.Lock()
	vatIDs := slices.Collect(maps.Keys(p.arrivals))
	p.mu.Unlock()
	for _, vatID := range vatIDs {
		p.drop(vatID)
	}
}

// shed drops the arrival of the highest rank, if that is not below least; ok
// tells whether there was one.
func (p *pager) shed(least int) (ok bool) {
	p.mu.Lock()
	var last *arrival
	for _, a := range p.arrivals {
		if a.seat != nil && a.rank >= least && (last == nil || a.rank > last.rank) {
			last = a
		}
	}
	p.mu.Unlock()
	if last == nil {
		return false
	}
	p.drop(last.plan.rec.ID)
	return true
}

// close forgets all arrivals and ends the threads.
func (p *pager) close() {
	p.dropAll()
	p.mu.Lock()
	p.closed = true
	p.changed.Broadcast()
	p.mu.Unlock()
	p.over.Wait()
}
