package supervisor

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"vatworkerd/pipeproto"
	"vatworkerd/xsnap"
)

var ringOfThree = []string{"v1", "v2", "v3"}

// counters makes a rig with three vats of a bundle, online and idle.
func counters(t *testing.T, bundle string, earlyRuns int, change func(*Options)) *rig {
	t.Helper()
	r := newRig(t, func(o *Options) {
		o.EarlyRuns = earlyRuns
		if change != nil {
			change(o)
		}
	})
	for _, vatID := range ringOfThree {
		r.create(vatID, bundle, pipeproto.VatOptions{})
	}
	r.run()
	return r
}

// turns sends each vat n messages, in turn, and runs them.
func (r *rig) turns(n int, method string, args ...string) {
	r.t.Helper()
	for range n {
		for _, vatID := range ringOfThree {
			r.send(vatID, method, args...)
		}
	}
	r.run()
}

// early gives how many deliveries ran early, and how many in vain.
func (r *rig) early() (taken, inVain int64) {
	totals := r.s.live.picture().Totals
	return totals.EarlyRuns, totals.EarlyInVain
}

func TestEarlyRuns(t *testing.T) {
	plain, early := counters(t, "counter", 0, nil), counters(t, "counter", 2, nil)
	for _, r := range []*rig{plain, early} {
		r.turns(5, "increment")
		r.commit()
		r.turns(2, "increment")
		r.commit()
	}
	if got, want := early.hashes(), plain.hashes(); got != want {
		t.Errorf("hashes with early runs %s, without %s", got, want)
	}
	if got, want := strings.Join(ranBy(early.host), "\n"), strings.Join(ranBy(plain.host), "\n"); got != want {
		t.Errorf("with early runs\n%s\nwithout\n%s", got, want)
	}
	if taken, inVain := early.early(); taken == 0 || inVain != 0 {
		t.Errorf("%d early runs, %d in vain", taken, inVain)
	}
	if taken, _ := plain.early(); taken != 0 {
		t.Errorf("%d early runs where there should be none", taken)
	}
}

// A host may be wrong about what comes later, and nothing but time is lost.
func TestEarlyRunsOfWrongDeliveries(t *testing.T) {
	plain := counters(t, "counter", 0, nil)
	plain.turns(4, "increment")
	wrong := map[string]func(pipeproto.Turn) []byte{
		"another message": func(turn pipeproto.Turn) []byte {
			return []byte(strings.Replace(string(turn.Payload), "increment", "read", 1))
		},
		"none":        func(pipeproto.Turn) []byte { return nil },
		"no JSON":     func(pipeproto.Turn) []byte { return []byte("[") },
		"no delivery": func(pipeproto.Turn) []byte { return []byte(`["surprise"]`) },
	}
	for name, foretell := range wrong {
		t.Run(name, func(t *testing.T) {
			r := counters(t, "counter", 2, nil)
			r.host.foretell = foretell
			r.turns(4, "increment")
			if got, want := r.hashes(), plain.hashes(); got != want {
				t.Errorf("hashes %s, want %s", got, want)
			}
		})
	}
}

// What is said of turns to come is small, whatever waits: a batch of syscalls may
// fill most of a frame.
func TestTurnsToComeFitIntoAFrame(t *testing.T) {
	r := counters(t, "counter", 2, nil)
	most, ahead := 0, 0
	r.host.verdict = func(d pipeproto.Delivered) (pipeproto.Verdict, bool) {
		bytes := 0
		for _, turn := range d.Later {
			bytes += len(turn.Payload)
		}
		if d.Next != nil {
			bytes += len(d.Next.Payload)
		}
		most, ahead = max(most, bytes), ahead+len(d.Later)
		return pipeproto.Verdict{}, false
	}
	for _, size := range []int{10, pipeproto.MaxAheadBytes / 2, pipeproto.MaxAheadBytes} {
		r.turns(2, "increment", fmt.Sprintf("%q", strings.Repeat("x", size)))
	}
	if most > pipeproto.MaxAheadBytes || ahead == 0 {
		t.Errorf("%d bytes of turns to come, %d later ones", most, ahead)
	}
}

// runEarlyNow runs an item's delivery early and waits for its end, or for its question.
func (r *rig) runEarlyNow(vatID string, delivery []byte) *earlyRun {
	r.t.Helper()
	w := r.worker(vatID)
	r.s.early.begin(r.s.kit, w, delivery)
	if w.early == nil {
		r.t.Fatal("nothing runs early")
	}
	return w.early
}

