package main

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"vatworkerd/internal/testrig"
)

// what a finding says, on one line.
func (f finding) line() string {
	verdict := "bad"
	if f.OK {
		verdict = "ok"
	}
	return verdict + ": " + f.Detail + " | " + f.Hint
}

func requireFinding(t *testing.T, f finding, want ...string) {
	t.Helper()
	for _, part := range want {
		if !strings.Contains(f.line(), part) {
			t.Errorf("%q lacks %q", f.line(), part)
		}
	}
}

func TestDoctorOfHugePages(t *testing.T) {
	for _, c := range []struct {
		file string
		ask  bool
		want []string
	}{
		{"[always] madvise never\n", true, []string{"ok: given to all | "}},
		{"always [madvise] never\n", true, []string{"ok: given to those who ask, and workers ask"}},
		{"always [madvise] never\n", false, []string{"ok: workers do not ask", "--huge-pages on", "33 % less"}},
		{"always madvise [never]\n", true, []string{"ok: given to nobody", "echo madvise >", "33 % less"}},
	} {
		file := filepath.Join(t.TempDir(), "enabled")
		if err := os.WriteFile(file, []byte(c.file), 0o600); err != nil {
			t.Fatal(err)
		}
		requireFinding(t, (&workerFlags{huge: c.ask}).checkHugePages(file), c.want...)
	}
	requireFinding(t, (&workerFlags{huge: true}).checkHugePages(filepath.Join(t.TempDir(), "none")), "ok: this kernel has none")
}

func TestDoctorOfMemory(t *testing.T) {
	const gib = 1 << 30
	requireFinding(t, (&poolFlags{maxOnline: 20}).checkMemory(2*gib), "ok: ", " | ")
	requireFinding(t, (&poolFlags{maxOnline: 50}).checkMemory(2*gib), "ok: ", "lower --max-online")
	bounded := (&poolFlags{maxOnline: 50, maxMemory: gib}).checkMemory(2 * gib)
	if bounded.Hint != "" {
		t.Errorf("--max-memory is not heeded: %s", bounded.line())
	}
}

func TestDoctorOfDisks(t *testing.T) {
	const ext4, gib = unix.EXT4_SUPER_MAGIC, int64(1 << 30)
	requireFinding(t, judgeDisk(ext4, 20*gib), "ok: ", " free | ")
	requireFinding(t, judgeDisk(ext4, gib/2), "bad: ", "make room")
	requireFinding(t, judgeDisk(unix.TMPFS_MAGIC, 20*gib), "ok: ", "in memory", "next start")
	requireFinding(t, judgeDisk(unix.NFS_SUPER_MAGIC, 20*gib), "bad: ", "another machine", "move the database")
	requireFinding(t, checkDisk(filepath.Join(t.TempDir(), "none")), "bad: ", "cannot look at the file system")
}

func TestDoctorOfHeaps(t *testing.T) {
	requireFinding(t, judgeHeap("stock engine e", "h", "h"), "ok: stock engine e: ", "known")
	requireFinding(t, judgeHeap("stock engine e", "h", ""), "ok: ", "not known")
	requireFinding(t, judgeHeap("stock engine e", "h", "other"), "bad: ", "elsewhere it is other", "take that of a release")
}

// An engine that ends before it has evaluated anything.
func TestDoctorOfBrokenEngine(t *testing.T) {
	r := newRig(t)
	good, err := engineAt(testrig.Engine(t).Engine)
	if err != nil {
		t.Fatal(err)
	}
	r.write("xsnap-worker", "#!/bin/sh\n[ \"$1\" = -v ] && echo 'xsnap 0.0.0 (XS 0.0.0)' || exit 11\n")
	broken := enginePaths{Engine: filepath.Join(r.dir, "xsnap-worker"), Lockdown: good.Lockdown, Supervisor: good.Supervisor}
	if err := os.Chmod(broken.Engine, 0o700); err != nil {
		t.Fatal(err)
	}
	requireFinding(t, (&app{}).testEngine(t.Context(), broken), "bad: cannot test engine", "not enough memory", "no vat runs on this engine")
}

func TestDoctorOfProcesses(t *testing.T) {
	requireFinding(t, (&poolFlags{maxOnline: 50, spares: 1}).judgeProcesses(math.MaxUint64), "ok: there is no limit")
	requireFinding(t, (&poolFlags{maxOnline: 50, spares: 1}).judgeProcesses(1000), "ok: 1,000 may run", "up to 179")
	requireFinding(t, (&poolFlags{maxOnline: 50, spares: 1}).judgeProcesses(100), "bad: ", "TasksMax=", "lower --max-online")
}

func TestLimitsOfControlGroups(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"v2": "0::/a/b\n", "v1": "8:pids:/a\n4:memory:/\n0::/\n", "none": "0::/elsewhere\n", "broken": "nothing\n",
		"a/pids.max": "500\n", "a/b/pids.max": "max\n", "a/b/memory.max": "1048576\n",
		"pids/a/pids.max": "700\n", "memory/memory.limit_in_bytes": "9223372036854771712\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		own             string
		pids, memoryMax uint64
	}{
		{"v2", 500, 1 << 20},
		{"v1", 700, 9223372036854771712},
		{"none", math.MaxUint64, math.MaxUint64},
		{"broken", math.MaxUint64, math.MaxUint64},
		{"missing", math.MaxUint64, math.MaxUint64},
	} {
		group := cgroup{mounts: dir, own: filepath.Join(dir, c.own)}
		if got := group.limit("pids", "pids.max", "pids.max"); got != c.pids {
			t.Errorf("%s: %d processes", c.own, got)
		}
		if got := group.limit("memory", "memory.max", "memory.limit_in_bytes"); got != c.memoryMax {
			t.Errorf("%s: %d bytes", c.own, got)
		}
	}
}
