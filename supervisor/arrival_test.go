package supervisor

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"vatworkerd/pipeproto"
)

// aheadRig has fake vats v1 to vn that have run, snapshotted and are offline,
// and room for so many workers.
func aheadRig(t *testing.T, fake *fakeStarter, n, maxOnline int) *rig {
	t.Helper()
	r := newRig(t, func(o *Options) {
		o.Image, o.MaxOnline, o.starter, o.Dir = fakeImage("engine0"), maxOnline, fake, fastDir(t)
		o.LookAhead = 1
	})
	for i := range n {
		r.createFake(fmt.Sprint("v", i+1), false, pipeproto.VatOptions{})
		for range 4 {
			r.send(fmt.Sprint("v", i+1), "incr")
		}
	}
	r.run()
	r.commit()
	r.s.evictAll()
	r.s.reaper.wait()
	r.host.events, r.host.log = nil, nil
	return r
}

// landed waits until a vat that is on its way in has come, if there is one.
func (r *rig) landed(vatID string) bool {
	r.s.pager.mu.Lock()
	a := r.s.pager.arrivals[vatID]
	r.s.pager.mu.Unlock()
	if a == nil {
		return false
	}
	<-a.done
	return true
}

// during calls f in each crank, after its delivery.
func (r *rig) during(f func(running string)) {
	r.host.verdict = func(d pipeproto.Delivered) (pipeproto.Verdict, bool) {
		f(d.VatID)
		return pipeproto.Verdict{}, false
	}
}

func (r *rig) pageIns(why string) (vatIDs []string) {
	r.host.mu.Lock()
	defer r.host.mu.Unlock()
	for _, ev := range r.host.events {
		if ev.Kind == pipeproto.VatPagedIn && ev.Detail == why {
			vatIDs = append(vatIDs, ev.VatID)
		}
	}
	return vatIDs
}

func isVat(p *fakeProcess, vatID string) bool { return strings.HasPrefix(p.name, vatID+":") }

// While one crank runs the vats of the items behind it come in, as far as
// nobody has to go who is needed sooner.
func TestNextVatsComeInWhileACrankRuns(t *testing.T) {
	fake := &fakeStarter{}
	r := aheadRig(t, fake, 4, 2)
	came := map[string]bool{}
	r.during(func(running string) {
		for i := range 4 {
			if vatID := fmt.Sprint("v", i+1); vatID != running {
				came[vatID] = came[vatID] || r.landed(vatID)
			}
		}
	})
	fake.started = func() {
		if workers, _ := r.s.census.figures(); workers > 2 {
			t.Errorf("%d workers at a time", workers)
		}
	}
	for _, vatID := range []string{"v1", "v2", "v1", "v3", "v4", "v3"} {
		r.send(vatID, "incr")
	}
	r.run()
	if want := map[string]bool{"v1": false, "v2": true, "v3": true, "v4": true}; fmt.Sprint(came) != fmt.Sprint(want) {
		t.Errorf("came in while another ran: %v, want %v", came, want)
	}
	if got := r.pageIns(""); !slices.Equal(got, []string{"v1"}) {
		t.Errorf("%v were waited for, want the first alone", got)
	}
	want := []string{"deliver v1 incr", "deliver v2 incr", "deliver v1 incr", "deliver v3 incr", "deliver v4 incr", "deliver v3 incr"}
	if got := ranBy(r.host); !slices.Equal(got, want) {
		t.Errorf("ran %v", got)
	}
}

// Whoever has to go is the one whose item comes last, not the one that ran
// longest ago.
func TestEvictionKnowsTheQueues(t *testing.T) {
	fake := &fakeStarter{}
	r := aheadRig(t, fake, 3, 2)
	r.s.aheadAtOnce = 0
	for _, vatID := range []string{"v1", "v2"} {
		r.worker(vatID)
	}
	for _, vatID := range []string{"v3", "v1", "v3", "v2"} { // v1 ran longest ago, v2 is needed last
		r.send(vatID, "incr")
	}
	_, err := r.s.run(pipeproto.Run{MaxCranks: 1})
	r.must(err)
	if !r.s.pool.has("v1") || r.s.pool.has("v2") {
		t.Errorf("v1 online %v, v2 online %v", r.s.pool.has("v1"), r.s.pool.has("v2"))
	}
	r.run()
}

// held makes a vat's arrival wait while it loads; let lets it go on.
func held(r *rig, fake *fakeStarter, vatID string) (coming <-chan *fakeProcess, let func()) {
	arrived, mayGo := make(chan *fakeProcess, 8), make(chan struct{})
	fake.loading = func(p *fakeProcess) {
		if isVat(p, vatID) {
			arrived <- p
			select {
			case <-mayGo:
			case <-p.exited:
			}
		}
	}
	return arrived, func() { close(mayGo) }
}

