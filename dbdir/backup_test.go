package dbdir

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"vatworkerd/kernelhost"
	"vatworkerd/pipeproto"
	"vatworkerd/store"
	"vatworkerd/supervisor"
)

// hashesOf is what two directories with the same content have in common. The
// directory must be sound.
func hashesOf(t testing.TB, dir string) string {
	t.Helper()
	v := verify(t, dir)
	wantProblems(t, v)
	return strings.Join([]string{v.ActivityHash, v.StateHash, v.HostStateHash}, " ")
}

// backup makes a sound backup in a directory of its own.
func backup(t testing.TB, dir string, opts BackupOptions) Backup {
	t.Helper()
	b, err := MakeBackup(context.Background(), dir, filepath.Join(t.TempDir(), "copy"), opts)
	must(t, err)
	wantSound(t, b)
	return b
}

// wantSound wants a backup that is as its manifest says, and as a database without
// a problem and of the manifest's state.
func wantSound(t testing.TB, b Backup) {
	t.Helper()
	_, problems, err := CheckBackup(context.Background(), b.Dir, nil)
	must(t, err)
	if len(problems) > 0 || len(b.Problems) > 0 {
		t.Errorf("the backup has problems: %v %v", problems, b.Problems)
	}
	v := verify(t, b.Dir)
	wantProblems(t, v)
	if v.Height != b.Height || v.ActivityHash != b.ActivityHash || v.StateHash != b.StateHash || v.HostStateHash != b.HostStateHash {
		t.Errorf("the backup is of height %d, %s, its manifest of %d, %s", v.Height, v.ActivityHash, b.Height, b.ActivityHash)
	}
}

func TestBackupIsTheDatabase(t *testing.T) {
	dir := copied(t)
	must(t, os.WriteFile(filepath.Join(dir, "engine.json"), []byte("{}\n"), 0o600))
	before := contentsOf(t, dir)
	var last store.Progress
	b := backup(t, dir, BackupOptions{Settings: []string{"engine.json", "other.json"}, Progress: func(p store.Progress) { last = p }})
	if after := contentsOf(t, dir); !maps.Equal(before, after) {
		t.Error("the directory was changed")
	}
	if got, want := hashesOf(t, b.Dir), hashesOf(t, dir); got != want {
		t.Errorf("the backup is of %s, the database of %s", got, want)
	}
	totals := map[string]int64{}
	for _, total := range b.Totals() {
		totals[total.What] = total.Files
	}
	if totals[WhatDatabases] != 2 || totals[WhatSnapshots] < 2 || totals[WhatBases] != 1 || totals[WhatSettings] != 1 {
		t.Errorf("the backup has %v", totals)
	}
	if b.InUse || last.Done != last.Total || last.Total < b.Bytes() {
		t.Errorf("in use: %t; the last progress is %+v of %d bytes", b.InUse, last, b.Bytes())
	}
	// Both go on in the same way.
	for _, dir := range []string{dir, b.Dir} {
		k := openKernel(t, dir)
		work(t, k, 4, "a", "b", "c")
		must(t, k.Close())
	}
	if got, want := hashesOf(t, b.Dir), hashesOf(t, dir); got != want {
		t.Errorf("the backup goes on to %s, the database to %s", got, want)
	}
	_, problems, err := CheckBackup(context.Background(), b.Dir, nil)
	must(t, err)
	if len(problems) < 2 {
		t.Errorf("a backup that was used is as it was written, but for %v", problems)
	}
}

// round is one block that is always the same work.
func round(t testing.TB, k *kernelhost.Kernel) {
	t.Helper()
	for _, vat := range []string{"a", "c", "a", "b"} {
		queueIncrement(t, k, vat)
	}
	_, err := k.Run(context.Background(), kernelhost.Budget{Cleanups: 1})
	must(t, err)
}

