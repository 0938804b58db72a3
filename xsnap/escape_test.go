package xsnap

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// buildEscape compiles the worker that tries to escape.
func buildEscape(t testing.TB) Engine {
	t.Helper()
	path := filepath.Join(t.TempDir(), "escape")
	if out, err := exec.Command("cc", "-O1", "-o", path, "testdata/escape.c").CombinedOutput(); err != nil {
		t.Fatalf("cannot compile testdata/escape.c (make engine needs cc too): %v\n%s", err, out)
	}
	return Engine{Path: path}
}

// lines is a sink that keeps what a worker wrote.
type lines struct {
	mu  sync.Mutex // guards all
	all []string
}

func (l *lines) take(_, line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, line)
}

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.all, "\n")
}

// try runs one escape to its end and returns what it printed, and the signal
// that ended it.
func try(t testing.TB, s *Spawner, eng Engine, o StartOptions) (printed string, signal syscall.Signal) {
	t.Helper()
	var out lines
	o.Sink = out.take
	w := startWorker(t, s, eng, o)
	<-w.Exited()
	if status := w.proc.status; status.Signaled() {
		return out.text(), status.Signal()
	} else if status.ExitStatus() != 0 {
		t.Fatalf("%s ended with code %d: %s", o.Name, status.ExitStatus(), out.text())
	}
	return out.text(), 0
}

// fullSandbox skips nothing by itself: a system without the features fails the
// tests unless it says so.
func fullSandbox(t testing.TB) {
	t.Helper()
	if err := DetectSandbox().Require(); err != nil {
		if os.Getenv("VATWORKERD_NO_SANDBOX") != "" {
			t.Skip(err)
		}
		t.Fatalf("%v\nset VATWORKERD_NO_SANDBOX=1 to skip the tests of containment", err)
	}
}

func TestEscapes(t *testing.T) {
	fullSandbox(t)
	eng, s := buildEscape(t), newSpawner(t)
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	me := strconv.Itoa(os.Getpid())
	const refused = "EPERM"
	for _, tc := range []struct {
		way, arg  string
		want      string
		uncontain string // the same without containment: the attempt is a real one; "" if not tried
	}{
		// Files: Landlock says which, the filter how.
		{"read", secret, "EACCES", "done"},
		{"read", "/etc/passwd", "EACCES", "done"},
		{"read", "/proc/version", "EACCES", "done"},
		{"read", eng.Path, "done", "done"}, // its own program
		{"write", eng.Path, refused, ""},
		{"write", secret, refused, "done"},
		{"create", filepath.Join(dir, "new"), refused, "done"},
		{"create", secret, refused, "done"},
		{"path", secret, refused, "done"},
		{"list", dir, refused, "done"},
		{"list", "/", refused, "done"},
		{"unlink", filepath.Join(dir, "unlinked"), refused, ""},
		{"mkdir", filepath.Join(dir, "made"), refused, "done"},
		{"rename", secret, refused, ""},
		{"chmod", secret, refused, "done"},
		{"truncate", secret, refused, "done"},
		{"access", secret, refused, "done"},
		{"chdir", "", refused, "done"},
		{"chroot", "", refused, ""},
		{"memfd", "", refused, "done"},
		// Other processes.
		{"environ", me, "EACCES", "done"},
		{"cmdline", me, "EACCES", "done"},
		{"maps", me, "EACCES", "done"},
		{"mem", me, "EACCES", ""},
		{"own_maps", "", "done", "done"}, // the engine needs it
		{"own_environ", "", "EACCES", "done"},
		{"ptrace", me, refused, ""},
		{"vm_read", me, refused, ""},
		{"kill", me, refused, "done"},
		{"pidfd", me, refused, "done"},
		{"parent_limits", me, refused, "done"},
		// Network.
		{"socket", "", refused, "done"},
		{"udp", "", refused, "done"},
		{"unix", "", refused, "done"},
		{"netlink", "", refused, "done"},
		{"socketpair", "", refused, "done"},
		{"connect", "", refused, "done"},
		{"uring", "", refused, ""},
		// Processes and programs.
		{"fork", "", refused, "done"},
		{"vfork", "", refused, "done"},
		{"clone", "", refused, "done"},
		{"clone3", "", refused, "done"},
		{"thread", "", refused, "done"},
		{"execve", "/nonexistent", refused, ""},
		{"execve", "/bin/true", refused, ""},
		{"execve", eng.Path, refused, ""},
		{"execveat", "/bin/true", refused, ""},
		// Privileges.
		{"setuid", strconv.Itoa(os.Getuid()), refused, "done"},
		{"setresgid", "", refused, "done"},
		{"capset", "", refused, "done"},
		{"unshare", "", refused, ""},
		{"mount", "", refused, ""},
		{"bpf", "", refused, ""},
		{"dumpable", "", refused, "done"},
		{"deathsig", "", refused, "done"},
		{"setpgid", "", refused, "done"},
		{"raise_limit", "", refused, "done"},
		{"future", "", "ENOSYS", "ENOSYS"},
		// Its stdout, a terminal.
		{"line_discipline", "", refused, "done"},
		{"terminal_mode", "", refused, "done"},
		{"typed", "", refused, ""},
		{"peer", "", "EACCES", "ENXIO"}, // it has no controlling terminal
		// Code.
		{"code", "", refused, "done"},
		{"mprotect", "", refused, "done"},
		{"shared", "", refused, "done"},
		// Limits.
		{"descriptors", "", "EMFILE", ""},
		{"memory", strconv.Itoa(256 << 20), "done", "done"},
		{"reserve", strconv.Itoa(3 << 30), "done", "done"}, // what an engine may have for itself, and more
		{"memory", strconv.Itoa(DefaultAddressSpaceBytes), "ENOMEM", ""},
		{"count", "", "9 descriptors, environment: TZ=UTC0\ndone", "9 descriptors, environment: TZ=UTC0\ndone"},
	} {
		t.Run(tc.way+" "+filepath.Base(tc.arg), func(t *testing.T) {
			name := tc.way + ":" + tc.arg
			for policy, want := range map[Sandbox]string{SandboxRequire: tc.want, SandboxOff: tc.uncontain} {
				if want == "" {
					continue
				}
				writeFile(t, secret, "of the host")
				got, signal := try(t, s, eng, StartOptions{Name: name, Sandbox: policy})
				if got != want && "0\n"+want != got || signal != 0 {
					t.Errorf("under %v: got %q (signal %d), want %q", policy, got, signal, want)
				}
			}
		})
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*.moved")); err != nil || left != nil {
		t.Errorf("an escape moved files: %v, %v", left, err)
	}
}

