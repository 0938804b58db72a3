package xsnap

import (
	"os"
	"path/filepath"
	"testing"
)

// A temporary file that nobody writes goes when the cache is opened; one that is
// being written stays.
func TestBaseCacheSweepsWhatAKillLeft(t *testing.T) {
	dir := t.TempDir()
	orphan := filepath.Join(dir, "tmp-base-1")
	if err := os.WriteFile(orphan, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	writer := &BaseCache{dir: dir}
	f, err := writer.createTemp()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := NewBaseCache(nil, dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(orphan); err == nil {
		t.Error("the orphan is still there")
	}
	if _, err := os.Stat(f.Name()); err != nil {
		t.Errorf("a file that is being written is gone: %v", err)
	}
}
