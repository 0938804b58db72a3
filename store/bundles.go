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
	return nil
}

// Bundle gives the bundle stored under an ID.
func (d *DB) Bundle(id string) (data []byte, ok bool, err error) {
	return bundle(d, id)
}

// Bundle gives the bundle stored under an ID, with the crank's changes.
func (c *Crank) Bundle(id string) (data []byte, ok bool, err error) {
	return bundle(c, id)
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

func bundle(r Reader, id string) ([]byte, bool, error) {
	row, ok, err := r.QueryRow("SELECT data FROM bundles WHERE id = ?", id)
	if err != nil {
		return nil, false, fmt.Errorf("cannot read bundle %s: %w", id, err)
	}
	if !ok {
		return nil, false, nil
	}
	return row.Blob(0), true, nil
}
