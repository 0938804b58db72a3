package supervisor

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"vatworkerd/pipeproto"
	"vatworkerd/xsnap"
)

// TestLimitsAreMetTwice: a worker that met a limit counts against its vat only
// when a second one, started anew, meets it in the same way.
func TestLimitsAreMetTwice(t *testing.T) {
	for _, tc := range []struct {
		name   string
		flukes []string
		deaths int
		want   state
		panics string
	}{
		{"once", []string{"a"}, 0, running, ""},
		{"twice", []string{"a", "a"}, 0, deliberate, ""},
		{"once, and another way once", []string{"a", "b"}, 0, running, ""},
		{"with another between", []string{"a", "b", "a"}, 0, deliberate, ""},
		{"each time in another way", []string{"a", "b", "c"}, 0, running, "worker of v1 met a limit 3 times, each time in another way"},
		{"after deaths", []string{"a"}, maxCrankTries - 1, running, ""},
		{"twice after deaths", []string{"a", "a"}, maxCrankTries - 1, deliberate, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fake := &fakeStarter{}
			r := newFakeRig(t, fake, 10)
			r.createFake("v1", false, pipeproto.VatOptions{})
			r.run()
			r.send("v1", "incr")
			r.commit()
			fake.flukes, fake.deaths = tc.flukes, tc.deaths
			_, err := r.s.run(pipeproto.Run{})
			if tc.panics != "" {
				var panicked *PanicError
				if !errors.As(err, &panicked) || !strings.Contains(err.Error(), tc.panics) {
					t.Fatalf("error %v, want a panic: %s", err, tc.panics)
				}
				r.s.panicked = nil
				return
			}
			r.must(err)
			r.wantState("v1", tc.want, 0)
		})
	}
}

// TestRefusedMemoryIsNoFault: a host that gives a real worker too little memory
// does not cost the vat its life; the vat's own hunger does.
func TestRefusedMemoryIsNoFault(t *testing.T) {
	r := newRig(t, nil)
	r.create("v1", "spinner", pipeproto.VatOptions{})
	r.wantAnswer("fulfilled #1", "v1", "ok")
	squeezed := r.worker("v1").process.(*xsnap.Worker)
	little := unix.Rlimit{Cur: 1 << 20, Max: 1 << 20}
	r.must(unix.Prlimit(squeezed.PID(), unix.RLIMIT_DATA, &little, nil))
	r.ask("v1", "hog")
	st := r.wantState("v1", deliberate, 0)
	if !strings.Contains(st.LastError, "Allocate meter exceeded") {
		t.Errorf("last error %q", st.LastError)
	}
	lost := 0
	for _, text := range r.host.warned() {
		if strings.Contains(text, "not the vat's fault: its data was limited to 1048576 bytes") {
			lost++
		}
	}
	if lost != 1 {
		t.Errorf("the squeezed worker was lost %d times: %q", lost, r.host.warned())
	}
}

// TestReplayIsNobodysFault: a worker that has not the memory to repeat what was
// done is no vat's fault and no divergence.
func TestReplayIsNobodysFault(t *testing.T) {
	fake := &fakeStarter{}
	r := newFakeRig(t, fake, 10)
	r.createFake("v1", false, pipeproto.VatOptions{})
	r.send("v1", "incr") // a snapshot comes after it
	r.send("v1", "incr")
	r.run()
	r.reopen()
	fake.flukes = []string{"none", "none"} // the replay's, twice
	r.send("v1", "incr")
	r.run()
	r.wantState("v1", running, 0)
	if n := len(r.host.warned()); n != 2 {
		t.Errorf("%d warnings, want one for each lost worker: %q", n, r.host.warned())
	}
}
