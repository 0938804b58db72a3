package slogfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// oldSuffix is of the file before the present one.
const oldSuffix = ".1"

// writer writes the lines of a File. It belongs to one goroutine.
type writer struct {
	path  string
	bound Options

	file    *os.File // nil: it could not be opened
	size    int64
	torn    bool // the file may end inside a line
	failing bool // lines cannot be written
}

// ErrInUse says that another process writes the slog.
var ErrInUse = errors.New("another process writes it")

// open opens the file, or begins it.
func (w *writer) open() error {
	if err := w.op("open"); err != nil {
		return err
	}
	file, err := os.OpenFile(w.path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("cannot open the slog: %w", err)
	}
	if err := w.adopt(file); err != nil {
		_ = file.Close()
		return fmt.Errorf("cannot open the slog %s: %w", w.path, err)
	}
	return nil
}

func (w *writer) adopt(file *os.File) error {
	err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return ErrInUse
	}
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	w.file, w.size = file, info.Size()
	w.torn = endsInside(file, w.size)
	return nil
}

// endsInside tells whether a file of a size ends inside a line.
func endsInside(f *os.File, size int64) bool {
	if size == 0 {
		return false
	}
	var end [1]byte
	_, err := f.ReadAt(end[:], size-1)
	return err != nil && err != io.EOF || end[0] != '\n'
}

// write writes lines, and gives how many it could not write and why.
func (w *writer) write(lines []byte) (lost int64, err error) {
	if len(lines) == 0 {
		return 0, nil
	}
	written, err := w.append(lines)
	switch {
	case err == nil && w.failing:
		w.failing = false
		w.bound.Tell(nil)
	case err != nil && !w.failing:
		w.failing = true
		w.bound.Tell(err)
	}
	return int64(bytes.Count(lines[written:], []byte{'\n'})), err
}

// append gives how many bytes of lines were written.
func (w *writer) append(lines []byte) (written int, err error) {
	if err := w.turnOver(int64(len(lines))); err != nil {
		return 0, err
	}
	if w.torn {
		if _, err := w.put([]byte{'\n'}); err != nil {
			return 0, err
		}
		w.torn = false
	}
	written, err = w.put(lines)
	w.torn = written > 0 && lines[written-1] != '\n'
	return written, err
}

func (w *writer) put(b []byte) (n int, err error) {
	if err := w.op("write"); err != nil {
		return 0, err
	}
	n, err = w.file.Write(b)
	w.size += int64(n)
	if err != nil {
		return n, fmt.Errorf("cannot write the slog: %w", err)
	}
	return n, nil
}

// turnOver has a file open in which so many bytes have room: a new one if the
// present one would have more than half of what both may take.
func (w *writer) turnOver(more int64) error {
	if w.file != nil && w.size > 0 && w.size+more > w.bound.Bytes/2 {
		if err := w.op("rename"); err != nil {
			return err
		}
		err := os.Rename(w.path, w.path+oldSuffix)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // somebody may have taken it away
			return fmt.Errorf("cannot put the slog aside: %w", err)
		}
		w.close()
	}
	if w.file != nil {
		return nil
	}
	return w.open()
}

func (w *writer) close() {
	if w.file != nil {
		_ = w.file.Close() // all was written
		w.file = nil
	}
}

func (w *writer) op(name string) error {
	if err := w.bound.Fault(name); err != nil {
		return fmt.Errorf("cannot %s the slog: %w", name, err)
	}
	return nil
}
