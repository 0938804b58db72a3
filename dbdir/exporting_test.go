package dbdir

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vatworkerd/internal/staging"
	"vatworkerd/store"
	"vatworkerd/supervisor"
	"vatworkerd/swingexport"
)

// exported gives an export of a directory.
func exported(t testing.TB, dir string, mode swingexport.Mode) Exported {
	t.Helper()
	e, err := MakeExport(context.Background(), dir, filepath.Join(t.TempDir(), "export"), mode, nil)
	must(t, err)
	return e
}

// imported gives a database made of an export.
func imported(t testing.TB, from string) Exported {
	t.Helper()
	e, err := Import(context.Background(), from, filepath.Join(t.TempDir(), "db"), nil)
	must(t, err)
	return e
}

// An export says what the database says, and gives it back, whatever it leaves out.
func TestExportAndBack(t *testing.T) {
	dir := copied(t)
	before := contentsOf(t, dir)
	spans := map[swingexport.Mode]int64{}
	for _, mode := range []swingexport.Mode{swingexport.Operational, swingexport.Replay, swingexport.Debug} {
		e := exported(t, dir, mode)
		if after := contentsOf(t, dir); !maps.Equal(before, after) {
			t.Errorf("%s: the directory was changed", mode)
		}
		back := imported(t, e.Dir)
		if got, want := hashesOf(t, back.DB), hashesOf(t, dir); got != want {
			t.Errorf("%s: the database has hashes %s, its original %s", mode, got, want)
		}
		if got, want := spanRows(t, back.DB), spanRows(t, dir); got != want {
			t.Errorf("%s: spans and snapshots\n%s\nwant\n%s", mode, got, want)
		}
		for i, a := range e.Artifacts {
			if back.Artifacts[i] != a {
				t.Errorf("%s: imported %v, exported %v", mode, back.Artifacts[i], a)
			}
		}
		if back.Mode != mode || back.Height != e.Height || back.Records != e.Records {
			t.Errorf("%s: imported %+v, exported %+v", mode, back, e)
		}
		spans[mode] = e.Artifacts[0].Files
	}
	if spans[swingexport.Operational] >= spans[swingexport.Replay] || spans[swingexport.Replay] > spans[swingexport.Debug] {
		t.Errorf("the modes have numbers of spans %v", spans)
	}
}

