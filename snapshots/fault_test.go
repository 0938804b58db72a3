package snapshots

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// faultFS makes one operation fail, counted over all kinds of operations.
type faultFS struct {
	OSFS
	err   error
	short bool // a failing write writes half

	lock sync.Mutex // guards the rest
	left int        // operations until the fault; negative: none
	done []string
}

func (f *faultFS) step(op string) error {
	f.lock.Lock()
	defer f.lock.Unlock()
	f.done = append(f.done, op)
	f.left--
	if f.left == -1 {
		return fmt.Errorf("%s: %w", op, f.err)
	}
	return nil
}

func (f *faultFS) CreateTemp(dir, prefix string) (File, error) {
	if err := f.step("create"); err != nil {
		return nil, err
	}
	file, err := f.OSFS.CreateTemp(dir, prefix)
	return &faultFile{File: file, fs: f}, err
}

func (f *faultFS) Open(path string) (File, int64, error) {
	if err := f.step("open"); err != nil {
		return nil, 0, err
	}
	file, size, err := f.OSFS.Open(path)
	if err != nil {
		return nil, 0, err
	}
	return &faultFile{File: file, fs: f}, size, nil
}

func (f *faultFS) Rename(from, to string) error {
	if err := f.step("rename"); err != nil {
		return err
	}
	return f.OSFS.Rename(from, to)
}

func (f *faultFS) Remove(path string) error {
	if err := f.step("remove"); err != nil {
		return err
	}
	return f.OSFS.Remove(path)
}

func (f *faultFS) SyncDir(dir string) error {
	if err := f.step("syncdir"); err != nil {
		return err
	}
	return f.OSFS.SyncDir(dir)
}

func (f *faultFS) Names(dir string) ([]string, error) {
	if err := f.step("names"); err != nil {
		return nil, err
	}
	return f.OSFS.Names(dir)
}

type faultFile struct {
	File
	fs *faultFS
}

func (f *faultFile) Write(p []byte) (int, error) {
	if err := f.fs.step("write"); err != nil {
		n := 0
		if f.fs.short {
			n, _ = f.File.Write(p[:len(p)/2])
		}
		return n, err
	}
	return f.File.Write(p)
}

func (f *faultFile) WriteAt(p []byte, at int64) (int, error) {
	if err := f.fs.step("writeat"); err != nil {
		return 0, err
	}
	return f.File.WriteAt(p, at)
}

func (f *faultFile) Read(p []byte) (int, error) {
	if err := f.fs.step("read"); err != nil {
		return 0, err
	}
	return f.File.Read(p)
}

func (f *faultFile) Sync() error {
	if err := f.fs.step("sync"); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *faultFile) Close() error {
	err := f.fs.step("close")
	if e := f.File.Close(); err == nil {
		err = e
	}
	return err
}

// atEachOperation runs the work once for every operation it makes, with a fault
// at that operation.
func atEachOperation(t *testing.T, cause error, work func(t *testing.T, f *faultFS)) {
	t.Helper()
	for _, short := range []bool{false, true} {
		seen := map[string]bool{}
		for i := 0; ; i++ {
			f := &faultFS{err: cause, short: short, left: i}
			t.Run(fmt.Sprintf("operation %d short=%v", i, short), func(t *testing.T) {
				work(t, f)
			})
			f.lock.Lock()
			reached := len(f.done) > i
			if reached {
				seen[f.done[i]] = true
			}
			f.lock.Unlock()
			if !reached {
				break
			}
			if i > 1000 {
				t.Fatal("the work has no end")
			}
		}
		t.Logf("faults at: %v", seen)
	}
}

// harm checks the type of an error that cause made.
func harm(t *testing.T, err, cause error) {
	t.Helper()
	if !errors.Is(err, cause) {
		t.Errorf("got %v, want an error over %v", err, cause)
	}
	var space *NoSpaceError
	var disk *IOError
	if cause == syscall.ENOSPC && !errors.As(err, &space) {
		t.Errorf("got %T, want *NoSpaceError", err)
	}
	if cause == syscall.EIO && !errors.As(err, &disk) {
		t.Errorf("got %T, want *IOError", err)
	}
	var corrupt *CorruptError
	if errors.As(err, &corrupt) {
		t.Errorf("a fault of the disk is taken for damage of the file: %v", err)
	}
}

