package xsnap

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"vatworkerd/internal/testrig"
)

// areaRigs are the native worker contained, and sanitized.
func areaRigs(t *testing.T) map[string]*rig {
	return map[string]*rig{
		"release":   rigOn(t, testrig.NativeEngine(t)).contained(SandboxAuto),
		"sanitized": rigOn(t, testrig.SanitizedEngine(t)),
	}
}

// areaHull is a hull that has an area, and waits.
func (r *rig) areaHull(shape Shape) *Worker {
	r.t.Helper()
	w := r.start(StartOptions{Hull: &shape})
	if w.area == nil {
		r.t.Fatal("the hull has no area")
	}
	for w.pulse.ours.Load() == 0 { // until its loader has written the head
		runtime.Gosched()
	}
	return w
}

// TestHeapAreas: a heap that lies in an area, one of which only the begin has room
// there, and one that passes through the pipe lead to the same machine. The memory
// is gone when the worker is ready and its loader done.
func TestHeapAreas(t *testing.T) {
	for name, r := range areaRigs(t) {
		t.Run(name, func(t *testing.T) {
			r.t = t
			for what, heap := range map[string][]byte{"usual": r.grown(0), "large": r.grown(heapAreaBytes)} {
				shape, ok := ReadShape(bytes.NewReader(heap))
				if !ok {
					t.Fatal("a snapshot has no shape")
				}
				piped := r.start(StartOptions{From: bytes.NewReader(heap)})
				if err := piped.Ready(); err != nil {
					t.Fatal(err)
				}
				w := r.areaHull(shape)
				if err := w.Fill(bytes.NewReader(heap[len(shape.text):])); err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				if !bytes.Equal(snapshotOf(t, w), snapshotOf(t, piped)) {
					t.Errorf("%s: the heaps differ", what)
				}
				w.area.wait()
				wantNoArea(t, w.PID())
			}
			wantNoArea(t, os.Getpid())
		})
	}
}

// grown is a heap of the base snapshot's shape with so many bytes more.
func (r *rig) grown(bytes int) []byte {
	r.t.Helper()
	w := r.fromBase()
	if err := w.Evaluate(fmt.Appendf(nil, "globalThis.large = 'x'.repeat(%d)", bytes), nil); err != nil {
		r.t.Fatal(err)
	}
	return snapshotOf(r.t, w)
}

// wantNoArea looks at a process's descriptors.
func wantNoArea(t *testing.T, pid int) {
	t.Helper()
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil || len(fds) == 0 {
		t.Fatalf("no descriptors of process %d: %v", pid, err)
	}
	for _, fd := range fds {
		if to, _ := os.Readlink(fd); strings.Contains(to, "memfd") {
			t.Errorf("process %d has %s open, %s", pid, fd, to)
		}
	}
}

// TestHeapAreaIsReadOnly tries on a descriptor what a worker could try with its own.
func TestHeapAreaIsReadOnly(t *testing.T) {
	area := openHeapArea()
	if area == nil {
		t.Fatal("there is no area")
	}
	defer area.close()
	copy(area.memory, "whole")
	mapped := func(fd int, protection int) error {
		memory, err := unix.Mmap(fd, 0, 4096, protection, unix.MAP_SHARED)
		if err == nil {
			_ = unix.Munmap(memory)
		}
		return err
	}
	path := fmt.Sprintf("/proc/self/fd/%d", area.fd)
	again, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(again)
	for _, fd := range []int{area.fd, again} {
		_, wrote := unix.Pwrite(fd, []byte("other"), 0)
		_, sealed := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_WRITE)
		for what, err := range map[string]error{
			"written to": wrote, "mapped to be written to": mapped(fd, unix.PROT_READ|unix.PROT_WRITE), "sealed once more": sealed,
			"cut": unix.Ftruncate(fd, 0), "enlarged": unix.Ftruncate(fd, heapAreaBytes+1),
			"punched": unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, 4096),
		} {
			if err == nil {
				t.Errorf("an area was %s", what)
			}
		}
		if err := mapped(fd, unix.PROT_READ); err != nil {
			t.Error(err)
		}
	}
	if !bytes.HasPrefix(area.memory, []byte("whole")) {
		t.Error("the area is not what it was")
	}
}

// TestWrongPortions gives a worker portions that do not fit its heap: it ends, in
// its own words.
func TestWrongPortions(t *testing.T) {
	for name, r := range areaRigs(t) {
		t.Run(name, func(t *testing.T) {
			r.t = t
			shape, rest := r.baseShape()
			n := len(rest)
			for _, tc := range []struct {
				sent []byte
				want string // "" = it is a heap
			}{
				{portionHead(n, true), ""},
				{bytes.Join([][]byte{portionHead(0, true), portionHead(n, true), portionHead(0, false)}, nil), ""},
				{nil, "ends too early"},
				{[]byte{0, 1}, "ends too early"},
				{portionHead(n-1, true), "ends too early"},
				{portionHead(n, false), "ends too early"},
				{portionHead(n+1, true), "goes on behind"},
				{append(portionHead(n, true), portionHead(1, true)...), "goes on behind"},
				{append(portionHead(n, true), append(portionHead(1, false), 7)...), "goes on behind"},
				{append(portionHead(n, true), 0, 0), "No data available"},
			} {
				w := r.areaHull(shape)
				copy(w.area.memory, rest)
				if _, err := w.load.pipe.Write(tc.sent); err != nil {
					t.Fatal(err)
				}
				_ = w.load.pipe.Close()
				_, _, err := w.command(opLoad, nil, cmdReady)
				if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
					t.Errorf("after %x: %v, want …%s…", tc.sent, err, tc.want)
				}
			}
		})
	}
}
