package xsnap

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// MemoryBytes gives what the worker's process has in memory now, 0 of one that
// is gone; pages it shares with other processes count in full. It is one read
// of a small file that stays open, some microseconds, where the kernel's account
// of shared pages (smaps_rollup) takes a millisecond. For the owner goroutine.
func (w *Worker) MemoryBytes() (int64, error) {
	pages, err := w.residentPages()
	if errors.Is(err, unix.ESRCH) || errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("cannot read the memory use of worker %s: %w", w.Name(), err)
	}
	return pages * int64(os.Getpagesize()), nil
}

// ResidentBytes is MemoryBytes of any process, for who only looks at a worker.
func ResidentBytes(pid int) (int64, error) {
	text, err := os.ReadFile(statmPath(pid))
	if errors.Is(err, unix.ESRCH) || errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("cannot read the memory use of process %d: %w", pid, err)
	}
	pages, err := parseResident(text)
	return pages * int64(os.Getpagesize()), err
}

func statmPath(pid int) string { return fmt.Sprintf("/proc/%d/statm", pid) }

func (w *Worker) residentPages() (int64, error) {
	if w.statm == nil {
		if err := w.proc.withPID(w.openStatm); err != nil || w.statm == nil {
			return 0, err
		}
	}
	var text [128]byte // seven numbers
	n, err := w.statm.ReadAt(text[:], 0)
	if err != nil && err != io.EOF {
		return 0, err
	}
	return parseResident(text[:n])
}

func (w *Worker) openStatm(pid int) (err error) {
	w.statm, err = os.Open(statmPath(pid))
	return err
}

// parseResident reads the second number of a statm file (proc_pid_statm(5)).
func parseResident(text []byte) (int64, error) {
	fields := bytes.Fields(text)
	if len(fields) < 2 {
		return 0, fmt.Errorf("unexpected content %q", text)
	}
	return strconv.ParseInt(string(fields[1]), 10, 64)
}
