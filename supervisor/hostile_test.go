package supervisor

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vatworkerd/internal/procs"
	"vatworkerd/pipeproto"
	"vatworkerd/snapshots"
	"vatworkerd/xsnap"
)

// impostor starts a hostile program (testdata/hostile.c) in the place of the
// workers of one vat.
type impostor struct {
	*realStarter
	engine string // the program
	clock  *handClock
	times  sync.WaitGroup // where the clock runs
	lines  chan struct{}  // console lines of vats
	passes sync.Mutex     // guards the clock

	mu      sync.Mutex // guards the rest
	victim  string     // the vat
	scripts []string   // STAGE.WAY of its next workers; then come good ones
	always  bool       // the first of them for ever
}

func (i *impostor) fresh(image xsnap.Image, o xsnap.StartOptions) (process, error) {
	script := i.take(o)
	if script == "" {
		return i.realStarter.fresh(image, o)
	}
	base, err := i.bases.Open(image)
	if err != nil {
		return nil, err
	}
	defer base.Close()
	return i.start(script, o, base)
}

func (i *impostor) fromHeap(image xsnap.Image, o xsnap.StartOptions, heap io.Reader) (process, error) {
	if _, streams := heap.(*snapshots.Queue); streams { // it comes from the worker that is to be hostile
		return i.realStarter.fromHeap(image, o, heap)
	}
	if script := i.take(o); script != "" {
		return i.start(script, o, heap)
	}
	return i.realStarter.fromHeap(image, o, heap)
}

// take gives the script for a worker, or nothing for a good one.
func (i *impostor) take(o xsnap.StartOptions) (script string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.scripts) == 0 || !strings.HasPrefix(o.Name, i.victim+":") {
		return ""
	}
	script = i.scripts[0]
	if !i.always {
		i.scripts = i.scripts[1:]
	}
	return script
}

func (i *impostor) plan(victim string, always bool, scripts ...string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.victim, i.scripts, i.always = victim, scripts, always
}

// start starts the program; the watch's time passes from when it says that it
// begins until it is gone.
func (i *impostor) start(script string, o xsnap.StartOptions, heap io.Reader) (process, error) {
	vatID, _, _ := strings.Cut(o.Name, ":")
	o.Name, o.From, o.Watch = vatID+":"+script, heap, i.watch
	begins := make(chan struct{})
	begin := sync.OnceFunc(func() { close(begins) })
	o.Sink = func(_, line string) {
		if line == "now" {
			begin()
		}
	}
	w, err := i.spawner.Start(xsnap.Engine{Path: i.engine}, o)
	if err != nil {
		return nil, err
	}
	i.times.Go(func() {
		select {
		case <-begins:
			i.passTime(script, w.Exited())
		case <-w.Exited():
		}
	})
	if err := w.Ready(); err != nil {
		_ = w.Close()
		return nil, err
	}
	return w, nil
}

// passTime lets time pass where only that ends the program: without measure
// while it is silent, a second for each line while it speaks.
func (i *impostor) passTime(script string, exited <-chan struct{}) {
	i.passes.Lock()
	defer i.passes.Unlock()
	switch told(script) {
	case isSilent:
		i.clock.passUntil(exited)
	case isEndless:
		for {
			select {
			case <-i.lines:
				i.clock.tick()
			case <-exited:
				return
			}
		}
	}
}

func buildHostile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hostile")
	if out, err := exec.Command("cc", "-O1", "-o", path, "testdata/hostile.c").CombinedOutput(); err != nil {
		t.Fatalf("cannot compile testdata/hostile.c: %v\n%s", err, out)
	}
	return path
}

// What is told of a worker that only the watch can end.
const (
	isSilent  = "it said nothing for"
	isEndless = "did not come to an end"
)