// firstDelivery gives the delivery of the first item that waits.
func (r *rig) firstDelivery() []byte {
	r.t.Helper()
	heads, err := r.s.heads(1)
	r.must(err)
	text, _, err := r.s.db.Get(queueKey(heads[0].vatID, heads[0].order))
	r.must(err)
	var item queued
	r.must(json.Unmarshal([]byte(text), &item))
	return item.Payload
}

// TestEarlyRunThatStrays changes what a vat has stored after it was told of it.
func TestEarlyRunThatStrays(t *testing.T) {
	var want string
	for _, early := range []bool{false, true} {
		r := counters(t, "counter", 1, nil)
		r.turns(1, "increment")
		r.send("v1", "increment")
		if early {
			<-r.runEarlyNow("v1", r.firstDelivery()).done
		}
		prefix := vatstorePrefix("v1")
		changed := 0
		r.must(r.s.runCrank(func(c *crank) error {
			for key, ok := c.tx.NextKey(prefix, prefix); ok; key, ok = c.tx.NextKey(key, prefix) {
				value, _ := c.tx.Get(key)
				if now := strings.Replace(value, `"#1"`, `"#41"`, 1); now != value {
					c.tx.Set(key, now)
					changed++
				}
			}
			return nil
		}))
		if changed != 1 {
			t.Fatalf("%d counts of 1 were found in storage", changed)
		}
		r.run()
		r.wantAnswer("fulfilled #2", "v2", "increment")
		if _, inVain := r.early(); early != (inVain == 1) {
			t.Errorf("%d early runs in vain", inVain)
		}
		if !early {
			want = r.hashes()
			continue
		}
		if got := r.hashes(); got != want {
			t.Errorf("hashes %s, want %s", got, want)
		}
	}
}

// A device is asked by the crank only, while the worker waits for it; what the vat
// has printed by then comes first.
func TestEarlyRunWaitsForItsCrank(t *testing.T) {
	var want string
	for _, early := range []bool{false, true} {
		r := counters(t, "victim", 1, func(o *Options) { o.ReplayConsole = false })
		asked := 0
		r.host.callNow = func(pipeproto.CallNow) string { asked++; return fmt.Sprintf(`#"answer %d"`, asked) }
		r.sendWith("v1", "ask", []string{`"$0.Alleged: device"`, "3"}, `["d-70"]`)
		r.send("v2", "add", "2")
		if early {
			run := r.runEarlyNow("v1", r.firstDelivery())
			select {
			case <-run.done:
				t.Fatal("the delivery has ended without its answer")
			case one := <-run.asks: // put it back for the crank
				go func() { run.asks <- one }()
			}
		}
		if asked != 0 {
			t.Error("the device was asked before the crank")
		}
		r.run()
		if asked != 1 {
			t.Errorf("the device was asked %d times", asked)
		}
		got := r.hashes() + strings.Join(r.host.console, "|")
		if !early {
			want = got
		} else if got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
		if taken, inVain := r.early(); inVain != 0 || early && taken == 0 {
			t.Errorf("%d early runs, %d in vain", taken, inVain)
		}
	}
}

// A worker that is killed while it waits for its crank is like any that is lost.
func TestEarlyRunThatIsKilled(t *testing.T) {
	r := counters(t, "victim", 1, nil)
	r.host.callNow = func(pipeproto.CallNow) string { return `#"answer"` }
	r.sendWith("v1", "ask", []string{`"$0.Alleged: device"`, "3"}, `["d-70"]`)
	lost := 0
	r.host.onLost = func() { lost++ }
	run := r.runEarlyNow("v1", r.firstDelivery())
	w := r.worker("v1")
	one := <-run.asks
	w.process.Kill()
	<-w.process.Exited()
	one.crank <- answered{reply: json.RawMessage(okNull)}
	<-run.done
	var exit *xsnap.ExitError
	if !errors.As(run.err, &exit) {
		t.Fatalf("the run ended with %v", run.err)
	}
	r.run()
	if lost != 1 {
		t.Errorf("%d workers were lost", lost)
	}
	r.wantState("v1", running, 0)
}

