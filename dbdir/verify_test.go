package dbdir

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vatworkerd/kernelhost"
	"vatworkerd/store"
	"vatworkerd/supervisor"
)

// contentsOf gives a hash of each file of a directory.
func contentsOf(t testing.TB, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	must(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		found[path] = fmt.Sprintf("%x", sha256.Sum256(data))
		return err
	}))
	return found
}

func TestVerifySound(t *testing.T) {
	dir := copied(t)
	before := contentsOf(t, dir)
	var last store.Progress
	v, err := Verify(context.Background(), dir, func(p store.Progress) { last = p })
	must(t, err)
	wantProblems(t, v)
	if len(v.Notes) != 0 || v.InUse || v.Height == 0 || len(v.ActivityHash) != 64 {
		t.Errorf("%+v", v)
	}
	counts := map[string]int64{}
	for _, c := range v.Checked {
		counts[c.What] = c.Count
	}
	for _, what := range []string{"files", "vats", "queued items", "deferred deletions", "spans", "items", "snapshots", "snapshot files", "bundles", "keys", "c-list entries", "objects", "promises"} {
		if counts[what] == 0 {
			t.Errorf("no %s were checked", what)
		}
	}
	if last.Total < 10 || last.Done != last.Total-1 {
		t.Errorf("the last progress is %+v", last)
	}
	if after := contentsOf(t, dir); !maps.Equal(before, after) {
		t.Error("the directory was changed")
	}
}

// A directory on which nothing can be written is verified all the same.
func TestVerifyReadOnly(t *testing.T) {
	dir := copied(t)
	must(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		mode := os.FileMode(0o400)
		if e.IsDir() {
			mode = 0o500
		}
		return os.Chmod(path, mode)
	}))
	t.Cleanup(func() {
		_ = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, _ error) error { return os.Chmod(path, 0o700) })
	})
	wantProblems(t, verify(t, dir))
}

// While vats work, block after block, every verification sees one state of both
// sides, and finds no problem in it.
func TestVerifyBesideADaemon(t *testing.T) {
	dir := copied(t)
	k := openKernel(t, dir)
	defer func() { must(t, k.Close()) }()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				work(t, k, 1, "a", "b", "c")
			}
		}
	}()
	heights := map[int64]bool{}
	for range 4 {
		v := verify(t, dir)
		wantProblems(t, v)
		if !v.InUse {
			t.Error("the database is in use")
		}
		heights[v.Height] = true
	}
	close(stop)
	<-stopped
	if len(heights) < 2 {
		t.Errorf("all verifications were of the same height: %v", heights)
	}
	wantProblems(t, verify(t, dir))
}

// openStore opens one of the databases of a directory that nobody uses.
func openStore(t *testing.T, dir, file string) *store.DB {
	t.Helper()
	db, err := store.Open(filepath.Join(dir, file), store.Options{Undo: file == supervisor.DatabaseFile})
	must(t, err)
	return db
}

// setIn sets a key in a crank of its own.
func setIn(t *testing.T, db *store.DB, key, value string) {
	t.Helper()
	c, err := db.BeginCrank()
	must(t, err)
	c.Set(key, value)
	_, err = c.Commit(nil)
	must(t, err)
}

// What a crash between the two sides' steps leaves is no problem: a block that is
// prepared counts exactly if the host has it.
func TestVerifyAfterACrash(t *testing.T) {
	dir := copied(t)
	vats := openStore(t, dir, supervisor.DatabaseFile)
	height := vats.Height() + 1
	setIn(t, vats, "vs.v1.new", "value") // a vatstore key is nobody else's affair
	setIn(t, vats, "what", "a problem, were it not undone")
	must(t, vats.Prepare(height))
	must(t, vats.Close())
	v := verify(t, dir)
	wantProblems(t, v)
	if len(v.Notes) != 1 || !strings.Contains(v.Notes[0].What, "is prepared and the host has not committed it") || v.Height != height-1 {
		t.Errorf("height %d, notes %v", v.Height, v.Notes)
	}

	host := openStore(t, dir, kernelhost.DatabaseFile)
	setIn(t, host, "v1.reapDirt", `{"deliveries":1}`)
	must(t, host.Commit(height))
	v = verify(t, dir)
	wantProblems(t, v, "key vats.sqlite kv.what: no such key")
	if len(v.Notes) != 0 || v.Height != height {
		t.Errorf("height %d, notes %v", v.Height, v.Notes)
	}
	setIn(t, host, "v1.reapDirt", `{"deliveries":2}`)
	must(t, host.Commit(height+1))
	must(t, host.Close())
	wantProblems(t, verify(t, dir),
		"pair "+dir+": cannot pair with a host at height", "key vats.sqlite kv.what: no such key")
}

