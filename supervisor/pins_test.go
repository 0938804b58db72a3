package supervisor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"vatworkerd/pipeproto"
	"vatworkerd/xsnap"
)

func (r *rig) pin(vatID string, pinned bool) {
	r.t.Helper()
	st, err := r.s.pin(pipeproto.Pin{VatID: vatID, Pinned: pinned})
	r.must(err)
	if st.Pinned != pinned {
		r.t.Errorf("%s is pinned: %v", vatID, st.Pinned)
	}
}

// Pinned vats stay while all others come and go; they are remembered, and come
// first after a restart.
func TestPinnedVatsStay(t *testing.T) {
	r := usedRig(t, &fakeStarter{})
	r.pin("v2", true)
	r.reopenWith(func(o *Options) { o.MaxOnline, o.Preload, o.Pins = 3, 2, []string{"v1"} })
	r.settled()
	if got := r.s.pool.vatIDs(); !slices.Equal(got, []string{"v1", "v2"}) && !slices.Equal(got, []string{"v2", "v1"}) {
		t.Errorf("preloaded: %v, want the pinned ones", got)
	}
	for range 3 {
		for i := range 4 {
			r.send(fmt.Sprint("v", i+3), "incr")
		}
		r.run()
		if !r.s.pool.has("v1") || !r.s.pool.has("v2") {
			t.Errorf("online: %v", r.s.pool.vatIDs())
		}
	}
	for _, ev := range r.host.events {
		if ev.Kind == pipeproto.VatPagedOut && (ev.VatID == "v1" || ev.VatID == "v2") {
			t.Errorf("%+v", ev)
		}
	}
	if got := r.s.poolStatus().Pinned; !slices.Equal(got, []string{"v1", "v2"}) {
		t.Errorf("status names %v", got)
	}
	r.pin("v2", false)
	r.send("v3", "incr")
	r.send("v4", "incr")
	r.run()
	if r.s.pool.has("v2") {
		t.Error("v2 stays although it is pinned no longer")
	}
	r.must(r.control(pipeproto.ReqPause, "v1", ""))
	if r.s.pool.has("v1") {
		t.Error("a paused vat keeps its worker")
	}
}

// One place is left for everybody else.
func TestPinsAreBounded(t *testing.T) {
	r := usedRig(t, &fakeStarter{})
	r.reopenWith(func(o *Options) { o.MaxOnline, o.Pins = 2, []string{"v1", "v2", "v3"} })
	if len(r.host.warnings) == 0 || !strings.Contains(r.host.warnings[0], "only the first 1") {
		t.Errorf("warnings %q", r.host.warnings)
	}
	for range 2 {
		for i := range 6 {
			r.send(fmt.Sprint("v", i+1), "incr")
		}
		r.run()
	}
	if workers, _ := r.s.census.figures(); workers != 2 || !r.s.pool.has("v1") {
		t.Errorf("%d workers, online %v", workers, r.s.pool.vatIDs())
	}
	if _, err := r.s.pin(pipeproto.Pin{VatID: "v99"}); codeOf(err) != pipeproto.CodeNotFound {
		t.Errorf("a vat that is not there: %v", err)
	}
}

// TestWhoHasToGo compares the choice with a plain reading of the rule.
func TestWhoHasToGo(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		k := &kit{cpu: -1, reaper: newReaper(-1, newLive()), live: newLive(), census: &census{bounds: bounds{workers: 100}}, recorders: newRecorders()}
		var gone string
		p := newPool(k, func(w *worker, _ string) { gone = w.vatID })
		fake := &fakeStarter{}
		var order []string // least recently used first
		for i := range rapid.IntRange(0, 8).Draw(rt, "online") {
			vatID := fmt.Sprint("v", i)
			order = append(order, vatID)
			process, err := fake.fresh(fakeImage("e"), xsnap.StartOptions{})
			if err != nil {
				rt.Fatal(err)
			}
			p.adopt(vatID, &worker{vatID: vatID, process: process, seat: k.census.take()})
		}
		n := need{uses: map[string]int{}, within: rapid.IntRange(-1, 4).Draw(rt, "within")}
		keeps := map[string]bool{}
		for _, vatID := range order {
			if rapid.Bool().Draw(rt, "needed") {
				n.uses[vatID] = rapid.IntRange(0, 6).Draw(rt, "distance")
			}
			keeps[vatID] = rapid.IntRange(0, 3).Draw(rt, "pinned") == 0
		}
		n.keeps = func(w *worker) bool { return keeps[w.vatID] }
		if len(order) > 0 && rapid.Bool().Draw(rt, "spares one") {
			n.spared = rapid.SampledFrom(order).Draw(rt, "spared")
		}
		want := whoHasToGo(order, n, keeps)
		if ok := p.evictLeastNeeded(n, "test"); ok != (want != "") || gone != want {
			rt.Fatalf("%q has to go, want %q", gone, want)
		}
		p.closeAll()
		k.reaper.wait()
		if workers, _ := k.census.figures(); workers != 0 || fake.live != 0 {
			rt.Fatalf("%d workers are counted, %d live", workers, fake.live)
		}
	})
}

