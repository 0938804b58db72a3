package snapshots

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// saveLater is save that does not wait.
func saveLater(t testing.TB, d *Dir, data []byte) Info {
	t.Helper()
	w, err := create(d)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	info, err := w.CommitLater()
	if err != nil {
		t.Fatal(err)
	}
	if want := (Info{Hash: hashOf(data), UncompressedSize: int64(len(data))}); info != want {
		t.Fatalf("CommitLater gives %+v, want %+v", info, want)
	}
	return info
}

func TestCommitLater(t *testing.T) { inBothForms(t, testCommitLater) }

func testCommitLater(t *testing.T, open func(testing.TB, FS) *Dir) {
	d := open(t, OSFS{})
	var infos []Info
	for i := range 2 * maxSaving { // more than may be under way
		infos = append(infos, saveLater(t, d, content(300_000, byte(i))))
	}
	last := infos[len(infos)-1]
	if got, err := load(d, last.Hash); err != nil || hashOf(got) != last.Hash { // waits
		t.Errorf("loading what may not be durable: %v", err)
	}
	if err := d.Settle(); err != nil {
		t.Fatal(err)
	}
	for _, info := range infos {
		if _, err := again(t, d).Verify(info.Hash); err != nil {
			t.Error(err)
		}
	}
	if left := files(t, d); len(left) != len(infos) {
		t.Errorf("%d files, want %d", len(left), len(infos))
	}
	if err := d.Settle(); err != nil {
		t.Errorf("nothing is left to settle: %v", err)
	}
}

// Removing what is still being written leaves nothing.
func TestRemoveOfWhatIsPending(t *testing.T) {
	d := openDir(t, OSFS{})
	info := saveLater(t, d, content(1<<20, 1))
	if err := d.Remove(info.Hash); err != nil {
		t.Fatal(err)
	}
	if left := files(t, d); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	if err := d.Settle(); err != nil {
		t.Error(err)
	}
}

// stuckFS lets nothing be synced before it is told to.
type stuckFS struct {
	OSFS
	synced chan struct{}
}

type stuckFile struct {
	File
	fs *stuckFS
}

func (f *stuckFS) CreateTemp(dir, prefix string) (File, error) {
	file, err := f.OSFS.CreateTemp(dir, prefix)
	return &stuckFile{file, f}, err
}

func (f *stuckFile) Sync() error {
	<-f.fs.synced
	return f.File.Sync()
}

// The disk may be as slow as it likes: who writes a heap does not wait, who needs
// the file does.
func TestWhoWaitsForTheDisk(t *testing.T) {
	disk := &stuckFS{synced: make(chan struct{})}
	d := openDir(t, disk)
	info := saveLater(t, d, content(2<<20, 1))
	var waiting sync.WaitGroup
	done := make(chan string, 3)
	wait := func(what string, f func() error) {
		waiting.Go(func() {
			if err := f(); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			done <- what
		})
	}
	wait("Open", func() error { _, err := load(d, info.Hash); return err })
	wait("StoredSize", func() error { _, err := d.StoredSize(info.Hash); return err })
	wait("Settle", d.Settle)
	select {
	case what := <-done:
		t.Errorf("%s did not wait for the disk", what)
	default:
	}
	if removed, err := d.Sweep(func(string) bool { return false }); err != nil || len(removed) != 0 {
		t.Errorf("swept %v while it is written: %v", removed, err)
	}
	close(disk.synced)
	waiting.Wait()
}

func TestFaultsWhileCommittingLater(t *testing.T) { inBothForms(t, testFaultsWhileCommittingLater) }

func testFaultsWhileCommittingLater(t *testing.T, open func(testing.TB, FS) *Dir) {
	data := content(100_000, 1)
	atEachOperation(t, syscall.ENOSPC, func(t *testing.T, f *faultFS) {
		d := open(t, f)
		info, err := writeLater(d, data)
		if err != nil {
			harm(t, err, syscall.ENOSPC)
		} else if err = d.Settle(); err != nil {
			harm(t, err, syscall.ENOSPC)
		} else if got, err := load(newDir(d.path, OSFS{}), info.Hash); err != nil || !bytes.Equal(got, data) {
			t.Errorf("settled without an error, but: %v", err)
		}
		if err == nil {
			return
		}
		if left := files(t, d); len(left) != 0 {
			t.Errorf("left behind: %v", left)
		}
		if err := d.Settle(); err != nil {
			t.Errorf("an error is told twice: %v", err)
		}
		if len(d.slots) != 0 || len(d.writing) != 0 {
			t.Errorf("%d slots and %v are held", len(d.slots), d.writing)
		}
	})
}

func writeLater(d *Dir, data []byte) (Info, error) {
	w, err := create(d)
	if err != nil {
		return Info{}, err
	}
	for rest := data; len(rest) > 0; rest = rest[min(10_000, len(rest)):] {
		if _, err := w.Write(rest[:min(10_000, len(rest))]); err != nil {
			w.Abort()
			return Info{}, err
		}
	}
	return w.CommitLater()
}

// Who opens a snapshot that could not be written is told why, and not that it is
// missing, which would be a reason to make it again.
func TestOpenOfWhatCouldNotBeWritten(t *testing.T) {
	f := &faultFS{err: syscall.ENOSPC, left: -1}
	d := openDir(t, f)
	w, err := d.Create("")
	if err != nil {
		t.Fatal(err)
	}
	f.lock.Lock()
	f.left = 0 // the first write to the disk is behind the end of so small a heap
	f.lock.Unlock()
	_, _ = w.Write([]byte("a small heap"))
	info, err := w.CommitLater()
	if err != nil {
		t.Fatal(err)
	}
	var space *NoSpaceError
	if _, err := d.Open(info.Hash); !errors.As(err, &space) || !strings.Contains(err.Error(), "no space") {
		t.Errorf("got %v, want *NoSpaceError", err)
	}
	if err := d.Settle(); !errors.As(err, &space) {
		t.Errorf("Settle: %v", err)
	}
}
