package xsnap

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const parentArg = "parent-of-a-worker"

func TestNothingIsInherited(t *testing.T) {
	t.Setenv("SECRET", "of the host")
	// A descriptor this process got from its own parent has no close-on-exec.
	var inherited [2]int
	if err := unix.Pipe2(inherited[:], 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(inherited[0]); unix.Close(inherited[1]) })
	r := newRig(t)
	other := r.fromBase()
	w := r.fromBase()
	if got, err := os.ReadFile(proc(w, "environ")); err != nil || string(got) != "TZ=UTC0\x00" {
		t.Errorf("environment is %q, %v", got, err)
	}
	if got, err := os.Readlink(proc(w, "cwd")); err != nil || got != "/" {
		t.Errorf("working directory is %q, %v", got, err)
	}
	fds := descriptors(t, w)
	if len(fds) != fdCount {
		t.Errorf("descriptors are %v, want 0 to 8", fds)
	}
	for fd, target := range fds {
		switch fd {
		case fdStdin, fdDebugger, fdProfiler:
			if target != "/dev/null" {
				t.Errorf("descriptor %d is %s", fd, target)
			}
		case fdSnapshotLoad:
			want := "base-"
			if r.forks {
				want = "/dev/null"
			}
			if !strings.Contains(target, want) {
				t.Errorf("descriptor %d is %s, want %s", fd, target, want)
			}
		default:
			isOwn := strings.HasPrefix(target, "pipe:") || fd == fdStdout && strings.HasPrefix(target, "/dev/pts/")
			if !isOwn || slices.Contains(values(descriptors(t, other)), target) {
				t.Errorf("descriptor %d is %s", fd, target)
			}
		}
	}
}

func proc(w *Worker, file string) string {
	return filepath.Join("/proc", strconv.Itoa(w.PID()), file)
}

func descriptors(t *testing.T, w *Worker) map[int]string {
	t.Helper()
	entries, err := os.ReadDir(proc(w, "fd"))
	if err != nil {
		t.Fatal(err)
	}
	fds := map[int]string{}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			t.Fatal(err)
		}
		if fds[fd], err = os.Readlink(filepath.Join(proc(w, "fd"), e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return fds
}

func values(m map[int]string) (all []string) {
	for _, v := range m {
		all = append(all, v)
	}
	return all
}

func TestGroupAndLimits(t *testing.T) {
	r := newRig(t)
	w := r.start(StartOptions{Limits: Limits{AddressSpaceBytes: 8 << 30}})
	if err := w.Ready(); err != nil {
		t.Fatal(err)
	}
	if group, err := unix.Getpgid(w.PID()); err != nil || group != w.PID() {
		t.Errorf("process group is %d, %v, want %d", group, err, w.PID())
	}
	for resource, want := range map[int]uint64{unix.RLIMIT_CORE: 0, unix.RLIMIT_AS: 8 << 30} {
		var got unix.Rlimit
		if err := unix.Prlimit(w.PID(), resource, nil, &got); err != nil || got.Cur != want || got.Max != want {
			t.Errorf("limit %d is %+v, %v, want %d", resource, got, err, want)
		}
	}
}

func TestPinning(t *testing.T) {
	lockThread(t)
	r := newRig(t)
	w := r.start(StartOptions{})
	if err := errors.Join(w.Ready(), w.PinTo(0)); err != nil {
		t.Fatal(err)
	}
	if got := affinity(t, w.PID()); got.Count() != 1 || !got.IsSet(0) {
		t.Errorf("pinned worker may run on %d CPUs", got.Count())
	}
	before := affinity(t, 0)
	if err := w.Unpin(); err != nil {
		t.Fatal(err)
	}
	if got := affinity(t, w.PID()); got != before {
		t.Errorf("unpinned worker may run on %d CPUs, want %d", got.Count(), before.Count())
	}
	if err := w.KeepOff(0); err != nil {
		t.Fatal(err)
	}
	if got := affinity(t, w.PID()); before.Count() > 1 && (got.IsSet(0) || got.Count() != before.Count()-1) {
		t.Errorf("a worker kept off CPU 0 may run on %d CPUs, on 0: %v", got.Count(), got.IsSet(0))
	}
	unpin, err := PinThread(0)
	if err != nil {
		t.Fatal(err)
	}
	if got := affinity(t, 0); got.Count() != 1 {
		t.Errorf("pinned thread may run on %d CPUs", got.Count())
	}
	if err := unpin(); err != nil || affinity(t, 0) != before {
		t.Errorf("the thread's CPUs did not come back: %v", err)
	}
	for _, cpu := range []int{-1, 1 << 20} {
		if err := w.PinTo(cpu); err == nil {
			t.Errorf("there is no CPU %d, but the worker was pinned to it", cpu)
		}
	}
	w.Kill()
	<-w.Exited()
	if err := w.PinTo(0); err != nil {
		t.Errorf("pinning a worker that is gone: %v", err)
	}
}

func affinity(t *testing.T, pid int) unix.CPUSet {
	t.Helper()
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(pid, &set); err != nil {
		t.Fatal(err)
	}
	return set
}

func TestStartFailures(t *testing.T) {
	s := newSpawner(t)
	self := Engine{Path: "/proc/self/exe"}
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		eng  Engine
		o    StartOptions
		want string
	}{
		"no engine":       {Engine{Path: "/nonexistent"}, StartOptions{Name: "x"}, "no such file"},
		"no executable":   {Engine{Path: plain}, StartOptions{Name: "x"}, "permission denied"},
		"name is a flag":  {self, StartOptions{Name: "-r"}, "hyphen"},
		"no name":         {self, StartOptions{}, "empty"},
		"name with NUL":   {self, StartOptions{Name: "a\x00b"}, "NUL"},
		"negative limit":  {self, StartOptions{Name: "x", MeterLimit: -1}, "meter limit"},
		"limit too large": {self, StartOptions{Name: "x", MeterLimit: 1 << 31}, "meter limit"},
		"no such CPU":     {self, StartOptions{Name: fakePrefix + "deaf", CPU: 1 << 20}, "no CPU"},
		"load is closed":  {self, StartOptions{Name: "x", From: closedFile(t)}, "closed file"},
	} {
		if w, err := s.Start(tc.eng, tc.o); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, %v, want …%s…", name, w, err, tc.want)
		}
	}
	s.Close()
	if _, err := s.Start(self, StartOptions{Name: "x"}); !errors.Is(err, ErrSpawnerClosed) {
		t.Errorf("after Close: got %v", err)
	}
}

