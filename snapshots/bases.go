package snapshots

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"vatworkerd/internal/crashpoint"
	"vatworkerd/snapshots/internal/delta"
)

// maxBases is how many bases are kept in memory, of some 10 MB each: that of the
// present worker image, and of the one before it while vats are moved.
const maxBases = 2

// bases are the heaps that deltas are made against, by hash.
type bases struct {
	lock   sync.Mutex // guards the rest, and makes one load at a time
	loaded []loadedBase
}

type loadedBase struct {
	hash string
	base *delta.Base
}

// find gives a base that is in memory, and remembers that it was used.
func (b *bases) find(hash string) (*delta.Base, bool) {
	i := slices.IndexFunc(b.loaded, func(l loadedBase) bool { return l.hash == hash })
	if i < 0 {
		return nil, false
	}
	found := b.loaded[i]
	b.loaded = append(slices.Delete(b.loaded, i, i+1), found)
	return found.base, true
}

func (b *bases) add(hash string, content []byte) *delta.Base {
	base := delta.NewBase(content)
	b.loaded = append(b.loaded, loadedBase{hash, base})
	if len(b.loaded) > maxBases {
		b.loaded = slices.Delete(b.loaded, 0, 1)
	}
	return base
}

// KeepBase makes sure that the directory has a sound file of a base, whose
// uncompressed bytes content gives, and gives its hash for Create. Errors:
// content's, *NoSpaceError, *IOError.
func (d *Dir) KeepBase(content io.Reader) (hash string, err error) {
	data, err := io.ReadAll(io.LimitReader(content, delta.MaxBaseBytes+1))
	if err != nil {
		return "", fmt.Errorf("cannot read a base heap: %w", err)
	}
	if len(data) > delta.MaxBaseBytes {
		return "", fmt.Errorf("cannot use a base heap of more than %d bytes", delta.MaxBaseBytes)
	}
	hash = hashOfBase(data)
	d.useBase(hash, data) // first: Sweep leaves the file of a base in use
	if _, err := d.readBase(hash); err != nil {
		return hash, d.writeBase(hash, data)
	}
	return hash, nil
}

// WarmBase has a base in memory, whose uncompressed bytes content gives, so that
// who opens the next snapshot need not wait for it. If there is a file of it, it is
// read once: whoever reads the next snapshot finds a decoder whose memory is there.
func (d *Dir) WarmBase(content io.Reader) {
	hash, ok := d.warmBase(content)
	if !ok {
		return
	}
	if r, err := d.openBase(hash); err == nil {
		_, _ = r.WriteTo(io.Discard) // whoever needs the file meets what is wrong with it
		_ = r.Close()
	}
}

func (d *Dir) warmBase(content io.Reader) (hash string, ok bool) {
	// Held from the begin: who needs this base waits, and does not read it too.
	d.bases.lock.Lock()
	defer d.bases.lock.Unlock()
	data, err := io.ReadAll(io.LimitReader(content, delta.MaxBaseBytes+1))
	if err != nil || len(data) > delta.MaxBaseBytes {
		return "", false
	}
	hash = hashOfBase(data)
	if _, ok := d.bases.find(hash); !ok {
		d.bases.add(hash, data)
	}
	return hash, true
}

func hashOfBase(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func (d *Dir) useBase(hash string, content []byte) {
	d.bases.lock.Lock()
	defer d.bases.lock.Unlock()
	if _, ok := d.bases.find(hash); !ok {
		d.bases.add(hash, content)
	}
}

func (d *Dir) writeBase(hash string, data []byte) error {
	s, err := d.newSaving("", true)
	if err != nil {
		return err
	}
	w := newWriter(s)
	if _, err := w.Write(data); err != nil {
		w.Abort()
		return err
	}
	_, err = w.Commit()
	crashpoint.Here(crashpoint.SnapshotBaseKept)
	return err
}

// base gives a base, from memory or from its file. Errors: *BaseError.
func (d *Dir) base(hash string) (*delta.Base, error) {
	d.bases.lock.Lock()
	defer d.bases.lock.Unlock()
	if base, ok := d.bases.find(hash); ok {
		return base, nil
	}
	content, err := d.readBase(hash)
	if err != nil {
		return nil, &BaseError{Hash: hash, Err: err}
	}
	return d.bases.add(hash, content), nil
}

// readBase reads the file of a base. Errors: those of Open and Read.
func (d *Dir) readBase(hash string) ([]byte, error) {
	r, err := d.openBase(hash)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var content bytes.Buffer
	switch _, err := io.CopyN(&content, r, delta.MaxBaseBytes+1); err {
	case io.EOF: // and so the right content
		return content.Bytes(), nil
	case nil:
		return nil, r.failure(fmt.Errorf("it is larger than a base can be, %d bytes", delta.MaxBaseBytes))
	default:
		return nil, err
	}
}

// orphanBases gives the files of bases, among the names found, that no delta
// which stays is made against. A base that is the only one, or in use, stays: the
// next snapshots need it; and all stay while a delta cannot tell which is its.
// d.names is held.
func (d *Dir) orphanBases(found []string, keep func(hash string) bool) map[string]bool {
	orphans := map[string]bool{}
	for _, name := range found {
		if strings.HasPrefix(name, basePrefix) {
			orphans[name] = true
		}
	}
	if len(orphans) < 2 {
		return nil
	}
	for _, name := range found {
		hash, ok := hashOfName(name)
		if !ok || !strings.HasSuffix(name, deltaSuffix) || !keep(hash) {
			continue
		}
		base, err := d.baseOf(hash)
		if err != nil {
			return nil
		}
		delete(orphans, filepath.Base(d.basePath(base)))
	}
	d.bases.lock.Lock()
	defer d.bases.lock.Unlock()
	for _, l := range d.bases.loaded {
		delete(orphans, filepath.Base(d.basePath(l.hash)))
	}
	return orphans
}

// baseOf gives the hash of a delta's base.
func (d *Dir) baseOf(hash string) (string, error) {
	file, _, err := d.fs.Open(d.deltaPath(hash))
	if err != nil {
		return "", err
	}
	defer file.Close()
	h, err := readHeader(file)
	return h.Base, err
}

// Files gives the paths of the files that loading a snapshot reads: its own and,
// if that is a delta, its base's. Errors: *MissingError, *IOError, *CorruptError.
func (d *Dir) Files(hash string) ([]string, error) {
	file, path, _, err := d.openFile(hash)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if path != d.deltaPath(hash) {
		return []string{path}, nil
	}
	h, err := readHeader(file)
	if err != nil {
		return nil, &CorruptError{Path: path, Want: hash, Err: err}
	}
	return []string{path, d.basePath(h.Base)}, nil
}
