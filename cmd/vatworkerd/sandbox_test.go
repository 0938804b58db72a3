package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// withoutLandlock runs f on a thread whose kernel seems to know nothing of
// Landlock, to it and to the processes it starts.
func withoutLandlock(t *testing.T, f func()) {
	t.Helper()
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the call's number
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_LANDLOCK_CREATE_RULESET, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
		if err == nil {
			err = unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0)
		}
		if err == nil {
			f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// TestKernelWithoutLandlock: vats run there with one line that says what is
// missing, unless everything is required; then nothing is begun.
func TestKernelWithoutLandlock(t *testing.T) {
	r := newRig(t)
	r.writeConfig("config.json", threeVats)
	const lack = "Landlock (CONFIG_SECURITY_LANDLOCK, lsm=landlock)"
	for _, c := range []struct {
		flag  string
		code  int
		lines int // about what is missing
	}{
		{"--sandbox=auto", exitDone, 1},
		{"--sandbox=off", exitDone, 0},
		{"--sandbox=require", exitUsage, 1},
		{"--require-sandbox", exitUsage, 1},
	} {
		db := strings.Trim(c.flag, "-")
		var out outcome
		withoutLandlock(t, func() { out = r.run("run", "config.json", "--db", db, c.flag) })
		if out.code != c.code || strings.Count(out.stderr, lack) != c.lines {
			t.Errorf("%s: exit %d\n%s", c.flag, out.code, out.stderr)
		}
		if _, err := os.Stat(filepath.Join(r.dir, db)); (err == nil) != (c.code == exitDone) {
			t.Errorf("%s: the database: %v", c.flag, err)
		}
	}
	var out outcome
	withoutLandlock(t, func() { out = r.run("doctor", "--require-sandbox") })
	if out.code != exitFailed || !strings.Contains(out.stdout, lack) {
		t.Errorf("doctor: exit %d\n%s%s", out.code, out.stdout, out.stderr)
	}
}
