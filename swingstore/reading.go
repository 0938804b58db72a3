package swingstore

import (
	"fmt"
	"io"

	"vatworkerd/snapshots"
	"vatworkerd/store"
	"vatworkerd/transcripts"
)

// keysAtOnce bounds how many values are in memory while keys are walked.
const keysAtOnce = 64

// Get reads a key of the table of keys.
func (s *Store) Get(key string) (value string, ok bool, err error) { return s.kvGet(key) }

// EachKey visits the keys that start with prefix, in bytewise order. An error of
// visit ends the walk and comes out as it is.
func (s *Store) EachKey(prefix string, visit func(key, value string) error) error {
	query, args := "SELECT key, value FROM kvStore WHERE key >= ? ORDER BY key LIMIT ?", []any{prefix, keysAtOnce}
	if end := store.PrefixEnd(prefix); end != "" {
		query, args = "SELECT key, value FROM kvStore WHERE key >= ? AND key < ? ORDER BY key LIMIT ?", []any{prefix, end, keysAtOnce}
	}
	for {
		rows, err := s.db.Query(query, args...)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if err := visit(row.Text(0), row.Text(1)); err != nil {
				return err
			}
		}
		if len(rows) < keysAtOnce {
			return nil
		}
		args[0] = rows[len(rows)-1].Text(0) + "\x00" // the least key above
	}
}

// Transcripts gives the tables of transcripts, which are those of package
// transcripts.
func (s *Store) Transcripts() transcripts.Reader { return s.db }

// Changed tells whether what was read may be a mixture of two states, as a
// *ChangedError.
func (s *Store) Changed() error { return s.settle(nil) }

// BundleText gives a bundle as vats are given it, checked against its ID. Errors:
// *BundleError.
func (s *Store) BundleText(id string) ([]byte, error) {
	data, err := s.soundBundle(id)
	if err != nil {
		return nil, err
	}
	return bundleJSON(id, data), nil
}

// Heap is the record of a heap snapshot.
type Heap struct {
	snapshots.Row
	HasContent bool // the store holds the heap itself too
	store      *Store
}

// Heaps gives those of a vat, by position. The incarnation is that of the span
// that the snapshot ended.
func (s *Store) Heaps(vatID string) ([]Heap, error) {
	rows, err := s.db.Query(`SELECT s.snapPos, s.hash, s.uncompressedSize, s.inUse, s.compressedSnapshot IS NOT NULL,
		(SELECT incarnation FROM transcriptSpans t WHERE t.vatID = s.vatID AND t.startPos <= s.snapPos AND s.snapPos < t.endPos)
		FROM snapshots s WHERE s.vatID = ? ORDER BY s.snapPos`, vatID)
	if err != nil {
		return nil, err
	}
	var heaps []Heap
	for _, row := range rows {
		if row.IsNull(5) {
			continue // of no span: verify tells
		}
		heaps = append(heaps, Heap{store: s, HasContent: row.Int64(4) == 1, Row: snapshots.Row{
			VatID: vatID, SnapPos: row.Int64(0), Hash: row.Text(1), UncompressedSize: row.Int64(2), InUse: !row.IsNull(3), Incarnation: row.Int64(5),
		}})
	}
	return heaps, nil
}

// Open gives the heap's bytes, and io.EOF only if they are the right ones; every
// other end is a *SnapshotError.
func (h Heap) Open() (io.Reader, error) {
	row, ok, err := h.store.snapshotAt(h.VatID, h.SnapPos)
	if err == nil && !ok {
		err = fmt.Errorf("cannot find %s again", h.Place())
	}
	if err != nil {
		return nil, err
	}
	return row.open()
}

// WhyNotOn says why a vat cannot go on here, on worker bundles of these IDs, as far
// as its records and its transcript tell; empty if it can.
func (s *Store) WhyNotOn(v Vat, workerBundleIDs []string) (string, error) {
	switch {
	case v.Terminated:
		return "it is terminated", nil
	case len(v.Problems) > 0:
		return v.Problems[0].String(), nil
	case v.WorkerType == "":
		return "its options, kv." + v.VatID + ".options, are missing", nil
	case v.WorkerType != workerXsnap:
		return fmt.Sprintf("it has a %s worker, and only vats on xsnap go on here", v.WorkerType), nil
	}
	span, ok, err := transcripts.Current(s.db, v.VatID)
	switch {
	case err != nil:
		return "", err
	case !ok || span.StartPos == span.EndPos:
		return "it has no transcript", nil
	case v.BundleID == "":
		return "its bundle is not in the bundle store", nil
	}
	if ids := v.WorkerBundleIDs; fmt.Sprint(ids) != fmt.Sprint(workerBundleIDs) {
		return fmt.Sprintf("it runs on worker bundles %v, and the engine to go on with has %v", ids, workerBundleIDs), nil
	}
	return s.whyNotFrom(v, span)
}

// workerXsnap is the type of worker that runs on xsnap.
const workerXsnap = "xsnap"

// whyNotFrom looks at what the current span starts from.
func (s *Store) whyNotFrom(v Vat, span transcripts.Span) (string, error) {
	entry, ok, err := s.entryAt(v.VatID, span.StartPos)
	if err != nil {
		return "", err
	}
	if !ok {
		return fmt.Sprintf("item %d of its transcript is missing", span.StartPos), nil
	}
	place, _, err := startOf(span, entry)
	if err != nil {
		return err.Error(), nil
	}
	if place == "" {
		return "", nil
	}
	row, ok, err := s.snapshotAt(v.VatID, span.StartPos-1)
	if err == nil && (!ok || row.blob == nil) {
		return "the store does not hold " + place + ", from which it starts", nil
	}
	return "", err
}
