package supervisor

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vatworkerd/pipeproto"
	"vatworkerd/snapshots"
)

// snapshotsTaken is how many heap snapshots takenRig's vat has had.
const snapshotsTaken = 3

// takenRig gives a real vat a history of three snapshots and a few deliveries
// more, committed and paged out.
func takenRig(t *testing.T, keep int) *rig {
	r := newRig(t, func(o *Options) { o.KeepSnapshots = keep })
	r.must(r.s.configure(pipeproto.Configure{SnapshotInitial: 4, SnapshotInterval: 4}))
	r.create("v1", "counter", pipeproto.VatOptions{})
	for range 9 {
		r.send("v1", "increment")
	}
	r.run()
	r.reopen()
	if got := len(r.taken("v1")); got != snapshotsTaken {
		t.Fatalf("%d snapshots, want %d", got, snapshotsTaken)
	}
	return r
}

// twin is a rig on a copy of a rig's directory as it was last committed.
func (r *rig) twin(t *testing.T) *rig {
	t.Helper()
	r.close()
	twin := &rig{t: t, opts: r.opts, admins: maps.Clone(r.admins), calls: r.calls, height: r.height}
	twin.host = &testHost{t: t, results: map[string]string{}, parameters: maps.Clone(r.host.parameters)}
	twin.opts.Dir = filepath.Join(t.TempDir(), "twin")
	twin.must(os.CopyFS(twin.opts.Dir, os.DirFS(r.opts.Dir)))
	twin.open()
	t.Cleanup(twin.close)
	return twin
}

// taken gives the vat's snapshot rows, newest first.
func (r *rig) taken(vatID string) []snapshots.Row {
	r.t.Helper()
	rows, err := snapshots.List(r.s.db, vatID)
	r.must(err)
	slices.Reverse(rows)
	return rows
}

func (r *rig) snapshotPath(row snapshots.Row) string { return r.s.snapshots.Path(row.Hash) }

// files names what is in the snapshot directory, but for bases.
func (r *rig) files() []string {
	r.t.Helper()
	entries, err := os.ReadDir(filepath.Join(r.opts.Dir, SnapshotDir))
	r.must(err)
	var names []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "base-") {
			names = append(names, e.Name())
		}
	}
	return names
}

// wantFiles: exactly the newest n snapshots of v1 have files, and those are
// sound.
func (r *rig) wantFiles(n int) {
	r.t.Helper()
	var want []string
	for _, row := range r.taken("v1")[:n] {
		want = append(want, row.Hash+".delta.zst")
		if _, err := r.s.snapshots.Verify(row.Hash); err != nil {
			r.t.Error(err)
		}
	}
	slices.Sort(want)
	if got := r.files(); !slices.Equal(got, want) {
		r.t.Errorf("snapshot files %v, want %v", got, want)
	}
}

// pagedInFrom gives the snapshot the last page-in began with, "" for none.
func (r *rig) pagedInFrom() string {
	r.t.Helper()
	for _, ev := range slices.Backward(r.host.events) {
		if ev.Kind == pipeproto.VatPagedIn {
			return ev.Hash
		}
	}
	r.t.Fatal("nothing was paged in")
	return ""
}

// prune removes the transcript items before a position, as a deferred deletion
// does at the end of an incarnation.
func (r *rig) prune(vatID string, before int64) {
	r.t.Helper()
	r.must(r.s.runCrank(func(c *crank) error {
		return c.tx.Exec("DELETE FROM transcriptItems WHERE vatID = ? AND position < ?", vatID, before)
	}))
	r.commit()
}

// fileDamages are the ways a file can fail that need no fault of the disk, and one
// that looks like it.
func fileDamages() map[string]func(path string) error {
	return map[string]func(path string) error{
		"missing": os.Remove,
		"empty":   func(path string) error { return os.Truncate(path, 0) },
		"cut":     func(path string) error { return os.Truncate(path, 1000) },
		"flipped": flipMiddle,
		"unreadable": func(path string) error { // a link to itself cannot be opened
			return errors.Join(os.Remove(path), os.Symlink(path, path))
		},
	}
}

func flipMiddle(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	data[len(data)/2] ^= 1
	return os.WriteFile(path, data, 0o600)
}

// TestFallBack shares one history: each part works on a copy of it.
func TestFallBack(t *testing.T) {
	original := takenRig(t, 1)
	parts := map[string]func(*testing.T, *rig){
		"to the snapshot before":          testFallBackToTheOneBefore,
		"where it begins":                 testWhereFallBackBegins,
		"verify tells":                    testVerifyTellsOfEarlierSnapshots,
		"one that diverges panics":        testFallBackThatDivergesPanics,
		"stays in the incarnation":        testFallBackStaysInTheIncarnation,
		"an undone block finds its files": testUndoneBlockFindsItsFiles,
		"how many are kept is local":      testKeepingIsLocal,
		"fewer kept, fewer files":         testFewerAreKept,
	}
	for name, part := range parts {
		t.Run(name, func(t *testing.T) { part(t, original) })
	}
}