// A vat that is paged out while it runs early leaves nothing behind, whether its
// run waits for a thread, for its crank or for nobody.
func TestEarlyRunsAreEvicted(t *testing.T) {
	for _, way := range []string{"asks", "done", "waits for a thread"} {
		t.Run(way, func(t *testing.T) {
			r := counters(t, "victim", 1, nil)
			r.host.callNow = func(pipeproto.CallNow) string { return `#"answer"` }
			r.sendWith("v1", "ask", []string{`"$0.Alleged: device"`, "3"}, `["d-70"]`)
			asks := r.firstDelivery()
			r.send("v2", "add", "1")
			switch way {
			case "asks":
				r.runEarlyNow("v1", asks) // whatever it has come to
			case "done":
				adds := []byte(strings.Replace(string(asks), "ask", "add", 1))
				<-r.runEarlyNow("v1", adds).done
			case "waits for a thread":
				run := r.runEarlyNow("v2", asks)
				one := <-run.asks
				r.runEarlyNow("v1", asks)
				r.s.evict("v1", "test")
				one.crank <- answered{reply: json.RawMessage(okNull)}
			}
			r.s.evict("v1", "test")
			r.run()
			r.wantState("v1", running, 0)
			r.wantState("v2", running, 0)
		})
	}
}

// What a vat says without end waits for its crank.
func TestEarlyRunsSayNoMoreThanTheyMay(t *testing.T) {
	h := &earlyHandler{run: &earlyRun{asks: make(chan *said)}, exited: make(chan struct{})}
	for range maxEarlySaid {
		h.TestLog(nil)
	}
	go h.TestLog([]json.RawMessage{json.RawMessage(`"last"`)})
	one := <-h.run.asks
	if len(h.run.said) != maxEarlySaid {
		t.Errorf("%d things are kept", len(h.run.said))
	}
	one.crank <- answered{}
	h.run.said = nil
	go h.Console("vat", "log", []json.RawMessage{make([]byte, maxEarlyBytes+1)})
	one = <-h.run.asks
	one.crank <- answered{}
}

// A run that is told to go when it waits to print a line, which has no answer that
// could be an error, says no more.
func TestEarlyRunThatStraysAsItPrints(t *testing.T) {
	r := newFakeRig(t, &fakeStarter{}, 10)
	p := &chatterer{fakeProcess: (&fakeStarter{}).start(xsnap.StartOptions{})}
	w := &worker{vatID: "v1", process: p, cpu: -1}
	run := &earlyRun{asks: make(chan *said), done: make(chan struct{})}
	w.early = run
	go run.run(w, r.s.db.Draft(), -1)
	one := <-run.asks // put it back for the crank
	go func() { run.asks <- one }()
	_, early, err := w.deliver(nil, strayHandler{}, -1)
	var strayed *strayedError
	if !early || !errors.As(err, &strayed) {
		t.Errorf("early %t: %v", early, err)
	}
	if !p.gone() {
		t.Error("the worker lives on")
	}
}

// chatterer asks for a key and prints until it is gone.
type chatterer struct{ *fakeProcess }

func (p *chatterer) Deliver(_ json.RawMessage, h xsnap.Handler) (xsnap.DeliveryResult, error) {
	if _, err := h.Syscall(json.RawMessage(`["vatstoreGet","count"]`)); err != nil {
		return xsnap.DeliveryResult{}, err
	}
	for !p.gone() {
		h.Console("vat", "log", nil)
	}
	return xsnap.DeliveryResult{}, p.killed()
}

// strayHandler answers otherwise than a draft.
type strayHandler struct{ setupHandler }

func (strayHandler) Syscall(json.RawMessage) (json.RawMessage, error) { return okString("other"), nil }

func TestRestsAfterRunsInVain(t *testing.T) {
	e := newEarlyRuns(1, []int{-1})
	rests := func() (n int) {
		for e.resting() {
			n++
		}
		return n
	}
	if n := rests(); n != 0 {
		t.Errorf("it rests for %d cranks to begin with", n)
	}
	for want := leastRest; want < 4*mostRest; want *= 2 {
		e.inVain()
		if n := rests(); n != min(want, mostRest) {
			t.Errorf("it rests for %d cranks, want %d", n, min(want, mostRest))
		}
	}
	for range wellFor * 2 * mostRest {
		e.taken()
	}
	e.inVain()
	if n := rests(); n != leastRest {
		t.Errorf("it rests for %d cranks after a long time without a run in vain", n)
	}
}
