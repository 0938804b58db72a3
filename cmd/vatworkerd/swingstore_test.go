package main

import (
	"database/sql"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	_ "github.com/mattn/go-sqlite3" // the driver that alters copies of stores

	"vatworkerd/internal/testrig"
	"vatworkerd/pipeproto"
	"vatworkerd/snapshots"
	"vatworkerd/supervisor"
	"vatworkerd/swingstore"
	"vatworkerd/transcripts"
)

// TestSwingstoreScripts runs the command lines of testdata/swingstore on a
// store that the JavaScript system writes; it is "kept" in each script, and what
// that system exports of it "exported" (all of it) and "little" (what vats need).
func TestSwingstoreScripts(t *testing.T) {
	peer, out := testrig.Peer(t), filepath.Join(t.TempDir(), "stores")
	cmd := exec.Command("node", filepath.Join("..", "..", "swingstore", "testdata", "make-swingstore.mjs"),
		peer, filepath.Dir(testrig.Bundle(t, "counter")), out, "kept")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make-swingstore.mjs: %v\n%s", err, text)
	}
	for name, mode := range map[string]string{"exported": "debug", "little": "operational"} {
		cmd := exec.Command("node", filepath.Join("..", "..", "swingstore", "testdata", "export-store.mjs"),
			peer, filepath.Join(out, "kept"), filepath.Join(out, name), mode)
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("export-store.mjs: %v\n%s", err, text)
		}
	}
	datadriven.Walk(t, filepath.Join("testdata", "swingstore"), func(t *testing.T, path string) {
		r := newRig(t)
		for _, name := range []string{"kept", "exported", "little"} {
			if err := os.Symlink(filepath.Join(out, name), filepath.Join(r.dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		r.runScript(path)
	})
	t.Run("imported vats go on", func(t *testing.T) { importedVatsGoOn(t, peer, filepath.Join(out, "kept")) })
}

// goesOn is what go-on.mjs prints.
type goesOn struct {
	Results []json.RawMessage `json:"results"`
	Records map[string]string `json:"records"`
}

// importedVatsGoOn: vats that were imported do what they do in the JavaScript
// kernel: the same results, and the same transcripts (every delivery, syscall and
// computron of them) and heap snapshots.
func importedVatsGoOn(t *testing.T, peer, kept string) {
	r := newRig(t)
	messages := [][]any{{"v8", "withdraw", 1}, {"v7", "echo", "naïve ☃", 2}, {"v8", "withdraw", 2}}
	for range 7 { // past a bringOutYourDead, a snapshot, and a bringOutYourDead
		messages = append(messages, []any{"v6", "increment"})
	}
	js := javaScriptGoesOn(t, r, peer, kept, messages)
	r.ok("swingstore", "import", kept, "--db", "db")
	for i, m := range messages {
		args := []string{"send", m[0].(string), m[1].(string)}
		for _, arg := range m[2:] {
			text, err := json.Marshal(arg)
			if err != nil {
				t.Fatal(err)
			}
			args = append(args, string(text))
		}
		got := r.ok(append(args, "--db", "db")...)
		if want := string(js.Results[i]); strings.TrimSpace(got.stdout) != want {
			t.Errorf("message %d, %v, gave %s, there %s", i, m, got.stdout, want)
		}
	}
	var spans []pipeproto.SpanInfo
	r.json(&spans, "spans", "--db", "db")
	for _, s := range spans {
		span := transcripts.Span{VatID: s.VatID, StartPos: s.StartPos, EndPos: s.EndPos, Hash: s.Hash, IsCurrent: s.IsCurrent, Incarnation: s.Incarnation}
		if want := js.Records[span.ExportKey()]; want != span.ExportRecord() {
			t.Errorf("%s is %s, there %s", span.ExportKey(), span.ExportRecord(), want)
		}
	}
	var heaps []pipeproto.SnapshotInfo
	r.json(&heaps, "snapshot", "list", "--db", "db")
	for _, h := range heaps {
		row := snapshots.Row{VatID: h.VatID, SnapPos: h.Position, Hash: h.Hash, InUse: h.InUse}
		if want := js.Records[row.Place()]; want != row.ExportRecord() {
			t.Errorf("%s is %s, there %s", row.Place(), row.ExportRecord(), want)
		}
	}
	if len(spans) < 16 || len(heaps) < 4 {
		t.Errorf("there are %d spans and %d snapshots", len(spans), len(heaps))
	}
	r.ok("replay", "counter", "--db", "db")
	r.ok("verify", "--db", "db")
	r.ok("vat", "upgrade", "account", "--bundle", "upgradable-v2", "--db", "db")
	r.ok("restart-all", "--db", "db")
	r.ok("send", "counter", "increment", "--db", "db")
	r.ok("verify", "--db", "db")
}

// javaScriptGoesOn sends messages in the JavaScript kernel, on a copy of a store.
func javaScriptGoesOn(t *testing.T, r *rig, peer, kept string, messages [][]any) (js goesOn) {
	t.Helper()
	next := filepath.Join(r.dir, "next")
	if err := os.CopyFS(next, os.DirFS(kept)); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(messages)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", filepath.Join("..", "..", "swingstore", "testdata", "go-on.mjs"), peer, next, string(text))
	said, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(said, &js)
	}
	if err != nil {
		t.Fatalf("go-on.mjs: %v\n%s", err, errorText(err))
	}
	return js
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
