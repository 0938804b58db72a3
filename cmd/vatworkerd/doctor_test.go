package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
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
