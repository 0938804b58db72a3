package supervisor

import (
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"vatworkerd/pipeproto"
	"vatworkerd/xsnap"
)

// workerSteps are the steps of the worker protocol, as a saboteur names them.
// TestWorkersDieAtEveryStep finds them all in an undisturbed life, and no others.
var workerSteps = []workerStep{
	{"base: spawned", fatal},
	{"base loads: first byte", fatal},
	{"base loads: middle", fatal},
	{"base loads: last byte", fatal},
	{"base: ready", fatal},
	{"setBundle: asked", fatal},
	{"setBundle: done", fatal},
	{"startVat: asked", fatal},
	{"startVat: syscall 1", fatal},
	{"startVat: syscall 2", fatal},
	{"startVat: done", mended},
	{"add: asked", fatal},
	{"add: syscall 1", fatal},
	{"add: begins", fatal},
	{"add: syscall 2", fatal},
	{"add: ends", fatal},
	{"add: done", mended},
	{"bringOutYourDead: asked", fatal},
	{"bringOutYourDead: done", fatal},
	{"snapshot: asked", fatal},
	{"successor: spawned", mended},
	{"successor loads: first byte", mended},
	{"snapshot: first byte", fatal},
	{"successor loads: middle", mended},
	{"snapshot: middle", fatal},
	{"snapshot: last byte", either},
	{"snapshot: done", mended},
	{"successor loads: last byte", mended},
	{"successor: ready", mended},
	{"ask: asked", fatal},
	{"ask: callNow", fatal},
	{"ask: syscall 2", fatal},
	{"ask: begins", fatal},
	{"ask: ends", fatal},
	{"ask: done", mended},
	{"heap: spawned", fatal},
	{"heap loads: first byte", fatal},
	{"heap loads: middle", fatal},
	{"heap loads: last byte", fatal},
	{"heap: ready", fatal},
	{"replay of ask: asked", fatal},
	{"replay of ask: callNow", fatal},
	{"replay of ask: syscall 2", fatal},
	{"replay of ask: begins", fatal},
	{"replay of ask: ends", fatal},
	{"replay of ask: done", fatal},
	{"closing", mended},
}

// workerStep is a step, and what becomes of a worker that dies there each time:
// the work is never done, or it is done by the next one.
type workerStep struct {
	name  string
	again outcome
}

type outcome int

const (
	fatal outcome = iota
	mended
	either // the worker may have done all it had to
)

// ways are the ways for a worker to go; see saboteur.act.
var ways = []string{"SIGKILL", "SIGSEGV", "SIGABRT", "SIGSTOP", "RLIMIT_AS", "RLIMIT_DATA"}

// matrix runs the same life on workers that are interfered with.
type matrix struct {
	t     *testing.T
	image xsnap.Image
	clock *handClock
	times sync.WaitGroup // where the clock runs

	// Of the undisturbed life.
	hashes []string // after each crank
	spans  string
	answer []string
	size   int
}

func (m *matrix) act(way string) func(w *xsnap.Worker) {
	signals := map[string]syscall.Signal{"SIGKILL": unix.SIGKILL, "SIGSEGV": unix.SIGSEGV, "SIGABRT": unix.SIGABRT, "SIGSTOP": unix.SIGSTOP}
	limits := map[string]int{"RLIMIT_AS": unix.RLIMIT_AS, "RLIMIT_DATA": unix.RLIMIT_DATA}
	return func(w *xsnap.Worker) {
		if resource, ok := limits[way]; ok {
			const little = 1 << 20
			_ = unix.Prlimit(w.PID(), resource, &unix.Rlimit{Cur: little, Max: little}, nil)
			return
		}
		if unix.Kill(w.PID(), signals[way]) != nil {
			return // it is gone already
		}
		if way == "SIGSTOP" {
			m.times.Go(func() { m.clock.passUntil(w.Exited()) })
			return
		}
		<-w.Exited()
	}
}

// rig is a supervisor whose workers a saboteur has.
func (m *matrix) rig(t *testing.T, s *saboteur) *rig {
	m.clock = newHandClock()
	r := newRig(t, func(o *Options) {
		o.Image, o.clock = m.image, m.clock.ticks
		o.Watch = xsnap.Watch{SilenceLimit: xsnap.DefaultSilenceLimit}
		o.wrap = func(real starter) starter { s.realStarter = real.(*realStarter); return s }
	})
	r.host.callNow = func(pipeproto.CallNow) string { return `#"answered"` }
	s.size = m.size
	return r
}

