package xsnap

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"

	"golang.org/x/sys/unix"

	"vatworkerd/internal/testrig"
)

// history is everything about a vat's run that is in consensus.
type history struct {
	computrons []int64
	syscalls   []string
	heap       []byte
}

func (h history) equal(o history) bool {
	return slices.Equal(h.computrons, o.computrons) && slices.Equal(h.syscalls, o.syscalls) && bytes.Equal(h.heap, o.heap)
}

func liveALittle(t *testing.T, w *Worker, bundle []byte) history {
	t.Helper()
	k := newFakeKernel()
	var h history
	if _, err := w.SetBundle("v1", bundle, nil, k); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{
		startVatDelivery, message("increment"), message("read"), message("increment"),
		message("no such method"), boydDelivery, message("increment"), boydDelivery,
	} {
		h.computrons = append(h.computrons, mustDeliver(t, w, k, d).Compute)
	}
	h.syscalls = k.syscalls
	h.heap = snapshotOf(t, w)
	return h
}

func snapshotOf(t testing.TB, w *Worker) []byte {
	t.Helper()
	var b bytes.Buffer
	n, err := w.Snapshot(&b)
	if err != nil {
		t.Fatal(err)
	}
	if n != int64(b.Len()) {
		t.Fatalf("size is %d, got %d bytes", n, b.Len())
	}
	return b.Bytes()
}

// TestBaseSnapshotChangesNothing is the ground under the base snapshot cache.
func TestBaseSnapshotChangesNothing(t *testing.T) {
	r := newRig(t)
	for name, bundle := range map[string][]byte{"trial": trialBundle(t), "counter": testrig.ReadBundle(t, "counter")} {
		t.Run(name, func(t *testing.T) {
			fresh := r.start(StartOptions{MeterLimit: DefaultMeterLimit})
			if err := fresh.EvaluateImage(r.image, nil); err != nil {
				t.Fatal(err)
			}
			want := liveALittle(t, fresh, bundle)
			if got := liveALittle(t, r.fromBase(), bundle); !got.equal(want) {
				t.Fatalf("a worker from the base snapshot differs: computrons %v and %v, heaps of %d and %d bytes", got.computrons, want.computrons, len(got.heap), len(want.heap))
			}
			// A worker without a meter comes from the same base snapshot.
			unmetered := r.unmetered(t)
			if got := liveALittle(t, unmetered, bundle); !bytes.Equal(got.heap, want.heap) || !slices.Equal(got.syscalls, want.syscalls) {
				t.Error("an unmetered worker's heap or syscalls differ")
			}
		})
	}
}

func (r *rig) unmetered(t *testing.T) *Worker {
	t.Helper()
	return r.readyFromBase(StartOptions{})
}

func TestSnapshotAndGoOn(t *testing.T) {
	r := newRig(t)
	k := newFakeKernel()
	w := r.vat(k)
	mustDeliver(t, w, k, message("increment"))
	mustDeliver(t, w, k, boydDelivery)
	heap := snapshotOf(t, w)
	if again := snapshotOf(t, w); !bytes.Equal(heap, again) {
		t.Error("a second snapshot differs from the first")
	}
	path := filepath.Join(t.TempDir(), "heap")
	if err := os.WriteFile(path, heap, 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()

	want := goOn(t, w, k)
	for name, from := range map[string]io.Reader{
		"file": file, "memory": bytes.NewReader(heap), "small reads": iotest.HalfReader(bytes.NewReader(heap)),
	} {
		w := r.start(StartOptions{From: from, MeterLimit: DefaultMeterLimit})
		if err := w.Ready(); err != nil {
			t.Fatal(name, err)
		}
		if got := goOn(t, w, k); got != want {
			t.Errorf("%s: goes on with %q, want %q", name, got, want)
		}
	}
}

// goOn reads the counter in a copy of k and returns the resolution.
func goOn(t *testing.T, w *Worker, k *fakeKernel) string {
	t.Helper()
	mine := newFakeKernel()
	for key, value := range k.store {
		mine.store[key] = value
	}
	mustDeliver(t, w, mine, message("increment"))
	if !strings.Contains(mine.lastResolve(), "+2") && !strings.Contains(mine.lastResolve(), `#2`) {
		t.Errorf("increment resolved with %s", mine.lastResolve())
	}
	return mine.lastResolve()
}

// TestReplacementWhileSnapshotStreams: the successor loads from the stream
// while it is saved.
func TestReplacementWhileSnapshotStreams(t *testing.T) {
	r := newRig(t)
	k := newFakeKernel()
	w := r.vat(k)
	pr, pw := io.Pipe()
	next := r.start(StartOptions{From: pr, MeterLimit: DefaultMeterLimit})
	var saved bytes.Buffer
	_, err := w.Snapshot(io.MultiWriter(&saved, pw))
	pw.CloseWithError(err)
	if err := errors.Join(err, next.Ready(), w.Close()); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(snapshotOf(t, next), saved.Bytes()) {
		t.Error("the successor's heap differs")
	}
}

func TestSnapshotDestinationFails(t *testing.T) {
	r := newRig(t)
	w := r.fromBase()
	full := errors.New("disk full")
	if _, err := w.Snapshot(failingWriter{full}); !errors.Is(err, full) {
		t.Fatalf("got %v", err)
	}
	snapshotOf(t, w) // and the worker is as good as before
}

type failingWriter struct{ err error }

func (f failingWriter) Write([]byte) (int, error) { return 0, f.err }

func TestBadSnapshotsAreRefused(t *testing.T) {
	r := newRig(t)
	heap := snapshotOf(t, r.fromBase())
	late := errors.New("hash mismatch")
	badFile, err := os.Open("testdata/trial.js")
	if err != nil {
		t.Fatal(err)
	}
	defer badFile.Close()
	for _, tc := range []struct {
		name string
		from io.Reader
		want error
	}{
		{"garbage", strings.NewReader(strings.Repeat("garbage ", 1000)), nil},
		{"garbage in a file", badFile, nil},
		{"nothing", strings.NewReader(""), nil},
		{"cut short", bytes.NewReader(heap[:len(heap)/2]), nil},
		{"end missing", bytes.NewReader(heap[:len(heap)-64<<10]), nil},
		{"source fails in the middle", io.MultiReader(bytes.NewReader(heap[:1<<20]), iotest.ErrReader(late)), late},
		{"source fails at its end", io.MultiReader(bytes.NewReader(heap), iotest.ErrReader(late)), late},
		{"much behind the end", io.MultiReader(bytes.NewReader(heap), bytes.NewReader(heap)), nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := r.start(StartOptions{From: tc.from, MeterLimit: DefaultMeterLimit})
			err := w.Ready()
			var loadErr *LoadError
			if !errors.As(err, &loadErr) {
				t.Fatalf("got %v, want a *LoadError", err)
			}
			if tc.want != nil && !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v in it", err, tc.want)
			}
			t.Log(err)
			if again := w.Ready(); again == nil {
				t.Error("the worker became ready after all")
			}
		})
	}
}

