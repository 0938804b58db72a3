package dbdir

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"vatworkerd/internal/staging"
	"vatworkerd/kernelhost"
	"vatworkerd/snapshots"
	"vatworkerd/store"
	"vatworkerd/supervisor"
	"vatworkerd/swingexport"
	"vatworkerd/transcripts"
)

// Import makes a database directory of an export that MakeExport has written, in
// to, which must be empty or not be there yet. Every artifact is checked against
// its hash on the way and the database as a whole before it gets its place, so
// that it is there whole and sound or not at all. What the export has not (old
// items, local state) the database has not. progress may be nil; it is called by
// this goroutine. Errors: *swingexport.NotExportError, *NotOursError,
// *staging.NotEmptyError, *swingexport.BadError, *UnsoundError, ctx's error, those
// of the disk; then nothing is left in to.
func Import(ctx context.Context, from, to string, progress func(store.Progress)) (result Exported, err error) {
	from, err = filepath.Abs(from)
	if err != nil {
		return result, &FileError{Op: "find", Path: from, Err: err}
	}
	e, err := swingexport.Open(from)
	if err != nil {
		return result, err
	}
	im := &importer{Export: e, ctx: ctx, progress: progress}
	if err := im.read(); err != nil {
		return result, err
	}
	im.dir, err = staging.Begin(to)
	if err != nil {
		return result, diskError(fmt.Errorf("cannot make a database: %w", err))
	}
	if err := im.run(); err != nil {
		im.dir.Discard()
		return result, diskError(err)
	}
	if err := im.dir.Publish(); err != nil {
		return result, diskError(err)
	}
	im.result.Dir, im.result.DB, im.result.Mode = from, im.dir.Target(), e.Mode()
	return im.result, nil
}

// importer imports one export.
type importer struct {
	*swingexport.Export
	ctx         context.Context
	progress    func(store.Progress)
	done, total int64 // artifacts
	records     *exportRecords
	dir         *staging.Dir
	host, vats  *store.DB
	heaps       *snapshots.Dir
	result      Exported
}

// read reads what says what the export is of.
func (im *importer) read() (err error) {
	if im.records, err = readRecords(im.Export); err != nil {
		return err
	}
	im.total = int64(len(im.records.spans) + len(im.records.heaps) + len(im.records.bundles))
	im.result = newExported(im.records.origin)
	im.result.Records = im.records.number
	return nil
}

func (im *importer) run() error {
	err := im.fill()
	if err = errors.Join(err, im.close()); err != nil {
		return err
	}
	// The undo belongs to a database that is used, and its absence to one that is filled.
	vats, err := store.Open(im.path(supervisor.DatabaseFile), store.Options{Undo: true})
	if err != nil {
		return err
	}
	if err := vats.Close(); err != nil {
		return err
	}
	return im.verify()
}

func (im *importer) path(name string) string { return filepath.Join(im.dir.Path(), name) }

func (im *importer) fill() (err error) {
	if im.host, err = store.Open(im.path(kernelhost.DatabaseFile), store.Options{}); err != nil {
		return err
	}
	if im.vats, err = store.Open(im.path(supervisor.DatabaseFile), store.Options{}); err != nil {
		return err
	}
	if im.heaps, err = snapshots.OpenDir(im.path(supervisor.SnapshotDir)); err != nil {
		return err
	}
	for _, step := range []func() error{im.keys, im.outputs, im.bundles, im.spans, im.snapshots, im.seal} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (im *importer) close() error {
	var errs []error
	for _, db := range []*store.DB{im.host, im.vats} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// step tells of the artifact that comes.
func (im *importer) step(name string) error {
	im.done++
	if im.progress != nil {
		im.progress(store.Progress{What: name, Done: im.done, Total: max(im.done, im.total)})
	}
	return im.ctx.Err()
}

// inCrank runs f in a crank of a database.
func inCrank(db *store.DB, f func(c *store.Crank) error) error {
	c, err := db.BeginCrank()
	if err != nil {
		return err
	}
	if err := f(c); err != nil {
		c.Abort()
		return err
	}
	_, err = c.Commit(nil)
	return err
}

// seal gives both databases the height and the hashes of their originals.
func (im *importer) seal() error {
	of := im.records.origin
	for _, db := range []struct {
		file            string
		db              *store.DB
		activity, state string
	}{{supervisor.DatabaseFile, im.vats, of.ActivityHash, of.StateHash}, {kernelhost.DatabaseFile, im.host, of.HostActivityHash, of.HostStateHash}} {
		if got := db.db.StateHash(); got != db.state {
			return &swingexport.BadError{Place: "the keys of " + db.file, What: "the hash of all keys and values", Want: db.state, Got: got}
		}
		if err := db.db.CommitRestored(of.Height, db.activity); err != nil {
			return err
		}
	}
	return nil
}

// verify checks what was made as `verify` does.
func (im *importer) verify() error {
	found, err := Verify(im.ctx, im.dir.Path(), im.progress)
	if err != nil {
		return err
	}
	if !found.OK() {
		return &UnsoundError{Export: im.Dir(), Problems: found.Problems}
	}
	return nil
}

// spans writes the records of all spans, and the items of those that are there.
func (im *importer) spans() error {
	for _, s := range im.records.spans {
		if err := inCrank(im.vats, func(c *store.Crank) error { return im.span(c, s) }); err != nil {
			return err
		}
	}
	return nil
}

func (im *importer) span(c *store.Crank, s transcripts.Span) error {
	if err := transcripts.Restore(c, s); err != nil || !im.Has(s.Place()) && !s.IsCurrent {
		return err
	}
	if err := im.step(s.Place()); err != nil {
		return err
	}
	artifact, err := im.Artifact(s.Place())
	if err != nil {
		return err
	}
	defer artifact.Close()
	in := &measuredReader{Reader: artifact, ctx: im.ctx}
	err = transcripts.RestoreItems(c, s, in)
	im.result.add(WhatSpans, in.bytes)
	return badArtifact(s.Place(), err)
}

// badArtifact gives errors about the content of an artifact their form.
func badArtifact(place string, err error) error {
	var hash *transcripts.HashError
	var number *transcripts.ItemCountError
	switch {
	case errors.As(err, &hash):
		return &swingexport.BadError{Place: place, What: "the hash of its items", Want: hash.Want, Got: hash.Got}
	case errors.As(err, &number):
		return &swingexport.BadError{Place: place, What: fmt.Sprintf("it must have %d items, one a line", number.Want)}
	}
	return err
}
