package supervisor

import (
	"bytes"
	"io"
	"slices"
	"testing"

	"vatworkerd/pipeproto"
	"vatworkerd/xsnap"
)

// hullRig has v1, a vat with a snapshot, offline, and a hull.
func hullRig(t *testing.T, change func(*Options)) *rig {
	t.Helper()
	r := newRig(t, func(o *Options) {
		o.Hulls = 1
		if change != nil {
			change(o)
		}
	})
	r.create("v1", "counter", pipeproto.VatOptions{})
	r.wantAnswer("fulfilled #1", "v1", "increment")
	_, err := r.s.snapshotNow(pipeproto.VatRef{VatID: "v1"})
	r.must(err)
	r.settled()
	r.offline()
	return r
}

// offline has v1 offline, and as many hulls as there can be.
func (r *rig) offline() {
	r.t.Helper()
	r.s.evict("v1", "test")
	r.s.reaper.wait()
	r.hullsReady()
}

// hullsReady waits until there are as many hulls as there can be.
func (r *rig) hullsReady() {
	r.t.Helper()
	r.s.warming.Wait()
	r.s.hulls.fill()
	r.s.hulls.work.Wait()
}

// hullPIDs lists the hulls there are.
func (r *rig) hullPIDs() (pids []int) {
	r.s.hulls.mu.Lock()
	defer r.s.hulls.mu.Unlock()
	for _, sp := range r.s.hulls.idle[meterLimit] {
		pids = append(pids, sp.process.PID())
	}
	return pids
}

func TestHulls(t *testing.T) {
	r := hullRig(t, func(o *Options) { o.MaxOnline = 1 })
	becomesAWorker(t, r)
	r.offline()
	doesNotFit(t, r)
	r.offline()
	dies(t, r)
	r.commit()
}

// A vat that is paged in gets a hull, and another hull takes that one's place.
func becomesAWorker(t *testing.T, r *rig) {
	before := r.hullPIDs()
	if workers, _ := r.s.census.figures(); len(before) != 1 || workers != 0 {
		t.Fatalf("%d hulls and %d workers with nobody online, want 1 and 0", len(before), workers)
	}
	r.wantAnswer("fulfilled #2", "v1", "increment")
	w := r.worker("v1")
	if pid := w.process.PID(); pid != before[0] {
		t.Errorf("the worker is process %d, the hull was %d", pid, before[0])
	}
	if name := w.process.(*xsnap.Worker).Name(); name != "v1:counter" {
		t.Errorf("the worker is called %s", name)
	}
	r.hullsReady()
	after := r.hullPIDs()
	workers, _ := r.s.census.figures()
	if len(after) != 1 || slices.Contains(after, before[0]) || workers != 1 {
		t.Errorf("hulls %v then, %v now, and %d workers; want another one and one", before, after, workers)
	}
}

// A heap of another shape than the base snapshot's is loaded all the same, and
// the hull stays for the next.
func doesNotFit(t *testing.T, r *rig) {
	r.s.hulls.shape, _ = xsnap.ReadShape(bytes.NewReader(otherShape(t, r)))
	before := r.hullPIDs()
	r.wantAnswer("fulfilled #3", "v1", "increment")
	if pid := r.worker("v1").process.PID(); slices.Contains(before, pid) {
		t.Error("the vat got the hull")
	}
	if after := r.hullPIDs(); !slices.Equal(before, after) {
		t.Errorf("hulls %v became %v", before, after)
	}
}

// otherShape is the base snapshot's begin with one more slot in its machine.
func otherShape(t *testing.T, r *rig) []byte {
	t.Helper()
	base, err := r.s.starter.base(r.s.image)
	r.must(err)
	defer base.Close()
	text := make([]byte, 256)
	_, err = io.ReadFull(base, text)
	r.must(err)
	creation := bytes.Index(text, []byte("CREA")) + 4
	text[creation+2*4]++
	return text
}

// A hull that died in the meantime is nobody's trouble.
func dies(t *testing.T, r *rig) {
	r.s.hulls.mu.Lock()
	for _, sp := range r.s.hulls.idle[meterLimit] {
		sp.process.Kill()
		<-sp.process.Exited()
	}
	r.s.hulls.mu.Unlock()
	r.wantAnswer("fulfilled #4", "v1", "increment")
	if len(r.host.warnings) != 0 {
		t.Errorf("somebody was told of a dead hull: %q", r.host.warnings)
	}
}

// Hulls take memory that nobody needs, and give it up first.
func TestHullsKeepWithinMemory(t *testing.T) {
	r := hullRig(t, func(o *Options) { o.MaxMemoryBytes = 60 << 20 })
	if n := r.s.hulls.count(); n != 1 {
		t.Fatalf("%d hulls in 60 MiB, want 1", n)
	}
	r.wantAnswer("fulfilled #2", "v1", "increment")
	r.hullsReady()
	if n := r.s.hulls.count(); n != 0 {
		t.Errorf("%d hulls where a worker has taken the memory", n)
	}
	r.create("v2", "counter", pipeproto.VatOptions{})
	r.wantAnswer("fulfilled #1", "v2", "increment")
	r.settled()
	if online := r.s.pool.size(); online != 1 {
		t.Errorf("%d vats are online, want 1", online)
	}
	r.commit()
}