// whoHasToGo: without an item before with one, longest unused before, latest
// item before; never the spared, the pinned, the ones needed soon.
func whoHasToGo(order []string, n need, keeps map[string]bool) string {
	best, bestDistance := "", n.within
	for _, vatID := range order {
		distance, needed := n.uses[vatID]
		switch {
		case vatID == n.spared || keeps[vatID]:
		case !needed:
			return vatID
		case distance > bestDistance:
			best, bestDistance = vatID, distance
		}
	}
	return best
}

func (r *rig) pinsOnDisk() string {
	r.t.Helper()
	text, err := os.ReadFile(filepath.Join(r.opts.Dir, PinsFile))
	r.must(err)
	return strings.TrimSpace(string(text))
}

// A pin is there at once, and stays if the block that is open is lost.
func TestPinsDoNotWaitForTheBlock(t *testing.T) {
	r := usedRig(t, &fakeStarter{})
	r.commit()
	r.send("v1", "incr")
	r.run()
	r.pin("v2", true)
	r.pin("v3", true)
	if got := r.pinsOnDisk(); got != `["v2","v3"]` {
		t.Errorf("in an open block the file has %s", got)
	}
	r.must(r.s.rollback(pipeproto.Empty{}))
	r.pin("v2", false)
	r.reopen()
	if got := r.s.pins.all(); !slices.Equal(got, []string{"v3"}) {
		t.Errorf("pinned %v", got)
	}
}

// A vat that is terminated takes nobody's place, once that can no longer be undone.
func TestTerminatedVatsLoseTheirPins(t *testing.T) {
	r := usedRig(t, &fakeStarter{})
	r.commit()
	r.pin("v2", true)
	r.pin("v3", true)
	r.must(r.control(pipeproto.ReqTerminate, "v2", ""))
	r.must(r.s.rollback(pipeproto.Empty{}))
	if got := r.pinsOnDisk(); got != `["v2","v3"]` || !r.status("v2").Pinned {
		t.Errorf("the termination was undone, and the file has %s", got)
	}
	r.must(r.control(pipeproto.ReqTerminate, "v2", ""))
	if r.status("v2").Pinned {
		t.Error("a terminated vat is pinned")
	}
	r.commit()
	if got := r.pinsOnDisk(); got != `["v3"]` || !slices.Equal(r.s.pins.all(), []string{"v3"}) {
		t.Errorf("the file has %s, pinned are %v", got, r.s.pins.all())
	}
	var refused *RefusedError
	if _, err := r.s.pin(pipeproto.Pin{VatID: "v2", Pinned: true}); !errors.As(err, &refused) {
		t.Errorf("a terminated vat is pinned again: %v", err)
	}
	r.pin("v2", false)
}

// What stores remembered themselves counts until there is the file.
func TestPinsOfOlderStores(t *testing.T) {
	r := usedRig(t, &fakeStarter{})
	r.must(r.s.db.LocalSet(keyPins, `["v1","v2","v99"]`))
	r.reopen()
	if got := r.s.pins.all(); !slices.Equal(got, []string{"v1", "v2"}) {
		t.Errorf("pinned %v", got)
	}
	r.pin("v1", false)
	r.reopen()
	if got := r.s.pins.all(); !slices.Equal(got, []string{"v2"}) {
		t.Errorf("pinned %v", got)
	}
}

// A file that cannot be written leaves all as it was; one that is no list is told of.
func TestPinsFileFails(t *testing.T) {
	r := usedRig(t, &fakeStarter{})
	r.pin("v1", true)
	path := filepath.Join(r.opts.Dir, PinsFile)
	r.must(os.Mkdir(path+".new", 0o700))
	if _, err := r.s.pin(pipeproto.Pin{VatID: "v2", Pinned: true}); err == nil || r.status("v2").Pinned {
		t.Errorf("nothing can be written, and it is pinned: %v", err)
	}
	r.must(os.Remove(path + ".new"))
	r.must(os.WriteFile(path, []byte("v1"), 0o600))
	r.reopen()
	if len(r.s.pins.all()) != 0 || !strings.Contains(strings.Join(r.host.warnings, "\n"), "is no list of vats") {
		t.Errorf("pinned %v, warnings %q", r.s.pins.all(), r.host.warnings)
	}
	r.pin("v2", true)
	if got := r.pinsOnDisk(); got != `["v2"]` {
		t.Errorf("the file has %s", got)
	}
}
