package main

import (
	"encoding/json"
	"maps"
	"os/exec"
	"path/filepath"
	"testing"

	"vatworkerd/internal/testrig"
	"vatworkerd/swingexport"
	"vatworkerd/swingstore"
)

// TestSwingstoreTakesOurExports: the JavaScript store imports an export of ours,
// asserts that it is complete, and says the same of it.
func TestSwingstoreTakesOurExports(t *testing.T) {
	peer := testrig.Peer(t)
	r := started(t)
	dirOf := func(mode swingexport.Mode) string { return filepath.Join(r.dir, "out-"+string(mode)) }
	// Before an incarnation ends: its old items go then.
	r.ok("export", dirOf(swingexport.Archival), "--db", "db", "--mode", string(swingexport.Archival))
	r.ok("vat", "suspend", "bob", "--db", "db")
	r.ok("send", "alice", "count", "--db", "db")
	for _, mode := range swingexport.Modes() {
		t.Run(string(mode), func(t *testing.T) {
			dir, to := dirOf(mode), filepath.Join(r.dir, "store-"+string(mode))
			if mode != swingexport.Archival {
				r.ok("export", dir, "--db", "db", "--mode", string(mode))
			}
			cmd := exec.Command("node", filepath.Join("..", "..", "swingstore", "testdata", "import-export.mjs"), peer, dir, to, string(mode))
			text, err := cmd.Output()
			if err != nil {
				t.Fatalf("import-export.mjs: %v\n%s", err, errorText(err))
			}
			var got map[string]string
			if err := json.Unmarshal(text, &got); err != nil {
				t.Fatal(err)
			}
			if want := exportOf(t, dir); !maps.Equal(got, want) {
				for key, value := range want {
					if got[key] != value {
						t.Errorf("%s is %q there, %q here", key, got[key], value)
					}
				}
				t.Errorf("the store has %d records and artifacts, the export %d", len(got), len(want))
			}
			var found swingstore.Verification
			r.json(&found, "swingstore", "verify", to)
			if found.Spans < 3 || found.Snapshots == 0 || found.Bundles != 1 {
				t.Errorf("verified %+v", found)
			}
		})
	}
}

func errorText(err error) string {
	if exit, ok := err.(*exec.ExitError); ok {
		return string(exit.Stderr)
	}
	return ""
}

// exportOf gives the records and artifacts of an export as import-export.mjs does.
func exportOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	e, err := swingexport.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	err = e.Records(func(key string, value *string) error {
		all[key] = *value
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, pattern := range []string{"transcript.*", "snapshot.*", "bundle.*"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range found {
			all["artifact "+filepath.Base(path)] = ""
		}
	}
	return all
}