// live is a life in which every step is reached. It gives the activity hash
// after each crank and what the vat answered.
func (r *rig) live() (hashes, answers []string, err error) {
	run := func() error {
		for {
			reply, err := r.s.run(pipeproto.Run{MaxCranks: 1})
			if err != nil || reply.Idle {
				return err
			}
			hashes = append(hashes, r.s.db.ActivityHash())
		}
	}
	r.create("v1", "victim", pipeproto.VatOptions{})
	if err := run(); err != nil {
		return hashes, answers, err
	}
	// A snapshot comes after the first, the second is replayed for the third.
	for _, call := range []struct{ method, args string }{{"add", "2"}, {"ask", `"$0.Alleged: device",1`}, {"add", "1"}} {
		vpid := r.sendWith("v1", call.method, []string{call.args}, `["d-70"]`)
		if err := run(); err != nil {
			return hashes, answers, err
		}
		answers = append(answers, r.host.results[vpid])
		if call.method == "ask" {
			r.s.evict("v1", "the test wants it")
			r.s.reaper.wait()
		}
	}
	return hashes, answers, nil
}

// undisturbed is the life that all others are compared with.
func (m *matrix) undisturbed(t *testing.T) {
	s := &saboteur{}
	r := m.rig(t, s)
	var err error
	m.hashes, m.answer, err = r.live()
	r.must(err)
	m.spans = r.spanHashes()
	list, err := r.s.listSnapshots(pipeproto.VatRef{})
	r.must(err)
	m.size = int(list.Snapshots[0].UncompressedSize)
	r.close()
	want := []string{"fulfilled #\"2 2\"", "fulfilled #\"answered 3 3\"", "fulfilled #\"4 4\""}
	if !slices.Equal(m.answer, want) {
		t.Fatalf("answers %q, want %q", m.answer, want)
	}
}

// compare finds a life's outcome equal to the undisturbed one's.
func (m *matrix) compare(t *testing.T, r *rig, hashes, answers []string) {
	t.Helper()
	if !slices.Equal(hashes, m.hashes) || !slices.Equal(answers, m.answer) {
		t.Errorf("activity hashes %q, want %q; answers %q", hashes, m.hashes, answers)
	}
	if got := r.spanHashes(); got != m.spans {
		t.Errorf("spans:\n%s\nwant:\n%s", got, m.spans)
	}
}

// end finds no process left.
func (m *matrix) end(t *testing.T, r *rig) {
	t.Helper()
	r.close()
	m.times.Wait()
	if err := unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil); !errors.Is(err, unix.ECHILD) {
		t.Errorf("processes are left: %v", err)
	}
}

// A sabotage is something that is done to the first worker at a step.
type sabotage struct {
	step workerStep
	way  string
}

// interfere is a life with sabotages, and tells how many workers were lost.
func (m *matrix) interfere(t *testing.T, all []sabotage) (lost int) {
	s := &saboteur{acts: map[string]func(*xsnap.Worker){}}
	fatalities := 0
	for _, one := range all {
		s.acts[one.step.name] = m.act(one.way)
		if one.step.again == fatal && strings.HasPrefix(one.way, "SIG") {
			fatalities++
		}
	}
	r := m.rig(t, s)
	hashes, answers, err := r.live()
	r.must(err)
	m.compare(t, r, hashes, answers)
	m.end(t, r)
	if s.acted != len(all) {
		t.Errorf("%d of %d steps were reached", s.acted, len(all))
	}
	for _, text := range r.host.warned() {
		if strings.Contains(text, "was lost") {
			lost++
		}
	}
	if lost < fatalities {
		t.Errorf("%d workers were lost, want %d", lost, fatalities)
	}
	return lost
}

// sabotages are what each life suffers. In the short form there are three in a
// life, far apart, and each step has one of the ways; a crank bears two.
func sabotages() (lives [][]sabotage) {
	if isLong() {
		for _, step := range workerSteps {
			for _, way := range ways {
				lives = append(lives, []sabotage{{step, way}})
			}
		}
		return lives
	}
	lives = make([][]sabotage, (len(workerSteps)+2)/3)
	for i, step := range workerSteps {
		life := &lives[i%len(lives)]
		*life = append(*life, sabotage{step, ways[i%len(ways)]})
	}
	return lives
}

