package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// PutBundle keeps a bundle under its ID. The content of an ID never changes:
// the same content again is no change, another is an error.
func (c *Crank) PutBundle(id string, data []byte) error {
	row, ok, err := c.QueryRow("SELECT data FROM bundles WHERE id = ?", id)
	if err != nil {
		return fmt.Errorf("cannot store bundle %s: %w", id, err)
	}
	if ok {
		if !bytes.Equal(row.Blob(0), data) {
			return fmt.Errorf("cannot store bundle %s: another content is stored under this ID", id)
		}
		return nil
	}
	if data == nil {
		data = []byte{}
	}
	if err := c.Exec("INSERT INTO bundles (id, data) VALUES (?, ?)", id, data); err != nil {
		return fmt.Errorf("cannot store bundle %s: %w", id, err)
	}
	sum := sha256.Sum256(data)
	c.Note("bundle", id, hex.EncodeToString(sum[:]))
	// An ID covers the modules, and not each byte of the archive that holds them.
	return c.db.LocalSet(localBundleSum+id, hex.EncodeToString(sum[:]))
}

// localBundleSum begins the local keys that hold the sha256 of bundles.
const localBundleSum = "bundleSum."

// Bundle gives the bundle stored under an ID. Errors: *CorruptError also if it is
// not, byte by byte, what was stored.
func (d *DB) Bundle(id string) (data []byte, ok bool, err error) {
	return bundle(d, d, d.path, id)
}

// Bundle is that of DB, with the crank's changes.
func (c *Crank) Bundle(id string) (data []byte, ok bool, err error) {
	return bundle(c, c.db, c.db.path, id)
}

// HasBundle tells whether a bundle is stored under an ID, without reading it.
func (d *DB) HasBundle(id string) (bool, error) { return hasBundle(d, id) }

// HasBundle is that of DB, with the crank's changes.
func (c *Crank) HasBundle(id string) (bool, error) { return hasBundle(c, id) }

func hasBundle(r Reader, id string) (bool, error) {
	_, ok, err := r.QueryRow("SELECT 1 FROM bundles WHERE id = ?", id)
	if err != nil {
		return false, fmt.Errorf("cannot look for bundle %s: %w", id, err)
	}
	return ok, nil
}

// Bundle is that of DB.
func (v *View) Bundle(id string) (data []byte, ok bool, err error) {
	return bundle(v, v, v.path, id)
}

// bundle reads with r what the database at path holds.
func bundle(r Reader, s Source, path, id string) ([]byte, bool, error) {
	row, ok, err := r.QueryRow("SELECT data FROM bundles WHERE id = ?", id)
	if err != nil {
		return nil, false, fmt.Errorf("cannot read bundle %s: %w", id, err)
	}
	if !ok {
		return nil, false, nil
	}
	data := row.Blob(0)
	want, got, err := BundleSums(s, id, data)
	if err != nil {
		return nil, false, fmt.Errorf("cannot read bundle %s: %w", id, err)
	}
	if want != got {
		return nil, false, &CorruptError{Path: path, Err: fmt.Errorf("the sha256 of bundle %s is %s and was %s", id, got, want)}
	}
	return data, true, nil
}

// BundleSums gives the sha256 that a bundle had when it was stored, and that of
// data. A bundle of a version that kept none has the latter for both.
func BundleSums(s Source, id string, data []byte) (stored, now string, err error) {
	sum := sha256.Sum256(data)
	now = hex.EncodeToString(sum[:])
	stored, ok, err := s.LocalGet(localBundleSum + id)
	if !ok {
		stored = now
	}
	return stored, now, err
}
