package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vatworkerd/pipeproto"
)

// What is exported is the heap, needs nothing else, and mends a node that has lost it.
func TestSnapshotExport(t *testing.T) {
	r := started(t)
	in := func(name string) string { return filepath.Join(r.dir, name) }
	var info pipeproto.SnapshotInfo
	r.json(&info, "snapshot", "export", "alice", "plain.xss", "--plain", "--db", "db")
	plain, err := os.ReadFile(in("plain.xss"))
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%x", sha256.Sum256(plain)); got != info.Hash || int64(len(plain)) != info.UncompressedSize || info.StoredSize != info.UncompressedSize {
		t.Errorf("%d bytes with sha256 %s, told %+v", len(plain), got, info)
	}
	out := r.ok("snapshot", "export", "alice", "heap.zst", "--db", "db")
	if !strings.Contains(out.stdout, info.Hash) {
		t.Errorf("it prints %q", out.stdout)
	}
	stored := in("db/snapshots/" + info.Hash)
	if err := os.Truncate(stored+".delta.zst", 100); err != nil {
		t.Fatal(err)
	}
	if out := r.run("snapshot", "export", "alice", "damaged.zst", "--db", "db"); out.code != exitFailed || !strings.Contains(out.stderr, "corrupt") {
		t.Errorf("of a damaged one: exit %d, %s", out.code, out.stderr)
	}
	if _, err := os.Stat(in("damaged.zst")); err == nil {
		t.Error("half an export is left")
	}
	if err := os.Rename(in("heap.zst"), stored+".zst"); err != nil {
		t.Fatal(err)
	}
	r.ok("snapshot", "verify", "alice", "--db", "db")
	r.ok("send", "alice", "count", "--db", "db")
}

func TestSnapshotExportRefuses(t *testing.T) {
	r := started(t)
	r.ok("vat", "suspend", "bob", "--db", "db")
	before := r.contents("db")
	for _, c := range []struct{ vat, file, says string }{
		{"alice", "config.json", "exists already"},
		{"alice", "no/such/dir", "cannot create"},
		{"nobody", "new", "nobody"},
		{"bob", "new", "no heap snapshot"},
	} {
		out := r.run("snapshot", "export", c.vat, c.file, "--db", "db")
		if out.code != exitUsage || !strings.Contains(out.stderr, c.says) {
			t.Errorf("%+v: exit %d, %s", c, out.code, out.stderr)
		}
	}
	if out := r.run("snapshot", "export", "alice", "--db", "db"); out.code != exitUsage {
		t.Errorf("without a file: exit %d", out.code)
	}
	if _, err := os.Stat(filepath.Join(r.dir, "new")); err == nil {
		t.Error("a file was made")
	}
	if r.contents("db") != before {
		t.Error("the database was changed")
	}
}
