package supervisor

import (
	"fmt"
	"strings"
	"testing"

	"vatworkerd/pipeproto"
	"vatworkerd/xsnap"
)

// startsOfAllKinds makes incarnations begin in several ways, with and without a
// meter limit, and replays one whole.
func (r *rig) startsOfAllKinds() string {
	r.t.Helper()
	r.host.parameters["v1"] = `#{"owner":"dana"}`
	r.create("v1", "upgradable-v1", pipeproto.VatOptions{})
	r.create("v2", "counter", pipeproto.VatOptions{Unmetered: true})
	r.wantAnswer("fulfilled #1", "v2", "increment")
	_, err := r.s.controlUpgrade(pipeproto.Upgrade{Admin: r.admins["v1"], BundleID: r.addBundle("upgradable-v2")})
	r.must(err)
	r.must(r.control(pipeproto.ReqSuspend, "v2", ""))
	r.wantAnswer("fulfilled #2", "v2", "increment")
	reply, err := r.s.replay(pipeproto.Replay{VatID: "v2", Full: true})
	r.must(err)
	if !reply.Identical {
		r.t.Errorf("replay: %+v", reply)
	}
	r.commit()
	return r.s.db.ActivityHash() + "\n" + r.spanHashes()
}

// Spares are used, and leave no trace in anything that nodes compare.
func TestSparesDoNotShow(t *testing.T) {
	cold := newRig(t, nil)
	want := cold.startsOfAllKinds()
	warm := newRig(t, func(o *Options) { o.Spares = 4 })
	if got := warm.startsOfAllKinds(); got != want {
		t.Errorf("with spares:\n%s\nwithout:\n%s", got, want)
	}
	if cold.s.spares.made != 0 {
		t.Errorf("%d spares were made where none are wanted", cold.s.spares.made)
	}
	warm.run()
	warm.s.spares.work.Wait()
	if n := warm.s.spares.count(); n != 8 {
		t.Errorf("%d spares are ready, want 4 of each meter limit", n)
	}
	if warm.s.spares.made <= 8 {
		t.Errorf("%d spares were made, so no worker was one", warm.s.spares.made)
	}
	for _, vatID := range []string{"v1", "v2"} {
		if name := warm.worker(vatID).process.(*xsnap.Worker).Name(); !strings.HasPrefix(name, vatID+":") {
			t.Errorf("the worker of %s is called %s", vatID, name)
		}
	}
}

// spareRig has as many spares as there is room for, all of them started.
func spareRig(t *testing.T, fake *fakeStarter, maxOnline, spares int) *rig {
	r := newRig(t, func(o *Options) {
		o.Image, o.MaxOnline, o.starter, o.Dir = fakeImage("engine0"), maxOnline, fake, fastDir(t)
		o.Spares = spares
	})
	r.run()
	r.s.spares.work.Wait()
	return r
}

// Spares take only what is left, and go first.
func TestSparesKeepWithinTheBounds(t *testing.T) {
	fake, most := &fakeStarter{}, 0
	r := spareRig(t, fake, 3, 4)
	fake.started = func() {
		workers, _ := r.s.census.figures()
		most = max(most, workers)
	}
	if n := r.s.spares.count(); n != 3 {
		t.Errorf("%d spares in an empty pool for 3", n)
	}
	for i := range 5 {
		r.createFake(fmt.Sprint("v", i+1), false, pipeproto.VatOptions{})
	}
	for range 4 {
		for i := range 5 {
			r.send(fmt.Sprint("v", i+1), "incr")
		}
		r.run()
		r.s.spares.work.Wait()
	}
	if most > 3 {
		t.Errorf("%d workers at a time, want 3 at most", most)
	}
	if online, spares := r.s.pool.size(), r.s.spares.count(); online != 3 || spares != 0 {
		t.Errorf("%d vats are online beside %d spares: vats go first", online, spares)
	}
	r.s.evict("v5", "test")
	r.run()
	r.s.spares.work.Wait()
	if n := r.s.spares.count(); n != 1 {
		t.Errorf("%d spares where one place is free", n)
	}
}

// A spare that died, or dies while it is given up, is nobody's trouble.
func TestSparesThatDie(t *testing.T) {
	fake := &fakeStarter{}
	r := spareRig(t, fake, 10, 2)
	r.s.spares.mu.Lock()
	for _, sp := range r.s.spares.idle[meterLimit] {
		sp.process.Kill()
	}
	r.s.spares.mu.Unlock()
	r.createFake("v1", false, pipeproto.VatOptions{})
	r.run()
	r.wantState("v1", running, 0)
	if len(r.host.warnings) != 0 {
		t.Errorf("somebody was told of a dead spare: %q", r.host.warnings)
	}
}

// What is on its way up when the supervisor closes, or when its place is
// needed, ends at once.
func TestSpareOnItsWayUpIsGivenUp(t *testing.T) {
	for _, end := range []string{"close", "shed"} {
		t.Run(end, func(t *testing.T) {
			fake, coming, mayGo := &fakeStarter{}, make(chan string, 8), make(chan struct{})
			r := newRig(t, func(o *Options) {
				o.Image, o.MaxOnline, o.starter, o.Dir = fakeImage("engine0"), 1, fake, fastDir(t)
				o.Spares = 1
			})
			fake.loading = func(p *fakeProcess) {
				if strings.HasPrefix(p.name, "spare") {
					coming <- p.name
					<-mayGo
				}
			}
			r.run()
			<-coming
			if end == "shed" {
				r.createFake("v1", false, pipeproto.VatOptions{})
				r.send("v1", "incr")
				r.run()
				if workers, _ := r.s.census.figures(); workers != 1 {
					t.Errorf("%d workers are counted", workers)
				}
			}
			r.s.spares.shed()
			close(mayGo)
			r.close()
			if fake.live != 0 {
				t.Errorf("%d workers are left", fake.live)
			}
		})
	}
}