func TestFaultsWhileSaving(t *testing.T) { inBothForms(t, testFaultsWhileSaving) }

func testFaultsWhileSaving(t *testing.T, open func(testing.TB, FS) *Dir) {
	for _, cause := range []error{syscall.ENOSPC, syscall.EIO} {
		t.Run(cause.Error(), func(t *testing.T) {
			data := content(100_000, 1)
			atEachOperation(t, cause, func(t *testing.T, f *faultFS) {
				d := open(t, f)
				info, err := save(d, data)
				if err == nil { // the fault hit something that saving can do without
					got, loadErr := load(newDir(d.path, OSFS{}), info.Hash)
					if loadErr != nil || !bytes.Equal(got, data) {
						t.Errorf("saved without an error, but: %v", loadErr)
					}
					return
				}
				harm(t, err, cause)
				if left := files(t, d); len(left) != 0 {
					t.Errorf("left behind: %v", left)
				}
				if len(d.writing) != 0 {
					t.Errorf("still held to be written: %v", d.writing)
				}
				if _, err := save(d, data); err != nil {
					t.Errorf("saving again: %v", err)
				}
			})
		})
	}
}

// An unremovable temporary file waits for the next Sweep.
func TestFaultWhileCleaning(t *testing.T) {
	f := &faultFS{err: syscall.EIO, left: -1}
	d := openDir(t, f)
	w, err := create(d)
	if err != nil {
		t.Fatal(err)
	}
	f.left = 1 // close, then remove
	w.Abort()
	if left := files(t, d); len(left) != 1 || !strings.HasPrefix(left[0], tempPrefix) {
		t.Fatalf("left: %v, want one temporary file", left)
	}
	if _, err := d.Sweep(func(string) bool { return false }); err != nil || len(files(t, d)) != 0 {
		t.Errorf("Sweep: %v, left %v", err, files(t, d))
	}
}

func TestFaultsWhileSavingAgain(t *testing.T) { inBothForms(t, testFaultsWhileSavingAgain) }

func testFaultsWhileSavingAgain(t *testing.T, open func(testing.TB, FS) *Dir) {
	data := content(100_000, 2)
	atEachOperation(t, syscall.EIO, func(t *testing.T, f *faultFS) {
		left := f.left
		f.left = -1
		d := open(t, f)
		info := mustSave(t, d, data)
		f.left, f.done = left, nil
		_, err := save(d, data)
		if err != nil {
			harm(t, err, syscall.EIO)
		}
		if _, err := newDir(d.path, OSFS{}).Verify(info.Hash); err != nil {
			t.Errorf("the sound file is harmed: %v", err)
		}
	})
}

func TestFaultsWhileLoading(t *testing.T) { inBothForms(t, testFaultsWhileLoading) }

func testFaultsWhileLoading(t *testing.T, open func(testing.TB, FS) *Dir) {
	data := content(100_000, 3)
	atEachOperation(t, syscall.EIO, func(t *testing.T, f *faultFS) {
		left := f.left
		f.left = -1
		d := open(t, f)
		info := mustSave(t, d, data)
		f.left, f.done = left, nil
		if got, err := load(d, info.Hash); err != nil {
			harm(t, err, syscall.EIO)
		} else if !bytes.Equal(got, data) {
			t.Error("wrong content without an error")
		}
		f.left = -1
		if _, err := d.Verify(info.Hash); err != nil {
			t.Errorf("after the fault: %v", err)
		}
	})
}

func TestFaultsWhileSweeping(t *testing.T) {
	atEachOperation(t, syscall.EIO, func(t *testing.T, f *faultFS) {
		left := f.left
		f.left = -1
		d := openDir(t, f)
		kept := mustSave(t, d, content(100, 1))
		mustSave(t, d, content(100, 2))
		mustSave(t, d, content(100, 3))
		f.left, f.done = left, nil
		keep := func(hash string) bool { return hash == kept.Hash }
		if _, err := d.Sweep(keep); err != nil {
			harm(t, err, syscall.EIO)
		}
		f.left = -1
		if _, err := d.Sweep(keep); err != nil || len(files(t, d)) != 1 {
			t.Errorf("a second sweep: %v, left %v", err, files(t, d))
		}
	})
}
