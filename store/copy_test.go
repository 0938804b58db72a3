package store

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// A copy is of what the view shows, prepared block and undo included, whatever is
// committed meanwhile; and it is a database.
func TestCopyIsOfTheView(t *testing.T) {
	path := testPath(t)
	d := openTest(t, path, true)
	for n := 1; n <= 3; n++ {
		commitBlock(t, d, n)
	}
	before := standsAt(t, d)
	work(t, d, 4)
	must(t, d.Prepare(4))
	want := standsAt(t, d)
	v := openView(t, path)
	must(t, v.Rewind()) // hides nothing from a copy
	must(t, d.Commit(4))
	commitBlock(t, d, 5)
	to := filepath.Join(t.TempDir(), "copy.sqlite")
	last, pages := 0, 0
	must(t, v.CopyTo(to, func(done, total int) error {
		last, pages = done, total
		return nil
	}))
	size, err := v.Size()
	must(t, err)
	if info, err := os.Stat(to); err != nil || info.Size() != size || info.Mode() != 0o600 || last != pages || pages == 0 {
		t.Errorf("the copy is %v (%v), %d of %d pages; the view has %d bytes", info, err, last, pages, size)
	}
	copied := openTest(t, to, true)
	if got := standsAt(t, copied); got != want {
		t.Errorf("the copy: %s\nwant %s", got, want)
	}
	must(t, copied.Align(3))
	if got := standsAt(t, copied); got != before {
		t.Errorf("the copy, aligned: %s\nwant %s", got, before)
	}
	commitBlock(t, copied, 4)
}

func TestCopyThatIsStopped(t *testing.T) {
	path := testPath(t)
	commitBlock(t, openTest(t, path, true), 1)
	v := openView(t, path)
	to := filepath.Join(t.TempDir(), "copy.sqlite")
	stop := errors.New("stop")
	if err := v.CopyTo(to, func(int, int) error { return stop }); err != stop {
		t.Errorf("got %v", err)
	}
	var io *IOError
	if err := v.CopyTo(to, func(int, int) error { return nil }); !errors.As(err, &io) || !errors.Is(err, os.ErrExist) {
		t.Errorf("onto a file: %v", err)
	}
}

// A reader that stays keeps the log from being emptied, and nobody from working:
// were the writer to wait for it, this test would take minutes.
func TestReaderHoldsNobodyUp(t *testing.T) {
	path := testPath(t)
	var warned []error
	d, err := Open(path, Options{Undo: true, CheckpointBytes: 1, Warn: func(err error) { warned = append(warned, err) }})
	must(t, err)
	t.Cleanup(func() { must(t, d.Close()) })
	commitBlock(t, d, 1)
	v := openView(t, path)
	want := standsAt(t, v)
	logSize := func() int64 {
		info, err := os.Stat(path + "-wal")
		must(t, err)
		return info.Size()
	}
	for n := 2; n <= 200; n++ {
		commitBlock(t, d, n)
	}
	if len(warned) > 0 || logSize() == 0 {
		t.Errorf("beside a reader: %v; the log has %d bytes", slices.Compact(warned), logSize())
	}
	if got := standsAt(t, v); got != want {
		t.Errorf("the view is now %s\nwant %s", got, want)
	}
	must(t, v.Close())
	commitBlock(t, d, 201)
	if n := logSize(); n != 0 {
		t.Errorf("after the reader: the log has %d bytes", n)
	}
	if n, err := number(d, "PRAGMA busy_timeout"); err != nil || n != busyMillis {
		t.Errorf("the connection waits %d ms (%v)", n, err)
	}
}
