package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"vatworkerd/internal/testrig"
)

// engineLess is what must not depend on the engine that vats run on: all but
// its name. Which image a vat has is in consensus, so the activity hash may.
func engineLess(doc runDoc) runDoc {
	doc.ActivityHash = ""
	for i := range doc.Vats {
		doc.Vats[i].ImageID, doc.Vats[i].Engine = nil, nil
	}
	return doc
}

func TestNativeEngineDoesTheSame(t *testing.T) {
	r := newRig(t)
	r.writeConfig("config.json", threeVats)
	var stock, native runDoc
	r.json(&stock, "run", "config.json", "--db", "one", "--engine", "stock")
	r.json(&native, "run", "config.json", "--db", "two", "--engine", "native")
	for _, v := range native.Vats {
		if v.Engine == nil || *v.Engine != "native" {
			t.Errorf("%s runs on %v", v.Name, v.Engine)
		}
	}
	if a, b := engineLess(stock), engineLess(native); !reflect.DeepEqual(a, b) {
		t.Errorf("runs differ:\n%+v\n%+v", a, b)
	}
	// Snapshots of both are the same bytes.
	hash := func(db string) string {
		var list []struct{ Hash string }
		r.ok("snapshot", "take", "alice", "--db", db)
		r.json(&list, "snapshot", "list", "alice", "--db", db)
		return list[len(list)-1].Hash
	}
	if one, two := hash("one"), hash("two"); one != two {
		t.Errorf("snapshots are %s and %s", one, two)
	}
	r.ok("replay", "alice", "--db", "two")
	if out := r.ok("status", "--db", "two").stdout; !strings.Contains(out, "engine         native ") || !strings.Contains(out, "ENGINE") {
		t.Errorf("status does not name the engine:\n%s", out)
	}
}

// Vats on both engines live side by side, and restart-all moves them there and
// back.
func TestRestartOnTheNativeEngineAndBack(t *testing.T) {
	r := started(t)
	want := 0
	for _, engine := range []string{"native", "stock"} {
		r.ok("restart-all", "--engine", engine, "--db", "db", "--token", engine)
		want++
		if out := r.ok("send", "alice", "version", "--db", "db").stdout; out != "1\n" {
			t.Errorf("version() is %s", out)
		}
		var st statusDoc
		r.json(&st, "status", "--db", "db")
		for _, v := range st.Vats {
			if v.Engine != nil && *v.Engine != engine || v.Incarnation != int64(want) && v.State == "running" {
				t.Errorf("%s: incarnation %d runs on %s, want %d on %s", v.Name, v.Incarnation, *v.Engine, want, engine)
			}
		}
	}
}

func TestEngineWords(t *testing.T) {
	r := newRig(t)
	dir := filepath.Join(r.dir, "native") // a directory of that name is not what the word means
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(testrig.BuildDir(t), "native"))); err != nil {
		t.Fatal(err)
	}
	for engine, want := range map[string]string{
		"stock":    filepath.Join(testrig.BuildDir(t), "engine", "xsnap-worker"),
		"native":   filepath.Join(testrig.BuildDir(t), "native", "xsnap-native-worker"),
		"./native": filepath.Join(dir, "xsnap-native-worker"),
	} {
		if out := r.ok("doctor", "--engine", engine).stdout; !strings.Contains(out, want) {
			t.Errorf("--engine %s: doctor does not name %s:\n%s", engine, want, out)
		}
	}
	if out := r.run("doctor", "--engine", "nativ"); !strings.Contains(out.stdout+out.stderr, "cannot use the engine") {
		t.Errorf("an unknown word: %s%s", out.stdout, out.stderr)
	}
}
