package supervisor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vatworkerd/pipeproto"
	"vatworkerd/snapshots"
)

// snapshotFiles counts the files of snapshots.
func (r *rig) snapshotFiles() (n int) {
	r.t.Helper()
	entries, err := os.ReadDir(filepath.Join(r.opts.Dir, SnapshotDir))
	r.must(err)
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".zst") {
			n++
		}
	}
	return n
}

// Whoever holds the snapshot files keeps them from being removed, by blocks that
// drop them and by an opening; the first block after that removes them all.
func TestRemovalWaitsForWhoeverHoldsTheFiles(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Dir, o.starter, o.Image = fastDir(t), &fakeStarter{}, fakeImage("engine0") })
	r.must(r.s.configure(pipeproto.Configure{SnapshotInitial: 3, SnapshotInterval: 4}))
	r.createFake("v1", false, pipeproto.VatOptions{})
	work := func() {
		for range 8 {
			r.send("v1", "incr")
		}
		r.run()
		r.commit()
	}
	work()
	settled := r.snapshotFiles()
	hold, err := snapshots.HoldFiles(filepath.Join(r.opts.Dir, SnapshotDir))
	r.must(err)
	work()
	held := r.snapshotFiles()
	if held <= settled {
		t.Fatalf("%d files while they are held, %d before", held, settled)
	}
	r.reopen()
	if n := r.snapshotFiles(); n != held {
		t.Errorf("%d files after an opening, %d before", n, held)
	}
	r.must(hold.Close())
	r.commit()
	if n := r.snapshotFiles(); n != settled {
		t.Errorf("%d files after the hold, %d before", n, settled)
	}
}
