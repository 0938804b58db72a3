package snapshots

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"vatworkerd/internal/crashpoint"
)

// Dir is a directory of snapshot files. Its methods may be called from any
// goroutine; its Writers and Readers belong to one goroutine each. One process
// at a time may use a directory.
type Dir struct {
	path string
	fs   FS

	names   sync.Mutex      // guards writing, and which names the directory has
	writing map[string]bool // temporary files of open Writers

	coders  coders
	chunks  chunks
	bases   bases
	slots   chan struct{} // holds a token for each snapshot that is being compressed
	pending pending
}

// Info describes a stored snapshot.
type Info struct {
	Hash             string // sha256 of the uncompressed bytes, hex
	UncompressedSize int64  // bytes
	StoredSize       int64  // bytes of the file; local, it may differ between nodes
}

// OpenDir opens the directory at path, making it if need be.
func OpenDir(path string) (*Dir, error) { return OpenDirFS(path, OSFS{}) }

// ReadDir is a directory that is only read, beside the process that uses it; one
// that is not there holds no snapshots.
func ReadDir(path string) *Dir {
	return newDir(path, OSFS{})
}

func newDir(path string, fs FS) *Dir {
	return &Dir{path: path, fs: fs, writing: map[string]bool{}, slots: make(chan struct{}, maxSaving)}
}

// OpenDirFS is OpenDir on another file system.
func OpenDirFS(path string, fs FS) (*Dir, error) {
	d := newDir(path, fs)
	if err := fs.MakeDir(path); err != nil {
		return nil, fmt.Errorf("cannot open the snapshot directory: %w", d.diskError("make the directory of", path, err))
	}
	return d, nil
}

// StoredSize gives the size of a snapshot's file in bytes, and does not look
// inside. Errors: *MissingError, *IOError.
func (d *Dir) StoredSize(hash string) (int64, error) {
	if err := d.waitFor(hash); err != nil {
		return 0, err
	}
	file, _, size, err := d.openFile(hash)
	if err != nil {
		return 0, err
	}
	_ = file.Close() // nothing was read
	return size, nil
}

// Verify reads a whole snapshot and checks it. Errors are those of Open and Read.
func (d *Dir) Verify(hash string) (Info, error) {
	if err := d.waitFor(hash); err != nil {
		return Info{}, err
	}
	return d.verify(hash)
}

func (d *Dir) verify(hash string) (Info, error) {
	r, err := d.open(hash)
	if err != nil {
		return Info{}, err
	}
	defer r.Close()
	size, err := io.Copy(io.Discard, r)
	if err != nil {
		return Info{}, err
	}
	return Info{Hash: hash, UncompressedSize: size, StoredSize: r.StoredSize()}, nil
}

// Remove removes the file of a snapshot; a missing one is no error. Open
// Readers of it read on undisturbed. ErrHeld if somebody holds the files.
func (d *Dir) Remove(hash string) error {
	if err := checkHash(hash); err != nil {
		return err
	}
	_ = d.waitFor(hash) // one that could not be written is told of by Settle
	d.names.Lock()
	defer d.names.Unlock()
	return d.whileFree(func() error {
		crashpoint.Here(crashpoint.SnapshotRemove)
		err := errors.Join(d.remove(d.plainPath(hash)), d.remove(d.deltaPath(hash)))
		crashpoint.Here(crashpoint.SnapshotRemoved)
		return err
	})
}

func (d *Dir) remove(path string) error {
	if err := d.fs.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return d.diskError("remove", path, err)
	}
	return nil
}

// Sweep removes the snapshots that keep does not want, the bases that none of the
// others needs and the temporary files that a crash left, and returns the names
// it removed, in order. Files of other names are not touched. It goes on after
// an error and returns the first; ErrHeld if somebody holds the files.
//
// A file is written before the row that names it, and a block that is undone
// brings back older rows: sweep only while no snapshot is between Writer.Commit
// and Record, and no block is open or prepared.
func (d *Dir) Sweep(keep func(hash string) bool) (removed []string, err error) {
	d.names.Lock()
	defer d.names.Unlock()
	err = d.whileFree(func() error {
		removed, err = d.sweep(keep)
		return err
	})
	return removed, err
}

func (d *Dir) sweep(keep func(hash string) bool) (removed []string, err error) {
	orphans, err := d.orphans(keep)
	for _, name := range orphans {
		if e := d.remove(filepath.Join(d.path, name)); e != nil {
			err = errors.Join(err, e)
			continue
		}
		removed = append(removed, name)
		crashpoint.Here(crashpoint.SnapshotSwept)
	}
	return removed, err
}

// Orphans gives the names of the files that Sweep would remove, in order, with
// the temporary ones that others are writing now.
func (d *Dir) Orphans(keep func(hash string) bool) ([]string, error) {
	d.names.Lock()
	defer d.names.Unlock()
	return d.orphans(keep)
}

func (d *Dir) orphans(keep func(hash string) bool) ([]string, error) {
	found, err := d.fs.Names(d.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, d.diskError("list", d.path, err)
	}
	bases := d.orphanBases(found, keep)
	return slices.DeleteFunc(found, func(name string) bool { return !bases[name] && !d.isOrphan(name, keep) }), nil
}

// isOrphan tells whether Sweep removes a file. d.names is held.
func (d *Dir) isOrphan(name string, keep func(hash string) bool) bool {
	if strings.HasPrefix(name, tempPrefix) {
		return !d.writing[name]
	}
	hash, ok := hashOfName(name)
	return ok && !keep(hash)
}