func TestVatFaults(t *testing.T) {
	r := newRig(t)
	for method, want := range map[string]DeliveryResult{
		"spin":    {Problem: "Compute meter exceeded", ExitCode: ExitTooMuchComputation},
		"recurse": {Problem: "Stack meter exceeded", ExitCode: ExitStackOverflow},
		"hog":     {Problem: "Allocate meter exceeded", ExitCode: ExitNotEnoughMemory},
	} {
		t.Run(method, func(t *testing.T) {
			k := newFakeKernel()
			w := r.vat(k)
			want.Status, want.WorkerGone = StatusError, true
			res, err := w.Deliver(json.RawMessage(message(method)), k)
			if err != nil || res != want {
				t.Fatalf("got %+v, %v", res, err)
			}
			var exit *ExitError
			res, err = w.Deliver(json.RawMessage(boydDelivery), k)
			if err == nil || errors.As(err, &exit) {
				t.Errorf("a delivery that never ran gave %+v, %v", res, err)
			}
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestSignalInMidDelivery(t *testing.T) {
	r := newRig(t)
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGSEGV, syscall.SIGABRT, syscall.SIGTERM} {
		for _, at := range []int{1, 3} {
			k := newFakeKernel()
			w := r.vat(k)
			first := len(k.syscalls)
			k.intercept = func(n int, _ json.RawMessage) error {
				if n == first+at {
					return syscall.Kill(w.PID(), sig)
				}
				return nil
			}
			_, err := w.Deliver(json.RawMessage(message("burst", 50)), k)
			wantSignal(t, err, sig)
			if _, err := w.Deliver(json.RawMessage(boydDelivery), k); err == nil {
				t.Error("a dead worker took a delivery")
			}
		}
	}
}

func TestKillOfStoppedWorker(t *testing.T) {
	r := newRig(t)
	k := newFakeKernel()
	w := r.vat(k)
	var killer sync.WaitGroup
	k.intercept = func(int, json.RawMessage) error {
		k.intercept = nil
		if err := syscall.Kill(w.PID(), syscall.SIGSTOP); err != nil {
			return err
		}
		if err := unix.Waitid(unix.P_PID, w.PID(), nil, unix.WSTOPPED|unix.WNOWAIT, nil); err != nil {
			return err
		}
		killer.Go(w.Kill)
		return nil
	}
	_, err := w.Deliver(json.RawMessage(message("burst", 50)), k)
	killer.Wait()
	wantSignal(t, err, syscall.SIGKILL)
}

func TestCloseOfStoppedWorker(t *testing.T) {
	r := newRig(t)
	w := r.start(StartOptions{Limits: Limits{CloseGrace: 1}})
	if err := errors.Join(w.Ready(), syscall.Kill(w.PID(), syscall.SIGSTOP)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestHandlerErrorEndsTheWorker(t *testing.T) {
	r := newRig(t)
	k := newFakeKernel()
	w := r.vat(k)
	diverged := errors.New("anachrophobia")
	k.intercept = func(int, json.RawMessage) error { return diverged }
	if _, err := w.Deliver(json.RawMessage(message("increment")), k); !errors.Is(err, diverged) {
		t.Fatalf("got %v", err)
	}
	<-w.Exited()
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

func TestConsoleAndTestLog(t *testing.T) {
	r := newRig(t)
	k := newFakeKernel()
	w := r.vat(k)
	mustDeliver(t, w, k, message("say", "höi <&>"))
	if want := []string{`["said" "höi <&>" "7"]`}; !slices.Equal(k.testLog, want) {
		t.Errorf("testLog is %q, want %q", k.testLog, want)
	}
	if want := []string{`vat warn ["saying" "höi <&>"]`}; !slices.Equal(k.console, want) {
		t.Errorf("console is %q, want %q", k.console, want)
	}
}

func TestLargeSyscall(t *testing.T) {
	r := newRig(t)
	k := newFakeKernel()
	w := r.vat(k)
	mustDeliver(t, w, k, message("keep", "big", 3_000_000))
	found := false
	for _, value := range k.store {
		found = found || len(value) >= 3_000_000
	}
	if !found {
		t.Error("the large value did not arrive")
	}
	mustDeliver(t, w, k, boydDelivery)
}

func TestSetBundleFailures(t *testing.T) {
	r := newRig(t)
	k := newFakeKernel()
	w := r.vat(k)
	var setup *VatSetupError
	if _, err := w.SetBundle("v1", trialBundle(t), nil, k); !errors.As(err, &setup) || setup.Message != "cannot setBundle again" {
		t.Errorf("a second bundle: got %v", err)
	}
	w = r.fromBase()
	var protocol *ProtocolError
	if _, err := w.SetBundle("v1", []byte("not JSON"), nil, k); !errors.As(err, &protocol) {
		t.Errorf("no JSON: got %v", err)
	}
	// What is JSON but no bundle is found by startVat, and is the vat's failure.
	w = r.fromBase()
	if _, err := w.SetBundle("v1", []byte(`{"moduleFormat":"bogus","source":""}`), nil, k); err != nil {
		t.Fatal(err)
	}
	res, err := w.Deliver(json.RawMessage(startVatDelivery), k)
	if err != nil || res.Status != StatusError || !strings.Contains(res.Problem, "moduleFormat") {
		t.Errorf("no bundle: got %+v, %v", res, err)
	}
}

func TestEvaluateFailures(t *testing.T) {
	r := newRig(t)
	w := r.start(StartOptions{MeterLimit: DefaultMeterLimit})
	var protocol *ProtocolError
	if err := w.Evaluate([]byte("throw Error('no')"), nil); !errors.As(err, &protocol) || protocol.Detail != "Error: no" {
		t.Fatalf("got %v", err)
	}
	// The engine goes on, so a dispatch that never settles can be made by hand.
	if err := w.Evaluate([]byte("globalThis.handleCommand = () => ({})"), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Deliver(json.RawMessage(boydDelivery), newFakeKernel()); err == nil || !strings.Contains(err.Error(), "became idle") {
		t.Fatalf("got %v", err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

func TestAsk(t *testing.T) {
	r := newRig(t)
	w := r.start(StartOptions{MeterLimit: DefaultMeterLimit})
	for code, want := range map[string]string{
		"new TextEncoder().encode('now').buffer":                "now",
		"({result: new TextEncoder().encode('inside').buffer})": "inside",
		"const report = {}; Promise.resolve().then(() => { report.result = new TextEncoder().encode('later').buffer; }); report": "later",
		"1 + 2":                 "",
		"new Promise(() => {})": "",
	} {
		got, err := w.Ask([]byte(code), nil)
		if err != nil || string(got) != want {
			t.Errorf("%s: %q, %v, want %q", code, got, err, want)
		}
	}
	var protocol *ProtocolError
	if _, err := w.Ask([]byte("throw Error('no')"), nil); !errors.As(err, &protocol) || protocol.Detail != "Error: no" {
		t.Errorf("got %v", err)
	}
}

// TestManyWorkers has each worker owned by its own locked thread.
func TestManyWorkers(t *testing.T) {
	r := newRig(t)
	var all sync.WaitGroup
	for range 4 {
		w := r.fromBase()
		all.Go(func() {
			k := newFakeKernel()
			if _, err := w.SetBundle("v1", trialBundle(t), nil, k); err != nil {
				t.Error(err)
				return
			}
			for _, d := range []string{startVatDelivery, message("increment"), message("burst", 100), boydDelivery} {
				if res, err := w.Deliver(json.RawMessage(d), k); err != nil || res.Status != StatusOK {
					t.Errorf("got %+v, %v", res, err)
				}
			}
			if _, err := w.Snapshot(io.Discard); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}