func testFallBackToTheOneBefore(t *testing.T, original *rig) {
	sound := original.twin(t)
	sound.wantFiles(2)
	rows := sound.taken("v1")
	earlier, err := os.ReadFile(sound.snapshotPath(rows[1]))
	sound.must(err)
	ways := fileDamages()
	ways["another heap's"] = func(path string) error { return os.WriteFile(path, earlier, 0o600) }
	for name, spoil := range ways {
		t.Run(name, func(t *testing.T) {
			r := original.twin(t)
			r.must(spoil(r.snapshotPath(rows[0])))
			r.wantAnswer("fulfilled #10", "v1", "increment")
			if from := r.pagedInFrom(); from != rows[1].Hash {
				t.Errorf("paged in from %q, want %s", from, rows[1].Hash)
			}
			if len(r.host.warnings) != 1 || !strings.Contains(r.host.warnings[0], rows[0].Hash) {
				t.Errorf("warnings %q", r.host.warnings)
			}
			r.wantFiles(2)
		})
	}
}

// What is unread and what is left of the transcript decide where a revival
// begins.
func testWhereFallBackBegins(t *testing.T, original *rig) {
	rows := original.twin(t).taken("v1")
	cases := map[string]struct {
		unread []int // which snapshots cannot be read, 0 is the newest
		pruned int   // the items before this snapshot are gone; none for a negative number
		from   string
		lost   bool
	}{
		"the earlier one is damaged": {unread: []int{1}, pruned: -1, from: rows[0].Hash},
		"both are":                   {unread: []int{0, 1}, pruned: -1, from: ""},
		"the newest is, the items since the earlier are there": {unread: []int{0}, pruned: 1, from: rows[1].Hash},
		"the newest is, the items since the earlier are gone":  {unread: []int{0}, pruned: 0, lost: true},
		"both are, the items of the incarnation are gone":      {unread: []int{0, 1}, pruned: 1, lost: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := original.twin(t)
			var unread []snapshots.Row
			for _, i := range c.unread {
				r.must(flipMiddle(r.snapshotPath(rows[i])))
				unread = append(unread, rows[i])
			}
			if c.pruned >= 0 {
				r.prune("v1", rows[c.pruned].SnapPos+1)
			}
			if c.lost {
				r.wantLost("v1", unread)
				return
			}
			r.wantAnswer("fulfilled #10", "v1", "increment")
			if from := r.pagedInFrom(); from != c.from {
				t.Errorf("paged in from %q, want %q", from, c.from)
			}
			if c.from != rows[0].Hash {
				r.wantFiles(2) // all that were unread and are kept are written anew, no others
			}
		})
	}
}

// wantLost: a delivery ends in a panic that names the vat, the files and what to
// do, and changes nothing.
func (r *rig) wantLost(vatID string, unread []snapshots.Row) {
	r.t.Helper()
	hash := r.s.db.ActivityHash()
	r.send(vatID, "increment")
	_, err := r.s.run(pipeproto.Run{})
	var lost *SnapshotLostError
	if !errors.As(err, &lost) || r.s.panicked == nil {
		r.t.Fatalf("error %v, want a panic about the lost snapshot", err)
	}
	told := pipeproto.ErrorOf(wire(err))
	if told.Code != pipeproto.CodePanic || !strings.Contains(told.Message, vatID) || strings.Contains(told.Message, "\n") || told.Hint == "" {
		r.t.Errorf("told %+v", told)
	}
	for _, row := range unread {
		if !strings.Contains(told.Message, r.snapshotPath(row)) {
			r.t.Errorf("%q does not name %s", told.Message, r.snapshotPath(row))
		}
	}
	r.s.panicked = nil
	r.must(r.s.db.Rollback())
	if got := r.s.db.ActivityHash(); got != hash {
		r.t.Errorf("activity hash %s, was %s", got, hash)
	}
}

func testVerifyTellsOfEarlierSnapshots(t *testing.T, original *rig) {
	r := original.twin(t)
	rows := r.taken("v1")
	r.must(flipMiddle(r.snapshotPath(rows[1])))
	check, err := r.s.verifySnapshots(pipeproto.VatRef{})
	r.must(err)
	if len(check.Checks) != 2 || check.Checks[0].Problem == "" || check.Checks[1].Problem != "" || !check.Checks[1].InUse {
		t.Errorf("verify: %+v", check.Checks)
	}
	r.must(os.Remove(r.snapshotPath(rows[1])))
	check, err = r.s.verifySnapshots(pipeproto.VatRef{})
	r.must(err)
	if len(check.Checks) != 1 || check.Checks[0].Hash != rows[0].Hash {
		t.Errorf("verify without the earlier file: %+v", check.Checks)
	}
}

