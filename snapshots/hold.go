package snapshots

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// holdSuffix makes the name of the file, beside the directory, that holds and
// removals lock. It stays after the release, as a lock file does.
const holdSuffix = ".lock"

// ErrHeld says that nothing was removed because somebody holds the files.
var ErrHeld = errors.New("somebody holds the snapshot files")

// Hold keeps the snapshot files of a directory where they are, for whoever copies
// or reads them beside the process that uses the directory. That process goes on,
// and removes what it does not need any more later.
type Hold struct{ file *os.File }

// HoldFiles begins a hold. There may be several at a time. A directory that is
// not there, or in which nobody can remove anything, needs none.
func HoldFiles(dir string) (*Hold, error) {
	path := filepath.Clean(dir) + holdSuffix
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		file, err = os.Open(path)
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return &Hold{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot hold the snapshot files in %s: %w", dir, err)
	}
	if err := lock(file, syscall.LOCK_SH); err != nil { // waits for a removal that is under way
		return nil, errors.Join(fmt.Errorf("cannot hold the snapshot files in %s: %w", dir, err), file.Close())
	}
	return &Hold{file}, nil
}

// Close ends the hold.
func (h *Hold) Close() error {
	if h.file == nil {
		return nil
	}
	err := h.file.Close()
	h.file = nil
	return err
}

func lock(file *os.File, how int) error {
	for {
		if err := syscall.Flock(int(file.Fd()), how); err != syscall.EINTR {
			return err
		}
	}
}

// whileFree runs f while nobody holds the files; ErrHeld if somebody does.
func (d *Dir) whileFree(f func() error) error {
	path := filepath.Clean(d.path) + holdSuffix
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return d.diskError("lock", path, err)
	}
	defer file.Close()
	if err := lock(file, syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrHeld
	} else if err != nil {
		return d.diskError("lock", path, err)
	}
	return f()
}

// Held tells whether somebody holds the files now.
func (d *Dir) Held() bool {
	return errors.Is(d.whileFree(func() error { return nil }), ErrHeld)
}
