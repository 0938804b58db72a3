package workerlogs

import (
	"bytes"
	"container/list"
	"fmt"
	"os"
)

// ring is what the writer knows of one vat's segments, and what it has yet to
// write to them.
type ring struct {
	stem   string
	number int64 // of the newest segment; it need not be there
	size   int64 // of that, in bytes
	old    int64 // size of the segment before it, 0 if there is none
	file   *os.File
	torn   bool // the newest segment may end inside a line
	full   bool // the next line begins a segment

	inRecent *list.Element
	inOpened *list.Element // nil while file is

	touched bool    // in the present batch
	buf     []byte  // lines to be written
	worth   []int64 // by line: how many entries it stands for
	first   Entry   // of buf

	missing int64 // entries that could not be written and that no line tells of
	why     string
	absent  Entry // the first of them
	lost    int64 // of the present batch
}

// blockBytes is what a file takes on disk at least.
const blockBytes = 4096

func onDisk(size int64) int64 { return (size + blockBytes - 1) / blockBytes * blockBytes }

// disk is what the ring takes.
func (r *ring) disk() int64 { return onDisk(r.size) + onDisk(r.old) }

// used is what the segment has, or will have once the buffer is written, in
// which the next line comes.
func (r *ring) used() int64 {
	if r.full {
		return int64(len(r.buf))
	}
	return r.size + int64(len(r.buf))
}

// miss notes that entries are missing, of which e is the first.
func (r *ring) miss(n int64, why string, e Entry) {
	if r.missing == 0 {
		r.absent, r.why = e, why
	}
	r.missing += n
}

// lose is miss for entries that could not be written.
func (r *ring) lose(n int64, err error, e Entry) {
	r.miss(n, err.Error(), e)
	r.lost += n
}

// gap is the entry that says how many are missing.
func (r *ring) gap(n int64) Entry {
	e := r.absent
	e.Source, e.Level, e.Bytes, e.Replay = SourceOwn, "warn", 0, false
	what := "1 entry is missing here"
	if n != 1 {
		what = fmt.Sprintf("%d entries are missing here", n)
	}
	e.Text = what + ": " + r.why
	return e
}

// keepBufferBytes is what a ring may keep between two batches.
const keepBufferBytes = 16 << 10

// empty forgets what is in the buffer.
func (r *ring) empty() {
	r.buf, r.worth, r.first = r.buf[:0], r.worth[:0], Entry{}
	if cap(r.buf) > keepBufferBytes {
		r.buf, r.worth = nil, nil
	}
}

func countLines(b []byte) int { return bytes.Count(b, []byte{'\n'}) }
