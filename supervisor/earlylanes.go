package supervisor

import (
	"encoding/json"
	"runtime"
	"slices"
	"sync"

	"vatworkerd/xsnap"
)

// earlyRuns has the threads that drive early runs: a worker is spoken to by plain
// reads and writes, which keep a thread waiting. One belongs to each CPU, as worker
// and driver do best on one; that of the deliveries comes last. All but the threads
// belongs to the supervisor's goroutine.
type earlyRuns struct {
	most  int // at a time
	cpus  []int
	under []*worker          // whose early runs no crank has taken, as far as known
	rest  int                // cranks in which nothing begins, after a run that was in vain
	next  int                // how long the next rest is
	well  int                // runs in turn that were not in vain, since next was set
	lanes chan func(cpu int) // made with the threads, when the first of them is needed
	ended sync.WaitGroup
}

// A run that was in vain costs a page-in, and what made it so may come again: each
// time nothing begins for twice as many cranks, until it has gone well for some
// times as many runs.
const (
	wellFor   = 8
	leastRest = 64
	mostRest  = 1 << 16
)

// newEarlyRuns allows so many runs at a time, on these CPUs.
func newEarlyRuns(most int, cpus []int) *earlyRuns {
	return &earlyRuns{most: most, cpus: cpus, next: leastRest}
}

// resting counts a crank of a rest.
func (e *earlyRuns) resting() bool {
	if e.rest == 0 {
		return false
	}
	e.rest--
	return true
}

// inVain notes a run whose worker must go.
func (e *earlyRuns) inVain() {
	e.rest, e.next, e.well = e.next, min(2*e.next, mostRest), 0
}

// taken notes a run that was not in vain; many of them make rests short again.
func (e *earlyRuns) taken() {
	if e.well++; e.well >= wellFor*e.next {
		e.next, e.well = max(e.next/2, leastRest), 0
	}
}

// free tells how many more may begin.
func (e *earlyRuns) free() int {
	kept := e.under[:0]
	for _, w := range e.under {
		if w.early != nil {
			kept = append(kept, w)
		}
	}
	clear(e.under[len(kept):])
	e.under = kept
	return e.most - len(e.under)
}

// begin runs a delivery on a vat's worker, over a draft, unless all threads have
// enough to do.
func (e *earlyRuns) begin(k *kit, w *worker, delivery json.RawMessage) {
	e.start()
	run := &earlyRun{delivery: delivery, asks: make(chan *said), done: make(chan struct{})}
	draft := k.db.Draft()
	select {
	case e.lanes <- func(cpu int) { run.run(w, draft, cpu) }:
		w.early = run
		e.under = append(e.under, w)
	default: // a thread may wait for the crank that comes next: never wait for a thread
	}
}

// start makes the threads, once.
func (e *earlyRuns) start() {
	if e.lanes != nil {
		return
	}
	e.lanes = make(chan func(int), 2*e.most)
	for _, cpu := range e.cpus[:min(len(e.cpus), e.most)] {
		e.ended.Go(func() {
			runtime.LockOSThread() // and never unlocked: the thread ends with this
			if cpu >= 0 {
				_, _ = xsnap.PinThread(cpu) // one that cannot be pinned is only slower
			}
			for run := range e.lanes {
				run(cpu)
			}
		})
	}
}

// close waits for the threads; the workers are gone.
func (e *earlyRuns) close() {
	if e.lanes != nil {
		close(e.lanes)
		e.ended.Wait()
	}
}

// earlyCPUs lists the CPUs that early runs may have; -1 = any.
func (k *kit) earlyCPUs() []int {
	if k.cpu >= 0 {
		return append(slices.Clone(k.others), k.cpu)
	}
	return slices.Repeat([]int{-1}, max(1, len(k.starter.cpus())))
}