// Backups that are taken while real vats work, block after block, with heap
// snapshots taken and dropped meanwhile, are of one block each; each goes on to
// where the database itself has come.
func TestBackupsUnderLoad(t *testing.T) {
	const heights = 3
	dir := copied(t)
	opts := kernelOptions(t, dir)
	opts.EngineFlags = append(opts.EngineFlags, "--keep-snapshots", "0")
	var mu sync.Mutex
	var warnings []string
	opts.Events.Warning = func(ev pipeproto.WarningEvent) {
		mu.Lock()
		defer mu.Unlock()
		warnings = append(warnings, ev.Message)
	}
	k, err := kernelhost.Open(context.Background(), opts)
	must(t, err)
	const ahead = 5 // blocks of work that a backup finds waiting
	first, rounds, worked := k.Height(), make(chan struct{}, ahead), make(chan struct{})
	go func() {
		defer close(worked)
		for range rounds {
			round(t, k)
		}
	}()
	made := map[int64]Backup{}
	for len(made) < heights {
		for range ahead + 1 {
			rounds <- struct{}{}
		}
		b, err := MakeBackup(context.Background(), dir, filepath.Join(t.TempDir(), "copy"), BackupOptions{})
		must(t, err)
		made[b.Height] = b
		if !b.InUse || len(b.Problems) > 0 {
			t.Errorf("in use: %t; problems %v", b.InUse, b.Problems)
		}
	}
	close(rounds)
	<-worked
	end := k.Height()
	must(t, k.Close())
	if len(warnings) > 0 {
		t.Errorf("there were warnings: %q", warnings)
	}
	want := hashesOf(t, dir)
	for height, b := range made {
		wantSound(t, b)
		k := openKernel(t, b.Dir)
		for k.Height() < end {
			round(t, k)
		}
		must(t, k.Close())
		if got := hashesOf(t, b.Dir); got != want {
			t.Errorf("the backup of height %d goes on to %s, the database came to %s", height, got, want)
		}
	}
	t.Logf("backups of heights %v, beside blocks %d to %d", slices.Sorted(maps.Keys(made)), first+1, end)
}

// What a crash between the two sides' steps leaves is copied as it is: a block
// that is prepared counts in the backup exactly if the host has it.
func TestBackupAfterACrash(t *testing.T) {
	dir := copied(t)
	vats := openStore(t, dir, supervisor.DatabaseFile)
	height := vats.Height() + 1
	setIn(t, vats, "vs.v1.new", "value")
	must(t, vats.Prepare(height))
	must(t, vats.Close())
	if b := backup(t, dir, BackupOptions{}); b.Height != height-1 || hashesOf(t, b.Dir) != hashesOf(t, dir) {
		t.Errorf("the backup is of height %d", b.Height)
	}
	host := openStore(t, dir, kernelhost.DatabaseFile)
	setIn(t, host, "v1.reapDirt", `{"deliveries":1}`)
	must(t, host.Commit(height))
	b := backup(t, dir, BackupOptions{})
	if b.Height != height || hashesOf(t, b.Dir) != hashesOf(t, dir) {
		t.Errorf("the backup is of height %d", b.Height)
	}
	k := openKernel(t, b.Dir)
	if k.Height() != height {
		t.Errorf("the backup opens at height %d", k.Height())
	}
	must(t, k.Close())

	setIn(t, host, "v1.reapDirt", `{"deliveries":2}`)
	must(t, host.Commit(height+1))
	must(t, host.Close())
	to := filepath.Join(t.TempDir(), "copy")
	var mismatch *store.HeightError
	if _, err := MakeBackup(context.Background(), dir, to, BackupOptions{}); !errors.As(err, &mismatch) {
		t.Errorf("heights that no crash leads to: %v", err)
	}
	wantNothing(t, to)
}

func wantNothing(t testing.TB, path string) {
	t.Helper()
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is there (%v)", path, err)
	}
}

