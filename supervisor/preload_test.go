package supervisor

import (
	"fmt"
	"slices"
	"testing"

	"vatworkerd/pipeproto"
)

// settled waits for everything that is on its way in.
func (r *rig) settled() {
	r.t.Helper()
	for {
		r.s.pager.mu.Lock()
		var next *arrival
		for _, a := range r.s.pager.arrivals {
			next = a
		}
		r.s.pager.mu.Unlock()
		if next == nil {
			return
		}
		<-next.done
		r.s.collect()
	}
}

// reopenWith commits and opens again under other options.
func (r *rig) reopenWith(change func(*Options)) {
	r.t.Helper()
	r.commit()
	r.close()
	change(&r.opts)
	r.host.events = nil
	r.open()
}

// usedRig has fake vats v1 to v6 of which all have run, v6 last.
func usedRig(t *testing.T, fake *fakeStarter) *rig {
	t.Helper()
	r := newFakeRig(t, fake, 6)
	for i := range 6 {
		vatID := fmt.Sprint("v", i+1)
		r.createFake(vatID, false, pipeproto.VatOptions{Static: i < 4})
		r.send(vatID, "incr")
		r.run()
		r.settled()
	}
	return r
}

func TestUsedVatsComeBackAfterARestart(t *testing.T) {
	fake := &fakeStarter{}
	r := usedRig(t, fake)
	r.send("v2", "incr")
	r.run()
	r.reopenWith(func(o *Options) { o.Preload, o.MaxOnline = PreloadAll, 4 })
	r.settled()
	want := []string{"v2", "v6", "v5", "v4"}
	if got := r.s.pool.vatIDs(); !slices.Equal(got, want) {
		t.Errorf("online, most recently used first: %v, want %v", got, want)
	}
	if got := r.pageIns(forUsed); len(got) != 4 {
		t.Errorf("told of %v", got)
	}
	// A block later the list is the same, and who had no place is still in it.
	r.commit()
	used, err := r.s.used()
	r.must(err)
	if !slices.Equal(used, want) {
		t.Errorf("remembered %v, want %v", used, want)
	}
	r.reopenWith(func(o *Options) { o.Preload = 1 })
	r.settled()
	if got := r.s.pool.vatIDs(); !slices.Equal(got, want[:1]) {
		t.Errorf("with a preload of 1: %v", got)
	}
	r.reopenWith(func(o *Options) { o.Preload = 0 })
	if r.s.pager.count() != 0 || r.s.pool.size() != 0 {
		t.Error("something is preloaded although that is off")
	}
}

// Vats that cannot need a worker are not brought in, whatever they were before.
func TestWhoIsNeverPreloaded(t *testing.T) {
	r := usedRig(t, &fakeStarter{})
	r.commit()
	r.must(r.control(pipeproto.ReqPause, "v1", ""))
	r.must(r.control(pipeproto.ReqSuspend, "v2", ""))
	r.must(r.bar("v3", ""))
	r.must(r.control(pipeproto.ReqTerminate, "v4", ""))
	r.must(r.s.db.LocalSet(keyUsed, `["v1","v2","v3","v4","v5","v6","v7","no vat"]`))
	r.reopenWith(func(o *Options) { o.Preload = PreloadAll })
	r.settled()
	if got := r.s.pool.vatIDs(); len(got) != 2 || slices.Contains(got, "v1") {
		t.Errorf("online: %v, want v5 and v6", got)
	}
	_, err := r.s.restartAll(pipeproto.RestartAll{Token: "t1"})
	r.must(err)
	r.reopenWith(func(*Options) {})
	r.settled()
	for _, vatID := range r.s.pool.vatIDs() {
		if r.status(vatID).State != running.String() {
			t.Errorf("%s is online and %s", vatID, r.status(vatID).State)
		}
	}
}

// A store that remembers nobody, or nothing that can be read, has its static
// vats, for half of the places.
func TestPreloadWithoutMemory(t *testing.T) {
	for _, text := range []string{"", "[", `{"a":1}`} {
		r := usedRig(t, &fakeStarter{})
		r.commit()
		r.must(r.s.db.LocalSet(keyUsed, text))
		r.close()
		r.opts.Preload = PreloadAll
		r.open()
		r.settled()
		if got := r.s.pool.vatIDs(); !slices.Equal(got, []string{"v1", "v2", "v3"}) {
			t.Errorf("%q: online %v", text, got)
		}
		r.close()
	}
}

// Preloading evicts nobody, and a delivery waits for its own vat alone.
func TestDeliveriesGoOnWhilePreloading(t *testing.T) {
	fake := &fakeStarter{}
	r := usedRig(t, fake)
	r.commit()
	r.close()
	coming, let := held(r, fake, "v6") // the first to be preloaded, on the only thread
	r.opts.Preload = PreloadAll
	r.open()
	p := <-coming
	r.send("v1", "incr") // it has not begun to come
	r.run()
	if got := ranBy(r.host); got[len(got)-1] != "deliver v1 incr" {
		t.Errorf("ran %v", got)
	}
	r.send("v6", "incr")
	ran := make(chan struct{})
	go func() { defer close(ran); r.run() }()
	select {
	case <-ran:
		t.Error("v6 did not wait for its worker")
	default:
	}
	let()
	<-ran
	if r.worker("v6").process != process(p) {
		t.Error("v6 has another worker than the one that was on its way")
	}
	r.settled()
	if n := r.s.pool.size(); n != 6 {
		t.Errorf("%d vats are online, want all 6", n)
	}
}

// A place that is needed is taken from what only was in use once.
func TestPreloadingMakesRoom(t *testing.T) {
	fake := &fakeStarter{}
	r := usedRig(t, fake)
	r.commit()
	r.close()
	coming, let := held(r, fake, "v6")
	r.opts.Preload, r.opts.MaxOnline = PreloadAll, 1
	r.open()
	<-coming
	r.send("v1", "incr")
	r.run()
	let()
	r.settled()
	if got := r.s.pool.vatIDs(); !slices.Equal(got, []string{"v1"}) {
		t.Errorf("online: %v", got)
	}
}
