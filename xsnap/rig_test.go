package xsnap

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sort"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"vatworkerd/internal/testrig"
)

// TestMain also plays the scripted workers and the parents of
// TestWorkerDiesWithParent and TestHostLimits: the test binary is started again under such names.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && strings.HasPrefix(os.Args[1], fakePrefix) {
		// Not os.Exit: under the race detector that waits a second first.
		syscall.Exit(playFake(strings.TrimPrefix(os.Args[1], fakePrefix)))
	}
	if len(os.Args) > 1 && os.Args[1] == parentArg {
		os.Exit(playParent(os.Args[2:]))
	}
	if len(os.Args) > 1 && os.Args[1] == limitedArg {
		os.Exit(playLimited(os.Args[2:]))
	}
	os.Exit(runTests(m))
}

// sharedBaseDir saves most tests the building of a base snapshot.
var sharedBaseDir string

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "xsnap-test-base")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	sharedBaseDir = dir
	if code := m.Run(); code != 0 {
		return code
	}
	return checkLeftovers()
}

func checkLeftovers() int {
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, "leftover goroutines:", err)
		return 1
	}
	if err := unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil); !errors.Is(err, unix.ECHILD) {
		fmt.Fprintln(os.Stderr, "leftover child processes:", err)
		return 1
	}
	return 0
}

// rig holds what most tests on the real engine need.
type rig struct {
	t       testing.TB
	spawner *Spawner
	image   Image
	base    *BaseCache
	sandbox Sandbox
	limits  Limits
	huge    bool    // workers ask for huge pages
	forks   bool    // workers with the base snapshot
	hulls   bool    // workers with a heap begin without it
	zygote  *Zygote // nil until one is forked
}

// contained makes the rig start its workers under policy.
func (r *rig) contained(policy Sandbox) *rig {
	r.sandbox, r.base.Sandbox, r.zygote = policy, policy, nil
	return r
}

// newRig is on the stock engine, or within some tests on the native worker; in
// some of those workers with the base snapshot are forked.
func newRig(t testing.TB) *rig {
	t.Helper()
	switch test, _, _ := strings.Cut(t.Name(), "/"); test {
	case "TestNative":
		return rigOn(t, testrig.NativeEngine(t))
	case "TestHulls":
		return rigOn(t, testrig.Engine(t)).withHulls()
	case "TestNativeHulls":
		return rigOn(t, testrig.NativeEngine(t)).withHulls()
	case "TestForked":
		return rigOn(t, testrig.NativeEngine(t)).forking()
	case "TestSanitized":
		return rigOn(t, testrig.SanitizedEngine(t))
	case "TestSanitizedForked":
		return rigOn(t, testrig.SanitizedEngine(t)).forking()
	}
	return rigOn(t, testrig.Engine(t))
}

func rigOn(t testing.TB, paths testrig.EnginePaths) *rig {
	t.Helper()
	image, err := LoadImage(paths.Engine, paths.Lockdown, paths.Supervisor)
	if err != nil {
		t.Fatal(err)
	}
	spawner := newSpawner(t)
	base, err := NewBaseCache(spawner, sharedBaseDir)
	if err != nil {
		t.Fatal(err)
	}
	return &rig{t: t, spawner: spawner, image: image, base: base}
}

// forking makes the rig fork its workers with the base snapshot.
func (r *rig) forking() *rig {
	r.forks = true
	return r
}

// withHulls makes the rig start engines that get their heaps later.
func (r *rig) withHulls() *rig {
	r.hulls = true
	return r
}

// withEmptyCache gives the rig a base snapshot cache of its own.
func (r *rig) withEmptyCache() *rig {
	r.t.Helper()
	base, err := NewBaseCache(r.spawner, r.t.TempDir())
	if err != nil {
		r.t.Fatal(err)
	}
	r.base = base
	return r
}

