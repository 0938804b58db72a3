package main

import (
	"database/sql"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/datadriven"
	_ "github.com/mattn/go-sqlite3" // the driver that alters copies of stores

	"vatworkerd/internal/testrig"
	"vatworkerd/supervisor"
	"vatworkerd/swingstore"
)

// TestSwingstoreScripts runs the command lines of testdata/swingstore on a
// store that the JavaScript system writes; it is "kept" in each script.
func TestSwingstoreScripts(t *testing.T) {
	peer, out := testrig.Peer(t), filepath.Join(t.TempDir(), "stores")
	cmd := exec.Command("node", filepath.Join("..", "..", "swingstore", "testdata", "make-swingstore.mjs"),
		peer, filepath.Dir(testrig.Bundle(t, "counter")), out, "kept")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make-swingstore.mjs: %v\n%s", err, text)
	}
	datadriven.Walk(t, filepath.Join("testdata", "swingstore"), func(t *testing.T, path string) {
		r := newRig(t)
		if err := os.Symlink(filepath.Join(out, "kept"), filepath.Join(r.dir, "kept")); err != nil {
			t.Fatal(err)
		}
		r.runScript(path)
	})
}

// alterSwingStore makes a copy of the store "kept" and changes it by a
// statement, which must change something.
func (r *rig) alterSwingStore(name, statement string) {
	r.t.Helper()
	r.alterCopy("kept", name, swingstore.FileName, statement)
}

// changeVats makes a copy of the database "db" and changes its vats by a
// statement, which must change something.
func (r *rig) changeVats(name, statement string) {
	r.t.Helper()
	r.alterCopy("db", name, supervisor.DatabaseFile, statement)
}

func (r *rig) alterCopy(of, name, file, statement string) {
	r.t.Helper()
	dir := filepath.Join(r.dir, name)
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(r.dir, of))); err != nil {
		r.t.Fatal(err)
	}
	db, err := sql.Open("sqlite3", filepath.Join(dir, file))
	if err != nil {
		r.t.Fatal(err)
	}
	defer db.Close()
	result, err := db.Exec(statement)
	if err != nil {
		r.t.Fatal(err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		r.t.Fatalf("%s changed %d rows (%v)", statement, n, err)
	}
}
