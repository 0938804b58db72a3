package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

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

// standing reads both databases, which nobody has open, and checks everything in
// them: that they are in step, and that what they hold is whole.
func standing(t *testing.T, db string) stand {
	t.Helper()
	var at stand
	host := view(t, filepath.Join(db, "host.sqlite"))
	if host == nil {
		return at
	}
	defer host.Close()
	at.height, at.host = host.Height(), host.ActivityHash()
	daemon := view(t, filepath.Join(db, "vats.sqlite"))
	if daemon == nil {
		if at.height != 0 {
			t.Errorf("%s: the host is at height %d, the daemon has nothing", db, at.height)
		}
		return at
	}
	defer daemon.Close()
	audit := store.NewAudit(context.Background(), nil)
	if at.height > 0 { // before, the databases may be half made
		must(t, store.CheckFile(audit, host, "host.sqlite", false))
		must(t, store.CheckFile(audit, daemon, "vats.sqlite", true))
	}
	inStep(t, db, at.height, daemon)
	at.daemon = daemon.ActivityHash()
	must(t, supervisor.Audit(audit, daemon))
	dir, err := snapshots.OpenDir(filepath.Join(db, "snapshots"))
	must(t, err)
	must(t, supervisor.AuditFiles(audit, daemon, dir))
	if err := audit.Err(); err != nil {
		t.Errorf("%s: %v", db, err)
	}
	return at
}

// inStep makes the daemon's view that of the host's height, or says that it
// cannot be.
func inStep(t *testing.T, db string, height int64, daemon *store.View) {
	t.Helper()
	prepared, ok := daemon.Prepared()
	switch {
	case !ok && daemon.Height() == height:
	case ok && prepared == height:
		// the next start finishes it
	case ok && prepared == height+1:
		must(t, daemon.Rewind())
	default:
		t.Errorf("%s: the host is at height %d, the daemon at %d with %d prepared (%v)", db, height, daemon.Height(), prepared, ok)
	}
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
	daemon := view(t, filepath.Join(db, "vats.sqlite"))
	if daemon == nil {
		t.Fatalf("%s holds nothing", db)
	}
	defer daemon.Close()
	const earlier = 1 // the default of --keep-snapshots
	kept, err := snapshots.KeptHashes(daemon, earlier)
	must(t, err)
	must(t, filepath.WalkDir(db, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name := entry.Name()
		hash, isSnapshot := strings.CutSuffix(name, ".zst")
		own := append(more, "host.sqlite", "host.sqlite.lock", "vats.sqlite", "vats.sqlite.lock", "snapshots.lock")
		if !slices.Contains(own, name) && !(isSnapshot && kept[hash]) {
			return fmt.Errorf("%s is an orphan", path)
		}
		return nil
	}))
}
