package xsnap

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// A temporary file of the cache is locked by who writes it, so that one whose
// writer was killed can be told from one that is being written.

const tempBasePattern = "tmp-base-*"

// createTemp makes a temporary file that no sweep takes for an orphan.
func (c *BaseCache) createTemp() (*os.File, error) {
	for {
		f, err := os.CreateTemp(c.dir, tempBasePattern)
		if err != nil {
			return nil, err
		}
		locked, err := tryLock(f)
		if err != nil {
			return nil, errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
		// Before it was locked a sweep of another process may have taken it away.
		if _, err := os.Stat(f.Name()); locked && err == nil {
			return f, nil
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
}

// sweepTemps removes temporary files that nobody is writing.
func (c *BaseCache) sweepTemps() error {
	paths, err := filepath.Glob(filepath.Join(globLiteral(c.dir), tempBasePattern))
	if err != nil {
		return err
	}
	for _, path := range paths {
		if err := removeUnlocked(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

func removeUnlocked(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	locked, err := tryLock(f)
	if err != nil || !locked {
		return err
	}
	return os.Remove(path)
}

// tryLock takes the flock of a file unless another open file has it.
func tryLock(f *os.File) (bool, error) {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("cannot lock %s: %w", f.Name(), err)
	}
	return true, nil
}