// TestGate tries to use the one admitted execve again.
func TestGate(t *testing.T) {
	fullSandbox(t)
	eng, s := buildEscape(t), newSpawner(t)
	l, err := s.openLauncher()
	if err != nil {
		t.Fatal(err)
	}
	gate := fmt.Sprintf("%#x", l.gate.address())
	for way, want := range map[string]string{
		"gate": "EFAULT", "gate_map": "EPERM", "gate_hint": "EPERM", "gate_below": "EPERM", "gate_zero": "EPERM",
		"gate_32bit": "EPERM", "gate_grow": "EPERM", "gate_move": "EPERM", "gate_brk": "EPERM", "gate_fill": "EFAULT",
	} {
		if got, signal := try(t, s, eng, StartOptions{Name: way + ":" + gate, Sandbox: SandboxRequire}); got != want || signal != 0 {
			t.Errorf("%s: got %q (signal %d), want %q", way, got, signal, want)
		}
	}
}

// TestDeadlyEscapes end the worker, as a signal that is no vat's fault.
func TestDeadlyEscapes(t *testing.T) {
	fullSandbox(t)
	eng, s := buildEscape(t), newSpawner(t)
	for way, want := range map[string]syscall.Signal{
		"foreign": syscall.SIGSYS, "x32": syscall.SIGSYS,
		"abort": syscall.SIGSEGV, // the library may not signal itself, and then stumbles on purpose
	} {
		if got, signal := try(t, s, eng, StartOptions{Name: way + ":", Sandbox: SandboxRequire}); signal != want {
			t.Errorf("%s: got %q and signal %v, want %v", way, got, signal, want)
		}
	}
}