// At every instant before its end a backup is neither taken for a database nor
// for a backup, and one that is interrupted then leaves nothing.
func TestBackupCutShort(t *testing.T) {
	dir, steps := copied(t), 0
	backup(t, dir, BackupOptions{Progress: func(store.Progress) { steps++ }})
	for cut := range steps {
		to := filepath.Join(t.TempDir(), "copy")
		ctx, cancel := context.WithCancel(context.Background())
		at := 0
		_, err := MakeBackup(ctx, dir, to, BackupOptions{Progress: func(p store.Progress) {
			if at == cut {
				wantUnfinished(t, to)
				cancel()
			}
			at++
		}})
		cancel()
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cut at step %d of %d: %v", cut, steps, err)
		}
		wantNothing(t, to)
	}
	t.Logf("cut short at %d steps", steps)
	half, notEmpty := t.TempDir(), new(*NotEmptyError)
	must(t, os.WriteFile(filepath.Join(half, ManifestFile+unfinished), nil, 0o600))
	if _, err := MakeBackup(context.Background(), dir, half, BackupOptions{}); !errors.As(err, notEmpty) || !(*notEmpty).Unfinished {
		t.Errorf("a second backup to the same place: %v", err)
	}
}

func wantUnfinished(t testing.TB, dir string) {
	t.Helper()
	var none *NoDatabaseError
	var half *UnfinishedError
	if s, err := Open(dir); !errors.As(err, &none) {
		t.Errorf("half a backup can be opened: %v, %v", s, err)
	}
	if _, err := ReadManifest(dir); !errors.As(err, &half) {
		t.Errorf("half a backup has a manifest: %v", err)
	}
}

// Somebody opens the database for work while it is copied, when nothing yet kept
// the two apart.
func TestBackupBegunBeforeTheWork(t *testing.T) {
	dir := copied(t)
	before := verify(t, dir).Height
	var k *kernelhost.Kernel
	b := backup(t, dir, BackupOptions{Progress: func(store.Progress) {
		if k == nil {
			k = openKernel(t, dir)
			work(t, k, 1, "a")
		}
	}})
	if b.Height <= before || !b.InUse {
		t.Errorf("the backup is of height %d, before the work it was %d; in use: %t", b.Height, before, b.InUse)
	}
	must(t, k.Close())
}

// A database that an older version wrote can be kept before the first use of a
// newer one.
func TestBackupOfAnOlderVersion(t *testing.T) {
	dir := copied(t)
	alter(t, dir, "vats.sqlite", "PRAGMA user_version = 1")
	b, err := MakeBackup(context.Background(), dir, filepath.Join(t.TempDir(), "copy"), BackupOptions{})
	must(t, err)
	if b.StateHash != "" || b.HostStateHash == "" || len(b.Problems) > 0 {
		t.Errorf("%+v", b.Manifest)
	}
}

func TestCheckBackupNamesWhatIsDamaged(t *testing.T) {
	b := backup(t, copied(t), BackupOptions{})
	for i, f := range b.Files {
		path := filepath.Join(b.Dir, f.Name)
		data, err := os.ReadFile(path)
		must(t, err)
		damaged := slices.Clone(data)
		damaged[len(data)/2] ^= 1
		for what, damage := range map[string]func() error{
			"its sha256":    func() error { return os.WriteFile(path, damaged, 0o600) },
			"its size":      func() error { return os.WriteFile(path, data[1:], 0o600) },
			"it is missing": func() error { return os.Remove(path) },
		} {
			must(t, damage())
			_, problems, err := CheckBackup(context.Background(), b.Dir, nil)
			must(t, err)
			if len(problems) != 1 || problems[0].Place != f.Name || problems[0].What != what {
				t.Errorf("file %d, %s: problems %v", i, what, problems)
			}
			must(t, os.WriteFile(path, data, 0o600))
		}
	}
	wantSound(t, b)
	must(t, os.WriteFile(filepath.Join(b.Dir, ManifestFile), []byte(`{"format": "vatworkerd backup", "version": 1, "files": [{"name": "../x"}]}`), 0o600))
	var none *NoBackupError
	if _, _, err := CheckBackup(context.Background(), b.Dir, nil); !errors.As(err, &none) {
		t.Errorf("a manifest that names files elsewhere: %v", err)
	}
}
