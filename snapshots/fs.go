package snapshots

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// FS is the part of a file system that a Dir uses. It exists so that tests can
// make each operation fail; OSFS is the real one.
type FS interface {
	// MakeDir makes a directory for its owner only; an existing one is fine.
	MakeDir(path string) error
	// CreateTemp makes a new file in dir whose name begins with prefix.
	CreateTemp(dir, prefix string) (File, error)
	// Open opens a regular file for reading and gives its size.
	Open(path string) (File, int64, error)
	Rename(from, to string) error
	Remove(path string) error
	// SyncDir makes the names in a directory durable.
	SyncDir(dir string) error
	// Names lists a directory in order.
	Names(dir string) ([]string, error)
}

// File is an open file of an FS.
type File interface {
	io.ReadWriteCloser
	io.WriterAt
	Name() string
	Sync() error
}

// OSFS is the operating system's file system.
type OSFS struct{}

// MakeDir implements FS.
func (OSFS) MakeDir(path string) error { return os.MkdirAll(path, 0o700) }

// CreateTemp implements FS.
func (OSFS) CreateTemp(dir, prefix string) (File, error) {
	return os.CreateTemp(dir, prefix+"*")
}

// Open implements FS.
func (OSFS) Open(path string) (File, int64, error) {
	// Without O_NONBLOCK a named pipe in the file's place would block for ever.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		f.Close()
		return nil, 0, &fs.PathError{Op: "open", Path: path, Err: fmt.Errorf("it is no regular file (%s)", info.Mode().Type())}
	}
	return f, info.Size(), nil
}

// Rename implements FS.
func (OSFS) Rename(from, to string) error { return os.Rename(from, to) }

// Remove implements FS.
func (OSFS) Remove(path string) error { return os.Remove(path) }

// SyncDir implements FS.
func (OSFS) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// Names implements FS.
func (OSFS) Names(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}