func TestMemoryCeiling(t *testing.T) {
	fullSandbox(t)
	eng, s := buildEscape(t), newSpawner(t)
	for limit, want := range map[uint64]string{64 << 20: "ENOMEM", 512 << 20: "done"} {
		o := StartOptions{Name: fmt.Sprintf("memory:%d", 128<<20), Sandbox: SandboxRequire, Limits: Limits{AddressSpaceBytes: limit}}
		if got, _ := try(t, s, eng, o); got != want {
			t.Errorf("128 MiB under %d: got %q, want %q", limit, got, want)
		}
	}
	o := StartOptions{Name: "count:", Sandbox: SandboxRequire, Limits: Limits{AddressSpaceBytes: MaxAddressSpaceBytes + 1}}
	if _, err := s.Start(eng, o); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("a ceiling without use: got %v", err)
	}
}

// TestInheritedFileDoesNotGrow hands a worker a file that may be written.
func TestInheritedFileDoesNotGrow(t *testing.T) {
	fullSandbox(t)
	eng, s := buildEscape(t), newSpawner(t)
	for policy, want := range map[Sandbox]string{SandboxRequire: "EFBIG", SandboxOff: "done"} {
		f, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if got, _ := try(t, s, eng, StartOptions{Name: "grow_file:", From: f, Sandbox: policy}); got != want {
			t.Errorf("under %v: got %q, want %q", policy, got, want)
		}
	}
}

// TestContainedStatus looks at a contained worker from outside.
func TestContainedStatus(t *testing.T) {
	fullSandbox(t)
	t.Setenv("SECRET", "of the host")
	var inherited [2]int
	if err := unix.Pipe2(inherited[:], 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(inherited[0]); unix.Close(inherited[1]) })
	r := newRig(t).contained(SandboxRequire)
	w := r.fromBase()
	status, err := os.ReadFile(proc(w, "status"))
	if err != nil {
		t.Fatal(err)
	}
	const none = "\t0000000000000000\n"
	for _, line := range []string{
		"NoNewPrivs:\t1\n", "Seccomp:\t2\n", "CapInh:" + none, "CapPrm:" + none, "CapEff:" + none, "CapAmb:" + none,
		"SigBlk:" + none, "SigIgn:" + none, "Threads:\t1\n",
	} {
		if !strings.Contains(string(status), line) {
			t.Errorf("its status has no %q:\n%s", line, status)
		}
	}
	if env, err := os.ReadFile(proc(w, "environ")); err != nil || string(env) != "TZ=UTC0\x00" {
		t.Errorf("environment is %q, %v", env, err)
	}
	if dir, err := os.Readlink(proc(w, "cwd")); err != nil || dir != "/" {
		t.Errorf("working directory is %q, %v", dir, err)
	}
	if group, err := unix.Getpgid(w.PID()); err != nil || group != w.PID() {
		t.Errorf("process group is %d, %v, want %d", group, err, w.PID())
	}
	if fds := descriptors(t, w); len(fds) != fdCount || !strings.Contains(fds[fdSnapshotLoad], "base-") {
		t.Errorf("descriptors are %v, want 0 to 8", fds)
	}
	wantLimits(t, w.PID())
}

// wantLimits checks all limits of a contained worker.
func wantLimits(t *testing.T, pid int) {
	t.Helper()
	for _, limit := range workerLimits(DefaultAddressSpaceBytes) {
		var got unix.Rlimit
		if err := unix.Prlimit(pid, limit.resource, nil, &got); err != nil || got.Max > limit.value || got.Cur > limit.value {
			t.Errorf("limit of %s is %+v, %v, want %d", limit.name, got, err, limit.value)
		}
	}
	if got := stackLimit(t, pid); got.Cur != WorkerStackBytes || got.Max != WorkerStackBytes {
		t.Errorf("the stack's limit is %+v, want %d: it decides when the stack overflows", got, WorkerStackBytes)
	}
}

func stackLimit(t *testing.T, pid int) (limit unix.Rlimit) {
	t.Helper()
	if err := unix.Prlimit(pid, unix.RLIMIT_STACK, nil, &limit); err != nil {
		t.Fatal(err)
	}
	return limit
}

// TestContainedDiesWithSpawner: the launcher's children are the thread's too.
func TestContainedDiesWithSpawner(t *testing.T) {
	fullSandbox(t)
	eng := buildEscape(t)
	s, err := NewSpawner()
	if err != nil {
		t.Fatal(err)
	}
	w := startWorker(t, s, eng, StartOptions{Name: "hang:", Sandbox: SandboxRequire})
	s.Close()
	<-w.Exited()
	if w.proc.status.Signal() != syscall.SIGKILL {
		t.Errorf("it ended with %v", w.proc.status)
	}
}

