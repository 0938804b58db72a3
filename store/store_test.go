package store

import (
	"path/filepath"
	"testing"
)

func TestSmoke(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x?y%#.sqlite")
	d, err := Open(path, Options{Undo: true})
	must(t, err)
	must(t, d.Check())
	c, err := d.BeginCrank()
	must(t, err)
	c.Set("a", "1")
	must(t, c.Exec("INSERT INTO transcriptItems VALUES ('v1', 0, 'item', 0)"))
	_, err = c.Commit(nil)
	must(t, err)
	must(t, d.Check())
	must(t, d.Prepare(1))
	must(t, d.Check())
	must(t, d.Rollback())
	must(t, d.Check())
	if _, ok, _ := d.Get("a"); ok {
		t.Fatal("a survived")
	}
	must(t, d.Close())
	if _, err := filepath.Glob(path); err != nil {
		t.Fatal(err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