// A transcript that does not lead from the earlier heap to the recorded hash is
// broken consensus, not one more reason to go further back.
func testFallBackThatDivergesPanics(t *testing.T, original *rig) {
	r := original.twin(t)
	rows := r.taken("v1")
	r.must(r.s.runCrank(func(c *crank) error {
		return c.tx.Exec("UPDATE transcriptItems SET item = replace(item, ?, ?) WHERE vatID = 'v1' AND position = ?",
			rows[0].Hash, rows[1].Hash, rows[0].SnapPos)
	}))
	r.must(os.Remove(r.snapshotPath(rows[0])))
	r.send("v1", "increment")
	_, err := r.s.run(pipeproto.Run{})
	var heap *SnapshotDivergedError
	if !errors.As(err, &heap) || r.s.panicked == nil || heap.Got != rows[0].Hash {
		t.Fatalf("error %v, want a panic about a heap that differs", err)
	}
	r.s.panicked = nil
	r.must(r.s.db.Rollback())
}

// An incarnation never starts from a heap of the one before.
func testFallBackStaysInTheIncarnation(t *testing.T, original *rig) {
	r := original.twin(t)
	_, err := r.s.controlUpgrade(pipeproto.Upgrade{Admin: r.admins["v1"], BundleID: r.addBundle("counter")})
	r.must(err)
	r.wantAnswer("fulfilled #10", "v1", "increment")
	r.wantAnswer("fulfilled #11", "v1", "increment")
	r.reopen()
	r.wantFiles(1)
	rows := r.taken("v1")
	if rows[0].Incarnation != 1 || len(rows) != snapshotsTaken+1 {
		t.Fatalf("rows %+v", rows)
	}
	r.must(os.Remove(r.snapshotPath(rows[0])))
	r.wantAnswer("fulfilled #2", "v1", "sinceStart")
	if from := r.pagedInFrom(); from != "" {
		t.Errorf("paged in from %s", from)
	}
	r.wantFiles(1)
}

// A worker that dies on the way back is no verdict on the vat.
func TestFallBackSurvivesALostWorker(t *testing.T) {
	fake := &fakeStarter{}
	r := newFakeRig(t, fake, 10)
	r.createFake("v1", false, pipeproto.VatOptions{})
	for range 4 {
		r.send("v1", "incr")
	}
	r.run()
	r.reopen()
	r.must(os.Remove(r.snapshotPath(r.taken("v1")[0])))
	fake.deaths = maxCrankTries - 1
	r.send("v1", "incr")
	r.run()
	if fake.deaths != 0 {
		t.Errorf("%d deaths are left", fake.deaths)
	}
}

func testFewerAreKept(t *testing.T, original *rig) {
	r := original.twin(t)
	hash := r.s.db.ActivityHash()
	r.opts.KeepSnapshots = 0
	r.reopen()
	r.wantFiles(1)
	r.opts.KeepSnapshots = 5
	r.reopen()
	r.wantFiles(1)
	if got := r.s.db.ActivityHash(); got != hash {
		t.Errorf("activity hash %s, was %s", got, hash)
	}
	r.must(r.control(pipeproto.ReqSuspend, "v1", "test"))
	r.wantFiles(1) // until the block is committed
	r.commit()
	r.wantFiles(0)
}

// How many are kept is local: what is compared between nodes does not show it.
func testKeepingIsLocal(t *testing.T, original *rig) {
	one, none := original.twin(t), takenRig(t, 0)
	none.wantFiles(1)
	if a, b := one.s.db.ActivityHash(), none.s.db.ActivityHash(); a != b {
		t.Errorf("activity hash %s with one kept, %s with none", a, b)
	}
	if a, b := one.spanHashes(), none.spanHashes(); a != b {
		t.Errorf("span hashes differ:\n%s\n%s", a, b)
	}
}

// What a block's snapshot pushed out is there again when the block is undone.
func testUndoneBlockFindsItsFiles(t *testing.T, original *rig) {
	r := original.twin(t)
	for range 4 {
		r.send("v1", "increment")
	}
	r.run()
	if rows := r.taken("v1"); len(rows) != snapshotsTaken+1 {
		t.Fatalf("%d snapshots", len(rows))
	}
	r.must(r.s.rollback(pipeproto.Empty{}))
	r.reopen()
	r.wantFiles(2)
	r.wantAnswer("fulfilled #10", "v1", "increment")
}