// startArrival has v2 on its way in, held, while v1's crank is over.
func startArrival(r *rig, fake *fakeStarter) (*fakeProcess, func()) {
	r.t.Helper()
	coming, let := held(r, fake, "v2")
	r.send("v1", "incr")
	r.send("v2", "incr")
	_, err := r.s.run(pipeproto.Run{MaxCranks: 1})
	r.must(err)
	return <-coming, let
}

// Whatever happens to a vat while its worker is on its way in, the worker never
// serves another state than the one it was brought in for.
func TestArrivalsAreGoodForOneStateOnly(t *testing.T) {
	cases := map[string]func(r *rig) error{
		"pause":     func(r *rig) error { return r.control(pipeproto.ReqPause, "v2", "") },
		"suspend":   func(r *rig) error { return r.control(pipeproto.ReqSuspend, "v2", "") },
		"bar":       func(r *rig) error { return r.bar("v2", "") },
		"terminate": func(r *rig) error { return r.control(pipeproto.ReqTerminate, "v2", "") },
		"rollback":  func(r *rig) error { return r.s.rollback(pipeproto.Empty{}) },
		"restart": func(r *rig) error {
			_, err := r.s.restartAll(pipeproto.RestartAll{Token: "t1"})
			return err
		},
		"upgrade": func(r *rig) error {
			_, err := r.s.controlUpgrade(pipeproto.Upgrade{Admin: r.admins["v2"], BundleID: r.fakeBundle("b1-good2")})
			return err
		},
		"failed upgrade": func(r *rig) error {
			_, err := r.s.controlUpgrade(pipeproto.Upgrade{Admin: r.admins["v2"], BundleID: r.fakeBundle("b1-bad2")})
			if faultOf(err) != "" {
				return nil
			}
			return err
		},
		"configure": func(r *rig) error {
			return r.s.configure(pipeproto.Configure{SnapshotInitial: 3, SnapshotInterval: 200, RelaxDurabilityRules: true})
		},
		"snapshot": func(r *rig) error { _, err := r.s.takeSnapshot("v2"); return err },
	}
	needsTheVat := map[string]bool{"suspend": true, "bar": true, "upgrade": true, "failed upgrade": true, "snapshot": true}
	for name, happen := range cases {
		for _, when := range []string{"while it loads", "when it has come"} {
			t.Run(name+" "+when, func(t *testing.T) {
				fake := &fakeStarter{}
				r := aheadRig(t, fake, 2, 5)
				p, let := startArrival(r, fake)
				var once sync.Once
				if when == "when it has come" || needsTheVat[name] {
					once.Do(let)
					r.landed("v2")
				}
				r.must(happen(r))
				if w := r.s.pool.peek("v2"); w != nil && w.process == process(p) {
					t.Error("the worker is there although its state is gone")
				}
				once.Do(let)
				r.run()
				r.s.reaper.wait()
				r.run()
				if workers, _ := r.s.census.figures(); workers != r.s.pool.size()+r.s.pager.takingOver() {
					t.Errorf("%d workers are counted, %d are in the pool", workers, r.s.pool.size())
				}
				r.must(r.s.Check())
				r.close()
				if fake.live != 0 {
					t.Errorf("%d workers are left", fake.live)
				}
			})
		}
	}
}

// A worker that dies on its way in is tried again without a word, a bounded
// number of times; then its vat is paged in when it is needed, by the normal rules.
func TestDeathOnTheWayInIsNobodysTrouble(t *testing.T) {
	for _, deaths := range []int32{1, 2, 100} {
		t.Run(fmt.Sprint(deaths), func(t *testing.T) {
			fake := &fakeStarter{}
			r := aheadRig(t, fake, 2, 5)
			var tries, died atomic.Int32
			fake.loading = func(p *fakeProcess) {
				if isVat(p, "v2") {
					if tries.Add(1) <= deaths && died.Add(1) <= maxTriesBeside {
						p.Kill()
					}
				}
			}
			r.during(func(running string) {
				if running == "v1" {
					r.landed("v2")
				}
			})
			for range 6 {
				r.send("v1", "incr")
			}
			r.send("v2", "incr")
			r.run()
			if want := min(deaths, maxTriesBeside); died.Load() < want || tries.Load() != want+1 {
				t.Errorf("%d tries, %d deaths", tries.Load(), died.Load())
			}
			if len(r.host.warnings) != 0 {
				t.Errorf("somebody was told: %q", r.host.warnings)
			}
			if got := ranBy(r.host); len(got) != 7 {
				t.Errorf("ran %v", got)
			}
		})
	}
}

