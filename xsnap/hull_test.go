package xsnap

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"vatworkerd/internal/testrig"
)

// hullTests are what a hull can do like any other worker.
func hullTests() map[string]func(*testing.T) {
	return map[string]func(*testing.T){
		"BaseSnapshotChangesNothing": TestBaseSnapshotChangesNothing,
		"SnapshotAndGoOn":            TestSnapshotAndGoOn,
		"BadSnapshotsAreRefused":     TestBadSnapshotsAreRefused,
		"VatFaults":                  TestVatFaults,
		"ManyWorkers":                TestManyWorkers,
		"NoDescriptorsLeft":          TestNoDescriptorsLeft,
		"ContainedFaults":            TestContainedFaults,
		"DamagedSnapshotContained":   TestDamagedSnapshotUnderContainment,
	}
}

func TestHulls(t *testing.T) {
	for name, test := range hullTests() {
		t.Run(name, test)
	}
}

func TestNativeHulls(t *testing.T) {
	for name, test := range hullTests() {
		t.Run(name, test)
	}
}

// awaitMachine waits until a hull has made its machine: the stock engine touches
// all of it, then reads on.
func awaitMachine(t testing.TB, w *Worker, shape Shape) {
	t.Helper()
	least := shape.MachineBytes()
	if strings.HasPrefix(t.Name(), "TestNative") {
		least = 0 // it touches nothing that it does not use
	}
	for {
		n, err := w.MemoryBytes()
		if err != nil {
			t.Fatal(err)
		}
		if n >= least {
			return
		}
		runtime.Gosched()
	}
}

// A hull goes on for as long as nobody has a heap for it, and ends when it is told.
func TestHullWithoutHeap(t *testing.T) {
	for name, paths := range map[string]testrig.EnginePaths{"stock": testrig.Engine(t), "native": testrig.NativeEngine(t)} {
		t.Run(name, func(t *testing.T) {
			r := rigOn(t, paths).contained(SandboxAuto)
			shape, _ := r.baseShape()
			closed, killed := r.start(StartOptions{Hull: &shape}), r.start(StartOptions{Hull: &shape})
			if err := closed.Close(); err != nil {
				t.Error(err)
			}
			killed.Kill()
			<-killed.Exited()
			if err := killed.Fill(strings.NewReader("")); err == nil {
				t.Error("a hull that was killed took a heap")
			}
			if err := killed.Close(); err != nil {
				t.Error(err)
			}
			if err := r.fromBase().Fill(strings.NewReader("")); err == nil {
				t.Error("a worker that has a heap took another one")
			}
		})
	}
}

// A heap that breaks off, or proves wrong at its end, is no heap.
func TestHullWithHalfAHeap(t *testing.T) {
	r := newRig(t)
	shape, rest := r.baseShape()
	broken := fmt.Errorf("the disk is gone")
	for name, heap := range map[string]io.Reader{
		"breaks off": bytes.NewReader(rest[:len(rest)/2]),
		"fails":      io.MultiReader(bytes.NewReader(rest[:len(rest)/2]), failingReader{broken}),
		"is wrong":   io.MultiReader(bytes.NewReader(rest), failingReader{broken}),
	} {
		w := r.start(StartOptions{Hull: &shape})
		if err := w.Fill(heap); err == nil {
			t.Errorf("a heap that %s was loaded", name)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}
}

type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }

// baseShape gives the base snapshot in two parts.
func (r *rig) baseShape() (Shape, []byte) {
	r.t.Helper()
	f, err := r.base.Open(r.image)
	if err != nil {
		r.t.Fatal(err)
	}
	defer f.Close()
	shape, ok := ReadShape(f)
	if !ok {
		r.t.Fatal("the base snapshot has no shape")
	}
	rest, err := io.ReadAll(f)
	if err != nil {
		r.t.Fatal(err)
	}
	return shape, rest
}

// TestShapes: what is read is given back, whatever it is, and only what begins
// like a heap has a shape.
func TestShapes(t *testing.T) {
	f, err := os.ReadFile(basePath(t))
	if err != nil {
		t.Fatal(err)
	}
	head, _ := ReadShape(bytes.NewReader(f))
	if want := int64(32<<20 + (256<<10+4096)*slotBytes); head.MachineBytes() < want || head.MachineBytes() > want+1<<20 {
		t.Errorf("the machine of the base snapshot takes %d bytes, want %d", head.MachineBytes(), want)
	}
	rapid.Check(t, func(rt *rapid.T) {
		text := bytes.Clone(f[:rapid.IntRange(0, 300).Draw(rt, "length")])
		if len(text) > 0 && rapid.Bool().Draw(rt, "changed") {
			text[rapid.IntRange(0, len(text)-1).Draw(rt, "place")] ^= byte(rapid.IntRange(1, 255).Draw(rt, "bits"))
		}
		from := bytes.NewReader(text)
		shape, ok := ReadShape(from)
		again, err := io.ReadAll(shape.Before(from))
		if err != nil || !bytes.Equal(again, text) {
			rt.Fatalf("%d bytes became %d (%v)", len(text), len(again), err)
		}
		if same := len(text) >= len(head.text) && bytes.Equal(text[sizeBytes:len(head.text)], head.text[sizeBytes:]); same && !(ok && shape.Fits(head)) {
			rt.Fatal("a heap of the same shape has none, or another one")
		} else if ok && !same && shape.Fits(head) {
			rt.Fatal("another shape fits")
		}
	})
}

func basePath(t *testing.T) string {
	t.Helper()
	r := newRig(t)
	f, err := r.base.Open(r.image)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return f.Name()
}
