package xsnap

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// setLimit changes a limit of a running worker from outside.
func setLimit(t *testing.T, w *Worker, resource int, value uint64) {
	t.Helper()
	if err := unix.Prlimit(w.PID(), resource, &unix.Rlimit{Cur: value, Max: value}, nil); err != nil {
		t.Fatal(err)
	}
}

// TestFaultsOfTheHost: the exit codes of a vat's faults are none where the
// host's limits decide, and stay what they are where those do not matter.
func TestFaultsOfTheHost(t *testing.T) {
	const little = 1200 << 20 // more than a worker starts with
	for _, tc := range []struct {
		name     string
		limit    func(t *testing.T, w *Worker)
		method   string
		code     int
		outside  string // of the error, "" if it is the vat's fault
		fromBase uint64 // address space from the start
	}{
		{"memory, from the start", nil, "hoard", ExitNotEnoughMemory, "its memory was limited to 1258291200 bytes", little},
		{"memory, later", func(t *testing.T, w *Worker) { setLimit(t, w, unix.RLIMIT_AS, little) }, "hoard", ExitNotEnoughMemory, "its memory was limited", 0},
		{"data", func(t *testing.T, w *Worker) { setLimit(t, w, unix.RLIMIT_DATA, 64<<20) }, "hoard", ExitNotEnoughMemory, "its data was limited", 0},
		{"data, chunks", func(t *testing.T, w *Worker) { setLimit(t, w, unix.RLIMIT_DATA, 64<<20) }, "hog", ExitNotEnoughMemory, "its data was limited", 0},
		{"stack", func(t *testing.T, w *Worker) { setLimit(t, w, unix.RLIMIT_STACK, 1<<20) }, "recurse", ExitStackOverflow, "its stack was limited to 1048576 bytes", 0},
		{"memory does not matter", func(t *testing.T, w *Worker) { setLimit(t, w, unix.RLIMIT_AS, little) }, "recurse", ExitStackOverflow, "", 0},
		{"stack does not matter", func(t *testing.T, w *Worker) { setLimit(t, w, unix.RLIMIT_STACK, 1<<20) }, "hog", ExitNotEnoughMemory, "", 0},
		{"computrons", func(t *testing.T, w *Worker) { setLimit(t, w, unix.RLIMIT_AS, little) }, "spin", ExitTooMuchComputation, "", 0},
	} {
		for _, policy := range []Sandbox{SandboxOff, SandboxAuto} {
			t.Run(fmt.Sprintf("%s, %v", tc.name, policy), func(t *testing.T) {
				r := newRig(t).contained(policy)
				r.limits = Limits{AddressSpaceBytes: tc.fromBase}
				k := newFakeKernel()
				w := r.vat(k)
				if tc.limit != nil {
					tc.limit(t, w)
				}
				res, err := w.Deliver(json.RawMessage(message(tc.method)), k)
				if tc.outside == "" {
					if err != nil || !res.WorkerGone || res.Problem == "" {
						t.Errorf("got %+v, %v, want the vat's fault", res, err)
					}
					return
				}
				var exit *ExitError
				if !errors.As(err, &exit) || exit.Code != tc.code || exit.VatFault() || !strings.Contains(err.Error(), tc.outside) {
					t.Errorf("got %+v, %v, want code %d for reasons of the host", res, err, tc.code)
				}
			})
		}
	}
}

// TestNoVatNoFault: an exit of that kind while no code of the vat runs.
func TestNoVatNoFault(t *testing.T) {
	r := newRig(t)
	var exit *ExitError
	r.limits = Limits{AddressSpaceBytes: 1030 << 20} // too little for the heap: the engine stumbles
	heap := snapshotOf(t, newRig(t).vat(newFakeKernel()))
	w := r.start(StartOptions{From: bytes.NewReader(heap)})
	if err := w.Ready(); !errors.As(err, &exit) || exit.VatFault() {
		t.Errorf("loading: got %v", err)
	}
	r.limits = Limits{}
	w = r.start(StartOptions{MeterLimit: 1000})
	if err := w.EvaluateImage(r.image, nil); !errors.As(err, &exit) || exit.Code != ExitTooMuchComputation || exit.VatFault() {
		t.Errorf("evaluating: got %v", err)
	}
}

// TestStackIsTheSame: what this process has as its stack is not what workers
// get, and the engine's recursion ends where it ends everywhere.
func TestStackIsTheSame(t *testing.T) {
	var own unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_STACK, &own); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Setrlimit(unix.RLIMIT_STACK, &own) })
	// An array literal of about 9540 brackets overflows the parser's stack.
	deep := func(n int) []byte { return fmt.Appendf(nil, `eval("[".repeat(%d))`, n) }
	for _, soft := range []uint64{1 << 20, 64 << 20} {
		for _, policy := range []Sandbox{SandboxOff, SandboxAuto} {
			if err := unix.Setrlimit(unix.RLIMIT_STACK, &unix.Rlimit{Cur: soft, Max: own.Max}); err != nil {
				t.Fatal(err)
			}
			r := newRig(t).contained(policy)
			w := r.start(StartOptions{})
			if got := stackLimit(t, w.PID()); got.Cur != WorkerStackBytes {
				t.Errorf("%d, %v: the worker's stack is %+v", soft, policy, got)
			}
			for n, want := range map[int]string{9000: "SyntaxError", 10000: "RangeError: stack overflow"} {
				var protocol *ProtocolError
				if err := w.Evaluate(deep(n), nil); !errors.As(err, &protocol) || !strings.HasPrefix(protocol.Detail, want) {
					t.Errorf("%d, %v: %d brackets gave %v, want %s", soft, policy, n, err, want)
				}
			}
		}
	}
}

