package swingstore

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
)

// maxHeapBytes bounds the uncompressed bytes of a snapshot, so that a blob made
// to inflate for ever ends in an error. Engines stay far below.
const maxHeapBytes = 4 << 30

// snapshotRow is a row of the table snapshots.
type snapshotRow struct {
	vatID            string
	snapPos          int64
	inUse            bool
	hash             string // sha256 of the uncompressed bytes, hex
	uncompressedSize *int64 // nil: not recorded, as after an import without content
	compressedSize   *int64
	blob             []byte // gzip; nil: dropped
}

func (r snapshotRow) place() string { return fmt.Sprintf("snapshot.%s.%d", r.vatID, r.snapPos) }

// snapshotAt reads one row with its content.
func (s *Store) snapshotAt(vatID string, snapPos int64) (r snapshotRow, ok bool, err error) {
	row, ok, err := s.db.QueryRow(
		"SELECT inUse, hash, uncompressedSize, compressedSize, compressedSnapshot FROM snapshots WHERE vatID = ? AND snapPos = ?", vatID, snapPos)
	if err != nil || !ok {
		return r, false, err
	}
	r = snapshotRow{vatID: vatID, snapPos: snapPos, inUse: !row.IsNull(0), hash: row.Text(1), blob: row.Blob(4)}
	if !row.IsNull(2) {
		n := row.Int64(2)
		r.uncompressedSize = &n
	}
	if !row.IsNull(3) {
		n := row.Int64(3)
		r.compressedSize = &n
	}
	return r, true, nil
}

// heapReader gives a snapshot's uncompressed bytes, and io.EOF only if they are
// the right ones; every other end is a *SnapshotError.
type heapReader struct {
	row  snapshotRow
	gzip *gzip.Reader
	hash hash.Hash
	size int64
	err  error // sticky, io.EOF included
}

func (r snapshotRow) open() (*heapReader, error) {
	if n := int64(len(r.blob)); r.compressedSize != nil && *r.compressedSize != n {
		return nil, &SnapshotError{Place: r.place(), What: "its compressed size", Want: fmt.Sprint(*r.compressedSize), Got: fmt.Sprint(n)}
	}
	unzip, err := gzip.NewReader(bytes.NewReader(r.blob))
	if err != nil {
		return nil, &SnapshotError{Place: r.place(), What: "its content cannot be inflated", Err: err}
	}
	return &heapReader{row: r, gzip: unzip, hash: sha256.New()}, nil
}

func (h *heapReader) Read(p []byte) (int, error) {
	if h.err != nil {
		return 0, h.err
	}
	n, err := h.gzip.Read(p)
	h.hash.Write(p[:n])
	h.size += int64(n)
	switch {
	case err == io.EOF:
		h.err = h.verdict()
	case err != nil:
		h.err = &SnapshotError{Place: h.row.place(), What: "its content cannot be inflated", Err: err}
	case h.size > maxHeapBytes:
		h.err = &SnapshotError{Place: h.row.place(), What: "its content cannot be inflated", Err: fmt.Errorf("it is larger than %d bytes", int64(maxHeapBytes))}
	}
	return n, h.err
}

func (h *heapReader) verdict() error {
	if got := hex.EncodeToString(h.hash.Sum(nil)); got != h.row.hash {
		return &SnapshotError{Place: h.row.place(), What: "its sha256", Want: h.row.hash, Got: got}
	}
	if want := h.row.uncompressedSize; want != nil && *want != h.size {
		return &SnapshotError{Place: h.row.place(), What: "its uncompressed size", Want: fmt.Sprint(*want), Got: fmt.Sprint(h.size)}
	}
	return io.EOF
}