// TestWorkersDieAtEveryStep kills, breaks, stops and starves real workers at
// every step of their protocol. Each time the crank is undone and done again,
// and nothing differs from the undisturbed life. With VATWORKERD_LONG set every
// step is tried in all ways.
func TestWorkersDieAtEveryStep(t *testing.T) {
	dieAtEveryStep(t, testImage(t), 1)
}

// TestNativeWorkersDieAtEveryStep has native workers, and in the short form some
// of the lives.
func TestNativeWorkersDieAtEveryStep(t *testing.T) {
	each := 5 // so that they differ in their ways
	if isLong() {
		each = 1
	}
	dieAtEveryStep(t, nativeImage(t), each)
}

// dieAtEveryStep leads each of so many lives.
func dieAtEveryStep(t *testing.T, image xsnap.Image, each int) {
	m := &matrix{t: t, image: image}
	m.undisturbed(t)
	t.Run("the table has every step", m.testTable)
	did, lives, lost := 0, 0, 0
	for i, all := range sabotages() {
		if i%each != 0 {
			continue
		}
		var names []string
		for _, one := range all {
			names = append(names, one.step.name+", "+one.way)
		}
		t.Run(strings.Join(names, "; "), func(t *testing.T) { lost += m.interfere(t, all) })
		did += len(all)
		lives++
	}
	t.Logf("%d sabotages in %d lives at %d steps, %d workers lost, every life as the undisturbed one", did, lives, len(workerSteps), lost)
}

// isLong asks for what takes too long for every day.
func isLong() bool { return os.Getenv("VATWORKERD_LONG") != "" }

func (m *matrix) testTable(t *testing.T) {
	s := &saboteur{}
	r := m.rig(t, s)
	hashes, answers, err := r.live()
	r.must(err)
	m.compare(t, r, hashes, answers)
	m.end(t, r)
	var table []string
	for _, step := range workerSteps {
		table = append(table, step.name)
	}
	reached := s.steps()
	for _, step := range reached {
		if !slices.Contains(table, step) {
			t.Errorf("step %q is not in the table", step)
		}
	}
	for _, step := range table {
		if !slices.Contains(reached, step) {
			t.Errorf("step %q was not reached", step)
		}
	}
}

// TestWorkersThatAlwaysDie kills every worker that comes to a step: after three
// tries there is a panic that names vat and cause, and the store is as it was
// after the crank before; opened again, it lives on to the same end.
func TestWorkersThatAlwaysDie(t *testing.T) {
	m := &matrix{t: t, image: testImage(t)}
	m.undisturbed(t)
	for i, step := range workerSteps {
		if !isLong() && i%8 != 0 {
			continue
		}
		t.Run(step.name, func(t *testing.T) { m.alwaysDie(t, step) })
	}
}

func (m *matrix) alwaysDie(t *testing.T, step workerStep) {
	s := &saboteur{acts: map[string]func(*xsnap.Worker){step.name: m.act("SIGKILL")}, always: true}
	r := m.rig(t, s)
	var before []string // the activity hash whenever a worker was lost
	r.host.onLost = func() { before = append(before, r.s.db.ActivityHash()) }
	hashes, answers, err := r.live()
	if step.again != fatal && err == nil {
		m.compare(t, r, hashes, answers)
		m.end(t, r)
		return
	}
	var panicked *PanicError
	if !errors.As(err, &panicked) || !strings.Contains(err.Error(), "worker of v1 died 3 times for reasons outside the vat: worker v1:victim") || !strings.Contains(err.Error(), "signal 9 (killed)") {
		t.Fatalf("error %v, want a panic that names vat and cause", err)
	}
	if s.acted != maxCrankTries {
		t.Errorf("%d workers died, want %d", s.acted, maxCrankTries)
	}
	after := r.s.db.ActivityHash()
	if len(before) != maxCrankTries || slices.ContainsFunc(before, func(hash string) bool { return hash != after }) {
		t.Errorf("activity hash %s, was %s when the workers were lost", after, before)
	}
	r.close() // which checks the store
	s.acts = nil
	r.host.results, r.host.unitOpen = map[string]string{}, false
	r.calls = 0
	r.open()
	if hashes, answers, err = r.live(); err != nil {
		t.Fatal(err)
	}
	m.compare(t, r, hashes, answers)
	m.end(t, r)
}
