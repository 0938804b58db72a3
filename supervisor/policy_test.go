package supervisor

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"vatworkerd/pipeproto"
	"vatworkerd/transcripts"
)

// decide makes the host's verdict on items; startVat and BOYD are left alone.
func (r *rig) decide(v pipeproto.Verdict) {
	r.host.verdict = func(d pipeproto.Delivered) (pipeproto.Verdict, bool) {
		return v, d.Purpose == pipeproto.PurposeItem
	}
}

func TestVerdicts(t *testing.T) {
	cases := []struct {
		name    string
		verdict pipeproto.Verdict
		state   state
		held    int64
		ran     []string
		durable string // the fake vat's count
	}{
		{"commit", pipeproto.Verdict{Commit: true}, running, 0, []string{"deliver v1 incr", "deliver v1 incr"}, "2"},
		{"commit and pause", pipeproto.Verdict{Commit: true, Then: pipeproto.ThenPause}, paused, 1, []string{"deliver v1 incr"}, "1"},
		{"commit and suspend", pipeproto.Verdict{Commit: true, Then: pipeproto.ThenSuspend, Reason: "host"}, deliberate, 1, []string{"deliver v1 incr"}, "1"},
		{"commit and terminate", pipeproto.Verdict{Commit: true, Then: pipeproto.ThenTerminate, Reason: "exit"}, terminated, 0, []string{"deliver v1 incr", "splat v1 incr"}, "1"},
		{"undo and use up", pipeproto.Verdict{Consume: true}, running, 0, nil, ""},
		{"undo and pause", pipeproto.Verdict{Then: pipeproto.ThenPause}, paused, 2, nil, ""},
		{"undo and suspend", pipeproto.Verdict{Then: pipeproto.ThenSuspend, Reason: "asked for it"}, deliberate, 2, nil, ""},
		{"undo and terminate", pipeproto.Verdict{Then: pipeproto.ThenTerminate, Reason: "failure"}, terminated, 0, []string{"splat v1 incr", "splat v1 incr"}, ""},
		{"undo, use up and suspend", pipeproto.Verdict{Consume: true, Then: pipeproto.ThenSuspend, Reason: "asked"}, deliberate, 1, nil, ""},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			r := newFakeRig(t, &fakeStarter{}, 10)
			r.createFake("v1", false, pipeproto.VatOptions{})
			r.run()
			r.decide(tc.verdict)
			r.send("v1", "incr")
			r.send("v1", "incr")
			r.run()
			if st := r.wantState("v1", tc.state, 0); st.Held != tc.held {
				t.Errorf("%d held, want %d", st.Held, tc.held)
			}
			if got := ranBy(r.host); !slices.Equal(got, tc.ran) {
				t.Errorf("ran %v, want %v", got, tc.ran)
			}
			if got, _, _ := r.s.db.Get(vatstorePrefix("v1") + "count"); got != tc.durable {
				t.Errorf("durable count %q, want %q", got, tc.durable)
			}
		})
	}
}

func TestFatalPolicyTerminates(t *testing.T) {
	r := newFakeRig(t, &fakeStarter{}, 10)
	r.createFake("v1", false, pipeproto.VatOptions{FatalPolicy: pipeproto.PolicyTerminate})
	r.send("v1", "fail")
	r.run()
	r.wantState("v1", terminated, 0)
	if got := ranBy(r.host); !slices.Equal(got, []string{"splat v1 fail"}) {
		t.Errorf("ran %v", got)
	}
}

func TestCriticalVatsFatalErrorPanics(t *testing.T) {
	r := newFakeRig(t, &fakeStarter{}, 10)
	r.createFake("v1", false, pipeproto.VatOptions{Critical: true})
	r.run()
	r.commit()
	hash := r.s.db.ActivityHash()
	r.send("v1", "limit")
	_, err := r.s.run(pipeproto.Run{})
	var panicked *PanicError
	if !errors.As(err, &panicked) || !strings.Contains(err.Error(), "v1") {
		t.Fatalf("error %v, want a panic that names the vat", err)
	}
	r.must(r.s.rollback(pipeproto.Empty{}))
	if r.s.db.ActivityHash() != hash {
		t.Error("the panic changed something")
	}
}

