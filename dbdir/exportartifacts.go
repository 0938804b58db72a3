package dbdir

import (
	"context"
	"fmt"
	"io"

	"vatworkerd/kernelhost/config"
	"vatworkerd/snapshots"
	"vatworkerd/store"
	"vatworkerd/swingexport"
	"vatworkerd/transcripts"
)

// artifact writes one artifact and counts it.
func (x *exporter) artifact(what, name string, write func(io.Writer) error) error {
	x.done++
	if x.progress != nil {
		x.progress(store.Progress{What: name, Done: x.done, Total: max(x.done, x.total)})
	}
	if x.ctx.Err() != nil {
		return x.ctx.Err()
	}
	return x.out.Artifact(name, func(w io.Writer) error {
		to := &measured{Writer: w, ctx: x.ctx}
		if err := write(to); err != nil {
			return err
		}
		x.result.add(what, to.bytes)
		return nil
	})
}

// spanArtifacts writes the spans that the mode asks for.
func (x *exporter) spanArtifacts() error {
	for _, wanted := range wantedSpans(x.spans, x.mode) {
		if err := x.span(wanted); err != nil {
			return err
		}
	}
	return nil
}

func (x *exporter) span(s transcripts.Span) error {
	row, _, err := x.vats.QueryRow("SELECT count(*) FROM transcriptItems WHERE vatID = ? AND position >= ? AND position < ?", s.VatID, s.StartPos, s.EndPos)
	if err != nil {
		return err
	}
	if row.Int64(0) != s.EndPos-s.StartPos {
		if x.mode == swingexport.Debug && !s.IsCurrent {
			return nil // it was truncated
		}
		return &IncompleteError{Mode: x.mode, Place: s.Place()}
	}
	return x.artifact(WhatSpans, s.Place(), func(w io.Writer) error { return s.WriteItems(x.vats, w) })
}

// wantedSpans gives the spans of which a mode has the items (transcriptStore.js,
// getArtifactNames).
func wantedSpans(spans []transcripts.Span, mode swingexport.Mode) (wanted []transcripts.Span) {
	incarnation, live := map[string]int64{}, map[string]bool{}
	for _, s := range spans {
		if s.IsCurrent {
			incarnation[s.VatID], live[s.VatID] = s.Incarnation, true
		}
	}
	for _, s := range spans {
		of := map[swingexport.Mode]bool{
			swingexport.Operational: s.IsCurrent,
			swingexport.Replay:      live[s.VatID] && s.Incarnation == incarnation[s.VatID],
			swingexport.Archival:    live[s.VatID],
			swingexport.Debug:       true,
		}
		if of[mode] {
			wanted = append(wanted, s)
		}
	}
	return wanted
}

func (x *exporter) bundleArtifacts() error { return x.eachBundle(x.bundle) }

func (x *exporter) bundle(id string) error {
	row, _, err := x.vats.QueryRow("SELECT data FROM bundles WHERE id = ?", id)
	if err != nil {
		return err
	}
	data := row.Blob(0)
	found, archive, err := config.BundleArchive(data)
	if err == nil && found != id {
		err = fmt.Errorf("its content is that of %s", found)
	}
	if err != nil {
		return fmt.Errorf("cannot export bundle %s: %w", id, err)
	}
	detail, err := newBundleDetail(id, data, archive)
	if err != nil {
		return err
	}
	if err := x.own(bundlePrefix+id, detail); err != nil {
		return err
	}
	return x.artifact(WhatBundles, bundleKey+id, func(w io.Writer) error {
		_, err := w.Write(archive)
		return err
	})
}

// heapArtifacts writes the heaps that vats start from; for the mode debug also
// those before them that are there. Nothing but files is read by now.
func (x *exporter) heapArtifacts() error {
	files := snapshots.ReadDir(x.snapshotDir())
	for _, row := range x.heaps {
		if !row.InUse && (x.mode != swingexport.Debug || !sound(files, row.Hash)) {
			continue
		}
		err := x.artifact(WhatSnapshots, row.Place(), func(w io.Writer) error { return writeHeap(files, row.Hash, w) })
		if err != nil {
			return err
		}
	}
	return nil
}

func sound(files *snapshots.Dir, hash string) bool {
	_, err := files.Verify(hash)
	return err == nil
}

func writeHeap(files *snapshots.Dir, hash string, w io.Writer) error {
	r, err := files.Open(hash)
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(w, r)
	return err
}

// measured counts what is written, and ends with the context.
type measured struct {
	io.Writer
	ctx   context.Context
	bytes int64
}

func (m *measured) Write(p []byte) (int, error) {
	if m.ctx.Err() != nil {
		return 0, m.ctx.Err()
	}
	n, err := m.Writer.Write(p)
	m.bytes += int64(n)
	return n, err
}