func TestContainedStartFailures(t *testing.T) {
	fullSandbox(t)
	s := newSpawner(t)
	dir := t.TempDir()
	script, plain, foreign := filepath.Join(dir, "script"), filepath.Join(dir, "plain"), filepath.Join(dir, "foreign")
	writeFile(t, script, "#!/bin/sh\n")
	program, err := os.ReadFile(buildEscape(t).Path)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, plain, string(program))
	if err := os.Chmod(plain, 0o600); err != nil {
		t.Fatal(err)
	}
	program[18] = 0xb7 // another machine's program
	writeFile(t, foreign, string(program))
	before := openDescriptors(t)
	for path, want := range map[string]string{
		"/nonexistent": "no such file", script: "--sandbox off", dir: "not a regular file", plain: "permission denied", foreign: foreign,
	} {
		if w, err := s.Start(Engine{Path: path}, StartOptions{Name: "x", Sandbox: SandboxAuto}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, %v, want …%s…", path, w, err, want)
		}
	}
	if _, err := s.Start(buildEscape(t), StartOptions{Name: strings.Repeat("x", callTableBytes), Sandbox: SandboxAuto}); !errors.Is(err, unix.E2BIG) {
		t.Errorf("a name without end: got %v", err)
	}
	if after := openDescriptors(t); after > before {
		t.Errorf("%d descriptors are open, %d were before", after, before)
	}
	s.Close()
	if _, err := s.Start(buildEscape(t), StartOptions{Name: "x", Sandbox: SandboxAuto}); !errors.Is(err, ErrSpawnerClosed) {
		t.Errorf("after Close: got %v", err)
	}
}

// TestStaticEngine needs no loader and no library.
func TestStaticEngine(t *testing.T) {
	fullSandbox(t)
	path := filepath.Join(t.TempDir(), "static")
	if out, err := exec.Command("cc", "-static", "-o", path, "testdata/escape.c").CombinedOutput(); err != nil {
		t.Skipf("this machine links nothing statically: %s", out)
	}
	s := newSpawner(t)
	for name, want := range map[string]string{"count:": "9 descriptors, environment: TZ=UTC0\ndone", "socket:": "EPERM", "read:/etc/passwd": "EACCES"} {
		if got, _ := try(t, s, Engine{Path: path}, StartOptions{Name: name, Sandbox: SandboxRequire}); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

// TestContainedStartsAtOnce: one table and one gate serve all starts in turn.
func TestContainedStartsAtOnce(t *testing.T) {
	fullSandbox(t)
	eng, s := buildEscape(t), newSpawner(t)
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			for range 10 {
				var out lines
				o := StartOptions{Name: fmt.Sprintf("memory:%d", n<<20), CPU: -1, Sandbox: SandboxRequire, Sink: out.take}
				if n%2 == 0 {
					o.Name = fmt.Sprintf("read:/etc/%d/passwd", n)
				}
				w, err := s.Start(eng, o)
				if err != nil {
					t.Error(err)
					return
				}
				<-w.Exited()
				if err := w.Close(); err != nil {
					t.Error(err)
				}
				if want := []string{"ENOENT", "done"}[n%2]; out.text() != want {
					t.Errorf("%s: got %q, want %q", o.Name, out.text(), want)
				}
			}
		})
	}
	all.Wait()
}

// TestManySpawners: each has a gate of its own, and gives it back.
func TestManySpawners(t *testing.T) {
	fullSandbox(t)
	eng := buildEscape(t)
	seen := map[uintptr]bool{}
	for range 40 {
		s := newSpawner(t)
		l, err := s.openLauncher()
		if err != nil {
			t.Fatal(err)
		}
		if seen[l.gate.address()] {
			t.Fatal("two Spawners share a gate")
		}
		seen[l.gate.address()] = true
	}
	s := newSpawner(t)
	if got, _ := try(t, s, eng, StartOptions{Name: "execve:/bin/true", Sandbox: SandboxRequire}); got != "EPERM" {
		t.Errorf("got %q", got)
	}
}
