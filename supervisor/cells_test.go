package supervisor

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"vatworkerd/pipeproto"
)

// reach brings a vat into a state by the shortest real way.
func (r *rig) reach(vatID string, want state) {
	r.t.Helper()
	r.createFake(vatID, false, pipeproto.VatOptions{})
	r.run()
	act := func(verb string) { r.must(r.control(verb, vatID, "test")) }
	restart := func() {
		_, err := r.s.restartAll(pipeproto.RestartAll{Token: "for " + vatID})
		r.must(err)
	}
	switch want {
	case paused:
		act(pipeproto.ReqPause)
	case suspended:
		restart()
	case pausedSuspended:
		act(pipeproto.ReqPause)
		restart()
	case deliberate:
		r.must(r.bar(vatID, "test"))
	case terminated:
		act(pipeproto.ReqTerminate)
	}
	if got := r.status(vatID).State; got != want.String() {
		r.t.Fatalf("%s is %s, want %s", vatID, got, want)
	}
}

// happen makes an event happen to a vat through the ways that lead to it in
// production, and gives the refusal if there is one.
func (r *rig) happen(vatID string, ev event) error {
	switch ev {
	case evDeliver:
		r.send(vatID, "incr")
		_, err := r.s.run(pipeproto.Run{})
		return err
	case evPause:
		return r.control(pipeproto.ReqPause, vatID, "test")
	case evResume:
		return r.control(pipeproto.ReqResume, vatID, "test")
	case evSuspend:
		return r.control(pipeproto.ReqSuspend, vatID, "test")
	case evBar:
		return r.bar(vatID, "test")
	case evUnsuspend:
		return r.control(pipeproto.ReqUnsuspend, vatID, "test")
	case evUpgrade, evUpgradeFailed:
		bundle := "b1-good2"
		if ev == evUpgradeFailed {
			bundle = "b1-bad2"
		}
		_, err := r.s.controlUpgrade(pipeproto.Upgrade{Admin: r.admins[vatID], BundleID: r.fakeBundle(bundle)})
		if faultOf(err) != "" && ev == evUpgradeFailed {
			return nil
		}
		return err
	case evRestart:
		if _, err := r.s.restartAll(pipeproto.RestartAll{Token: "event"}); err != nil {
			return err
		}
		return r.s.settle(vatID)
	case evTerminate:
		return r.control(pipeproto.ReqTerminate, vatID, "test")
	}
	return r.s.transition(vatID, ev, change{reason: "test", problem: "problem", endReason: pipeproto.ReasonSuspended}, "")
}

// TestEveryCell makes every event happen in every state and looks at what a
// user sees: the state, the queue, the worker, the incarnation, the transcript.
func TestEveryCell(t *testing.T) {
	for e, row := range lifecycle() {
		for s, square := range row {
			ev, from := event(e), state(s)
			t.Run(fmt.Sprintf("%s/%s", ev, from), func(t *testing.T) {
				r := newFakeRig(t, &fakeStarter{}, 10)
				r.reach("v1", from)
				r.commit()
				testCell(t, r, ev, from, square)
			})
		}
	}
}

func testCell(t *testing.T, r *rig, ev event, from state, square cell) {
	before := r.status("v1")
	hash := r.s.db.ActivityHash()
	err := r.happen("v1", ev)
	if square.refuse != "" {
		wantRefusal(t, r, err, square, hash, ev)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	after := r.status("v1")
	does := func(do effect) bool { return slices.Contains(square.does, do) }
	next := square.next
	if does(doStart) && ev == evDeliver {
		next = running // the start is a crank of its own, then the item runs
	}
	if after.State != next.String() {
		t.Errorf("is %s, want %s", after.State, next)
	}
	started := after.Incarnation - before.Incarnation
	if (started == 1) != does(doStart) || started > 1 {
		t.Errorf("%d incarnations started, start in cell = %v", started, does(doStart))
	}
	if does(doEvict) && after.Online {
		t.Error("the worker is still there")
	}
	if does(doKeepErr) && after.LastError == "" {
		t.Error("no error kept")
	}
	if does(doHold) != (after.Held == 1) {
		t.Errorf("%d held, hold in cell = %v", after.Held, does(doHold))
	}
	if does(doEnd) && after.LastEnd == "" {
		t.Error("the end of the incarnation has no reason")
	}
	if ran := slices.Contains(r.host.log, "deliver v1 incr"); ev == evDeliver && ran != (next == running) {
		t.Errorf("ran = %v", ran)
	}
	if splat := slices.Contains(r.host.log, "splat v1 incr"); splat != does(doSplat) {
		t.Errorf("splat = %v", splat)
	}
	r.reopen()
	if again := r.status("v1"); again.State != after.State || again.Held != after.Held {
		t.Errorf("after a restart it is %s with %d held, was %s with %d", again.State, again.Held, after.State, after.Held)
	}
}

// wantRefusal: a refused event says so and changes nothing. Events no request
// can cause in a state are refused as well.
func wantRefusal(t *testing.T, r *rig, err error, square cell, hash string, ev event) {
	t.Helper()
	if ev == evUpgradeFailed && r.status("v1").State != terminated.String() {
		return
	}
	var refused *RefusedError
	if !errors.As(err, &refused) || refused.Why != square.refuse {
		t.Errorf("error %v, want a refusal: %s", err, square.refuse)
	}
	if r.s.db.ActivityHash() != hash && ev != evUpgradeFailed && ev != evUpgrade {
		t.Error("a refused event changed something")
	}
}
