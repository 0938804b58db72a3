package e2e

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"vatworkerd/dbdir"
	"vatworkerd/kernelhost"
	"vatworkerd/snapshots"
	"vatworkerd/store"
	"vatworkerd/supervisor"
)

// stand is where the two databases of a directory stand, as the next start will
// find them.
type stand struct {
	height       int64  // the host's, which decides
	host, daemon string // activity hashes at that height
}

func (s stand) hashes() string { return s.host + " " + s.daemon }

// standing reads both databases, which nobody has open, and has the program check
// everything in them: that they are in step, and that what they hold is whole.
// Before the first block they may be half made.
func standing(t *testing.T, bin, db string) stand {
	t.Helper()
	host := view(t, filepath.Join(db, kernelhost.DatabaseFile))
	if host == nil {
		return stand{}
	}
	at := stand{height: host.Height(), host: host.ActivityHash()}
	must(t, host.Close())
	if at.height == 0 {
		return at
	}
	v := verified(t, bin, db)
	for _, p := range v.Problems {
		t.Errorf("%s: %s %s", db, p.Kind, p)
	}
	if v.Height != at.height {
		t.Errorf("%s is at height %d, its host at %d", db, v.Height, at.height)
	}
	at.daemon = v.ActivityHash
	return at
}

// verified is what `vatworkerd verify` says. The program is faster at it than this
// one, which has the race detector.
func verified(t *testing.T, bin, db string) (v dbdir.Verification) {
	t.Helper()
	text, err := exec.Command(bin, "verify", "--db", db, "--json").Output()
	if exit := (*exec.ExitError)(nil); err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 1) {
		t.Fatalf("cannot verify %s: %v\n%s", db, err, text)
	}
	must(t, json.Unmarshal(text, &v))
	if v.Dir == "" {
		t.Fatalf("%s is not verified:\n%s", db, text)
	}
	return v
}

// view opens a database as it lies there; nil if it holds nothing yet.
func view(t *testing.T, path string) *store.View {
	t.Helper()
	v, err := store.OpenView(path)
	var empty *store.EmptyError
	if errors.Is(err, os.ErrNotExist) || errors.As(err, &empty) {
		return nil
	}
	must(t, err)
	return v
}

// wantNoOrphans demands that every file of the directory is one that belongs
// there after a clean end, or one of more.
func wantNoOrphans(t *testing.T, db string, more ...string) {
	t.Helper()
	daemon := view(t, filepath.Join(db, supervisor.DatabaseFile))
	if daemon == nil {
		t.Fatalf("%s holds nothing", db)
	}
	defer daemon.Close()
	const earlier = 1 // the default of --keep-snapshots
	kept, err := snapshots.KeptHashes(daemon, earlier)
	must(t, err)
	orphans, err := snapshots.ReadDir(filepath.Join(db, supervisor.SnapshotDir)).Orphans(func(hash string) bool { return kept[hash] })
	must(t, err)
	own := append(more, kernelhost.DatabaseFile, kernelhost.DatabaseFile+".lock", supervisor.DatabaseFile, supervisor.DatabaseFile+".lock",
		supervisor.SnapshotDir, supervisor.SnapshotDir+".lock", supervisor.LogDir, supervisor.CrashDir)
	files, err := os.ReadDir(db)
	must(t, err)
	for _, file := range files {
		if !slices.Contains(own, file.Name()) {
			orphans = append(orphans, file.Name())
		}
	}
	if len(orphans) > 0 {
		t.Errorf("%s has orphans: %q", db, orphans)
	}
}
