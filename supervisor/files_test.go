package supervisor

import (
	"errors"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"vatworkerd/pipeproto"
	"vatworkerd/snapshots"
)

// fullFS is a disk on which no file gets its name while it is full.
type fullFS struct {
	snapshots.OSFS
	full *atomic.Bool
}

func (f fullFS) Rename(from, to string) error {
	if f.full.Load() {
		return syscall.ENOSPC
	}
	return f.OSFS.Rename(from, to)
}

// onFullDisk makes the rig's snapshot files lie on a disk that can be full.
func (r *rig) onFullDisk() *atomic.Bool {
	r.t.Helper()
	disk := fullFS{full: &atomic.Bool{}}
	dir, err := snapshots.OpenDirFS(filepath.Join(r.opts.Dir, SnapshotDir), disk)
	r.must(err)
	r.s.snapshots = dir
	r.s.bases = newHeapBases(dir, r.s.starter)
	_, err = r.s.bases.of(r.opts.Image) // the base has its place already
	r.must(err)
	return disk.full
}

// A block whose rows name files that could not be stored is not prepared; rolled
// back, and done again when there is room, it ends as if nothing had been.
func TestBlockWaitsForItsFiles(t *testing.T) {
	work := func(r *rig) {
		for range 4 {
			r.send("v1", "incr")
		}
		r.run()
	}
	create := func() *rig {
		r := newFakeRig(t, &fakeStarter{}, 10)
		r.createFake("v1", false, pipeproto.VatOptions{})
		r.run()
		r.commit()
		return r
	}
	want := create()
	work(want)
	want.commit()

	r := create()
	full := r.onFullDisk()
	full.Store(true)
	calls := r.calls
	work(r)
	hash := r.status("v1").SnapshotHash
	err := r.s.prepare(pipeproto.Height{Height: r.height + 1})
	var space *snapshots.NoSpaceError
	if !errors.As(err, &space) || pipeproto.ErrorOf(wire(err)).Code != pipeproto.CodeNoSpace {
		t.Fatalf("prepare: %v, want *NoSpaceError", err)
	}
	if err := r.s.ready(pipeproto.ReqRun); err == nil {
		t.Error("the block goes on")
	}
	full.Store(false)
	r.must(r.s.rollback(pipeproto.Empty{}))
	if left := r.files(); len(left) != 0 {
		t.Errorf("left of the block: %v", left)
	}
	r.calls = calls
	work(r)
	r.commit()
	if got := r.status("v1").SnapshotHash; got != hash || r.s.db.ActivityHash() != want.s.db.ActivityHash() {
		t.Errorf("snapshot %s, activity hash %s; want %s, %s", got, r.s.db.ActivityHash(), hash, want.s.db.ActivityHash())
	}
	if _, err := r.s.snapshots.Verify(hash); err != nil {
		t.Error(err)
	}
}

// An undone block takes its files with it, at once.
func TestUndoneBlockLeavesNoFiles(t *testing.T) {
	r := newFakeRig(t, &fakeStarter{}, 10)
	r.createFake("v1", false, pipeproto.VatOptions{})
	r.run()
	r.commit()
	before := len(r.files())
	for range 6 {
		r.send("v1", "incr")
	}
	r.run()
	if r.status("v1").SnapshotHash == "" {
		t.Fatal("no snapshot was taken")
	}
	r.must(r.s.rollback(pipeproto.Empty{}))
	if got := len(r.files()); got != before {
		t.Errorf("%d files, had %d", got, before)
	}
}