func TestVerifyNamesWhatIsDamaged(t *testing.T) {
	file := func(change func(path string)) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			files, err := filepath.Glob(filepath.Join(dir, "snapshots", "*.zst"))
			must(t, err)
			if len(files) == 0 {
				t.Fatal("there is no snapshot")
			}
			for _, path := range files {
				change(path)
			}
		}
	}
	sql := func(file string, statements ...string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) { alter(t, dir, file, statements...) }
	}
	const vats, host = supervisor.DatabaseFile, kernelhost.DatabaseFile
	for _, d := range []struct {
		name   string
		damage func(t *testing.T, dir string)
		want   []string
	}{
		{"a foreign table", sql(vats, "CREATE TABLE other (x)"), []string{"database vats.sqlite table other: no such thing belongs"}},
		{"a lost index", sql(vats, "DROP INDEX snapshotsInUse"), []string{"database vats.sqlite index snapshotsInUse: it is missing"}},
		{"a trigger of the host's", sql(host, "CREATE TRIGGER t AFTER INSERT ON local BEGIN SELECT 1; END"), []string{"database host.sqlite trigger t: no such thing"}},
		{"a lost trigger", sql(vats, "DROP TRIGGER undo_insert_kv"), []string{"database vats.sqlite trigger undo_insert_kv: it is missing"}},
		{"another trigger", sql(vats, "DROP TRIGGER undo_insert_kv", "CREATE TRIGGER undo_insert_kv AFTER INSERT ON kv BEGIN SELECT 1; END"),
			[]string{"database vats.sqlite trigger undo_insert_kv: its definition"}},
		{"an undo of nothing", sql(vats, "INSERT INTO undo (tbl, k0, k1, existed) VALUES ('kv', 'x', '', 0)"), []string{"block vats.sqlite undo.kv: there are 1 images and no prepared block"}},
		{"a height", sql(vats, "UPDATE meta SET value = value + 1 WHERE key = 'height'", "DELETE FROM undo"), []string{"pair DIR: cannot pair with a host at height"}},
		{"no height", sql(host, "UPDATE meta SET value = 'x' WHERE key = 'height'"), []string{"block host.sqlite meta.height: it is no height: got x", "pair DIR: cannot pair"}},
		{"an activity hash", sql(host, "UPDATE meta SET value = 'x' WHERE key = 'activityHash'"), []string{"block host.sqlite meta.activityHash: it is no hash"}},
		{"a key of meta", sql(host, "INSERT INTO meta VALUES ('x', 'x')"), []string{"block host.sqlite meta.x: there is no such key"}},
		{"a prepared block in the host's", sql(host, "INSERT INTO prepared SELECT 1, value FROM meta WHERE key = 'height'"),
			[]string{"block host.sqlite prepared: a block is prepared in a store that keeps no undo", "block host.sqlite undo.meta: the height that the undo leads back to", "pair DIR"}},
		{"a bundle", sql(vats, "UPDATE bundles SET data = replace(data, 'endoZipBase64\":\"U', 'endoZipBase64\":\"V')", "DELETE FROM undo"), []string{"bundle bundle.b1-"}},
		{"another bundle", sql(vats, "UPDATE bundles SET id = replace(id, substr(id, 4, 1), 'f')", "DELETE FROM undo"),
			[]string{"bundle bundle.b1-", "bundle bundle.b1-", "bundle bundle.b1-", "bundle bundle.b1-", "bundle bundle.b1-", "pair host.sqlite kv.namedBundleID.counter: vatworkerd does not hold the bundle"}},
		{"another store", sql(host, "UPDATE local SET value = 'x' WHERE key = 'daemon.storeID'"), []string{"pair host.sqlite local.daemon.storeID: the name of the store of vats"}},
		{"an admin key", sql(host, "UPDATE kv SET value = 'x' WHERE key = 'v1.adminKey'"), []string{"state host.sqlite kv: the hash of all keys and values", "pair host.sqlite kv.v1.adminKey: the vat's admin key"}},
		{"a held message lost", sql(vats, "DELETE FROM kv WHERE key IN (SELECT max(key) FROM kv WHERE key LIKE 'q.v2.2.%')", "DELETE FROM undo"),
			[]string{"state vats.sqlite kv: the hash of all keys and values", "queue vats.sqlite kv.qlen.v2: the length of the queue", "counts vats.sqlite kv.counts",
				"object host.sqlite kv.ko", "promise host.sqlite kv.kp", "promise host.sqlite kv.kp"}},
		{"a value of a vat's own", sql(vats, "UPDATE kv SET value = value || 'x' WHERE key IN (SELECT max(key) FROM kv WHERE key LIKE 'vs.v1.%')", "DELETE FROM undo"),
			[]string{"state vats.sqlite kv: the hash of all keys and values"}},
		{"a lost key of a vat's own", sql(vats, "DELETE FROM kv WHERE key IN (SELECT max(key) FROM kv WHERE key LIKE 'vs.v1.%')", "DELETE FROM undo"),
			[]string{"state vats.sqlite kv: the hash of all keys and values"}},
		{"a state sum", sql(host, "UPDATE meta SET value = replace(value, substr(value, 1, 1), 'f') WHERE key = 'stateSum'"), []string{"state host.sqlite kv: the hash of all keys and values"}},
		{"snapshot files flipped", file(func(path string) {
			data, _ := os.ReadFile(path)
			data[len(data)/2] ^= 4
			_ = os.WriteFile(path, data, 0o600)
		}), []string{"snapshot snapshot.v1."}},
		{"snapshot files cut", file(func(path string) { _ = os.Truncate(path, 1000) }), []string{"snapshot snapshot.v1."}},
		{"snapshot files lost", file(func(path string) { _ = os.Remove(path) }), []string{"snapshot snapshot.v1."}},
	} {
		t.Run(d.name, func(t *testing.T) {
			dir := copied(t)
			d.damage(t, dir)
			look := verifyTables // most of the time would go into sound heaps
			if strings.HasPrefix(d.name, "snapshot files") {
				look = func(dir string) (Verification, error) { return Verify(context.Background(), dir, nil) }
			}
			v, err := look(dir)
			must(t, err)
			for i, want := range d.want {
				d.want[i] = strings.ReplaceAll(want, "DIR", dir)
			}
			if strings.HasPrefix(d.name, "snapshot files") && len(v.Problems) > 0 {
				v.Problems = v.Problems[:1] // of every vat that has one
			}
			wantProblems(t, v, d.want...)
		})
	}
}

