package xsnap

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// buildForked compiles the native worker that makes attempts to escape.
func buildForked(t testing.TB) Engine {
	t.Helper()
	path := filepath.Join(t.TempDir(), "forked")
	args := []string{"-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-Wno-unused-result", "-o", path, "testdata/forked.c"}
	for _, name := range []string{"frame", "framehead", "channel", "service", "zygote", "main"} {
		args = append(args, filepath.Join("native", name+".c"))
	}
	if out, err := exec.Command("cc", args...).CombinedOutput(); err != nil {
		t.Fatalf("cannot compile testdata/forked.c: %v\n%s", err, out)
	}
	eng, err := IdentifyEngine(path)
	if err != nil {
		t.Fatal(err)
	}
	return eng
}

// escapist forks workers whose deliveries are attempts to escape.
type escapist struct {
	t *testing.T
	z *Zygote
}

func newEscapist(t *testing.T, eng Engine, policy Sandbox) *escapist {
	t.Helper()
	null, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	z, err := newSpawner(t).StartZygote(eng, null, ZygoteOptions{Sandbox: policy})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := z.Close(); err != nil {
			t.Error(err)
		}
	})
	return &escapist{t, z}
}

func (e *escapist) try(attempt string) (got string, err error) {
	e.t.Helper()
	w := toBeClosed(e.t, StartOptions{}, e.z.Start)
	if err := w.Ready(); err != nil {
		e.t.Fatal(err)
	}
	reply, _, err := w.command(opDeliver, nil, cmdHandle, []byte(attempt))
	got = string(reply)
	return got, errors.Join(err, w.Close())
}

// TestForkedEscapes: a forked worker may do less than one that was executed,
// and nothing that it could have from its zygote.
func TestForkedEscapes(t *testing.T) {
	fullSandbox(t)
	eng := buildForked(t)
	contained, free := newEscapist(t, eng, SandboxRequire), newEscapist(t, eng, SandboxOff)
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	writeFile(t, secret, "of the host")
	me := strconv.Itoa(os.Getpid())
	gate := "gate:0x100000"
	for attempt, uncontained := range map[string]string{
		"read:" + secret: "done", "read:" + eng.Path: "done", "create:" + filepath.Join(dir, "new"): "done", "access:" + secret: "done",
		"chmod:" + secret: "done", "truncate:" + secret: "done", "own_maps:": "done", "again:": "done", "list:/": "done", "memfd:": "done",
		"environ:" + me: "done", "maps:" + me: "done", "kill:" + me: "done", "pidfd:" + me: "done", "ptrace:" + me: "", "vm_read:" + me: "",
		"socket:": "done", "unix:": "done", "socketpair:": "done", "connect:": "done", "uring:": "",
		"fork:": "done", "vfork:": "done", "clone:": "done", "sibling:": "", "clone3:": "done", "thread:": "done",
		"execve:/bin/true": "", "execve:" + eng.Path: "", "execveat:/bin/true": "", gate: "",
		"setuid:" + strconv.Itoa(os.Getuid()): "done", "capset:": "done", "unshare:": "", "dumpable:": "done", "deathsig:": "done",
		"setpgid:": "done", "raise_limit:": "done", "parent_limits:" + me: "done",
		"code:": "done", "mprotect:": "done", "shared:": "done", "descriptors:": "",
	} {
		if got, err := contained.try(attempt); got != "EPERM" || err != nil {
			t.Errorf("%s: got %q, %v, want EPERM", attempt, got, err)
		}
		if uncontained == "" {
			continue
		}
		if got, err := free.try(attempt); got != uncontained || err != nil {
			t.Errorf("%s, not contained: got %q, %v, want %q", attempt, got, err, uncontained)
		}
	}
	for attempt, want := range map[string]string{
		"future:": "ENOSYS", "memory:" + strconv.Itoa(64<<20): "done", "memory:" + strconv.Itoa(DefaultAddressSpaceBytes): "ENOMEM",
	} {
		if got, err := contained.try(attempt); got != want || err != nil {
			t.Errorf("%s: got %q, %v, want %q", attempt, got, err, want)
		}
	}
	for _, attempt := range []string{"foreign:", "x32:"} {
		_, err := contained.try(attempt)
		wantSignal(t, err, syscall.SIGSYS)
	}
}

// TestForkedStatus looks at a contained forked worker from outside.
func TestForkedStatus(t *testing.T) {
	fullSandbox(t)
	r := nativeRig(t).contained(SandboxRequire)
	r.forks = true
	name := "v7:" + strings.Repeat("long", 60)
	w := r.readyFromBase(StartOptions{Name: name})
	status, err := os.ReadFile(proc(w, "status"))
	if err != nil {
		t.Fatal(err)
	}
	const none = "\t0000000000000000\n"
	for _, line := range []string{
		"PPid:\t" + strconv.Itoa(os.Getpid()) + "\n", "NoNewPrivs:\t1\n", "Seccomp:\t2\n", "Seccomp_filters:\t2\n",
		"CapPrm:" + none, "CapEff:" + none, "SigBlk:" + none, "SigIgn:" + none, "Threads:\t1\n",
	} {
		if !strings.Contains(string(status), line) {
			t.Errorf("its status has no %q:\n%s", line, status)
		}
	}
	if line, err := os.ReadFile(proc(w, "cmdline")); err != nil || !strings.Contains(string(line), "\x00"+name[:zygoteNameBytes]+"\x00") {
		t.Errorf("ps shows %q, %v", line, err)
	}
	if env, err := os.ReadFile(proc(w, "environ")); err != nil || string(env) != "TZ=UTC0\x00" {
		t.Errorf("environment is %q, %v", env, err)
	}
	wantLimits(t, w.PID())
}
