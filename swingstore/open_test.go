package swingstore

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOpenRefusesWhatIsNoSwingStore(t *testing.T) {
	for _, c := range []struct {
		name, why string
		make      func(t *testing.T, dir string)
	}{
		{"no directory", "no such directory", func(t *testing.T, dir string) { must(t, os.Remove(dir)) }},
		{"a file", "no directory", func(t *testing.T, dir string) {
			must(t, os.Remove(dir))
			must(t, os.WriteFile(dir, nil, 0o600))
		}},
		{"an empty directory", "no file swingstore.sqlite", func(*testing.T, string) {}},
		{"a directory of that name", "no regular file", func(t *testing.T, dir string) {
			must(t, os.Mkdir(filepath.Join(dir, FileName), 0o700))
		}},
		{"an empty file", "no table kvStore", func(t *testing.T, dir string) {
			must(t, os.WriteFile(filepath.Join(dir, FileName), nil, 0o600))
		}},
		{"a text", "no SQLite database", func(t *testing.T, dir string) {
			must(t, os.WriteFile(filepath.Join(dir, FileName), []byte(strings.Repeat("not a database\n", 999)), 0o600))
		}},
		{"another database", "no table kvStore", func(t *testing.T, dir string) {
			script(t, dir, "CREATE TABLE other (x)")
		}},
		{"another form", "its table transcriptItems is of another form", func(t *testing.T, dir string) {
			script(t, dir, "CREATE TABLE kvStore (key TEXT, value TEXT)", "CREATE TABLE transcriptItems (vatID, position, item)")
		}},
		{"a view", "no table kvStore", func(t *testing.T, dir string) {
			script(t, dir, "CREATE VIEW kvStore AS SELECT 1 AS key, 2 AS value")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "store")
			must(t, os.Mkdir(dir, 0o700))
			c.make(t, dir)
			before := map[string]string{}
			if info, err := os.Stat(dir); err == nil && info.IsDir() {
				before = hashes(t, dir)
			}
			_, err := Open(dir)
			if e := wantError[*NotSwingStoreError](t, err); !strings.Contains(e.Why, c.why) {
				t.Fatalf("got %q, want %q", e.Why, c.why)
			}
			if len(before) > 0 && !maps.Equal(before, hashes(t, dir)) {
				t.Fatal("the directory was changed")
			}
		})
	}
}

func script(t *testing.T, dir string, statements ...string) {
	t.Helper()
	db := writer(t, dir)
	for _, statement := range statements {
		_, err := db.Exec(statement)
		must(t, err)
	}
	must(t, db.Close())
}

// TestNothingIsChanged looks at every byte of the directory after all that a
// Store can do, in each state a node leaves its files in.
func TestNothingIsChanged(t *testing.T) {
	for _, c := range []struct {
		name, store string
		drop        string
	}{
		{"closed", "pruned", ""},
		{"killed, index lost", "open", "-shm"},
		{"killed", "open", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := copyOf(t, c.store)
			if c.drop != "" {
				must(t, os.Remove(filepath.Join(dir, FileName+c.drop)))
			}
			before := hashes(t, dir)
			s, err := Open(dir)
			must(t, err)
			list, err := s.Vats()
			must(t, err)
			if len(list.Vats) == 0 {
				t.Fatal("no vats")
			}
			result, err := s.Verify(context.Background(), "", nil)
			must(t, err)
			noProblems(t, result.Problems)
			report, err := s.Replay(context.Background(), list.Vats[0].VatID, ReplayOptions{Image: image(t)})
			must(t, err)
			if !report.Identical {
				t.Fatal(report.Divergence.Report)
			}
			must(t, s.Close())
			after := hashes(t, dir)
			// The index of the log is no data: any reader may build it anew.
			index := filepath.Join(dir, FileName+"-shm")
			if _, had := before[index]; had {
				delete(before, index)
				delete(after, index)
			}
			if !maps.Equal(before, after) {
				t.Fatalf("before %v\nafter %v", before, after)
			}
		})
	}
}

func TestTheLogIsRead(t *testing.T) {
	// The last commit of this store is in its log only.
	dir := copyOf(t, "open")
	full, err := open(t, dir).Vats()
	must(t, err)
	kept, err := storeOf(t, "kept").Vats()
	must(t, err)
	if len(full.Vats) != len(kept.Vats) {
		t.Fatalf("got %d vats, want %d", len(full.Vats), len(kept.Vats))
	}
	for i := range full.Vats {
		if full.Vats[i].SpanHash != kept.Vats[i].SpanHash {
			t.Errorf("%s: another span", full.Vats[i].VatID)
		}
	}
}

func TestAWriterBesideIsNoticedOrNotSeen(t *testing.T) {
	t.Run("begins later", func(t *testing.T) {
		dir := copyOf(t, "pruned")
		s := open(t, dir)
		alter(t, dir, "UPDATE kvStore SET value = '[]' WHERE key = 'vat.dynamicIDs'")
		_, err := s.Vats()
		wantError[*ChangedError](t, err)
	})
	t.Run("holds it open", func(t *testing.T) {
		dir := copyOf(t, "open")
		must(t, os.Remove(filepath.Join(dir, FileName+"-shm")))
		s, err := Open(dir)
		must(t, err)
		db := writer(t, dir)
		defer db.Close()
		_, err = db.Exec("SELECT * FROM kvStore")
		must(t, err)
		must(t, s.Close())
		if _, err := os.Stat(filepath.Join(dir, FileName+"-shm")); err != nil {
			t.Fatalf("the index of another connection was removed: %v", err)
		}
	})
	t.Run("is at work", func(t *testing.T) {
		dir := copyOf(t, "pruned")
		db := writer(t, dir)
		defer db.Close()
		_, err := db.Exec("UPDATE kvStore SET value = value || ' ' WHERE key = 'vat.dynamicIDs'")
		must(t, err)
		s := open(t, dir)
		before, err := s.Vats()
		must(t, err)
		_, err = db.Exec("DELETE FROM transcriptSpans")
		must(t, err)
		after, err := s.Vats()
		must(t, err)
		if len(before.Vats) != len(after.Vats) || after.Vats[0].Spans == 0 {
			t.Fatal("a later commit was seen")
		}
	})
}
