package dbdir

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"vatworkerd/snapshots"
)

// target is the directory of a backup that is being made.
type target struct {
	dir  string
	made []string // all that is removed if the backup fails, in the order it was made
	dirs []string // those in which names were made
}

// newTarget begins a backup in dir, which must be empty or not be there yet.
// Errors: *NotEmptyError, *FileError.
func newTarget(dir string) (*target, error) {
	t := &target{dir: dir, dirs: []string{dir}}
	// Not its parents: a disk that is not mounted must be noticed.
	err := os.Mkdir(dir, 0o700)
	if err == nil {
		t.made, t.dirs = append(t.made, dir), append(t.dirs, filepath.Dir(dir))
	} else if !errors.Is(err, fs.ErrExist) {
		return nil, &FileError{Op: "make", Path: dir, Err: err}
	}
	if err := t.begin(); err != nil {
		t.discard()
		return nil, err
	}
	return t, nil
}

func (t *target) begin() error {
	found, err := os.ReadDir(t.dir)
	if err != nil {
		return &FileError{Op: "read", Path: t.dir, Err: err}
	}
	if len(found) > 0 {
		return &NotEmptyError{Dir: t.dir, Found: found[0].Name(), Unfinished: IsUnfinished(t.dir)}
	}
	f, err := t.create(ManifestFile + unfinished)
	if errors.Is(err, fs.ErrExist) {
		return &NotEmptyError{Dir: t.dir, Found: ManifestFile + unfinished, Unfinished: true}
	}
	if err != nil {
		return err
	}
	return t.settle(f, nil)
}

func (t *target) path(name string) string { return filepath.Join(t.dir, name) }

// makeDir makes a directory of the backup.
func (t *target) makeDir(name string) error {
	if err := os.Mkdir(t.path(name), 0o700); err != nil {
		return &FileError{Op: "make", Path: t.path(name), Err: err}
	}
	t.made, t.dirs = append(t.made, t.path(name)), append(t.dirs, t.path(name))
	return nil
}

// create makes a file of the backup.
func (t *target) create(name string) (*os.File, error) {
	f, err := os.OpenFile(t.path(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, &FileError{Op: "make", Path: t.path(name), Err: err}
	}
	t.made = append(t.made, t.path(name))
	return f, nil
}

// settle makes a written file durable and closes it; err is what writing it gave.
func (t *target) settle(f *os.File, err error) error {
	if err == nil {
		if err = f.Sync(); err != nil {
			err = &FileError{Op: "sync", Path: f.Name(), Err: err}
		}
	}
	if closeErr := f.Close(); closeErr != nil && err == nil {
		err = &FileError{Op: "close", Path: f.Name(), Err: closeErr}
	}
	return err
}

// discard removes what was made. What cannot be removed is recognised later: its
// manifest has not got its name.
func (t *target) discard() {
	for _, path := range slices.Backward(t.made) {
		_ = os.Remove(path)
	}
}

// piece is how much is copied at a time.
const piece = 256 << 10

// copyFile copies a file and makes the copy durable. wrote is told of the bytes
// as they go. Errors: *FileError, ctx's.
func (t *target) copyFile(ctx context.Context, from, name string, wrote func(bytes int64)) (File, error) {
	in, _, err := snapshots.OSFS{}.Open(from)
	if err != nil {
		return File{}, &FileError{Op: "read", Path: from, Err: err}
	}
	defer in.Close()
	out, err := t.create(name)
	if err != nil {
		return File{}, err
	}
	f := File{Name: name}
	f.Size, f.SHA256, err = readPieces(ctx, in, from, func(data []byte) error {
		if _, err := out.Write(data); err != nil {
			return &FileError{Op: "write", Path: out.Name(), Err: err}
		}
		wrote(int64(len(data)))
		return nil
	})
	return f, t.settle(out, err)
}

// sealDatabase makes the copy of a database durable, which has the name and
// `unfinished` behind it. The hash is that of what the file holds now.
func (t *target) sealDatabase(ctx context.Context, name string) (File, error) {
	path := t.path(name + unfinished)
	db, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return File{}, &FileError{Op: "open", Path: path, Err: err}
	}
	f := File{Name: name}
	f.Size, f.SHA256, err = readPieces(ctx, db, path, func([]byte) error { return nil })
	return f, t.settle(db, err)
}

// readPieces reads a file to its end and gives its size and sha256.
func readPieces(ctx context.Context, in io.Reader, path string, each func(data []byte) error) (size int64, digest string, err error) {
	hash, buf := sha256.New(), make([]byte, piece)
	for {
		n, err := in.Read(buf)
		hash.Write(buf[:n])
		size += int64(n)
		if n > 0 {
			if err := each(buf[:n]); err != nil {
				return size, "", err
			}
		}
		switch {
		case err == io.EOF:
			return size, hex.EncodeToString(hash.Sum(nil)), nil
		case err != nil:
			return size, "", &FileError{Op: "read", Path: path, Err: err}
		case ctx.Err() != nil:
			return size, "", ctx.Err()
		}
	}
}

// finish gives the databases their names, and last of all the manifest.
func (t *target) finish(m Manifest) error {
	slices.SortFunc(m.Files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	if err := t.writeManifest(m); err != nil {
		return err
	}
	for _, f := range m.Files {
		if f.What() == WhatDatabases {
			if err := t.name(f.Name); err != nil {
				return err
			}
		}
	}
	if err := t.syncDirs(); err != nil {
		return err
	}
	if err := t.name(ManifestFile); err != nil {
		return err
	}
	return t.syncDirs()
}

func (t *target) writeManifest(m Manifest) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	path := t.path(ManifestFile + unfinished)
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return &FileError{Op: "open", Path: path, Err: err}
	}
	if _, err = f.Write(append(text, '\n')); err != nil {
		err = &FileError{Op: "write", Path: path, Err: err}
	}
	return t.settle(f, err)
}

// name takes `unfinished` off a name.
func (t *target) name(name string) error {
	if err := os.Rename(t.path(name+unfinished), t.path(name)); err != nil {
		return &FileError{Op: "rename", Path: t.path(name + unfinished), Err: err}
	}
	t.made = append(t.made, t.path(name))
	return nil
}

// syncDirs makes the names in the directories of the backup, and its own, durable.
func (t *target) syncDirs() error {
	for _, dir := range t.dirs {
		if err := (snapshots.OSFS{}).SyncDir(dir); err != nil {
			return &FileError{Op: "sync", Path: dir, Err: err}
		}
	}
	return nil
}
