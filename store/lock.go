package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const lockPoll = 5 * time.Millisecond

// takeLock takes the exclusive flock on path and writes our PID into the file.
// The file stays after the release: removing it would let two processes lock
// two files of the same name. It waits for a holder for at most wait.
func takeLock(path string, wait time.Duration) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot open the lock file: %w", err)
	}
	err = flockWithin(f, wait)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		locked := &LockedError{Path: path, PID: lockHolder(f)}
		return nil, errors.Join(locked, f.Close())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot lock %s: %w", path, err), f.Close())
	}
	if err := writePID(f); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot write the PID into %s: %w", path, err), f.Close())
	}
	return f, nil
}

// Holder gives the PID of the process that has the database file at path open for
// writing, 0 if there is none. It disturbs nobody: it asks the kernel's list of
// locks, and takes none.
func Holder(path string) (pid int, err error) {
	f, err := os.Open(path + ".lock")
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("cannot open the lock file: %w", err)
	}
	defer f.Close()
	var stat syscall.Stat_t
	if err := syscall.Fstat(int(f.Fd()), &stat); err != nil {
		return 0, fmt.Errorf("cannot look at the lock file %s: %w", f.Name(), err)
	}
	locks, err := os.ReadFile("/proc/locks")
	if err != nil {
		return 0, fmt.Errorf("cannot read the list of locks: %w", err)
	}
	// A line is "1: FLOCK  ADVISORY  WRITE 4711 fd:01:1234 0 EOF".
	file := fmt.Sprintf("%02x:%02x:%d", unix.Major(stat.Dev), unix.Minor(stat.Dev), stat.Ino)
	for line := range strings.Lines(string(locks)) {
		words := strings.Fields(line)
		if len(words) > 5 && words[1] == "FLOCK" && words[3] == "WRITE" && words[5] == file {
			return lockHolder(f), nil
		}
	}
	return 0, nil
}

// flockWithin polls: a blocking flock could not be given up.
func flockWithin(f *os.File, wait time.Duration) error {
	for deadline := time.Now().Add(wait); ; time.Sleep(lockPoll) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) || !time.Now().Before(deadline) {
			return err
		}
	}
}

func lockHolder(f *os.File) int {
	text, err := io.ReadAll(io.LimitReader(f, 32))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	return pid
}

func writePID(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}
