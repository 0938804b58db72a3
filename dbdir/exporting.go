package dbdir

import (
	"context"
	"errors"

	"vatworkerd/snapshots"
	"vatworkerd/store"
	"vatworkerd/swingexport"
	"vatworkerd/transcripts"
)

// Exported is the result of MakeExport and of Import.
type Exported struct {
	Dir           string // the export
	DB            string // the database
	Mode          swingexport.Mode
	Height        int64
	ActivityHash  string
	StateHash     string
	HostStateHash string
	InUse         bool // a process had the database open
	Records       int64
	Artifacts     []Total // always the same kinds in the same order
}

// What the artifacts of an export are, besides WhatSnapshots.
const (
	WhatSpans   = "transcript spans"
	WhatBundles = "bundles"
)

func newExported(of origin) Exported {
	return Exported{
		Height: of.Height, ActivityHash: of.ActivityHash, StateHash: of.StateHash, HostStateHash: of.HostStateHash,
		Artifacts: []Total{{What: WhatSpans}, {What: WhatSnapshots}, {What: WhatBundles}},
	}
}

func (e *Exported) add(what string, bytes int64) {
	for i := range e.Artifacts {
		if e.Artifacts[i].What == what {
			e.Artifacts[i].Files++
			e.Artifacts[i].Bytes += bytes
		}
	}
}

// MakeExport writes the state of the database directory dir into the directory to,
// which must be empty or not be there yet, in the form of the JavaScript store's
// exports. Every artifact is checked against its hash on the way; a database that
// lacks what the mode asks for, or has it damaged, is not exported. It changes
// nothing in dir and holds nobody up who uses it. progress may be nil; it is called
// by this goroutine. Errors: those of Open, *store.OutdatedError, *store.HeightError,
// *staging.NotEmptyError, *IncompleteError, *ChangedError, ctx's error, those of
// reading, those of the disk; then nothing is left in to.
func MakeExport(ctx context.Context, dir, to string, mode swingexport.Mode, progress func(store.Progress)) (result Exported, err error) {
	err = unchanged(func() error {
		result, err = exportOnce(ctx, dir, to, mode, progress)
		return err
	})
	return result, err
}

func exportOnce(ctx context.Context, dir, to string, mode swingexport.Mode, progress func(store.Progress)) (result Exported, err error) {
	s, err := Open(dir)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	switch {
	case s.mismatch != nil:
		return result, s.mismatch
	case s.host.Outdated() || s.vats.Outdated():
		return result, &store.OutdatedError{Dir: s.dir}
	}
	if s.undone {
		if err := s.vats.Rewind(); err != nil {
			return result, err
		}
	}
	w, err := swingexport.Create(to)
	if err != nil {
		return result, diskError(err)
	}
	x := &exporter{State: s, out: w, ctx: ctx, mode: mode, progress: progress, result: newExported(s.origin())}
	if err := x.run(); err != nil {
		w.Discard()
		return result, diskError(err)
	}
	if err := w.Finish(x.result.Height, mode); err != nil {
		return result, diskError(err)
	}
	x.result.Dir, x.result.DB, x.result.Mode = w.Dir(), s.dir, mode
	return x.result, nil
}

// exporter makes one export.
type exporter struct {
	*State
	out         *swingexport.Writer
	ctx         context.Context
	mode        swingexport.Mode
	progress    func(store.Progress)
	result      Exported
	done, total int64 // artifacts

	spans []transcripts.Span
	heaps []snapshots.Row // all of them
}

func (x *exporter) run() (err error) {
	if x.result.InUse, err = x.inUse(); err != nil {
		return err
	}
	for _, step := range []func() error{x.find, x.records, x.spanArtifacts, x.bundleArtifacts, x.changed, x.closeViews, x.heapArtifacts} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// find lists the spans and snapshots, which all have records.
func (x *exporter) find() (err error) {
	if x.heaps, err = snapshots.List(x.vats, ""); err != nil {
		return err
	}
	rows, err := x.vats.Query("SELECT DISTINCT vatID FROM transcriptSpans ORDER BY vatID")
	if err != nil {
		return err
	}
	for _, row := range rows {
		spans, err := transcripts.Spans(x.vats, row.Text(0))
		if err != nil {
			return err
		}
		if x.mode == swingexport.Archival && spans[0].StartPos != 0 {
			return &IncompleteError{Mode: x.mode, Place: "transcript." + row.Text(0) + ".0"}
		}
		x.spans = append(x.spans, spans...)
	}
	x.total = int64(len(x.spans) + len(x.heaps))
	return nil
}