func TestVerifyNotesWhatIsLeftOver(t *testing.T) {
	dir := copied(t)
	for _, name := range []string{strings.Repeat("0", 64) + ".zst", "tmp-1", "other"} {
		must(t, os.WriteFile(filepath.Join(dir, "snapshots", name), []byte("x"), 0o600))
	}
	v := verify(t, dir)
	wantProblems(t, v)
	if len(v.Notes) != 2 || !strings.HasPrefix(v.Notes[0].Place, "snapshots/0000") || v.Notes[1].Place != "snapshots/tmp-1" {
		t.Errorf("notes %v", v.Notes)
	}
}

func TestVerifyRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		make func(t *testing.T, dir string)
		want any
	}{
		"no directory":     {func(t *testing.T, dir string) { must(t, os.RemoveAll(dir)) }, new(*NoDatabaseError)},
		"no host":          {func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, "host.sqlite"))) }, new(*NoDatabaseError)},
		"no vats":          {func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, "vats.sqlite"))) }, new(*NoDatabaseError)},
		"empty":            {func(t *testing.T, dir string) { must(t, os.Truncate(filepath.Join(dir, "vats.sqlite"), 0)) }, new(*store.EmptyError)},
		"an older version": {func(t *testing.T, dir string) { alter(t, dir, "vats.sqlite", "PRAGMA user_version = 1") }, new(*store.OutdatedError)},
		"a newer version":  {func(t *testing.T, dir string) { alter(t, dir, "vats.sqlite", "PRAGMA user_version = 99") }, new(*store.NewerSchemaError)},
		"another program":  {func(t *testing.T, dir string) { alter(t, dir, "vats.sqlite", "PRAGMA application_id = 9") }, new(*store.ForeignFileError)},
		"no database at all": {func(t *testing.T, dir string) {
			must(t, os.WriteFile(filepath.Join(dir, "host.sqlite"), []byte(strings.Repeat("no database\n", 500)), 0o600))
		}, new(*store.CorruptError)},
	} {
		t.Run(name, func(t *testing.T) {
			dir := copied(t)
			c.make(t, dir)
			if _, err := Verify(context.Background(), dir, nil); err == nil || !errors.As(err, c.want) {
				t.Errorf("got %T: %v", err, err)
			}
		})
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Verify(ctx, copied(t), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
