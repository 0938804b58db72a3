package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// An import or export that is killed leaves nothing under its name, and what it
// leaves beside it is not in the way of the next.
func TestExportAndImportKilled(t *testing.T) {
	r := started(t)
	for _, target := range []string{"out", "back"} {
		args := map[string][]string{"out": {"export", "out", "--db", "db"}, "back": {"import", "out", "--db", "back"}}[target]
		cmd := r.command(args...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		unfinished := filepath.Join(r.dir, "."+target+".unfinished-*")
		appears(t, unfinished)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it was killed
		if _, err := os.Stat(filepath.Join(r.dir, target)); err == nil {
			continue // it was done before it could be killed
		}
		left, err := filepath.Glob(unfinished)
		if err != nil || len(left) != 1 {
			t.Fatalf("it left %v (%v)", left, err)
		}
		r.ok(args...)
	}
	r.ok("verify", "--db", "back")
}

// appears waits for a file.
func appears(t *testing.T, pattern string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if found, err := filepath.Glob(pattern); err == nil && len(found) > 0 {
			return
		}
	}
	t.Fatalf("there is no %s", pattern)
}
