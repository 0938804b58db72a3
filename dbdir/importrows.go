package dbdir

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"vatworkerd/kernelhost"
	"vatworkerd/kernelhost/config"
	"vatworkerd/snapshots"
	"vatworkerd/store"
	"vatworkerd/supervisor"
	"vatworkerd/swingexport"
)

// keysAtOnce bounds how many keys are in memory while they are written.
const keysAtOnce = 1000

// keys writes the keys of both databases.
func (im *importer) keys() error {
	host, vats := &keyWriter{db: im.host}, &keyWriter{db: im.vats}
	err := im.Records(func(name string, value *string) error {
		switch file, key := importedKey(name); file {
		case kernelhost.DatabaseFile:
			return host.put(key, value)
		case supervisor.DatabaseFile:
			return vats.put(key, value)
		}
		return im.ctx.Err()
	})
	if err != nil {
		return err
	}
	if err := host.flush(); err != nil {
		return err
	}
	return vats.flush()
}

// keyWriter writes keys, some cranks' worth at a time.
type keyWriter struct {
	db    *store.DB
	crank *store.Crank
	keys  int
}

func (w *keyWriter) put(key string, value *string) (err error) {
	if w.crank == nil {
		if w.crank, err = w.db.BeginCrank(); err != nil {
			return err
		}
	}
	if value == nil {
		w.crank.Delete(key)
	} else {
		w.crank.Set(key, *value)
	}
	if w.keys++; w.keys == keysAtOnce {
		return w.flush()
	}
	return w.crank.Err()
}

func (w *keyWriter) flush() error {
	if w.crank == nil {
		return nil
	}
	c := w.crank
	w.crank, w.keys = nil, 0
	_, err := c.Commit(nil)
	return err
}

// outputs writes what waits to leave.
func (im *importer) outputs() error {
	return inCrank(im.host, func(c *store.Crank) error {
		for _, o := range im.records.outputs {
			err := c.Exec("INSERT INTO outbox (sender, id, height, data) VALUES (?, ?, ?, ?)", o.Sender, o.ID, o.Height, o.Data)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func (im *importer) bundles() error {
	for _, id := range im.records.bundles {
		if err := im.bundle(id); err != nil {
			return err
		}
	}
	return nil
}

func (im *importer) bundle(id string) error {
	place := bundleKey + id
	if err := im.step(place); err != nil {
		return err
	}
	artifact, err := im.Artifact(place)
	if err != nil {
		return err
	}
	defer artifact.Close()
	archive, err := io.ReadAll(io.LimitReader(artifact, maxBundleBytes))
	if err != nil {
		return err
	}
	detail := im.records.bundleDetails[id]
	data := detail.text(id, archive)
	if got := sha256Hex(data); got != detail.SHA256 {
		return &swingexport.BadError{Place: place, What: "its sha256", Want: detail.SHA256, Got: got}
	}
	found, err := config.CheckBundle(data)
	switch {
	case err != nil:
		return &swingexport.BadError{Place: place, What: err.Error()}
	case found != id:
		return &swingexport.BadError{Place: place, What: "its content is another's", Want: id, Got: found}
	}
	im.result.add(WhatBundles, int64(len(archive)))
	return inCrank(im.vats, func(c *store.Crank) error { return c.PutBundle(id, data) })
}

// maxBundleBytes bounds the archive of a bundle.
const maxBundleBytes = 512 << 20

// snapshots writes the records of all snapshots, and the heaps that are there.
func (im *importer) snapshots() error {
	for _, row := range im.records.heaps {
		if err := inCrank(im.vats, func(c *store.Crank) error { return snapshots.Restore(c, row) }); err != nil {
			return err
		}
		if !im.Has(row.Place()) && !row.InUse {
			continue
		}
		if err := im.heap(row); err != nil {
			return err
		}
	}
	return nil
}

func (im *importer) heap(row snapshots.Row) error {
	if err := im.step(row.Place()); err != nil {
		return err
	}
	artifact, err := im.Artifact(row.Place())
	if err != nil {
		return err
	}
	defer artifact.Close()
	w, err := im.heaps.Create("")
	if err != nil {
		return err
	}
	defer w.Abort()
	size, err := io.Copy(w, &measuredReader{Reader: artifact, ctx: im.ctx})
	if err != nil {
		return err
	}
	if got := w.Sum(); got != row.Hash {
		return &swingexport.BadError{Place: row.Place(), What: "its sha256", Want: row.Hash, Got: got}
	}
	if size != row.UncompressedSize {
		return &swingexport.BadError{Place: row.Place(), What: "its size", Want: fmt.Sprint(row.UncompressedSize), Got: fmt.Sprint(size)}
	}
	im.result.add(WhatSnapshots, size)
	_, err = w.Commit()
	return err
}

// measuredReader counts what is read, and ends with the context.
type measuredReader struct {
	io.Reader
	ctx   context.Context
	bytes int64
}

func (m *measuredReader) Read(p []byte) (int, error) {
	if m.ctx.Err() != nil {
		return 0, m.ctx.Err()
	}
	n, err := m.Reader.Read(p)
	m.bytes += int64(n)
	return n, err
}

// readDetail reads a record of ours that is JSON.
func readDetail(key, text string, into any) error {
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return &swingexport.BadError{Place: key, What: "it is no such record", Err: err}
	}
	return nil
}
