package supervisor

import (
	"strings"
	"testing"
	"time"

	"vatworkerd/pipeproto"
)

// TestTooMuchTraffic: what one delivery reads and writes is bounded, by a number
// of bytes that is the same everywhere. The largest value a vat can have is
// read until that is too much; the vat is judged as for any other fault.
func TestTooMuchTraffic(t *testing.T) {
	r := newFakeRig(t, &fakeStarter{}, 10)
	r.createFake("v1", false, pipeproto.VatOptions{})
	r.run()
	r.send("v1", "flood7")
	peak := measurePeak(t)
	r.run()
	if st := r.wantState("v1", deliberate, 0); st.LastError != overTraffic {
		t.Errorf("last error %q", st.LastError)
	}
	if grown := peak(); grown > 16*maxTrafficBytes {
		t.Errorf("this process grew by %d bytes", grown)
	}
}

// TestFloods has a real vat send and read without end, within one delivery: it
// ends at the computrons or at the bytes, after a time that the watch bears.
func TestFloods(t *testing.T) {
	if !isLong() {
		t.Skip("takes minutes; set VATWORKERD_LONG=1")
	}
	r := newRig(t, nil)
	r.create("v1", "flood", pipeproto.VatOptions{})
	r.create("v2", "flood", pipeproto.VatOptions{})
	r.run()
	r.ask("v1", "grow", "8000000")
	began := time.Now()
	r.ask("v1", "read", "1000000")
	if st := r.wantState("v1", deliberate, 0); !strings.Contains(st.LastError, overTraffic) {
		t.Errorf("last error %q", st.LastError)
	}
	t.Logf("reading ended after %v", time.Since(began))
	began = time.Now()
	r.sendWith("v2", "send", []string{`"$0.Alleged: target",200000`}, `["o-50"]`)
	r.run()
	if st := r.wantState("v2", deliberate, 0); !strings.Contains(st.LastError, "Compute meter exceeded") {
		t.Errorf("last error %q", st.LastError)
	}
	t.Logf("sending ended after %v, twice", time.Since(began))
}