// spanRows gives the consensus rows that no state hash covers.
func spanRows(t testing.TB, dir string) string {
	t.Helper()
	v, err := store.OpenView(filepath.Join(dir, supervisor.DatabaseFile))
	must(t, err)
	defer v.Close()
	var b strings.Builder
	for _, query := range []string{
		"SELECT vatID, startPos, endPos, hash, coalesce(isCurrent, 0), incarnation FROM transcriptSpans ORDER BY 1, 2",
		"SELECT vatID, snapPos, hash, uncompressedSize, coalesce(inUse, 0), incarnation FROM snapshots ORDER BY 1, 2",
		"SELECT id, hex(data), '', '', '', '' FROM bundles ORDER BY id",
	} {
		rows, err := v.Query(query)
		must(t, err)
		for _, row := range rows {
			for i := range 6 {
				b.WriteString(row.Text(i) + " ")
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

// What goes on from an import ends where the original ends.
func TestImportGoesOn(t *testing.T) {
	dir := copied(t)
	back := imported(t, exported(t, dir, swingexport.Operational).Dir)
	for _, db := range []string{dir, back.DB} {
		k := openKernel(t, db)
		_, err := k.Resume(context.Background(), "b", "test")
		must(t, err)
		work(t, k, 6, "a", "b", "c")
		must(t, k.Close())
	}
	if got, want := hashesOf(t, back.DB), hashesOf(t, dir); got != want {
		t.Errorf("the import went on to %s, its original to %s", got, want)
	}
}

// Old items go with their incarnations: what is not there is not promised.
func TestExportIncomplete(t *testing.T) {
	dir, to := copied(t), filepath.Join(t.TempDir(), "export")
	alter(t, dir, supervisor.DatabaseFile, "DELETE FROM transcriptItems WHERE vatID = 'v1' AND position < 2")
	_, err := MakeExport(context.Background(), dir, to, swingexport.Archival, nil)
	var incomplete *IncompleteError
	if !errors.As(err, &incomplete) {
		t.Fatalf("got %v", err)
	}
	wantNothingMade(t, to)
	alter(t, dir, supervisor.DatabaseFile, "UPDATE transcriptItems SET item = replace(item, '\"ok\"', '\"no\"') WHERE position = (SELECT max(position) FROM transcriptItems WHERE vatID = 'v1') AND vatID = 'v1'")
	if _, err := MakeExport(context.Background(), dir, to, swingexport.Operational, nil); err == nil || !strings.Contains(err.Error(), "transcript.v1.") {
		t.Errorf("an altered item gave %v", err)
	}
	wantNothingMade(t, to)
}

func TestExportInterrupted(t *testing.T) {
	dir, to := copied(t), filepath.Join(t.TempDir(), "export")
	for at := range int64(6) {
		ctx, stop := context.WithCancel(context.Background())
		_, err := MakeExport(ctx, dir, to, swingexport.Operational, func(p store.Progress) {
			if p.Done > at {
				stop()
			}
		})
		stop()
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("at artifact %d: %v", at, err)
		}
		wantNothingMade(t, to)
	}
}

// wantNothingMade wants a directory that is not there, and nothing of it beside its place.
func wantNothingMade(t testing.TB, dir string) {
	t.Helper()
	found, err := os.ReadDir(filepath.Dir(dir))
	must(t, err)
	for _, entry := range found {
		if strings.Contains(entry.Name(), filepath.Base(dir)) {
			t.Errorf("%s is left", entry.Name())
		}
	}
}

// Whatever part of an export is altered or lost, no database is made of it.
func TestImportRefuses(t *testing.T) {
	sound := exported(t, copied(t), swingexport.Operational).Dir
	file := func(t *testing.T, dir, prefix string) string {
		found, err := filepath.Glob(filepath.Join(dir, prefix+"*"))
		must(t, err)
		for _, path := range found {
			if info, err := os.Stat(path); err == nil && info.Size() > 0 {
				return path
			}
		}
		t.Fatalf("there is no %s", prefix)
		return ""
	}
	replace := func(path, from, to string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			path := file(t, dir, path)
			text, err := os.ReadFile(path)
			must(t, err)
			if !bytes.Contains(text, []byte(from)) {
				t.Fatalf("%s has no %q", path, from)
			}
			must(t, os.Remove(path)) // it is the sound one's too
			must(t, os.WriteFile(path, bytes.Replace(text, []byte(from), []byte(to), 1), 0o600))
		}
	}
	remove := func(prefix string) func(*testing.T, string) {
		return func(t *testing.T, dir string) { must(t, os.Remove(file(t, dir, prefix))) }
	}
	for name, c := range map[string]struct {
		spoil func(*testing.T, string)
		says  string
	}{
		"an item altered":         {replace("transcript.", `"status":"ok"`, `"status":"OK"`), "the hash of its items"},
		"an item lost":            {replace("transcript.", "\n", ""), "items, one a line"},
		"a span lost":             {remove("transcript."), "the file is missing"},
		"a heap altered":          {replace("snapshot.", "XS_M", "XS_N"), "its sha256"},
		"a heap lost":             {remove("snapshot."), "the file is missing"},
		"a bundle altered":        {replace("bundle.", "compartment", "Compartment"), "bundle.b1-"},
		"a bundle lost":           {remove("bundle."), "the file is missing"},
		"a key altered":           {replace("export-data", `["kv.v1.name","a"]`, `["kv.v1.name","A"]`), "the hash of all keys and values"},
		"a key lost":              {replace("export-data", "[\"kv.v1.name\",\"a\"]\n", ""), "the hash of all keys and values"},
		"a line cut":              {replace("export-data", `["kv.v1.name","a"]`, `["kv.v1.na`), "line "},
		"a record of nothing":     {replace("export-data", `["kv.v1.name","a"]`, `["strange","a"]`), "no known kind"},
		"a span's record altered": {replace("export-data", `\"startPos\":0`, `\"startPos\":1`), "its key is"},
		"a snapshot not in use":   {replace("export-data", `\"inUse\":1`, `\"inUse\":0`), "does not agree"},
		"another version":         {replace("export-data", `\"version\":1`, `\"version\":9`), "version 9"},
		"not ours":                {replace("export-data", "kv.vatworkerd.export", "kv.something.else"), "is not of a database of vatworkerd"},
		"a way out":               {replace("export-manifest", `"export-data`, `"../export-data`), "a file that is not in it"},
		"an artifact not listed":  {replace("export-manifest", `"transcript.v1.`, `"transcript.v0.`), "does not have this artifact"},
		"no manifest":             {remove("export-manifest"), "has no export-manifest.json"},
		"no JSON":                 {replace("export-manifest", "{", "["), "not as it should be"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, to := filepath.Join(t.TempDir(), "export"), filepath.Join(t.TempDir(), "db")
			link(t, sound, dir)
			c.spoil(t, dir)
			_, err := Import(context.Background(), dir, to, nil)
			if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line with %q", err, c.says)
			}
			wantNothingMade(t, to)
		})
	}
	t.Run("not empty", func(t *testing.T) {
		to := t.TempDir()
		must(t, os.WriteFile(filepath.Join(to, "mine"), nil, 0o600))
		var notEmpty *staging.NotEmptyError
		if _, err := Import(context.Background(), sound, to, nil); !errors.As(err, &notEmpty) {
			t.Errorf("importing gave %v", err)
		}
		if _, err := MakeExport(context.Background(), copied(t), to, swingexport.Operational, nil); !errors.As(err, &notEmpty) {
			t.Errorf("exporting gave %v", err)
		}
	})
}

