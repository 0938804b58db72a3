package xsnap

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"vatworkerd/internal/testrig"
)

// wholeLife is everything that can be seen of a worker's life under policy: a
// fresh machine, a vat, its snapshot, and what two workers loaded from it do.
func wholeLife(t *testing.T, policy Sandbox, bundle []byte) (base string, lives []history) {
	t.Helper()
	r := newRig(t).withEmptyCache().contained(policy)
	base = readBase(t, r.base, r.image)
	fresh := r.start(StartOptions{MeterLimit: DefaultMeterLimit})
	if err := fresh.EvaluateImage(r.image, nil); err != nil {
		t.Fatal(err)
	}
	lives = append(lives, liveALittle(t, fresh, bundle), liveALittle(t, r.fromBase(), bundle), liveALittle(t, r.unmetered(t), bundle))
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	heap := lives[0].heap
	if _, err := file.Write(heap); err != nil {
		t.Fatal(err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	for _, from := range []io.Reader{bytes.NewReader(heap), file} {
		w := r.start(StartOptions{From: from, MeterLimit: DefaultMeterLimit})
		if err := w.Ready(); err != nil {
			t.Fatal(err)
		}
		lives = append(lives, goOnALittle(t, w, lives[0]))
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}
	return base, lives
}

// goOnALittle delivers to a vat that was loaded from the heap of past.
func goOnALittle(t *testing.T, w *Worker, past history) history {
	t.Helper()
	k := newFakeKernel()
	for _, vso := range past.syscalls {
		if _, err := k.Syscall(json.RawMessage(vso)); err != nil {
			t.Fatal(err)
		}
	}
	k.syscalls = nil
	var h history
	for _, d := range []string{message("increment"), message("burst", 20), boydDelivery, message("read")} {
		h.computrons = append(h.computrons, mustDeliver(t, w, k, d).Compute)
	}
	h.syscalls = k.syscalls
	h.heap = snapshotOf(t, w)
	return h
}

// TestContainmentChangesNothing is the ground under containing workers whose
// results are in consensus.
func TestContainmentChangesNothing(t *testing.T) {
	fullSandbox(t)
	for name, bundle := range map[string][]byte{"trial": trialBundle(t), "counter": testrig.ReadBundle(t, "counter")} {
		t.Run(name, func(t *testing.T) {
			if name == "counter" {
				compareCounter(t, bundle)
				return
			}
			wantBase, want := wholeLife(t, SandboxOff, bundle)
			gotBase, got := wholeLife(t, SandboxRequire, bundle)
			if gotBase != wantBase {
				t.Error("the base snapshots differ")
			}
			for i := range want {
				if !got[i].equal(want[i]) {
					t.Errorf("life %d differs: computrons %v and %v, heaps of %d and %d bytes", i, got[i].computrons, want[i].computrons, len(got[i].heap), len(want[i].heap))
				}
			}
		})
	}
}

// compareCounter has only the methods of liveALittle.
func compareCounter(t *testing.T, bundle []byte) {
	t.Helper()
	r := newRig(t)
	want := liveALittle(t, r.fromBase(), bundle)
	if got := liveALittle(t, r.contained(SandboxRequire).fromBase(), bundle); !got.equal(want) {
		t.Error("a contained worker differs")
	}
}

// TestContainedFaults has contained vats use too much of everything: the
// engine's own limits must be met, never the sandbox's.
func TestContainedFaults(t *testing.T) {
	fullSandbox(t)
	for method, code := range map[string]int{"hog": ExitNotEnoughMemory, "recurse": ExitStackOverflow, "spin": ExitTooMuchComputation} {
		t.Run(method, func(t *testing.T) {
			r := newRig(t)
			want := faultOf(t, r.vat, method)
			got := faultOf(t, r.contained(SandboxRequire).vat, method)
			if got.problem != want.problem || got.syscalls != want.syscalls || got.code != code || want.code != code {
				t.Errorf("got %+v, uncontained %+v, want code %d", got, want, code)
			}
			// Loaded heaps ask for their stack's limit anew.
			if loaded := faultOf(t, r.reloadedVat, method); loaded.code != code {
				t.Errorf("loaded from a snapshot: got %+v, want code %d", loaded, code)
			}
		})
	}
}

type fault struct {
	problem, syscalls string
	code              int
}

func faultOf(t *testing.T, start func(*fakeKernel) *Worker, method string) fault {
	t.Helper()
	k := newFakeKernel()
	w := start(k)
	k.syscalls = nil
	res, err := w.Deliver(json.RawMessage(message(method)), k)
	if err != nil || !res.WorkerGone {
		t.Fatalf("%s: got %+v, %v", method, res, err)
	}
	return fault{res.Problem, strings.Join(k.syscalls, "\n"), w.proc.status.ExitStatus()}
}

// reloadedVat is the trial vat after a page-out and page-in.
func (r *rig) reloadedVat(k *fakeKernel) *Worker {
	r.t.Helper()
	heap := snapshotOf(r.t, r.vat(k))
	w := r.start(StartOptions{From: bytes.NewReader(heap), MeterLimit: DefaultMeterLimit})
	if err := w.Ready(); err != nil {
		r.t.Fatal(err)
	}
	return w
}

// TestDamagedSnapshotUnderContainment: the loading of nonsense is still told.
func TestDamagedSnapshotUnderContainment(t *testing.T) {
	fullSandbox(t)
	r := newRig(t).contained(SandboxRequire)
	w := r.start(StartOptions{From: strings.NewReader("no snapshot")})
	var load *LoadError
	if err := w.Ready(); !errors.As(err, &load) {
		t.Errorf("got %v, want a *LoadError", err)
	}
}

// TestMemoryMapStaysReadable holds the pin: the rule for the memory map is
// bound to a file that exists for as long as somebody holds it.
func TestMemoryMapStaysReadable(t *testing.T) {
	fullSandbox(t)
	r := newRig(t).contained(SandboxRequire)
	w := r.fromBase()
	target, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", w.proc.maps))
	if err != nil || target != proc(w, "maps") {
		t.Errorf("pinned is %q, %v, want the worker's memory map", target, err)
	}
	// Where this may be done, throw away what the kernel keeps of /proc; it
	// takes a few turns to forget what was just used.
	for range 4 {
		if os.Getenv("VATWORKERD_DROP_CACHES") == "" {
			break
		}
		if err := os.WriteFile("/proc/sys/vm/drop_caches", []byte("2"), 0); err != nil {
			t.Fatal(err)
		}
	}
	// Parsing asks for the limit; without one this ends in SIGSEGV.
	err = w.Evaluate([]byte(`eval("[".repeat(1000000))`), nil)
	var protocol *ProtocolError
	if !errors.As(err, &protocol) || protocol.Detail != "RangeError: stack overflow" {
		t.Errorf("got %v, want a stack overflow", err)
	}
}

// TestDegraded starts engines where the kernel lacks a feature.
func TestDegraded(t *testing.T) {
	fullSandbox(t)
	full := DetectSandbox()
	for name, lack := range map[string]func(*SandboxSupport){
		"Landlock": func(s *SandboxSupport) { s.LandlockABI = 0 },
		"seccomp":  func(s *SandboxSupport) { s.Seccomp = false },
		"launcher": func(s *SandboxSupport) { s.Launcher = false },
		"all":      func(s *SandboxSupport) { *s = SandboxSupport{} },
		"nothing":  func(*SandboxSupport) {},
		"first":    func(s *SandboxSupport) { s.LandlockABI = 1 },
		"third":    func(s *SandboxSupport) { s.LandlockABI = 3 },
		"fourth":   func(s *SandboxSupport) { s.LandlockABI = 4 },
		"fifth":    func(s *SandboxSupport) { s.LandlockABI = 5 },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t).contained(SandboxAuto)
			r.spawner.support = full
			lack(&r.spawner.support)
			k := newFakeKernel()
			mustDeliver(t, r.vat(k), k, message("increment"))
			_, err := r.spawner.Start(r.image.Engine, StartOptions{Name: "x", CPU: -1, Sandbox: SandboxRequire})
			var sandbox *SandboxError
			if lacks := r.spawner.support.Require() != nil; lacks != errors.As(err, &sandbox) {
				t.Errorf("under require: got %v", err)
			}
		})
	}
}

func TestSandboxPolicy(t *testing.T) {
	for _, policy := range []Sandbox{SandboxOff, SandboxAuto, SandboxRequire} {
		var got Sandbox
		if err := got.Set(policy.String()); err != nil || got != policy {
			t.Errorf("got %v, %v, want %v", got, err, policy)
		}
	}
	if _, err := ParseSandbox("on"); err == nil || !strings.Contains(err.Error(), "off, auto, require") {
		t.Errorf("got %v", err)
	}
	for policy, want := range map[Sandbox]int{SandboxOff: 0, SandboxAuto: 3} {
		var logged []string
		if err := policy.check(SandboxSupport{}, func(line string) { logged = append(logged, line) }); err != nil || len(logged) != want {
			t.Errorf("%v: logged %q, %v", policy, logged, err)
		}
	}
	var lacking *SandboxError
	if err := SandboxRequire.check(SandboxSupport{}, nil); !errors.As(err, &lacking) || len(lacking.Missing) != 3 {
		t.Errorf("got %v", err)
	}
	if err := SandboxAuto.check(SandboxSupport{}, nil); err != nil {
		t.Error(err)
	}
	if err := SandboxOff.Check(nil); err != nil {
		t.Error(err)
	}
}
