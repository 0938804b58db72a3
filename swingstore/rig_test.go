package swingstore

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"vatworkerd/internal/testrig"
	"vatworkerd/xsnap"
)

// written holds the stores that the JavaScript system writes once per test run.
var written struct {
	once sync.Once
	dir  string
	err  error
}

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if written.dir != "" {
			os.RemoveAll(written.dir)
		}
		os.Exit(code)
	}))
}

// stores gives the directory that testdata/make-swingstore.mjs has filled. The
// tests must not change it.
func stores(t *testing.T) string {
	t.Helper()
	peer := testrig.Peer(t)
	bundles := filepath.Dir(testrig.Bundle(t, "counter"))
	written.once.Do(func() {
		if written.dir, written.err = os.MkdirTemp("", "swingstore-test-"); written.err != nil {
			return
		}
		cmd := exec.Command("node", "testdata/make-swingstore.mjs", peer, bundles, written.dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			written.err = fmt.Errorf("make-swingstore.mjs: %w\n%s", err, out)
		}
	})
	must(t, written.err)
	return written.dir
}

// said is what the JavaScript system says of a store.
type said struct {
	VatIDs     map[string]string `json:"vatIDs"`
	ExportData map[string]string `json:"exportData"`
}

func saidOf(t *testing.T, name string) said {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(stores(t), name+".json"))
	must(t, err)
	var s said
	must(t, json.Unmarshal(data, &s))
	return s
}

// storeOf opens a store of the run.
func storeOf(t *testing.T, name string) *Store {
	t.Helper()
	return open(t, filepath.Join(stores(t), name))
}

func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

// copyOf copies a store of the run, to be changed.
func copyOf(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	must(t, os.CopyFS(dir, os.DirFS(filepath.Join(stores(t), name))))
	return dir
}

// alter runs statements on a copy; each must change something.
func alter(t *testing.T, dir string, statements ...string) {
	t.Helper()
	db := writer(t, dir)
	for _, statement := range statements {
		result, err := db.Exec(statement)
		must(t, err)
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			t.Fatalf("%s changed %d rows (%v)", statement, n, err)
		}
	}
	must(t, db.Close())
}

func writer(t *testing.T, dir string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite3", filepath.Join(dir, FileName))
	must(t, err)
	db.SetMaxOpenConns(1)
	return db
}

// hashes gives the sha256 of each file of a directory.
func hashes(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		sum := sha256.Sum256(data)
		found[path] = hex.EncodeToString(sum[:])
		return err
	}))
	return found
}

func image(t *testing.T) xsnap.Image {
	t.Helper()
	paths := testrig.Engine(t)
	image, err := xsnap.LoadImage(paths.Engine, paths.Lockdown, paths.Supervisor)
	must(t, err)
	return image
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantError demands an error of a type, with text in it.
func wantError[E error](t *testing.T, err error) E {
	t.Helper()
	var want E
	if !errors.As(err, &want) {
		t.Fatalf("got error %v (%T), want a %T", err, err, want)
	}
	return want
}
