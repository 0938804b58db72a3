package supervisor

import (
	"reflect"
	"testing"

	"vatworkerd/pipeproto"
)

// busyRig has three vats with four messages each.
func busyRig(t *testing.T, noAhead bool) *rig {
	t.Helper()
	r := newFakeRig(t, &fakeStarter{}, 10)
	r.host.noAhead = noAhead
	for _, vatID := range []string{"v1", "v2", "v3"} {
		r.createFake(vatID, false, pipeproto.VatOptions{})
	}
	r.run()
	for range 4 {
		for _, vatID := range []string{"v1", "v2", "v3"} {
			r.send(vatID, "incr")
		}
	}
	clear(r.host.asked)
	return r
}

func TestCrankCostsOneRoundTrip(t *testing.T) {
	r := busyRig(t, false)
	r.must(r.s.configure(pipeproto.Configure{SnapshotInitial: 1000, SnapshotInterval: 1000}))
	r.run()
	want := map[string]int{pipeproto.ReqTurn: 1, pipeproto.ReqDelivered: 12}
	if !reflect.DeepEqual(r.host.asked, want) {
		t.Errorf("12 cranks asked the host %v, want %v", r.host.asked, want)
	}
}

// TestTurnsAheadDoNotShow does the same work with a host that takes turns ahead
// and one that does not, with snapshots and a budget in between.
func TestTurnsAheadDoNotShow(t *testing.T) {
	var hashes, logs [2]any
	for i, noAhead := range []bool{false, true} {
		r := busyRig(t, noAhead)
		r.must(r.s.configure(pipeproto.Configure{SnapshotInitial: 3, SnapshotInterval: 4}))
		for idle := false; !idle; {
			reply, err := r.s.run(pipeproto.Run{MaxCranks: 3})
			r.must(err)
			if r.host.unitOpen {
				t.Fatal("a run has left a unit open")
			}
			idle = reply.Idle
		}
		hashes[i], logs[i] = r.s.db.ActivityHash(), r.host.log
	}
	if hashes[0] != hashes[1] {
		t.Errorf("activity hash %s with turns ahead, %s without", hashes[0], hashes[1])
	}
	if !reflect.DeepEqual(logs[0], logs[1]) {
		t.Errorf("with turns ahead %q, without %q", logs[0], logs[1])
	}
}

// TestWrongGuessIsForgotten has a verdict enqueue an item that goes before the
// one whose turn was taken.
func TestWrongGuessIsForgotten(t *testing.T) {
	r := busyRig(t, false)
	first := true
	r.host.verdict = func(d pipeproto.Delivered) (pipeproto.Verdict, bool) {
		if !first {
			return pipeproto.Verdict{}, false
		}
		first = false
		boyd := pipeproto.Item{VatID: "v3", Priority: pipeproto.PriorityReap, Payload: []byte(`["bringOutYourDead"]`)}
		return pipeproto.Verdict{Commit: true, Enqueue: []pipeproto.Item{boyd}}, true
	}
	_, err := r.s.run(pipeproto.Run{MaxCranks: 2})
	r.must(err)
	if r.host.asked[pipeproto.ReqCrankAbort] != 1 {
		t.Errorf("the host was asked %v, want one guess forgotten", r.host.asked)
	}
	want := []string{"deliver v1 incr", `deliver v3 ["bringOutYourDead"]`}
	if got := r.host.log[len(r.host.log)-2:]; !reflect.DeepEqual(got, want) {
		t.Errorf("ran %q, want %q", got, want)
	}
	r.run()
	if got := ranBy(r.host); len(got) != 13 {
		t.Errorf("%d deliveries ran, want 12 messages and a bringOutYourDead: %q", len(got), got)
	}
}

// TestGuessIsForgottenWhenItsWorkerDies retries the crank of a turn taken ahead.
func TestGuessIsForgottenWhenItsWorkerDies(t *testing.T) {
	fake := &fakeStarter{}
	r := newFakeRig(t, fake, 10)
	r.createFake("v1", false, pipeproto.VatOptions{})
	r.run()
	r.send("v1", "incr")
	r.send("v1", "incr")
	r.host.verdict = func(d pipeproto.Delivered) (pipeproto.Verdict, bool) {
		fake.mu.Lock()
		fake.deaths = 1 // the next delivery finds its worker dead
		fake.mu.Unlock()
		r.host.verdict = nil
		return pipeproto.Verdict{Commit: true}, true
	}
	r.run()
	if got := ranBy(r.host); len(got) != 2 {
		t.Errorf("ran %q, want two messages", got)
	}
}

func TestTurnAheadMustBeADelivery(t *testing.T) {
	r := busyRig(t, true)
	r.host.verdict = func(d pipeproto.Delivered) (pipeproto.Verdict, bool) {
		return pipeproto.Verdict{Commit: true, Next: &pipeproto.TurnReply{Drop: true}}, true
	}
	if _, err := r.s.run(pipeproto.Run{}); err == nil {
		t.Error("a verdict whose next drops the item was accepted")
	}
	r.broken = true // the block is the host's to roll back
}
