package supervisor

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"vatworkerd/xsnap"
)

// TestFreshNativeWorkersAreForked, and loaded when their zygote has died.
func TestFreshNativeWorkersAreForked(t *testing.T) {
	image := nativeImage(t)
	s, err := newRealStarter(t.TempDir(), xsnap.SandboxAuto, xsnap.Watch{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	fresh := func() process {
		t.Helper()
		w, err := s.fresh(image, xsnap.StartOptions{Name: "v1:fresh", CPU: -1, Sandbox: xsnap.SandboxAuto})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = w.Close() })
		return w
	}
	first := fresh()
	zygote := zygoteOf(t)
	if !isForked(t, first) || !isForked(t, fresh()) || zygoteOf(t) != zygote {
		t.Error("workers do not come from one zygote")
	}
	if err := syscall.Kill(zygote, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if isForked(t, fresh()) {
		t.Error("a worker was forked by a dead zygote")
	}
	if !isForked(t, fresh()) || zygoteOf(t) == zygote {
		t.Error("no other zygote was started")
	}
}

// isForked tells a forked worker by where its heap would have come from.
func isForked(t *testing.T, w process) bool {
	t.Helper()
	target, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(w.PID()), "fd", "8"))
	if err != nil {
		t.Fatal(err)
	}
	return target == os.DevNull
}

// zygoteOf is the process ID of this process's one zygote.
func zygoteOf(t *testing.T) (pid int) {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range lines {
		line, err := os.ReadFile(path)
		status, err2 := os.ReadFile(filepath.Join(filepath.Dir(path), "status"))
		if err != nil || err2 != nil || !strings.Contains(string(line), "\x00zygote ") || !strings.Contains(string(status), "PPid:\t"+strconv.Itoa(os.Getpid())+"\n") {
			continue
		}
		if pid, err = strconv.Atoi(filepath.Base(filepath.Dir(path))); err != nil {
			t.Fatal(err)
		}
	}
	if pid == 0 {
		t.Fatal("there is no zygote")
	}
	return pid
}