func closedFile(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	return f
}

// TestStartWithOwnSpawner: the process outlives the threads that come and go.
func TestStartWithOwnSpawner(t *testing.T) {
	r := newRig(t)
	w, err := Start(r.image.Engine, StartOptions{Name: "v1:own", CPU: -1})
	if err != nil {
		t.Fatal(err)
	}
	for range 8 {
		done := make(chan struct{})
		go func() {
			runtime.LockOSThread() // the thread ends with the goroutine
			close(done)
		}()
		<-done
	}
	if err := errors.Join(w.Ready(), w.Close(), w.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(Engine{Path: "/nonexistent"}, StartOptions{Name: "x"}); err == nil {
		t.Error("a missing engine was started")
	}
}

// TestNoDescriptorsLeft: a worker gives back all it took, however it ends.
func TestNoDescriptorsLeft(t *testing.T) {
	r := newRig(t)
	r.fromBase() // what the first start opens for good
	before := openDescriptors(t)
	for range 5 {
		w := r.fromBase()
		w.Kill()
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		w = r.start(StartOptions{From: strings.NewReader("no snapshot")})
		if w.Ready() == nil {
			t.Error("garbage was loaded")
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if _, err := r.spawner.Start(Engine{Path: "/nonexistent"}, StartOptions{Name: "x", From: strings.NewReader("")}); err == nil {
			t.Error("a missing engine was started")
		}
	}
	// What a worker of an earlier test had may only now be gone.
	if after := openDescriptors(t); after > before {
		t.Errorf("%d descriptors are open, %d were before", after, before)
	}
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// TestWorkerDiesWithParent kills a process whose worker is busy computing and
// so does not look at its pipes.
func TestWorkerDiesWithParent(t *testing.T) {
	r := newRig(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.Command(self, parentArg, r.image.Engine.Path)
	parent.Stderr = os.Stderr
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pidfd)
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	waitForEnd(t, pidfd)
}

// waitForEnd waits for the end of a process that need not be a child.
func waitForEnd(t testing.TB, pidfd int) {
	t.Helper()
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, -1)
		if n == 1 {
			break
		}
		if err != nil && err != unix.EINTR {
			t.Fatal(err)
		}
	}
}

// playParent starts a worker, has it compute for ever, and prints its pid.
func playParent(args []string) int {
	eng, err := IdentifyEngine(args[0])
	var w *Worker
	if err == nil {
		w, err = Start(eng, StartOptions{Name: "v1:orphan", CPU: -1})
	}
	if err == nil {
		err = w.Ready()
	}
	if err == nil {
		err = w.wire.send(cmdEvaluate, []byte("for (;;);"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(w.PID())
	select {}
}

// TestClosedSpawnerKills: the thread's end is the workers' end.
func TestClosedSpawnerKills(t *testing.T) {
	r := newRig(t)
	s, err := NewSpawner()
	if err != nil {
		t.Fatal(err)
	}
	w := startWorker(t, s, r.image.Engine, StartOptions{})
	if err := w.Ready(); err != nil {
		t.Fatal(err)
	}
	s.Close()
	<-w.Exited()
	wantSignal(t, w.Ready(), syscall.SIGKILL)
}
