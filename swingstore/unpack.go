package swingstore

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"vatworkerd/snapshots"
	"vatworkerd/store"
	"vatworkerd/swingexport"
	"vatworkerd/transcripts"
)

// schema is what of a swing-store's tables this package reads (swingStore.js and
// what it calls), without the checks for writers.
const schema = `
CREATE TABLE kvStore (key TEXT PRIMARY KEY, value TEXT);
CREATE TABLE transcriptItems (vatID TEXT, position INTEGER, item TEXT, incarnation INTEGER, PRIMARY KEY (vatID, position));
CREATE TABLE transcriptSpans (vatID TEXT, startPos INTEGER, endPos INTEGER, hash TEXT, isCurrent INTEGER, incarnation INTEGER,
  PRIMARY KEY (vatID, startPos), UNIQUE (vatID, isCurrent));
CREATE TABLE snapshots (vatID TEXT, snapPos INTEGER, inUse INTEGER, hash TEXT, uncompressedSize INTEGER, compressedSize INTEGER,
  compressedSnapshot BLOB, PRIMARY KEY (vatID, snapPos), UNIQUE (vatID, inUse));
CREATE TABLE bundles (bundleID TEXT PRIMARY KEY, bundle BLOB);
`

// OpenExport opens an export of a swing-store as the store that importing it would
// make, in a temporary directory that Close removes. Every artifact is checked
// against its hash. progress may be nil; it is called by this goroutine. Errors:
// *swingexport.NotExportError, *swingexport.BadError, ctx's, those of the disk.
func OpenExport(ctx context.Context, dir string, progress func(store.Progress)) (s *Store, err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	e, err := swingexport.Open(dir)
	if err != nil {
		return nil, err
	}
	temp, err := os.MkdirTemp("", "vatworkerd-swingstore-")
	if err != nil {
		return nil, fmt.Errorf("cannot unpack the export: %w", err)
	}
	u := &unpacking{e: e, ctx: ctx, progress: progress}
	if err := u.run(filepath.Join(temp, FileName)); err != nil {
		return nil, errors.Join(err, os.RemoveAll(temp))
	}
	if s, err = Open(temp); err != nil {
		return nil, errors.Join(err, os.RemoveAll(temp))
	}
	s.dir, s.temp = dir, temp
	return s, nil
}

// unpacking makes a store of an export.
type unpacking struct {
	e           *swingexport.Export
	ctx         context.Context
	progress    func(store.Progress)
	done, total int64 // artifacts
	to          *store.Builder
	spans       []transcripts.Span
	heaps       []snapshots.Row
	bundles     []string
}

func (u *unpacking) run(path string) (err error) {
	if u.to, err = store.Build(path, schema); err != nil {
		return err
	}
	err = u.records()
	for _, step := range []func() error{u.allSpans, u.allHeaps, u.allBundles} {
		if err == nil {
			err = step()
		}
	}
	return errors.Join(err, u.to.Close())
}

// records writes the keys, and reads the other records: of several with one key the
// last one counts, so that they are understood when all are known.
func (u *unpacking) records() error {
	others := map[string]string{}
	err := u.e.Records(func(name string, value *string) error {
		key, isKey := strings.CutPrefix(name, "kv.")
		switch {
		case u.ctx.Err() != nil:
			return u.ctx.Err()
		case isKey && value == nil:
			return u.to.Exec("DELETE FROM kvStore WHERE key = ?", key)
		case isKey:
			return u.to.Exec("INSERT INTO kvStore (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", key, *value)
		case value == nil:
			delete(others, name)
		default:
			others[name] = *value
		}
		return nil
	})
	if err != nil {
		return err
	}
	u.total = int64(len(others))
	for _, name := range slices.Sorted(maps.Keys(others)) {
		if err := u.record(name, others[name]); err != nil {
			return &swingexport.BadError{Place: name, What: "it cannot be understood", Err: err}
		}
	}
	// Positions are numbers, and the names of records texts.
	slices.SortStableFunc(u.spans, func(a, b transcripts.Span) int { return cmp.Compare(a.StartPos, b.StartPos) })
	return nil
}

func (u *unpacking) record(name, text string) error {
	kind, rest, _ := strings.Cut(name, ".")
	switch {
	case kind == "transcript":
		span, err := transcripts.ParseExportRecord(name, text)
		u.spans = append(u.spans, span)
		return err
	case kind == "snapshot" && snapshots.IsCurrentKey(name):
		return nil
	case kind == "snapshot":
		row, err := snapshots.ParseExportRecord(name, text)
		u.heaps = append(u.heaps, row)
		return err
	case kind == "bundle" && rest == text:
		u.bundles = append(u.bundles, text)
		return nil
	}
	return errors.New("it is a record of no known kind")
}

