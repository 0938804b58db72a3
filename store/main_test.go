package store

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(crashPathEnv); path != "" {
		os.Exit(crashChild(path))
	}
	goleak.VerifyTestMain(m)
}

func testPath(t testing.TB) string {
	t.Helper()
	// Characters that a URI would give a meaning to.
	return filepath.Join(t.TempDir(), "a ?b%20#c;.sqlite")
}

// openTest opens the database at path, which is checked and closed after the test.
func openTest(t testing.TB, path string, undo bool) *DB {
	t.Helper()
	d, err := Open(path, Options{Undo: undo})
	must(t, err)
	t.Cleanup(func() {
		d.mu.Lock()
		closed := d.conn == nil
		d.mu.Unlock()
		if closed {
			return
		}
		must(t, d.Check())
		must(t, d.Close())
	})
	return d
}

// inCrank runs f in a crank of its own and gives the new activity hash.
func inCrank(t testing.TB, d *DB, f func(c *Crank)) string {
	t.Helper()
	c, err := d.BeginCrank()
	must(t, err)
	f(c)
	hash, err := c.Commit(nil)
	must(t, err)
	return hash
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// dump gives all consensus tables as text.
func dump(t testing.TB, d Reader) string {
	t.Helper()
	var b strings.Builder
	for _, table := range consensusTables() {
		rows, err := d.Query("SELECT " + columnList("", table.keys) + ", " + columnList("", table.values) + " FROM " + table.name + " ORDER BY 1, 2")
		must(t, err)
		for _, row := range rows {
			fmt.Fprintf(&b, "%s %q\n", table.name, []any{row})
		}
	}
	return b.String()
}

func wantKey(t testing.TB, d *DB, key, want string) {
	t.Helper()
	got, ok, err := d.Get(key)
	must(t, err)
	if ok != (want != "") || got != want {
		t.Errorf("%s is %q (%t), want %q", key, got, ok, want)
	}
}
