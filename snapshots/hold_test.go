package snapshots

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// While somebody holds the files none is removed, and reading and writing go on.
func TestHeldFilesStay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "snapshots")
	d, err := OpenDir(path)
	must(t, err)
	info := mustSave(t, d, []byte("a heap"))
	all := func(string) bool { return false }

	first, err := HoldFiles(path)
	must(t, err)
	second, err := HoldFiles(path)
	must(t, err)
	for _, h := range []*Hold{first, second} {
		if !d.Held() {
			t.Error("the files are not held")
		}
		if err := d.Remove(info.Hash); !errors.Is(err, ErrHeld) {
			t.Errorf("removed: %v", err)
		}
		if removed, err := d.Sweep(all); !errors.Is(err, ErrHeld) || len(removed) != 0 {
			t.Errorf("swept %v: %v", removed, err)
		}
		mustSave(t, d, []byte("another heap"))
		if _, err := d.Verify(info.Hash); err != nil {
			t.Error(err)
		}
		must(t, h.Close())
		must(t, h.Close()) // again is harmless
	}
	if d.Held() {
		t.Error("the files are held for ever")
	}
	must(t, d.Remove(info.Hash))
	if removed, err := d.Sweep(all); err != nil || len(removed) != 1 {
		t.Errorf("swept %v: %v", removed, err)
	}
}

func TestAHoldOfWhatNobodyCanChange(t *testing.T) {
	h, err := HoldFiles(filepath.Join(t.TempDir(), "none", "snapshots"))
	must(t, err)
	must(t, h.Close())
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	if _, err := HoldFiles(filepath.Join(file, "snapshots")); err == nil {
		t.Error("what lies in a file is held")
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
