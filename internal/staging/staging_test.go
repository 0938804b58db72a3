package staging

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// names gives what is in a directory.
func names(t *testing.T, dir string) []string {
	t.Helper()
	found, err := os.ReadDir(dir)
	must(t, err)
	var names []string
	for _, entry := range found {
		names = append(names, entry.Name())
	}
	return names
}

func TestPublish(t *testing.T) {
	for _, exists := range []bool{false, true} {
		parent := t.TempDir()
		target := filepath.Join(parent, "new")
		if exists {
			must(t, os.Mkdir(target, 0o700))
		}
		d, err := Begin(target)
		must(t, err)
		must(t, os.WriteFile(filepath.Join(d.Path(), "file"), []byte("x"), 0o600))
		if _, err := os.Stat(filepath.Join(target, "file")); err == nil {
			t.Error("it is there before its time")
		}
		must(t, d.Publish())
		if got := names(t, target); len(got) != 1 || got[0] != "file" {
			t.Errorf("it has %v", got)
		}
		if got := names(t, parent); len(got) != 1 {
			t.Errorf("beside it there is %v", got)
		}
	}
}

func TestDiscard(t *testing.T) {
	parent := t.TempDir()
	d, err := Begin(filepath.Join(parent, "new"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(d.Path(), "file"), []byte("x"), 0o600))
	d.Discard()
	if got := names(t, parent); len(got) != 0 {
		t.Errorf("%v is left", got)
	}
}

// What somebody puts into the place meanwhile stays.
func TestPublishRefuses(t *testing.T) {
	parent := t.TempDir()
	target := filepath.Join(parent, "new")
	d, err := Begin(target)
	must(t, err)
	must(t, os.Mkdir(target, 0o700))
	must(t, os.WriteFile(filepath.Join(target, "mine"), nil, 0o600))
	if err := d.Publish(); err == nil {
		t.Error("it took the place of another")
	}
	if got := names(t, parent); len(got) != 1 || len(names(t, target)) != 1 {
		t.Errorf("%v is left", got)
	}
	var notEmpty *NotEmptyError
	if _, err := Begin(target); !errors.As(err, &notEmpty) || notEmpty.Found != "mine" {
		t.Errorf("beginning there gave %v", err)
	}
	if _, err := Begin(filepath.Join(parent, "no", "parent")); err == nil {
		t.Error("it was begun without a parent")
	}
}