func newSpawner(t testing.TB) *Spawner {
	t.Helper()
	s, err := NewSpawner()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// start starts a worker with o completed, to be closed when the test ends.
func (r *rig) start(o StartOptions) *Worker {
	r.t.Helper()
	o.Sandbox, o.HugePages = r.sandbox, r.huge
	if r.limits != (Limits{}) {
		o.Limits = r.limits
	}
	if r.hulls && o.From != nil {
		return r.startHull(o)
	}
	return startWorker(r.t, r.spawner, r.image.Engine, o)
}

// startHull starts a hull, has it make its machine, and gives it the heap of
// which Ready is to wait.
func (r *rig) startHull(o StartOptions) *Worker {
	r.t.Helper()
	heap := o.From
	shape, ok := ReadShape(heap)
	if !ok {
		o.From = shape.Before(heap)
		return startWorker(r.t, r.spawner, r.image.Engine, o)
	}
	o.From, o.Hull = nil, &shape
	w := startWorker(r.t, r.spawner, r.image.Engine, o)
	awaitMachine(r.t, w, shape)
	w.give(heap)
	return w
}

func startWorker(t testing.TB, s *Spawner, eng Engine, o StartOptions) *Worker {
	t.Helper()
	return toBeClosed(t, o, func(o StartOptions) (*Worker, error) { return s.Start(eng, o) })
}

// toBeClosed starts a worker with o completed, to be closed when the test ends.
func toBeClosed(t testing.TB, o StartOptions, start func(StartOptions) (*Worker, error)) *Worker {
	t.Helper()
	if o.Name == "" {
		o.Name = "v1:trial"
	}
	o.Sink = reporting(t, o.Sink)
	o.CPU = -1
	w, err := start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// reporting logs what workers say, or gives it to sink. What a sanitizer reports
// fails the test.
func reporting(t testing.TB, sink LogSink) LogSink {
	return func(stream, line string) {
		if stream == "stderr" && (strings.Contains(line, "Sanitizer") || strings.Contains(line, ": runtime error: ")) {
			t.Errorf("a sanitizer reports: %s", line)
		}
		if sink == nil {
			t.Logf("%s: %s", stream, line)
			return
		}
		sink(stream, line)
	}
}

// fromBase starts a worker on the base snapshot.
func (r *rig) fromBase() *Worker {
	r.t.Helper()
	return r.readyFromBase(StartOptions{MeterLimit: DefaultMeterLimit})
}

func (r *rig) readyFromBase(o StartOptions) *Worker {
	r.t.Helper()
	f, err := r.base.Open(r.image)
	if err != nil {
		r.t.Fatal(err)
	}
	defer f.Close()
	var w *Worker
	if r.forks {
		w = r.fork(f, o)
	} else {
		o.From = f
		w = r.start(o)
	}
	if err := w.Ready(); err != nil {
		r.t.Fatal(err)
	}
	return w
}

// fork has the rig's zygote, which is started if need be, fork a worker.
func (r *rig) fork(base *os.File, o StartOptions) *Worker {
	r.t.Helper()
	if r.zygote == nil {
		r.zygote = r.startZygote(base)
	}
	return toBeClosed(r.t, o, r.zygote.Start)
}

func (r *rig) startZygote(base *os.File) *Zygote {
	r.t.Helper()
	z, err := r.spawner.StartZygote(r.image.Engine, base, ZygoteOptions{
		Sandbox: r.sandbox, Limits: r.limits, Sink: reporting(r.t, nil),
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		if err := z.Close(); err != nil {
			r.t.Error(err)
		}
	})
	return z
}

// vat starts the trial vat on the base snapshot.
func (r *rig) vat(k *fakeKernel) *Worker {
	r.t.Helper()
	w := r.fromBase()
	startVat(r.t, w, k, trialBundle(r.t))
	return w
}

func startVat(t testing.TB, w *Worker, k *fakeKernel, bundle []byte) {
	t.Helper()
	if _, err := w.SetBundle("v1", bundle, nil, k); err != nil {
		t.Fatal(err)
	}
	mustDeliver(t, w, k, startVatDelivery)
}

func trialBundle(t testing.TB) []byte {
	t.Helper()
	source, err := os.ReadFile("testdata/trial.js")
	if err != nil {
		t.Fatal(err)
	}
	// Comments may not come before the expression: the worker parenthesises it.
	text := string(source)
	text = text[strings.Index(text, "_filePrefix"):]
	bundle, err := json.Marshal(map[string]string{"moduleFormat": "getExport", "source": text})
	if err != nil {
		t.Fatal(err)
	}
	return bundle
}

const (
	startVatDelivery = `["startVat",{"body":"#\"#undefined\"","slots":[]}]`
	boydDelivery     = `["bringOutYourDead"]`
)

// message is a delivery of method(args…) to the vat's root, result to p-60.
func message(method string, args ...any) string {
	if args == nil {
		args = []any{}
	}
	body, err := json.Marshal([]any{method, args})
	if err != nil {
		panic(err)
	}
	delivery, err := json.Marshal([]any{"message", "o+0", map[string]any{
		"methargs": map[string]any{"body": "#" + string(body), "slots": []string{}},
		"result":   "p-60",
	}})
	if err != nil {
		panic(err)
	}
	return string(delivery)
}

func mustDeliver(t testing.TB, w *Worker, k *fakeKernel, delivery string) Meter {
	t.Helper()
	res, err := w.Deliver(json.RawMessage(delivery), k)
	if err != nil {
		t.Fatal(err)
	}
	if res.Status != StatusOK || res.Meter == nil || res.WorkerGone {
		t.Fatalf("delivery %s ended with %+v", delivery, res)
	}
	return *res.Meter
}

// fakeKernel answers syscalls from a map and remembers everything.
type fakeKernel struct {
	store    map[string]string
	syscalls []string
	console  []string
	testLog  []string
	// intercept, if set, sees each syscall first.
	intercept func(n int, vso json.RawMessage) error
}

func newFakeKernel() *fakeKernel { return &fakeKernel{store: map[string]string{}} }

func (k *fakeKernel) Syscall(vso json.RawMessage) (json.RawMessage, error) {
	k.syscalls = append(k.syscalls, string(vso))
	if k.intercept != nil {
		if err := k.intercept(len(k.syscalls), vso); err != nil {
			return nil, err
		}
	}
	var args []any
	if err := json.Unmarshal(vso, &args); err != nil {
		return nil, err
	}
	switch args[0] {
	case "vatstoreGet":
		if value, ok := k.store[args[1].(string)]; ok {
			return json.Marshal([]any{"ok", value})
		}
	case "vatstoreSet":
		k.store[args[1].(string)] = args[2].(string)
	case "vatstoreDelete":
		delete(k.store, args[1].(string))
	case "vatstoreGetNextKey":
		return json.Marshal([]any{"ok", k.nextKey(args[1].(string))})
	}
	return json.RawMessage(`["ok",null]`), nil
}

func (k *fakeKernel) nextKey(prior string) any {
	keys := make([]string, 0, len(k.store))
	for key := range k.store {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	if i := sort.SearchStrings(keys, prior+"\x00"); i < len(keys) {
		return keys[i]
	}
	return nil
}

func (k *fakeKernel) Console(source, level string, args []json.RawMessage) {
	k.console = append(k.console, fmt.Sprintf("%s %s %s", source, level, args))
}

func (k *fakeKernel) TestLog(args []json.RawMessage) {
	k.testLog = append(k.testLog, fmt.Sprintf("%s", args))
}

// lastResolve is the last resolution the vat made.
func (k *fakeKernel) lastResolve() string {
	for i := len(k.syscalls) - 1; i >= 0; i-- {
		if strings.HasPrefix(k.syscalls[i], `["resolve"`) {
			return k.syscalls[i]
		}
	}
	return ""
}

func lockThread(t testing.TB) {
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
}

func wantSignal(t testing.TB, err error, want syscall.Signal) {
	t.Helper()
	var exit *ExitError
	if !errors.As(err, &exit) {
		t.Fatalf("got %v, want an *ExitError", err)
	}
	if exit.Signal != want || exit.Code != -1 || exit.VatFault() {
		t.Fatalf("got %#v, want signal %v and no vat fault", exit, want)
	}
}
