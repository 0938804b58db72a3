package supervisor

import (
	"sync"
	"time"
)

// maxDying bounds how many workers are on their way out at a time; who gives
// away one more waits for the first of them.
const maxDying = 64

// reaper ends workers beside whoever gives them away: a process takes
// milliseconds to return its memory, and no delivery waits for that. All that a
// worker knows is in the store or shall be forgotten, so it is killed, not
// asked. Safe for concurrent use.
type reaper struct {
	cpu   int // kept free for deliveries; -1 = none
	live  *live
	slots chan struct{} // holds one token for each worker on its way out
	dying sync.WaitGroup
}

func newReaper(cpu int, live *live) *reaper {
	return &reaper{cpu: cpu, live: live, slots: make(chan struct{}, maxDying)}
}

// end takes a worker over; the caller must not use it again.
func (r *reaper) end(w *worker) {
	w.seat.leave()
	run := w.early
	w.early = nil
	r.slots <- struct{}{}
	r.dying.Go(func() {
		defer func() { <-r.slots }()
		began := time.Now()
		if r.cpu >= 0 {
			// A dying process works too. One that cannot be moved is only slower.
			_ = w.process.KeepOff(r.cpu)
		}
		w.process.Kill()
		run.stop()
		_ = w.process.Close() // the process is gone either way
		r.live.note(func() { r.live.workerEnds.add(time.Since(began)) })
	})
}

// abandon ends an arrival that nobody wants any more, and what comes of it.
func (r *reaper) abandon(a *arrival) {
	a.leash.cut()
	if a.seat != nil {
		a.seat.leave()
	}
	r.dying.Go(func() {
		<-a.done
		if a.w != nil {
			r.end(a.w)
		}
	})
}

// wait returns when every worker that was given away is gone.
func (r *reaper) wait() { r.dying.Wait() }