func TestOneVatsHoldDoesNotStopOthers(t *testing.T) {
	r := newFakeRig(t, &fakeStarter{}, 10)
	r.createFake("v1", false, pipeproto.VatOptions{})
	r.createFake("v2", false, pipeproto.VatOptions{})
	r.run()
	r.must(r.control(pipeproto.ReqPause, "v1", "test"))
	for range 3 {
		r.send("v1", "incr")
		r.send("v2", "incr")
	}
	r.send("v1", "burn")
	r.run()
	r.reopen()
	r.must(r.control(pipeproto.ReqResume, "v1", ""))
	r.send("v1", "incr")
	if r.status("v1").Online {
		t.Error("resume paged the vat in by itself")
	}
	r.run()
	want := []string{"deliver v2 incr", "deliver v2 incr", "deliver v2 incr",
		"deliver v1 incr", "deliver v1 incr", "deliver v1 incr", "deliver v1 burn", "deliver v1 incr"}
	if got := ranBy(r.host); !slices.Equal(got, want) {
		t.Errorf("ran %v, want %v", got, want)
	}
}

func TestFailedUpgradeLeavesNothingBehind(t *testing.T) {
	r := newFakeRig(t, &fakeStarter{}, 10)
	r.createFake("v1", false, pipeproto.VatOptions{})
	for range 5 {
		r.send("v1", "incr")
	}
	r.run()
	r.commit()
	before, spans := r.status("v1"), r.spanHashes()
	_, err := r.s.controlUpgrade(pipeproto.Upgrade{Admin: r.admins["v1"], BundleID: r.fakeBundle("b1-bad2"), Parameters: []byte("#{}")})
	if faultOf(err) == "" {
		t.Fatalf("error %v, want the vat's fault", err)
	}
	after := r.status("v1")
	before.Online = after.Online
	if fmt.Sprintf("%+v", before) != fmt.Sprintf("%+v", after) || spans != r.spanHashes() {
		t.Errorf("before %+v\nafter  %+v", before, after)
	}
	r.send("v1", "incr")
	r.run()
	if got, _, _ := r.s.db.Get(vatstorePrefix("v1") + "count"); got != "6" {
		t.Errorf("the vat does not go on: count %q", got)
	}
}

func TestRestartAllFailureInTheImmediateSetPanics(t *testing.T) {
	r := newFakeRig(t, &fakeStarter{}, 10)
	r.createFake("v1", false, pipeproto.VatOptions{})
	r.createFake("v2", false, pipeproto.VatOptions{RestartCritical: true})
	r.send("v1", "incr")
	r.run()
	r.reopen()
	hash := r.s.db.ActivityHash()
	r.host.verdict = func(d pipeproto.Delivered) (pipeproto.Verdict, bool) {
		return pipeproto.Verdict{Reason: "the new engine is no good"}, d.VatID == "v2" && d.Purpose == pipeproto.PurposeStart
	}
	_, err := r.s.restartAll(pipeproto.RestartAll{Token: "t1"})
	var panicked *PanicError
	if !errors.As(err, &panicked) || !strings.Contains(err.Error(), "v2") {
		t.Fatalf("error %v, want a panic that names v2", err)
	}
	r.close()
	r.open() // the block was never prepared
	if r.s.db.ActivityHash() != hash {
		t.Error("the failed restart left something")
	}
	r.wantState("v1", running, 0)
	r.host.verdict = nil
	reply, err := r.s.restartAll(pipeproto.RestartAll{Token: "t1"})
	r.must(err)
	if !reply.Applied || !slices.Equal(reply.Unsuspended, []string{"v2"}) {
		t.Errorf("second try: %+v", reply)
	}
	r.wantState("v1", suspended, 0)
	r.wantState("v2", running, 1)
}

func TestLeftoversRunAfterTheImmediateSet(t *testing.T) {
	r := newFakeRig(t, &fakeStarter{}, 10)
	r.createFake("v1", false, pipeproto.VatOptions{})
	r.createFake("v2", false, pipeproto.VatOptions{Static: true})
	r.run()
	r.send("v1", "incr")
	r.send("v2", "incr")
	r.host.log = nil
	_, err := r.s.restartAll(pipeproto.RestartAll{Token: "t1"})
	r.must(err)
	r.send("v2", "burn")
	r.run()
	want := []string{
		"endIncarnation v2 0 restarted", "beginIncarnation v2 1 restarted",
		"endIncarnation v1 0 restarted", "beginIncarnation v1 1 unsuspended",
		"deliver v1 incr", "deliver v2 incr", "deliver v2 burn",
	}
	if !slices.Equal(r.host.log, want) {
		t.Errorf("the host saw %q\nwant %q", r.host.log, want)
	}
}

