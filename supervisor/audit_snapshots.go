package supervisor

import (
	"errors"
	"fmt"
	"strconv"

	"vatworkerd/snapshots"
	"vatworkerd/store"
	"vatworkerd/transcripts"
)

// CountFiles is the name under which AuditFiles counts.
const CountFiles = "snapshot files"

func (c *auditor) wrongSnapshot(row snapshots.Row, what, expected, got string) {
	c.Add(store.Problem{Kind: store.KindSnapshot, VatID: row.VatID, Place: row.Place(), What: what, Expected: expected, Got: got})
}

// snapshotsOf: each row is of a save-snapshot in the transcript, as far as that
// is there, and the one in use is what the current span starts from.
func (c *auditor) snapshotsOf(rec *record) error {
	rows, err := snapshots.List(c.src, rec.ID)
	if err != nil {
		return err
	}
	var used *snapshots.Row
	for _, row := range rows {
		c.Count(CountSnapshots, 1)
		if row.InUse {
			used = &row
		}
		if row.UncompressedSize <= 0 {
			c.wrongSnapshot(row, "its size", "more than 0 bytes", strconv.FormatInt(row.UncompressedSize, 10))
		}
		if err := c.savedAt(row); err != nil {
			return err
		}
	}
	return c.startsFrom(rec, used)
}

// savedAt compares a row with the transcript item that tells of its making.
func (c *auditor) savedAt(row snapshots.Row) error {
	found, ok, err := c.src.QueryRow("SELECT item, incarnation FROM transcriptItems WHERE vatID = ? AND position = ?", row.VatID, row.SnapPos)
	if err != nil || !ok {
		return err
	}
	entry, err := transcripts.Decode(found.Text(0))
	if err != nil {
		return nil // told where the transcript is checked
	}
	switch kind := entry.Kind(); {
	case kind != transcripts.KindSaveSnapshot:
		c.wrongSnapshot(row, "the transcript item of its position", transcripts.KindSaveSnapshot, kind)
	case entry.Result.SnapshotID != row.Hash:
		c.wrongSnapshot(row, "its hash is not that of the transcript", entry.Result.SnapshotID, row.Hash)
	case found.Int64(1) != row.Incarnation:
		c.wrongSnapshot(row, "its incarnation is not that of the transcript", fmt.Sprint(found.Int64(1)), fmt.Sprint(row.Incarnation))
	}
	return nil
}

// startsFrom: the snapshot in use is the one that the current span loads, and a
// vat without incarnation, or whose span starts afresh, has none.
func (c *auditor) startsFrom(rec *record, used *snapshots.Row) error {
	place, got, want := "snapshot."+rec.ID+".current", "none", "none"
	if used != nil {
		got = used.Place() + " " + used.Hash
	}
	if rec.state().hasIncarnation() {
		span, _, err := transcripts.Current(c.src, rec.ID)
		if err != nil {
			return err
		}
		first, ok, err := c.src.QueryRow("SELECT item FROM transcriptItems WHERE vatID = ? AND position = ?", rec.ID, span.StartPos)
		if err != nil || !ok {
			return err // told where the transcript is checked
		}
		entry, err := transcripts.Decode(first.Text(0))
		if err != nil {
			return nil // the same
		}
		if hash, loads, err := entry.StartsFrom(); err == nil && loads {
			want = snapshots.Row{VatID: rec.ID, SnapPos: span.StartPos - 1}.Place() + " " + hash
		}
	}
	if got != want {
		c.Add(store.Problem{Kind: store.KindSnapshot, VatID: rec.ID, Place: place, What: "the snapshot that the vat starts from", Expected: want, Got: got})
	}
	return nil
}

// AuditFiles reads the file of every snapshot in use whole and compares it with
// its row, and so the files that are kept of earlier ones. Errors: that of the
// audit's context, those of the disk.
func AuditFiles(a *store.Audit, src store.Source, dir *snapshots.Dir) error {
	rows, err := snapshots.Kept(src, "", snapshots.AllEarlier)
	if err != nil {
		return a.Survive("", DatabaseFile, err)
	}
	c := &fileAuditor{auditor: auditor{Audit: a, src: src}, dir: dir, read: map[string]readFile{}}
	for _, row := range rows {
		if err := c.file(row); err != nil {
			return err
		}
	}
	return nil
}

// fileAuditor remembers what it has read: vats may share a file.
type fileAuditor struct {
	auditor
	dir  *snapshots.Dir
	read map[string]readFile // by hash
}

type readFile struct {
	size    int64
	problem error // *snapshots.CorruptError or *snapshots.MissingError
}

func (c *fileAuditor) file(row snapshots.Row) error {
	found, seen := c.read[row.Hash]
	if !seen {
		var err error
		if found, err = c.readWhole(row); err != nil {
			return err
		}
		c.read[row.Hash] = found
	}
	var missing *snapshots.MissingError
	switch {
	case errors.As(found.problem, &missing) && !row.InUse:
	case found.problem != nil:
		c.damagedFile(row, found.problem)
	case found.size != row.UncompressedSize:
		c.wrongSnapshot(row, "its size", strconv.FormatInt(row.UncompressedSize, 10), strconv.FormatInt(found.size, 10))
	}
	return nil
}

func (c *fileAuditor) readWhole(row snapshots.Row) (readFile, error) {
	if _, err := c.dir.StoredSize(row.Hash); damaged(err) {
		return readFile{problem: err}, nil
	}
	if !row.InUse {
		c.Expect(1) // nobody could know that this file is kept
	}
	if err := c.Step(row.Place()); err != nil {
		return readFile{}, err
	}
	c.Count(CountFiles, 1)
	info, err := c.dir.Verify(row.Hash)
	if err != nil && !damaged(err) {
		return readFile{}, err
	}
	return readFile{info.UncompressedSize, err}, nil
}

func (c *auditor) damagedFile(row snapshots.Row, err error) {
	var corrupt *snapshots.CorruptError
	if errors.As(err, &corrupt) && corrupt.Got != "" {
		c.wrongSnapshot(row, "the sha256 of the content of "+corrupt.Path, corrupt.Want, corrupt.Got)
		return
	}
	c.wrongSnapshot(row, err.Error(), "", "")
}