// hostileWays are what a hostile worker does, by the stage where it does it,
// and a part of what is told about it.
var hostileWays = map[string]map[string]string{
	"load": { // before it has read its heap
		"never": isSilent, "exit": "exited with code 0", "garbage": "malformed message",
	},
	"early": {"reply": "was lost"}, // before it was asked
	"ready": {
		"garbage": "malformed message", "letters": "malformed message", "zeros": "leading zero", "number": "longer than the limit",
		"empty": "empty message", "unknown": "unknown message", "uncaught": "uncaught exception", "badmeter": "malformed meter record",
		"badjson": "an upcall where none can come", "toolong": "longer than the limit", "half": isSilent, "halflength": isSilent,
		"never": isSilent, "closereplies": "goes on running", "closecommands": isSilent, "exit": "exited with code 0",
		"twice": "nobody asked for", "afterwards": "nobody asked for", "save": isSilent,
	},
	"setBundle": {
		"nometer": "no meter record", "nobody": "became idle", "noarray": "no tagged array", "deepreply": "no tagged array", "uncaught": "uncaught exception",
		"badjson": "a syscall that cannot be read", "never": isSilent, "exit": "exited with code 0",
	},
	"deliver": {
		"garbage": "malformed message", "longest": "malformed message", "toolong": "longer than the limit", "unknown": "unknown message",
		"uncaught": "uncaught exception", "badmeter": "malformed meter record", "nometer": "no meter record", "noarray": "no tagged array",
		"nobody": "became idle", "deepreply": "no tagged array", "badjson": "a syscall that cannot be read", "badutf8": "a syscall that cannot be read",
		"deep": "a syscall that cannot be read", "deepconsole": "the upcall is no tagged array", "noupcall": "unrecognized upcall",
		"upcalls": isEndless, "largest": isSilent,
		"stdout": isSilent, "stderr": isSilent, "line": isSilent,
		"half": isSilent, "never": isSilent, "closereplies": "goes on running", "exit": "exited with code 0",
	},
	"snapshot": {
		"endless": "it wrote more than", "more": "announced 3 bytes", "less": "announced 5 bytes", "negative": "no length", "nolength": "no length",
		"hugelength": "no length", "garbage": "malformed message", "half": isSilent, "never": isSilent,
		"exit": "exited with code 0", "closereplies": "goes on running",
	},
}

// told is a part of what is told of a worker with that script.
func told(script string) string {
	stage, way, _ := strings.Cut(script, ".")
	return hostileWays[stage][way]
}

// maxHostileMemory is what a hostile worker may make this process hold for a
// time, the race detector's share included: one message and its copies.
const maxHostileMemory = 768 << 20

// hostileRig has two vats, of which one gets hostile workers.
type hostileRig struct {
	*rig
	i *impostor
}

func newHostileRig(t *testing.T, engine string) *hostileRig {
	h := &hostileRig{i: &impostor{engine: engine, clock: newHandClock(), lines: make(chan struct{}, 1)}}
	h.rig = newRig(t, func(o *Options) {
		o.clock = h.i.clock.ticks
		o.Watch = xsnap.Watch{SilenceLimit: 10 * time.Second}
		o.Limits = xsnap.Limits{CloseGrace: time.Second, HeapBytes: 32 << 20}
		o.wrap = func(real starter) starter { h.i.realStarter = real.(*realStarter); return h.i }
	})
	h.host.onConsole = func() {
		select {
		case h.i.lines <- struct{}{}:
		default:
		}
	}
	return h
}

// visit has the victim go through a stage, where workers with the scripts wait
// for it, and its neighbour do some work besides. It gives their answers.
func (h *hostileRig) visit(victim, stage string, always bool, scripts ...string) (answers []string, err error) {
	run := func() error { _, err := h.s.run(pipeproto.Run{}); return err }
	if stage == "setBundle" {
		h.i.plan(victim, always, scripts...)
		h.create(victim, "counter", pipeproto.VatOptions{})
		return nil, run()
	}
	if stage == "deliver" || stage == "snapshot" {
		// A hostile worker knows nothing of what was, so there must be nothing to
		// replay.
		if _, err := h.s.takeSnapshot(victim); err != nil {
			return nil, err
		}
	}
	h.s.evict(victim, "the test wants it")
	h.i.plan(victim, always, scripts...)
	if stage == "snapshot" {
		if _, err := h.s.takeSnapshot(victim); err != nil {
			return nil, err
		}
	}
	first, second := h.send(victim, "increment"), h.send("v2", "increment")
	err = run()
	return []string{h.host.results[first], h.host.results[second]}, err
}

// A hostileVisit is one crank whose first workers are hostile.
type hostileVisit struct {
	victim, stage string
	scripts       []string
}

// hostileVisits are those that have every script in them. One less than a
// crank's tries can be hostile.
func hostileVisits() (visits []hostileVisit) {
	for _, stage := range slices.Sorted(maps.Keys(hostileWays)) {
		ways := slices.Sorted(maps.Keys(hostileWays[stage]))
		for some := range slices.Chunk(ways, maxCrankTries-1) {
			visit := hostileVisit{victim: "v1", stage: stage}
			if stage == "setBundle" {
				visit.victim = fmt.Sprintf("v%d", 10+len(visits))
			}
			for _, way := range some {
				visit.scripts = append(visit.scripts, stage+"."+way)
			}
			visits = append(visits, visit)
		}
	}
	return visits
}

