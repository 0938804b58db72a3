package store

import (
	"path/filepath"
	"testing"
)

func TestBuild(t *testing.T) {
	path := testPath(t)
	b, err := Build(path, "CREATE TABLE thing (name TEXT PRIMARY KEY, size INTEGER)")
	must(t, err)
	must(t, b.Exec("INSERT INTO thing VALUES (?, ?)", "a", 7))
	if b.Exec("INSERT INTO thing VALUES (?, ?)", "a", 8) == nil {
		t.Error("a second row of a key was taken")
	}
	must(t, b.Close())
	r, err := OpenReadOnly(path)
	must(t, err)
	row, ok, err := r.QueryRow("SELECT size FROM thing WHERE name = 'a'")
	if err != nil || !ok || row.Int64(0) != 7 {
		t.Errorf("read %v, %t, %v", row, ok, err)
	}
	must(t, r.Close())
	if _, err := Build(filepath.Join(path, "none", "x"), ""); err == nil {
		t.Error("a file was built where none can be")
	}
	if _, err := Build(testPath(t), "no SQL"); err == nil {
		t.Error("a schema that is none was taken")
	}
}