func TestCleanupKeepsToItsBudget(t *testing.T) {
	r := newFakeRig(t, &fakeStarter{}, 10)
	for i := range 5 {
		r.createFake(fmt.Sprint("v", i+1), false, pipeproto.VatOptions{})
	}
	for range 20 {
		r.send("v1", "incr")
	}
	r.run()
	r.must(r.control(pipeproto.ReqTerminate, "v1", "test"))
	_, err := r.s.restartAll(pipeproto.RestartAll{Token: "t1"})
	r.must(err)
	if done, err := r.s.cleanUp(0); done != 0 || err != nil {
		t.Fatalf("a budget of 0 did %d (%v)", done, err)
	}
	rounds := 0
	for {
		done, err := r.s.cleanUp(3)
		r.must(err)
		if done == 0 {
			break
		}
		if done > 4 { // one more for closing a task
			t.Fatalf("a budget of 3 did %d", done)
		}
		rounds++
	}
	if rounds < 5 {
		t.Errorf("only %d rounds: the budget did not bound the work", rounds)
	}
	spans, err := transcripts.Spans(r.s.db, "v1")
	r.must(err)
	if len(spans) != 0 {
		t.Errorf("the terminated vat still has %d spans", len(spans))
	}
	if key, ok, err := r.s.db.NextKey(vatstorePrefix("v1"), vatstorePrefix("v1")); ok || err != nil {
		t.Errorf("the terminated vat still has %s (%v)", key, err)
	}
	r.reopen()
	r.wantState("v2", suspended, 0)
}

func TestOnlyTheAdminNodeControls(t *testing.T) {
	r := newFakeRig(t, &fakeStarter{}, 10)
	r.createFake("v1", false, pipeproto.VatOptions{})
	r.createFake("v2", false, pipeproto.VatOptions{})
	r.run()
	hash := r.s.db.ActivityHash()
	stolen := pipeproto.AdminNode{VatID: "v2", Key: r.admins["v1"].Key}
	for _, verb := range []string{pipeproto.ReqPause, pipeproto.ReqResume, pipeproto.ReqSuspend, pipeproto.ReqUnsuspend, pipeproto.ReqTerminate} {
		_, err := r.s.control(verb, pipeproto.VatControl{Admin: stolen})
		wantAdminError(t, verb, err)
	}
	_, err := r.s.controlUpgrade(pipeproto.Upgrade{Admin: stolen, BundleID: "b1-good"})
	wantAdminError(t, "upgrade", err)
	_, err = r.s.controlRefill(pipeproto.Refill{Admin: stolen, Computrons: 1})
	wantAdminError(t, "refill", err)
	if r.s.db.ActivityHash() != hash {
		t.Error("a refused request changed something")
	}
}

func wantAdminError(t *testing.T, what string, err error) {
	t.Helper()
	var admin *AdminError
	if !errors.As(err, &admin) {
		t.Errorf("%s: error %v, want an AdminError", what, err)
	}
}

func TestRecordWithoutFlagsReadsAsNeither(t *testing.T) {
	rec, err := decodeRecord("v1", `{"name":"old","bundleID":"b1-x","options":{},"adminKey":"","incarnation":0}`)
	if err != nil || rec.state() != running {
		t.Fatalf("state %s (%v)", rec.state(), err)
	}
}

func TestExplicitFlagsAreWrittenOnce(t *testing.T) {
	r := newFakeRig(t, &fakeStarter{}, 10)
	r.createFake("v1", false, pipeproto.VatOptions{})
	r.createFake("v2", false, pipeproto.VatOptions{})
	r.run()
	for _, want := range []int64{2, 0} {
		n, err := r.s.writeExplicitFlags()
		r.must(err)
		if n != want {
			t.Errorf("%d records changed, want %d", n, want)
		}
	}
	text, _, err := r.s.db.Get(vatKey("v1"))
	r.must(err)
	if !strings.Contains(text, `"suspended":false`) || !strings.Contains(text, `"paused":false`) {
		t.Errorf("record %s", text)
	}
}

func TestRehearsalFindsWhatWouldFailAndChangesNothing(t *testing.T) {
	r := newFakeRig(t, &fakeStarter{}, 10)
	r.createFake("v1", false, pipeproto.VatOptions{})
	r.createFake("v2", true, pipeproto.VatOptions{})
	r.run()
	hash := r.s.db.ActivityHash()
	reply, err := r.s.rehearse(pipeproto.Rehearse{})
	r.must(err)
	if len(reply.Rehearsals) != 2 || !reply.Rehearsals[0].OK || reply.Rehearsals[1].OK || reply.Rehearsals[1].Problem == "" {
		t.Errorf("rehearsals %+v", reply.Rehearsals)
	}
	if r.s.db.ActivityHash() != hash || r.host.unitOpen {
		t.Error("the rehearsal changed something")
	}
}

