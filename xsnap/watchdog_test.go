package xsnap

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestAlarms lets time pass over what a worker does and does not do.
func TestAlarms(t *testing.T) {
	const alarm, limit = 4 * time.Second, 20 * time.Second
	for _, tc := range []struct {
		name  string
		limit time.Duration
		// Words: d and s begin a delivery or snapshot, e ends it, . is a message,
		// w and v begin and end a wait for this side, a digit is that many seconds.
		life string
		want []string
	}{
		{"idle", limit, "9 9 9", nil},
		{"quick", limit, "d 3 . 3 . 3 e 9", nil},
		{"one after another", limit, "d 3 e d 3 e d 3 e", nil},
		{"silent, then speaks", limit, "d 1 7 . 1 e 1", []string{"silent 4s deliver", "over 7s"}},
		{"silent, then done", limit, "d 1 5 e 1 9", []string{"silent 4s deliver", "over 5s"}},
		{"told less and less", 0, "s 1 9 9 9 9 9", []string{"silent 4s snapshot", "silent 8s snapshot", "silent 16s snapshot", "silent 32s snapshot"}},
		{"killed", limit, "d 1 9 9 9", []string{"silent 4s deliver", "silent 8s deliver", "silent 16s deliver", "killed 20s deliver"}},
		{"waits for this side", limit, "d 1 w 9 9 9 v 3 w 9 v . 1 e", nil},
		{"waits, is silent all the same", limit, "d 1 3 w 9 v 1 . 1", []string{"silent 4s deliver", "over 4s"}},
		{"speaks for ever", 5 * time.Second, "d 1 3 . 3 . 3 . 3 . 3 . 3 . 3 . 3 . 3 . 3", []string{"busy 16s deliver", "ended 22s deliver"}},
		{"speaks without end", limit, "d 1 3 . 3 . 3 . 3 . 3 . 3 . 3 . 3 . 3 . 3 . 3 . 3 . 3 e 1",
			[]string{"busy 16s deliver", "busy 34s deliver", "over 39s"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := alarmsOf(tc.life, Watch{AlarmAfter: alarm, SilenceLimit: tc.limit}); !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// alarmsOf plays a life of TestAlarms.
func alarmsOf(life string, policy Watch) (told []string) {
	kinds := [...]string{AlarmSilent: "silent", AlarmBusy: "busy", AlarmOver: "over", AlarmKilled: "killed", AlarmEnded: "ended"}
	opOf := map[string]string{opTexts[opDeliver]: " deliver", opTexts[opSnapshot]: " snapshot"}
	policy.Tell = func(a Alarm) {
		line := fmt.Sprintf("%s %v", kinds[a.Kind], a.For)
		if a.Kind != AlarmOver {
			line += opOf[a.Doing]
		}
		told = append(told, line)
	}
	p := &pulse{}
	v := &watched{name: func() string { return "v1" }, proc: &process{reaped: true}, pulse: p, policy: policy}
	now := time.Unix(0, 0)
	for word := range strings.FieldsSeq(life) {
		switch word {
		case "d":
			p.begin(opDeliver)
		case "s":
			p.begin(opSnapshot)
		case "e":
			p.end()
		case ".":
			p.beat()
		case "w":
			p.wait()
		case "v":
			p.done()
		default:
			for range word[0] - '0' {
				now = now.Add(time.Second)
				v.look(now, time.Second)
			}
		}
	}
	return told
}

// TestAlarmTexts: they name the worker, its process, what it does and since when.
func TestAlarmTexts(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	a := Alarm{Name: "v1:counter", PID: 42, Doing: opTexts[opDeliver], Since: at, For: 15 * time.Second, Limit: 10 * time.Minute}
	for kind, want := range map[AlarmKind]string{
		AlarmSilent: "worker v1:counter (pid 42) runs a delivery and has said nothing since 03:04:05, for 15s now; it will be killed after 10m0s",
		AlarmBusy:   "worker v1:counter (pid 42) runs a delivery since 03:04:05, for 15s now, and is not silent",
		AlarmOver:   "worker v1:counter (pid 42) goes on, after 15s",
		AlarmEnded:  "worker v1:counter (pid 42) runs a delivery since 03:04:05, did not come to an end within 15s, and was killed",
		AlarmKilled: "worker v1:counter (pid 42) said nothing for 15s while it runs a delivery, and was killed",
	} {
		a.Kind = kind
		if got := a.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	a.Kind, a.Limit = AlarmSilent, 0
	if got := a.String(); !strings.Contains(got, "there is no limit") {
		t.Errorf("got %q", got)
	}
}

// TestClockThatJumps: only time in which this side was awake counts.
func TestClockThatJumps(t *testing.T) {
	clock := make(chan time.Time)
	d := startWatchdog(clock)
	defer d.close()
	told := make(chan Alarm, 10)
	w := &Worker{proc: &process{reaped: true}}
	w.Rename("x")
	defer d.watch(w, Watch{AlarmAfter: 4 * time.Second, SilenceLimit: time.Hour, Tell: func(a Alarm) { told <- a }})()
	now := time.Unix(1e9, 0)
	clock <- now
	w.pulse.begin(opDeliver)
	clock <- now.Add(time.Second)
	for _, jump := range []time.Duration{24 * time.Hour, -time.Hour} {
		now = now.Add(jump)
		clock <- now
	}
	clock <- now // the looks before this one are over
	select {
	case a := <-told:
		t.Errorf("a clock that jumped gave %v", a)
	default:
	}
}

// watchRig has workers whose clock is the test's.
type watchRig struct {
	*rig
	clock chan time.Time
	now   time.Time
	told  chan Alarm
}

const (
	testAlarm = 10 * time.Second
	testLimit = 100 * time.Second
)

func newWatchRig(t *testing.T) *watchRig {
	t.Helper()
	r := &watchRig{rig: newRig(t), clock: make(chan time.Time), now: time.Unix(1e9, 0), told: make(chan Alarm, 100)}
	s, err := NewSpawnerWithClock(r.clock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	r.spawner = s
	return r
}

func (r *watchRig) watched(o StartOptions) StartOptions {
	o.Watch = Watch{AlarmAfter: testAlarm, SilenceLimit: testLimit, Tell: func(a Alarm) { r.told <- a }}
	return o
}

func (r *watchRig) tick() {
	r.clock <- r.now
	r.now = r.now.Add(time.Second)
}

// await lets time pass until there is an alarm.
func (r *watchRig) await(kind AlarmKind) Alarm {
	r.t.Helper()
	for {
		select {
		case r.clock <- r.now:
			r.now = r.now.Add(time.Second)
		case a := <-r.told:
			// A stopped worker's pipe may still take something of a heap, which ends
			// the first silence.
			if kind == AlarmKilled && a.Kind != AlarmKilled {
				continue
			}
			if a.Kind != kind {
				r.t.Fatalf("got %v, want kind %d", a, kind)
			}
			return a
		}
	}
}

// stoppable is a worker, a command that it has not been given yet, and what
// this command ends with.
type stoppable struct {
	w   *Worker
	run func() error
	op  op
}

// onBase starts a watched worker on the base snapshot.
func (r *watchRig) onBase() *Worker {
	r.t.Helper()
	f, err := r.base.Open(r.image)
	if err != nil {
		r.t.Fatal(err)
	}
	defer f.Close()
	return r.start(r.watched(StartOptions{From: f}))
}

func (r *watchRig) vat(k *fakeKernel) *Worker {
	r.t.Helper()
	w := r.onBase()
	if err := w.Ready(); err != nil {
		r.t.Fatal(err)
	}
	startVat(r.t, w, k, trialBundle(r.t))
	return w
}

// stoppables make every kind of command of a real worker.
func (r *watchRig) stoppables() map[string]func() stoppable {
	k := newFakeKernel()
	deliver := func(w *Worker, delivery string) func() error {
		return func() error { _, err := w.Deliver(json.RawMessage(delivery), k); return err }
	}
	return map[string]func() stoppable{
		"ready": func() stoppable { w := r.start(r.watched(StartOptions{})); return stoppable{w, w.Ready, opReady} },
		"load": func() stoppable {
			heap := snapshotOf(r.t, r.rig.vat(k))
			w := r.start(r.watched(StartOptions{From: bytes.NewReader(heap)}))
			return stoppable{w, w.Ready, opLoad}
		},
		"load from a file": func() stoppable { w := r.onBase(); return stoppable{w, w.Ready, opLoad} },
		"evaluate": func() stoppable {
			w := r.start(r.watched(StartOptions{}))
			return stoppable{w, func() error { return w.EvaluateImage(r.image, nil) }, opEvaluate}
		},
		"setBundle": func() stoppable {
			w := r.onBase()
			if err := w.Ready(); err != nil {
				r.t.Fatal(err)
			}
			return stoppable{w, func() error {
				_, err := w.SetBundle("v1", trialBundle(r.t), nil, k)
				return err
			}, opSetBundle}
		},
		"deliver": func() stoppable { w := r.vat(k); return stoppable{w, deliver(w, message("burst", 3)), opDeliver} },
		// Its owner is stuck in writing to a worker that does not read.
		"a long message": func() stoppable {
			w := r.vat(k)
			return stoppable{w, deliver(w, message("increment", strings.Repeat("x", 4<<20))), opDeliver}
		},
		"snapshot": func() stoppable {
			w := r.vat(k)
			return stoppable{w, func() error { _, err := w.Snapshot(io.Discard); return err }, opSnapshot}
		},
	}
}

// TestStoppedWorkers stops real workers in every command: those that go on in
// time end it well, the others are killed, and it is no vat's fault.
func TestStoppedWorkers(t *testing.T) {
	names := []string{"ready", "load", "load from a file", "evaluate", "setBundle", "deliver", "a long message", "snapshot"}
	for _, name := range names {
		for _, goesOn := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, goes on %v", name, goesOn), func(t *testing.T) {
				r := newWatchRig(t)
				s := r.stoppables()[name]()
				signalWorker(t, s.w, syscall.SIGSTOP)
				ended := make(chan error, 1)
				go func() { ended <- s.run() }()
				a := r.await(AlarmSilent)
				if a.For != testAlarm || a.PID != s.w.PID() || a.Doing != opTexts[s.op] {
					t.Errorf("alarm %v", a)
				}
				if goesOn {
					signalWorker(t, s.w, syscall.SIGCONT)
					if err := <-ended; err != nil {
						t.Error(err)
					}
					r.await(AlarmOver)
					return
				}
				if a := r.await(AlarmKilled); a.For != testLimit {
					t.Errorf("killed with %v", a)
				}
				err := <-ended
				var protocol *ProtocolError
				if !errors.As(err, &protocol) || protocol.Op != s.op.String() || !strings.Contains(err.Error(), "said nothing for 1m40s") {
					t.Errorf("got %v", err)
				}
				<-s.w.Exited()
			})
		}
	}
}

func signalWorker(t *testing.T, w *Worker, signal syscall.Signal) {
	t.Helper()
	if err := unix.Kill(w.PID(), signal); err != nil {
		t.Fatal(err)
	}
}

// TestWaitingForUsIsNoSilence: a worker whose syscall is not answered yet, or
// whose snapshot is not taken, has nothing to say.
func TestWaitingForUsIsNoSilence(t *testing.T) {
	r := newWatchRig(t)
	pass := func() {
		for range 1000 {
			r.tick()
		}
	}
	k := newFakeKernel()
	w := r.vat(k)
	k.intercept = func(int, json.RawMessage) error { pass(); return nil }
	mustDeliver(t, w, k, message("increment"))
	if _, err := w.Snapshot(&pausing{pass: pass}); err != nil {
		t.Fatal(err)
	}
	select {
	case a := <-r.told:
		t.Errorf("got %v", a)
	default:
	}
}

// pausing lets time pass once.
type pausing struct{ pass func() }

func (p *pausing) Write(b []byte) (int, error) {
	if p.pass != nil {
		p.pass()
		p.pass = nil
	}
	return len(b), nil
}

// TestHalfAMessageIsSilence: bytes that never make a message do not count.
func TestHalfAMessageIsSilence(t *testing.T) {
	r := newWatchRig(t)
	for _, mode := range []string{"deaf", "half"} {
		w := startWorker(t, r.spawner, selfEngine(t), r.watched(StartOptions{Name: fakePrefix + mode}))
		ended := make(chan error, 1)
		go func() { ended <- w.Ready() }()
		r.await(AlarmKilled)
		var protocol *ProtocolError
		if err := <-ended; !errors.As(err, &protocol) {
			t.Errorf("%s: got %v", mode, err)
		}
	}
}

// BenchmarkPulse is what being watched costs a command with one syscall.
func BenchmarkPulse(b *testing.B) {
	var p pulse
	b.ReportAllocs()
	for b.Loop() {
		p.begin(opDeliver)
		p.beat()
		p.wait()
		p.done()
		p.beat()
		p.end()
	}
}