// A history that does not repeat is found out when the vat is needed, and not
// before: until then the other vats go on.
func TestDivergenceIsToldWhenTheVatIsNeeded(t *testing.T) {
	fake := &fakeStarter{}
	r := aheadRig(t, fake, 2, 5)
	r.send("v2", "incr")
	r.run()
	r.s.evictAll()
	r.must(r.s.runCrank(func(c *crank) error {
		return c.tx.Exec(`UPDATE transcriptItems SET item = replace(item, 'vatstoreSet', 'vatstoreGet') WHERE vatID = 'v2'`)
	}))
	r.broken = true
	r.host.log = nil
	r.during(func(running string) {
		if running == "v1" {
			r.landed("v2")
		}
	})
	for range 3 {
		r.send("v1", "incr")
	}
	r.send("v2", "incr")
	_, err := r.s.run(pipeproto.Run{})
	if divergence(err) == "" || r.s.panicked == nil || !strings.Contains(err.Error(), "v2") {
		t.Errorf("error %v, want a panic that tells of v2", err)
	}
	if got := ranBy(r.host); len(got) != 3 {
		t.Errorf("ran %v, want v1's three deliveries", got)
	}
}

// Items that were read while a block was being undone do not count.
func TestArrivalNeedsTheItemsOfItsPlan(t *testing.T) {
	fake := &fakeStarter{}
	r := aheadRig(t, fake, 1, 5)
	r.send("v1", "incr")
	r.run()
	rec, err := r.s.recordOf("v1")
	r.must(err)
	p, err := r.s.planFor(r.s.db, rec)
	r.must(err)
	for name, change := range map[string]func(*plan){
		"another hash":  func(p *plan) { p.span.Hash = strings.Repeat("0", 64) },
		"items missing": func(p *plan) { p.span.EndPos += 3 },
	} {
		wrong := p
		change(&wrong)
		a := newArrival(wrong, forNext, 0, r.s.census.take())
		w, _, err := r.s.bringIn(a, -1)
		a.land(w, revived{}, 0, err)
		if err == nil || w != nil {
			t.Errorf("%s: a worker was made of it", name)
		}
	}
	a := newArrival(p, forNext, 0, r.s.census.take())
	w, report, err := r.s.bringIn(a, -1)
	if err != nil || report.deliveries != p.span.EndPos-p.span.StartPos-1 {
		t.Fatalf("%+v, %v", report, err)
	}
	r.s.reaper.end(w)
}

// Closing, and a panic, wait for nobody who is on the way.
func TestClosingDoesNotWaitForArrivals(t *testing.T) {
	fake := &fakeStarter{}
	r := aheadRig(t, fake, 2, 5)
	p, _ := startArrival(r, fake)
	r.close() // nobody lets it go on
	if !p.gone() || fake.live != 0 {
		t.Errorf("%d workers are left", fake.live)
	}
}

// After a snapshot other vats go on while the vat's new worker still loads; its
// own next delivery waits for it. One that dies is replaced without a word.
func TestCranksGoOnWhileAHeapMoves(t *testing.T) {
	for _, dies := range []bool{false, true} {
		t.Run(fmt.Sprint("dies ", dies), func(t *testing.T) {
			fake := &fakeStarter{}
			r := aheadRig(t, fake, 2, 5)
			r.worker("v1")
			r.worker("v2")
			coming, let := held(r, fake, "v1")
			_, err := r.s.takeSnapshot("v1")
			r.must(err)
			p := <-coming
			r.send("v2", "incr")
			r.run()
			if got := ranBy(r.host); len(got) != 1 || !r.status("v1").Online {
				t.Errorf("ran %v, v1 online %v", got, r.status("v1").Online)
			}
			if dies {
				p.Kill()
			}
			let()
			r.send("v1", "incr")
			r.run()
			if got := ranBy(r.host); len(got) != 2 || len(r.host.warnings) != 0 {
				t.Errorf("ran %v, warnings %q", got, r.host.warnings)
			}
			if used := r.worker("v1").process == process(p); used == dies {
				t.Errorf("the new worker serves: %v", used)
			}
			reply, err := r.s.replay(pipeproto.Replay{VatID: "v1", Full: true})
			r.must(err)
			if !reply.Identical {
				t.Errorf("replay: %+v", reply)
			}
		})
	}
}