func TestAllowanceHoldsAndRefillGoesOn(t *testing.T) {
	r := newFakeRig(t, &fakeStarter{}, 10)
	allowance := int64(100)
	r.createFake("v1", false, pipeproto.VatOptions{Allowance: &allowance})
	r.send("v1", "incr")
	r.send("v1", "burn")
	r.send("v1", "incr")
	r.run()
	if st := r.wantState("v1", paused, 0); st.Held != 2 || st.LastError == "" {
		t.Errorf("%d held, last error %q", st.Held, st.LastError)
	}
	_, err := r.s.controlRefill(pipeproto.Refill{Admin: r.admins["v1"], Computrons: 5000})
	r.must(err)
	r.wantState("v1", paused, 0)
	r.must(r.control(pipeproto.ReqResume, "v1", ""))
	r.run()
	r.wantState("v1", running, 0)
	want := []string{"deliver v1 incr", "deliver v1 burn", "deliver v1 incr"}
	if got := ranBy(r.host); !slices.Equal(got, want) {
		t.Errorf("ran %v", got)
	}
}

// A delivery that ends its vat and overruns its allowance ends it.
func TestExitWithOverrunTerminates(t *testing.T) {
	r := newFakeRig(t, &fakeStarter{}, 10)
	allowance := int64(100)
	r.createFake("v1", false, pipeproto.VatOptions{Allowance: &allowance, OverrunPolicy: pipeproto.PolicyCommit})
	r.run()
	r.decide(pipeproto.Verdict{Commit: true, Then: pipeproto.ThenTerminate, Reason: "exit"})
	r.send("v1", "burn")
	r.run()
	r.wantState("v1", terminated, 0)
}

func TestRefillRefusesWhatCannotBeCounted(t *testing.T) {
	r := newFakeRig(t, &fakeStarter{}, 10)
	allowance := int64(100)
	r.createFake("v1", false, pipeproto.VatOptions{Allowance: &allowance})
	r.createFake("v2", false, pipeproto.VatOptions{})
	for vatID, computrons := range map[string]int64{"v1": math.MaxInt64, "v2": 1} {
		if err := r.s.refill(vatID, computrons); err == nil {
			t.Errorf("%s takes a refill of %d", vatID, computrons)
		}
	}
	r.wantState("v1", suspended, 0)
}

// A rehearsal asks the host as a restart would.
func TestRehearsalAsksTheHost(t *testing.T) {
	r := newFakeRig(t, &fakeStarter{}, 10)
	r.createFake("v1", false, pipeproto.VatOptions{})
	r.run()
	hash := r.s.db.ActivityHash()
	r.host.verdict = func(d pipeproto.Delivered) (pipeproto.Verdict, bool) {
		return pipeproto.Verdict{Reason: "the vat exited"}, d.Purpose == pipeproto.PurposeStart
	}
	reply, err := r.s.rehearse(pipeproto.Rehearse{})
	r.must(err)
	if len(reply.Rehearsals) != 1 || reply.Rehearsals[0].OK || reply.Rehearsals[0].Problem != "the vat exited" {
		t.Errorf("rehearsals %+v", reply.Rehearsals)
	}
	if r.s.db.ActivityHash() != hash || r.host.unitOpen {
		t.Error("the rehearsal changed something")
	}
}

// A snapshot that is asked for says so when the vat fails its bringOutYourDead,
// and the vat's policy decides.
func TestSnapshotOfAVatThatFailsItsBOYD(t *testing.T) {
	for policy, want := range map[string]state{pipeproto.PolicySuspend: deliberate, pipeproto.PolicyTerminate: terminated} {
		r := newFakeRig(t, &fakeStarter{}, 10)
		r.createFake("v1", false, pipeproto.VatOptions{FatalPolicy: policy})
		r.run()
		r.host.verdict = func(d pipeproto.Delivered) (pipeproto.Verdict, bool) {
			return pipeproto.Verdict{Reason: "illegal"}, d.Purpose == pipeproto.PurposeBOYD
		}
		if _, err := r.s.takeSnapshot("v1"); faultOf(err) == "" {
			t.Errorf("error %v, want the vat's fault", err)
		}
		r.wantState("v1", want, 0)
		r.host.verdict = nil
	}
}