// link makes a directory with the same files as another.
func link(t testing.TB, from, to string) {
	t.Helper()
	must(t, os.Mkdir(to, 0o700))
	found, err := os.ReadDir(from)
	must(t, err)
	for _, entry := range found {
		must(t, os.Link(filepath.Join(from, entry.Name()), filepath.Join(to, entry.Name())))
	}
}

// Old records have no hash in what stays: that they agree is checked at the end.
func TestImportChecksTheWhole(t *testing.T) {
	dir, to := exported(t, copied(t), swingexport.Operational).Dir, filepath.Join(t.TempDir(), "db")
	path := filepath.Join(dir, "export-data.jsonl")
	text, err := os.ReadFile(path)
	must(t, err)
	var kept []string
	lost := false
	for _, line := range strings.SplitAfter(string(text), "\n") {
		if !lost && strings.HasPrefix(line, `["transcript.v1.0"`) {
			lost = true
			continue
		}
		kept = append(kept, line)
	}
	if !lost {
		t.Fatal("v1 has no old span")
	}
	must(t, os.WriteFile(path, []byte(strings.Join(kept, "")), 0o600))
	var unsound *UnsoundError
	if _, err := Import(context.Background(), dir, to, nil); !errors.As(err, &unsound) {
		t.Errorf("got %v", err)
	}
	wantNothingMade(t, to)
}

// The form of the records is the JavaScript store's.
func TestExportRecords(t *testing.T) {
	e, err := swingexport.Open(exported(t, copied(t), swingexport.Operational).Dir)
	must(t, err)
	records := map[string]string{}
	must(t, e.Records(func(key string, value *string) error {
		records[key] = *value
		return nil
	}))
	var span struct {
		VatID           string
		StartPos        int64
		EndPos          int64
		Hash            string
		IsCurrent       int
		Incarnation     int64
		SomethingElseIs any
	}
	must(t, json.Unmarshal([]byte(records["transcript.v1.current"]), &span))
	if span.VatID != "v1" || span.IsCurrent != 1 || len(span.Hash) != 64 || span.EndPos <= span.StartPos {
		t.Errorf("the current span of v1 is %+v", span)
	}
	current := records["snapshot.v1.current"]
	if !strings.HasPrefix(current, "snapshot.v1.") || !strings.Contains(records[current], `"inUse":1}`) {
		t.Errorf("snapshot.v1.current is %q: %q", current, records[current])
	}
	if records["kv.v1.name"] != "a" || records["kv.v1.c.o+0"] == "" {
		t.Error("the kernel's keys are not where SwingSet has them")
	}
	vatstore := 0
	for key := range records {
		if strings.HasPrefix(key, "kv.v1.vs.") {
			vatstore++
		}
	}
	if vatstore == 0 {
		t.Error("the storage of v1 is not where SwingSet has it")
	}
}

// Exports that are made while real vats work are of one block each, and go on to
// where the database itself has come.
func TestExportsUnderLoad(t *testing.T) {
	dir := copied(t)
	k := openKernel(t, dir)
	rounds, worked := make(chan struct{}, 4), make(chan struct{})
	go func() {
		defer close(worked)
		for range rounds {
			round(t, k)
		}
	}()
	made := map[int64]Exported{}
	for len(made) < 2 {
		for range cap(rounds) {
			rounds <- struct{}{}
		}
		e := exported(t, dir, swingexport.Operational)
		if made[e.Height] = e; !e.InUse {
			t.Error("nobody uses the database")
		}
	}
	close(rounds)
	<-worked
	end := k.Height()
	must(t, k.Close())
	want := hashesOf(t, dir)
	for height, e := range made {
		back := imported(t, e.Dir)
		k := openKernel(t, back.DB)
		for k.Height() < end {
			round(t, k)
		}
		must(t, k.Close())
		if got := hashesOf(t, back.DB); got != want {
			t.Errorf("the export of height %d went on to %s, the database to %s", height, got, want)
		}
	}
}
