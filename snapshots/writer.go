package snapshots

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"

	"vatworkerd/internal/crashpoint"
)

// lagBytes is how far the compression of a heap may be behind its writing: a
// heap of usual size goes in whole, so that its engine never waits for it.
const lagBytes = 16 << 20

var (
	errWriterOver = errors.New("cannot write a snapshot: it was committed or aborted")
	errAborted    = errors.New("the snapshot was given up")
)

// Writer takes the uncompressed bytes of one snapshot, which another goroutine
// compresses into a file. It belongs to one goroutine and ends with Commit,
// CommitLater or Abort.
type Writer struct {
	saving *saving
	hash   hash.Hash
	size   int64
	ended  bool
}

// Create begins a snapshot in a temporary file: as a delta against the base that
// KeepBase has made known, or, for "", as a file that needs no other. It waits
// while too many are being compressed. Errors: *BaseError, *NoSpaceError,
// *IOError.
func (d *Dir) Create(base string) (*Writer, error) {
	s, err := d.newSaving(base, false)
	if err != nil {
		return nil, err
	}
	return newWriter(s), nil
}

func newWriter(s *saving) *Writer { return &Writer{saving: s, hash: sha256.New()} }

// Write adds uncompressed bytes. It hashes them, and waits only if the
// compression is far behind. An error is final: *NoSpaceError, *IOError.
func (w *Writer) Write(p []byte) (int, error) {
	if w.ended {
		return 0, errWriterOver
	}
	n, err := w.saving.queue.Write(p)
	crashpoint.Here(crashpoint.SnapshotWriting)
	w.hash.Write(p[:n])
	w.size += int64(n)
	return n, err
}

// Sum gives the hash of what was written so far, hex.
func (w *Writer) Sum() string { return hex.EncodeToString(w.hash.Sum(nil)) }

// Commit makes the snapshot durable under its name. After an error nothing of it
// is left that was not there before.
// Errors: *NoSpaceError, *IOError.
func (w *Writer) Commit() (Info, error) {
	if w.ended {
		return Info{}, errWriterOver
	}
	w.seal()
	w.saving.queue.CloseWithError(nil)
	<-w.saving.done
	return w.saving.info, w.saving.err
}

// CommitLater is Commit that waits for nothing: the snapshot is durable when
// Dir.Settle has returned nil. Its stored size is not known yet.
func (w *Writer) CommitLater() (Info, error) {
	if w.ended {
		return Info{}, errWriterOver
	}
	info := w.seal()
	w.saving.dir.pending.add(w.saving)
	w.saving.queue.CloseWithError(nil)
	return info, nil
}

// seal says what the file is to hold, before the queue ends.
func (w *Writer) seal() Info {
	w.ended = true
	w.saving.promised = Info{Hash: w.Sum(), UncompressedSize: w.size}
	return w.saving.promised
}

// Abort removes what was written. After Commit or CommitLater it does nothing.
func (w *Writer) Abort() {
	if w.ended {
		return
	}
	w.ended = true
	w.saving.queue.CloseWithError(errAborted)
	<-w.saving.done
}
