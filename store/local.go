package store

import (
	"fmt"
	"maps"
	"slices"

	"vatworkerd/internal/crashpoint"
)

// Local state is what this machine keeps for itself, such as which vats were
// online: it is in no hash and no undo. What is set while a block is open is
// written with the block, or when the block is dropped; a crash in between
// loses it.

// LocalGet gives a local value.
func (d *DB) LocalGet(key string) (value string, ok bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.readable(); err != nil {
		return "", false, err
	}
	if v, dirty := d.local[key]; dirty {
		if v == nil {
			return "", false, nil
		}
		return *v, true, nil
	}
	return storedLocal(d, key)
}

// LocalSet sets a local value.
func (d *DB) LocalSet(key, value string) error { return d.setLocal(key, &value) }

// LocalDelete removes a local value; it need not exist.
func (d *DB) LocalDelete(key string) error { return d.setLocal(key, nil) }

func (d *DB) setLocal(key string, value *string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.readable(); err != nil {
		return err
	}
	d.local[key] = value
	if d.inBlock || d.lost != nil {
		return nil
	}
	if err := d.inTransaction(d.writeLocal); err != nil {
		delete(d.local, key)
		return fmt.Errorf("cannot set local key %q: %w", key, err)
	}
	crashpoint.Here(crashpoint.StoreLocalWritten)
	clear(d.local)
	return nil
}

// writeLocal writes the pending local values inside the present transaction.
func (d *DB) writeLocal() error {
	for _, key := range slices.Sorted(maps.Keys(d.local)) {
		var err error
		if v := d.local[key]; v == nil {
			err = d.exec("exec", "DELETE FROM local WHERE key = ?", key)
		} else {
			err = d.exec("exec", "INSERT INTO local (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", key, *v)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
