package snapshots

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
)

const (
	plainSuffix = ".zst"       // the heap itself
	deltaSuffix = ".delta.zst" // what it has besides its base
	basePrefix  = "base-"      // of a heap that deltas are made against
	tempPrefix  = "tmp-"
	hashDigits  = 64 // sha256 in hex
)

func (d *Dir) plainPath(hash string) string { return filepath.Join(d.path, hash+plainSuffix) }
func (d *Dir) deltaPath(hash string) string { return filepath.Join(d.path, hash+deltaSuffix) }
func (d *Dir) basePath(hash string) string {
	return filepath.Join(d.path, basePrefix+hash+plainSuffix)
}

// Path is where the file of a snapshot is. If there is none, it is where a copy
// that needs nothing else would be.
func (d *Dir) Path(hash string) string {
	for _, path := range []string{d.plainPath(hash), d.deltaPath(hash)} {
		if file, _, err := d.fs.Open(path); err == nil {
			_ = file.Close() // nothing was read
			return path
		}
	}
	return d.plainPath(hash)
}

// openFile opens the file of a snapshot; a plain one, which somebody has put
// there, comes first. Errors: *MissingError, *IOError.
func (d *Dir) openFile(hash string) (file File, path string, size int64, err error) {
	if err := checkHash(hash); err != nil {
		return nil, "", 0, err
	}
	for _, path = range []string{d.plainPath(hash), d.deltaPath(hash)} {
		file, size, err = d.fs.Open(path)
		if err == nil {
			return file, path, size, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, path, 0, d.diskError("open", path, err)
		}
	}
	return nil, "", 0, &MissingError{Path: d.plainPath(hash), Hash: hash}
}

// hashOfName gives the hash in the name of a snapshot's file.
func hashOfName(name string) (hash string, ok bool) {
	hash, ok = strings.CutSuffix(name, deltaSuffix)
	if !ok {
		hash, ok = strings.CutSuffix(name, plainSuffix)
	}
	return hash, ok && checkHash(hash) == nil
}

// checkHash keeps names that are no hashes away from the file system.
func checkHash(hash string) error {
	ok := len(hash) == hashDigits
	for _, digit := range []byte(hash) {
		ok = ok && (digit >= '0' && digit <= '9' || digit >= 'a' && digit <= 'f')
	}
	if !ok {
		return fmt.Errorf("%.80q is no snapshot hash: it must be %d lower-case hex digits", hash, hashDigits)
	}
	return nil
}