// hostileOutcome is what must not depend on hostile workers.
type hostileOutcome struct {
	answers       []string
	hashes, spans string
}

// live goes through all visits, with the hostile workers or without them.
func (h *hostileRig) live(hostile bool) (end hostileOutcome) {
	for _, vatID := range []string{"v1", "v2"} {
		h.create(vatID, "counter", pipeproto.VatOptions{})
	}
	h.run()
	for _, v := range hostileVisits() {
		if !hostile {
			v.scripts = nil
		}
		warned := len(h.host.warned())
		answers, err := h.visit(v.victim, v.stage, false, v.scripts...)
		if err != nil {
			h.t.Fatalf("%s: %v", v.scripts, err)
		}
		end.answers = append(end.answers, answers...)
		h.wantLost(v, h.host.warned()[warned:])
	}
	end.hashes, end.spans = h.hashes(), h.spanHashes()
	h.close()
	h.i.times.Wait()
	return end
}

// TestHostileWorkers puts hostile programs in the place of workers: what they
// were to do is done by good ones, another vat goes on, nothing differs in the
// end, and what the programs send does not fill the memory.
func TestHostileWorkers(t *testing.T) {
	engine := buildHostile(t)
	want := newHostileRig(t, engine).live(false)
	peak := measurePeak(t)
	got := newHostileRig(t, engine).live(true)
	if grown := peak(); grown > maxHostileMemory {
		t.Errorf("this process grew by %d bytes", grown)
	} else {
		t.Logf("this process grew by %d MiB", grown>>20)
	}
	if !slices.Equal(got.answers, want.answers) || got.hashes != want.hashes || got.spans != want.spans {
		t.Errorf("got %q, want %q", got, want)
	}
	workers := 0
	for _, v := range hostileVisits() {
		workers += len(v.scripts)
	}
	t.Logf("%d hostile workers in %d cranks, every crank as the undisturbed one", workers, len(hostileVisits()))
}

// wantLost finds that the hostile workers were lost, each for its reason, and
// that nothing else was.
func (h *hostileRig) wantLost(v hostileVisit, warned []string) {
	h.t.Helper()
	warned = slices.DeleteFunc(slices.Clone(warned), func(text string) bool { return !strings.Contains(text, "was lost") })
	if len(warned) != len(v.scripts) {
		h.t.Errorf("%s: workers were lost: %q", v.scripts, warned)
		return
	}
	for i, script := range v.scripts {
		if !strings.HasPrefix(warned[i], "worker of "+v.victim+" was lost") || !strings.Contains(warned[i], told(script)) {
			h.t.Errorf("%s: warned of %q, want …%s…", script, warned[i], told(script))
		}
	}
}

// measurePeak gives what the resident memory of this process grows by from now
// on, at its highest.
func measurePeak(t *testing.T) (grown func() int64) {
	t.Helper()
	peak := func() int64 {
		bytes, ok := procs.PeakResident(os.Getpid())
		if !ok {
			t.Fatal("this process does not see how much memory it has")
		}
		return bytes
	}
	debug.FreeOSMemory()
	if err := procs.ResetPeak(os.Getpid()); err != nil {
		t.Fatal(err)
	}
	before := peak()
	return func() int64 { return peak() - before }
}

// TestHostileWorkersForEver: if every worker is hostile there is a panic that
// names vat and cause, not a vat that is taken down.
func TestHostileWorkersForEver(t *testing.T) {
	engine := buildHostile(t)
	for _, script := range []string{"load.never", "ready.garbage", "setBundle.nometer", "deliver.badjson", "deliver.upcalls", "snapshot.endless"} {
		t.Run(script, func(t *testing.T) {
			h := newHostileRig(t, engine)
			for _, vatID := range []string{"v1", "v2"} {
				h.create(vatID, "counter", pipeproto.VatOptions{})
			}
			h.run()
			stage, _, _ := strings.Cut(script, ".")
			victim := "v1"
			if stage == "setBundle" {
				victim = "v3"
			}
			_, err := h.visit(victim, stage, true, script)
			var panicked *PanicError
			if !errors.As(err, &panicked) || !strings.Contains(err.Error(), "worker of "+victim+" died 3 times for reasons outside the vat") || !strings.Contains(err.Error(), told(script)) {
				t.Fatalf("error %v, want a panic: …%s…", err, told(script))
			}
			h.i.times.Wait()
			h.s.panicked = nil
			if st := h.status(victim); st.LastError != "" || st.State == deliberate.String() {
				t.Errorf("the vat is %s: %q", st.State, st.LastError)
			}
		})
	}
}