// artifact calls f with an artifact, if the export has it.
func (u *unpacking) artifact(name string, f func(io.Reader) error) error {
	u.done++
	if u.progress != nil {
		u.progress(store.Progress{What: name, Done: u.done, Total: max(u.done, u.total)})
	}
	if u.ctx.Err() != nil || !u.e.Has(name) {
		return u.ctx.Err()
	}
	in, err := u.e.Artifact(name)
	if err != nil {
		return err
	}
	defer in.Close()
	return f(in)
}

func (u *unpacking) allSpans() error {
	for _, s := range u.spans {
		var current any
		if s.IsCurrent {
			current = 1
		}
		err := u.to.Exec("INSERT INTO transcriptSpans (vatID, startPos, endPos, hash, isCurrent, incarnation) VALUES (?, ?, ?, ?, ?, ?)",
			s.VatID, s.StartPos, s.EndPos, s.Hash, current, s.Incarnation)
		if err != nil {
			return badRecord(s.ExportKey(), err)
		}
		if err := u.artifact(s.Place(), func(in io.Reader) error { return u.items(s, in) }); err != nil {
			return err
		}
	}
	return nil
}

// badRecord: what the tables do not take is the fault of the export.
func badRecord(name string, err error) error {
	return &swingexport.BadError{Place: name, What: "it does not fit the others", Err: err}
}

func (u *unpacking) items(s transcripts.Span, in io.Reader) error {
	err := s.ReadItems(in, func(position int64, item string) error {
		return u.to.Exec("INSERT INTO transcriptItems (vatID, position, item, incarnation) VALUES (?, ?, ?, ?)", s.VatID, position, item, s.Incarnation)
	})
	var hash *transcripts.HashError
	var number *transcripts.ItemCountError
	switch {
	case errors.As(err, &hash):
		return &swingexport.BadError{Place: s.Place(), What: "the hash of its items", Want: hash.Want, Got: hash.Got}
	case errors.As(err, &number):
		return &swingexport.BadError{Place: s.Place(), What: fmt.Sprintf("it must have %d items, one a line", number.Want)}
	}
	return err
}

func (u *unpacking) allHeaps() error {
	for _, row := range u.heaps {
		var inUse any
		if row.InUse {
			inUse = 1
		}
		err := u.to.Exec("INSERT INTO snapshots (vatID, snapPos, inUse, hash) VALUES (?, ?, ?, ?)", row.VatID, row.SnapPos, inUse, row.Hash)
		if err != nil {
			return badRecord(row.Place(), err)
		}
		if err := u.artifact(row.Place(), func(in io.Reader) error { return u.heap(row, in) }); err != nil {
			return err
		}
	}
	return nil
}

// heap compresses a heap, as the JavaScript store keeps it.
func (u *unpacking) heap(row snapshots.Row, in io.Reader) error {
	var blob bytes.Buffer
	zip, err := gzip.NewWriterLevel(&blob, gzip.BestSpeed) // it is not kept for long
	if err != nil {
		return err
	}
	hash := sha256.New()
	size, err := io.Copy(io.MultiWriter(hash, zip), in)
	if err = errors.Join(err, zip.Close()); err != nil {
		return err
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != row.Hash {
		return &swingexport.BadError{Place: row.Place(), What: "its sha256", Want: row.Hash, Got: got}
	}
	return u.to.Exec("UPDATE snapshots SET uncompressedSize = ?, compressedSize = ?, compressedSnapshot = ? WHERE vatID = ? AND snapPos = ?",
		size, blob.Len(), blob.Bytes(), row.VatID, row.SnapPos)
}

func (u *unpacking) allBundles() error {
	for _, id := range u.bundles {
		if err := u.to.Exec("INSERT INTO bundles (bundleID) VALUES (?)", id); err != nil {
			return badRecord("bundle."+id, err)
		}
		if err := u.artifact("bundle."+id, func(in io.Reader) error { return u.bundle(id, in) }); err != nil {
			return err
		}
	}
	return nil
}

func (u *unpacking) bundle(id string, in io.Reader) error {
	data, err := io.ReadAll(io.LimitReader(in, maxArchiveBytes))
	if err != nil {
		return err
	}
	if problems := checkBundle(id, data, true); len(problems) > 0 {
		return &swingexport.BadError{Place: problems[0].Place, What: problems[0].Text()}
	}
	return u.to.Exec("UPDATE bundles SET bundle = ? WHERE bundleID = ?", data, id)
}