const limitedArg = "limited-parent-of-a-worker"

// TestHostLimits: a process that is itself held to too little starts no worker
// and says why. It is another process, as limits cannot be raised again.
func TestHostLimits(t *testing.T) {
	r := newRig(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		resource int
		limit    uint64
		want     string
	}{
		{unix.RLIMIT_STACK, 4 << 20, "held to 4194304 bytes of stack, and its workers need 8388608"},
		{unix.RLIMIT_STACK, 16 << 20, "started"},
		{unix.RLIMIT_AS, 4 << 30, "held to 4294967296 bytes of memory, and its workers need 5368709120"},
		{unix.RLIMIT_AS, 6 << 30, "started"},
		{unix.RLIMIT_DATA, 4 << 30, "held to 4294967296 bytes of data"},
	} {
		for _, policy := range []Sandbox{SandboxOff, SandboxAuto} {
			out, err := exec.Command(self, limitedArg, strconv.Itoa(tc.resource), strconv.FormatUint(tc.limit, 10), policy.String(), r.image.Engine.Path).CombinedOutput()
			if err != nil || !strings.Contains(string(out), tc.want) {
				t.Errorf("limit %d of %d, %v: got %q, %v, want %q", tc.resource, tc.limit, policy, out, err, tc.want)
			}
		}
	}
}

// playLimited holds itself to a limit and starts a worker.
func playLimited(args []string) int {
	resource, _ := strconv.Atoi(args[0])
	value, _ := strconv.ParseUint(args[1], 10, 64)
	policy, err := ParseSandbox(args[2])
	if err == nil {
		err = unix.Setrlimit(resource, &unix.Rlimit{Cur: value, Max: value})
	}
	var w *Worker
	if err == nil {
		w, err = Start(Engine{Path: args[3]}, StartOptions{Name: "x", CPU: -1, Sandbox: policy})
	}
	if err == nil {
		fmt.Println("started")
		err = errors.Join(w.Ready(), w.Close())
	}
	if err != nil {
		fmt.Println(err)
	}
	return 0
}

// TestHostMemory judges machines by what their /proc says.
func TestHostMemory(t *testing.T) {
	const plenty = "MemTotal:       24000000 kB\nSwapTotal:      0 kB\nCommitLimit:    %d kB\nCommitted_AS:   1000000 kB\n"
	for _, tc := range []struct{ name, mode, info, want string }{
		{"usual", "0\n", fmt.Sprintf(plenty, 12000000), ""},
		{"always", "1\n", fmt.Sprintf(plenty, 1), ""},
		{"strict with room", "2\n", fmt.Sprintf(plenty, 12000000), ""},
		{"strict without", "2\n", fmt.Sprintf(plenty, 5000000), "down to 4096000000 bytes"},
		{"strict and over", "2\n", fmt.Sprintf(plenty, 500000), "down to 0 bytes"},
		{"tiny", "0\n", "MemTotal:  1000000 kB\nSwapTotal: 500000 kB\n", "1536000000 bytes of memory and swap"},
		{"tiny with swap", "0\n", "MemTotal:  1000000 kB\nSwapTotal: 1500000 kB\n", ""},
		{"strange", "", "MemTotal: much\nno colon\n", ""},
	} {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, "sys/vm"), 0o700); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, "sys/vm/overcommit_memory"), tc.mode)
		writeFile(t, filepath.Join(dir, "meminfo"), tc.info)
		if got := readHostMemory(dir).why(); got == "" != (tc.want == "") || !strings.Contains(got, tc.want) {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
	}
	if got := readHostMemory(t.TempDir()).why(); got != "" {
		t.Errorf("a /proc that cannot be read: got %q", got)
	}
	if got := readHostMemory("/proc"); got.total == 0 {
		t.Errorf("this machine's own: %+v", got)
	}
}

// TestLocalTimeIsUTC: a vat's hours do not depend on where its node is, nor on
// whether the sandbox keeps /etc/localtime from it.
func TestLocalTimeIsUTC(t *testing.T) {
	t.Setenv("TZ", "Asia/Kathmandu")
	for _, policy := range []Sandbox{SandboxOff, SandboxAuto} {
		r := newRig(t).contained(policy)
		k := newFakeKernel()
		w := r.vat(k)
		mustDeliver(t, w, k, message("hours"))
		if got := k.lastResolve(); !strings.Contains(got, `"body":"#0"`) {
			t.Errorf("%v: midnight is %s", policy, got)
		}
		if got, err := os.ReadFile(proc(w, "environ")); err != nil || string(got) != "TZ=UTC0\x00" {
			t.Errorf("%v: its environment is %q, %v", policy, got, err)
		}
	}
}
