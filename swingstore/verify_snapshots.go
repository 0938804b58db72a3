package swingstore

import (
	"errors"
	"fmt"
	"io"

	"vatworkerd/store"
	"vatworkerd/transcripts"
)

// snapshots checks a vat's heap snapshots: their content against their hashes,
// and their rows against the transcript.
func (v *verifier) snapshots(vat Vat) error {
	rows, err := v.s.db.Query("SELECT snapPos FROM snapshots WHERE vatID = ? ORDER BY snapPos", vat.VatID)
	if err != nil {
		return err
	}
	for _, position := range rows {
		place := fmt.Sprintf("snapshot.%s.%d", vat.VatID, position.Int64(0))
		if err := v.Step(place); err != nil {
			return err
		}
		if err := v.Survive(vat.VatID, place, v.snapshot(vat, position.Int64(0))); err != nil {
			return err
		}
	}
	return v.snapshotOfCurrentSpan(vat)
}

func (v *verifier) wrongSnapshot(vatID, place, what, expected, got string) {
	v.Add(store.Problem{Kind: store.KindSnapshot, VatID: vatID, Place: place, What: what, Expected: expected, Got: got})
}

func (v *verifier) snapshot(vat Vat, snapPos int64) error {
	row, ok, err := v.s.snapshotAt(vat.VatID, snapPos)
	if err != nil || !ok {
		return err
	}
	if row.inUse && vat.Terminated {
		v.wrongSnapshot(vat.VatID, row.place(), "a terminated vat has a snapshot in use", "", "")
	}
	switch {
	case row.blob != nil:
		if err := v.heap(row); err != nil {
			return err
		}
	case row.inUse:
		v.wrongSnapshot(vat.VatID, row.place(), "it is in use and the store does not hold its content", "", "")
	default:
		v.Count(countPrunedSnapshots, 1)
	}
	return v.savedAt(row)
}

func (v *verifier) heap(row snapshotRow) error {
	v.Count(countSnapshots, 1)
	heap, err := row.open()
	if err == nil {
		_, err = io.Copy(io.Discard, heap)
	}
	var wrong *SnapshotError
	if !errors.As(err, &wrong) {
		return err
	}
	what := wrong.What
	if wrong.Err != nil {
		what += ": " + wrong.Err.Error()
	}
	v.wrongSnapshot(row.vatID, row.place(), what, wrong.Want, wrong.Got)
	return nil
}

// savedAt compares a snapshot with the transcript item that tells of its making.
func (v *verifier) savedAt(row snapshotRow) error {
	item, ok, err := v.s.entryAt(row.vatID, row.snapPos)
	if err != nil || !ok {
		return err
	}
	if kind := item.Kind(); kind != transcripts.KindSaveSnapshot {
		v.wrongSnapshot(row.vatID, row.place(), "the transcript item of its position", transcripts.KindSaveSnapshot, kind)
	} else if item.Result.SnapshotID != row.hash {
		v.wrongSnapshot(row.vatID, row.place(), "its recorded hash is not that of the transcript", item.Result.SnapshotID, row.hash)
	}
	return nil
}

// entryAt reads one transcript entry; ok is false if it is not there or is none.
func (s *Store) entryAt(vatID string, position int64) (transcripts.Entry, bool, error) {
	row, ok, err := s.db.QueryRow("SELECT item FROM transcriptItems WHERE vatID = ? AND position = ?", vatID, position)
	if err != nil || !ok {
		return transcripts.Entry{}, false, err
	}
	entry, err := transcripts.Decode(row.Text(0))
	return entry, err == nil, nil
}

// snapshotOfCurrentSpan: the snapshot in use is the one the current span starts
// from, and a span that starts from none has none.
func (v *verifier) snapshotOfCurrentSpan(vat Vat) error {
	span, ok, err := transcripts.Current(v.s.db, vat.VatID)
	if err != nil || !ok {
		return err
	}
	entry, ok, err := v.s.entryAt(vat.VatID, span.StartPos)
	if err != nil || !ok {
		return err
	}
	place := "snapshot." + vat.VatID + ".current"
	used := ""
	if vat.SnapshotPosition != nil {
		used = fmt.Sprintf("snapshot.%s.%d", vat.VatID, *vat.SnapshotPosition)
	}
	want, id, err := startOf(span, entry)
	if err != nil {
		v.Add(store.Problem{Kind: store.KindItem, VatID: vat.VatID, Place: span.Place(), Position: &span.StartPos, What: err.Error()})
		return nil
	}
	if used != want {
		v.wrongSnapshot(vat.VatID, place, "the snapshot in use is not the one the current span starts from", orNone(want), orNone(used))
	} else if vat.SnapshotHash != id {
		v.wrongSnapshot(vat.VatID, place, "the hash of the snapshot in use is not the one the current span starts from", id, vat.SnapshotHash)
	}
	return nil
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
