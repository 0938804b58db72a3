package supervisor

import (
	"fmt"
	"testing"

	"vatworkerd/pipeproto"
)

// busyWork gives n vats deliveries in turn, with snapshots in between.
func (r *rig) busyWork(n, rounds int) {
	for round := range rounds {
		for i := range n {
			vatID := fmt.Sprint("v", i+1)
			if round == 0 {
				r.createFake(vatID, false, pipeproto.VatOptions{})
			}
			r.send(vatID, "incr")
		}
		r.run()
	}
}

// However many vats there are, no more workers live at a time than may; two
// only where a single place has to do for a heap that moves to a new worker.
func TestWorkersStayWithinTheirNumber(t *testing.T) {
	for _, n := range []int{1, 2, 5} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			fake, most := &fakeStarter{}, 0
			r := newFakeRig(t, fake, n)
			fake.started = func() {
				workers, _ := r.s.census.figures()
				most = max(most, workers)
			}
			r.busyWork(8, 6)
			if want := max(n, 2); most != want {
				t.Errorf("%d workers at a time, want %d", most, want)
			}
			if workers, _ := r.s.census.figures(); workers != r.s.pool.size() {
				t.Errorf("%d workers are counted, %d are in the pool", workers, r.s.pool.size())
			}
		})
	}
}

// Workers grow with what they do; the least recently used go until the others
// fit, and one that is too large by itself goes on alone.
func TestMemoryIsBounded(t *testing.T) {
	const mega = 1_000_000
	fake := &fakeStarter{bytes: mega}
	r := newRig(t, func(o *Options) {
		o.Image, o.MaxOnline, o.starter, o.Dir = fakeImage("engine0"), 50, fake, fastDir(t)
		o.MaxMemoryBytes = 12 * mega
	})
	r.busyWork(6, 1)
	for round := range 12 {
		for i := range 6 {
			r.send(fmt.Sprint("v", i+1), "incr")
			r.run()
			workers, bytes := r.s.census.figures()
			if bytes > r.opts.MaxMemoryBytes && workers > 1 {
				t.Fatalf("round %d: %d workers take %d bytes", round, workers, bytes)
			}
		}
	}
	if n := len(r.host.warnings); n == 0 || n > 6*12 {
		t.Errorf("%d warnings of workers that take all there is", n)
	}
	for i := range 6 {
		if got, _, _ := r.s.db.Get(vatstorePrefix(fmt.Sprint("v", i+1)) + "count"); got != "13" {
			t.Errorf("v%d has counted to %q", i+1, got)
		}
	}
}

// The same on real workers, whose memory the kernel tells.
func TestMemoryOfRealWorkersIsBounded(t *testing.T) {
	work := func(limit int64) (*rig, string) {
		r := newRig(t, func(o *Options) { o.MaxMemoryBytes = limit })
		for i := range 3 {
			r.create(fmt.Sprint("v", i+1), "counter", pipeproto.VatOptions{})
		}
		for i := range 6 {
			r.send(fmt.Sprint("v", 1+i%3), "increment")
		}
		r.run()
		return r, r.s.db.ActivityHash() + r.spanHashes()
	}
	free, want := work(1 << 40)
	workers, bytes := free.s.census.figures()
	if workers != 3 || bytes/3 < 8<<20 || bytes/3 > 1<<30 {
		t.Fatalf("%d workers take %d bytes", workers, bytes)
	}
	bound, got := work(bytes * 5 / 6)
	if workers, _ := bound.s.census.figures(); workers > 2 {
		t.Errorf("%d workers are online where two and a half fit", workers)
	}
	if got != want {
		t.Errorf("the bound shows:\n%s\n%s", got, want)
	}
}
