package swingstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vatworkerd/snapshots"
	"vatworkerd/store"
	"vatworkerd/swingexport"
	"vatworkerd/transcripts"
)

func sha256Of(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

const (
	heapText   = "a heap"
	bundleText = `{"moduleFormat":"nestedEvaluate","source":"()=>{}","sourceMap":""}`
)

// exportOfOne writes an export of a store with one vat: a span that ended in a
// snapshot, and one that starts from it.
func exportOfOne(t *testing.T) (dir string) {
	t.Helper()
	heap := snapshots.Row{VatID: "v1", SnapPos: 1, Hash: sha256Of(heapText), InUse: true}
	items := [][]string{
		{transcripts.InitializeWorker("b1-x", nil).Encode(), transcripts.SaveSnapshot(heap.Hash).Encode()},
		{transcripts.LoadSnapshot(heap.Hash).Encode()},
	}
	dir = filepath.Join(t.TempDir(), "export")
	w, err := swingexport.Create(dir)
	must(t, err)
	record := func(key, value string) { must(t, w.Record(key, value)) }
	artifact := func(name, text string) {
		must(t, w.Artifact(name, func(to io.Writer) error {
			_, err := io.WriteString(to, text)
			return err
		}))
	}
	record("kv.vat.name.gone", "v9")
	record("kv.vat.name.one", "v1")
	record("kv.v1.options", `{"name":"one","workerOptions":{"type":"xsnap","bundleIDs":["b0-a","b0-b"]}}`)
	record(heap.Place(), heap.ExportRecord())
	record(heap.CurrentKey(), heap.Place())
	artifact(heap.Place(), heapText)
	start := int64(0)
	for i, texts := range items {
		span := transcripts.Span{VatID: "v1", StartPos: start, EndPos: start + int64(len(texts)), Hash: transcripts.EmptySpanHash(), IsCurrent: i == 1}
		for _, text := range texts {
			span.Hash = transcripts.NextSpanHash(span.Hash, text)
		}
		record(span.ExportKey(), span.ExportRecord())
		artifact(span.Place(), strings.Join(texts, "\n")+"\n")
		start = span.EndPos
	}
	id := "b0-" + sha256Of(bundleText)
	record("bundle."+id, id)
	artifact("bundle."+id, bundleText)
	must(t, w.Finish(3, swingexport.Archival))
	// What the writer does not write, but others may: a key that is deleted again.
	path := filepath.Join(dir, "export-data.jsonl")
	data, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, append(data, "[\"kv.vat.name.gone\"]\n"...), 0o600))
	return dir
}

func TestOpenExport(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	dir := exportOfOne(t)
	steps := int64(0)
	s, err := OpenExport(context.Background(), dir, func(p store.Progress) { steps = p.Done })
	must(t, err)
	list, err := s.Vats()
	must(t, err)
	if len(list.Vats) != 1 || list.Vats[0].Name != "one" || list.Vats[0].SnapshotSize != int64(len(heapText)) || list.Vats[0].EndPos != 3 {
		t.Errorf("the vats are %+v", list.Vats)
	}
	found, err := s.Verify(context.Background(), "", nil)
	must(t, err)
	for _, p := range found.Problems {
		if !strings.HasPrefix(p.What, "vat v1 needs it") { // worker bundles, which are not there
			t.Errorf("it has the problem %s", p)
		}
	}
	if found.Spans != 2 || found.Items != 3 || found.Snapshots != 1 || found.Bundles != 1 || steps != 4 {
		t.Errorf("verified %+v after %d steps", found, steps)
	}
	if s.Dir() != dir {
		t.Errorf("it is called %s", s.Dir())
	}
	must(t, s.Close())
	wantEmpty(t, temp)
}

func wantEmpty(t *testing.T, dir string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(dir, "vatworkerd-*"))
	must(t, err)
	if len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

func TestOpenExportRefuses(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	replace := func(name, from, to string) func(dir string) {
		return func(dir string) {
			path := filepath.Join(dir, name)
			text, err := os.ReadFile(path)
			must(t, err)
			if !strings.Contains(string(text), from) {
				t.Fatalf("%s has no %q", name, from)
			}
			must(t, os.WriteFile(path, []byte(strings.Replace(string(text), from, to, 1)), 0o600))
		}
	}
	bundle := "bundle.b0-" + sha256Of(bundleText)
	for _, c := range []struct {
		spoil func(dir string)
		says  string
	}{
		{replace("transcript.v1.0.2", "b1-x", "b1-y"), "transcript.v1.0.2: the hash of its items"},
		{replace("transcript.v1.0.2", "\n", ""), "transcript.v1.0.2: it must have 2 items"},
		{replace("snapshot.v1.1", "heap", "help"), "snapshot.v1.1: its sha256"},
		{replace(bundle, "()", "[]"), bundle + ": its sha256"},
		{replace("export-data.jsonl", `\"snapPos\":1`, `\"snapPos\":2`), "snapshot.v1.1: it cannot be understood"},
		{replace("export-data.jsonl", `"kv.vat.name.one"`, `"kw.vat.name.one"`), "kw.vat.name.one: it cannot be understood"},
		{replace("export-data.jsonl", `["transcript.v1.0",`, `["transcript.v1.0"`), "export-data.jsonl line 6"},
		{func(dir string) { must(t, os.Remove(filepath.Join(dir, "snapshot.v1.1"))) }, "snapshot.v1.1: the file is missing"},
		{func(dir string) { must(t, os.Remove(filepath.Join(dir, swingexport.ManifestFile))) }, "no export"},
	} {
		dir := exportOfOne(t)
		c.spoil(dir)
		_, err := OpenExport(context.Background(), dir, nil)
		var bad *swingexport.BadError
		var none *swingexport.NotExportError
		if err == nil || !strings.Contains(err.Error(), c.says) || !errors.As(err, &bad) && !errors.As(err, &none) {
			t.Errorf("got %v, want %q", err, c.says)
		}
		wantEmpty(t, temp)
	}
}

// Wherever it is interrupted, nothing stays.
func TestOpenExportInterrupted(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	dir := exportOfOne(t)
	for at := range int64(4) {
		ctx, stop := context.WithCancel(context.Background())
		_, err := OpenExport(ctx, dir, func(p store.Progress) {
			if p.Done > at {
				stop()
			}
		})
		stop()
		if !errors.Is(err, context.Canceled) {
			t.Errorf("at %d: %v", at, err)
		}
		wantEmpty(t, temp)
	}
}
