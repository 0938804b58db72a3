package workerlogs

import (
	"cmp"
	"container/heap"
	"io"
	"os"
	"time"
)

// lookEvery is how old a Reader's knowledge of what there is to be read may get
// while it has entries to give.
const lookEvery = 200 * time.Millisecond

// Query says what a Reader gives.
type Query struct {
	VatIDs []string  // nil = of all vats
	Since  time.Time // nothing earlier; zero = all there is
	// Follow goes on with what is written later, after the Reader has come to the
	// end; else what is written from now on is left out.
	Follow bool
}

// Reader gives entries in the order of their times; those of one vat stay in the
// order in which they were written. It reads beside the process that writes, and
// misses nothing unless that writes more than a vat is given while one entry is
// read; then an entry of its own says so. It belongs to one goroutine, and must be
// closed.
type Reader struct {
	path   string
	query  Query
	wanted map[string]bool  // stems, nil = all
	tails  map[string]*tail // by stem
	heads  heads
	files  int // that are open
	looked time.Time
	dir    time.Time // when the directory had changed last, at that time
}

// NewReader reads the directory at path; one that is not there has no entries.
func NewReader(path string, q Query) *Reader {
	r := &Reader{path: path, query: q, tails: map[string]*tail{}}
	if q.VatIDs != nil {
		r.wanted = map[string]bool{}
		for _, vatID := range q.VatIDs {
			r.wanted[stemOf(vatID)] = true
		}
	}
	return r
}

// Next gives the next entry, and io.EOF where there is none (yet, if the reader
// follows: it may be asked again after a while).
func (r *Reader) Next() (Entry, error) {
	isFirst := r.looked.IsZero()
	if isFirst || r.query.Follow && (len(r.heads) == 0 || time.Since(r.looked) >= lookEvery) {
		if err := r.look(); err != nil {
			return Entry{}, err
		}
	}
	if len(r.heads) == 0 {
		return Entry{}, io.EOF
	}
	t := r.heads[0]
	e := t.head
	has, err := r.advance(t)
	if err != nil {
		return Entry{}, err
	}
	if has {
		heap.Fix(&r.heads, 0)
	} else {
		heap.Pop(&r.heads)
	}
	return e, nil
}

// Close gives up what the reader has open.
func (r *Reader) Close() {
	for _, t := range r.tails {
		r.closeTail(t)
	}
}

// look finds what has come since the last look.
func (r *Reader) look() error {
	r.looked = time.Now()
	if err := r.findVats(); err != nil {
		return err
	}
	for _, t := range r.tails {
		if t.has {
			continue
		}
		has, err := r.advance(t)
		if err != nil {
			return err
		}
		if has {
			heap.Push(&r.heads, t)
		}
	}
	return nil
}

// mtimeGrain is more than the time within which a directory may change twice
// without that being seen in its time.
const mtimeGrain = 2 * time.Second

// findVats looks for vats that have not been seen.
func (r *Reader) findVats() error {
	info, err := os.Stat(r.path)
	if err == nil && info.ModTime().Equal(r.dir) && time.Since(r.dir) > mtimeGrain {
		return nil
	}
	all, err := listDir(r.path)
	if err != nil {
		return err
	}
	if info != nil {
		r.dir = info.ModTime()
	}
	for _, l := range all {
		if r.wanted != nil && !r.wanted[l.stem] {
			continue
		}
		t := r.tails[l.stem]
		if t == nil {
			t = &tail{stem: l.stem, number: l.kept[0].number, end: end{l.newest().number, l.newest().size}}
			r.tails[l.stem] = t
		}
		t.newest = l.newest().number
	}
	return nil
}

// advance has the next entry of a vat at hand, if there is one.
func (r *Reader) advance(t *tail) (has bool, err error) {
	t.has = false
	for {
		line, err := r.line(t)
		if err != nil || line == nil {
			return false, err
		}
		if at, ok := timeOf(line); ok && at.Before(r.query.Since) {
			continue
		}
		if e, ok := parseLine(line); ok && !e.Time.Before(r.query.Since) {
			t.head, t.has = e, true
			t.last = Entry{Time: e.Time, VatID: e.VatID, Name: e.Name, Incarnation: e.Incarnation, Position: e.Position}
			return true, nil
		}
	}
}

// heads are the vats that have an entry at hand, as a heap.
type heads []*tail

func (h heads) Len() int { return len(h) }
func (h heads) Less(i, j int) bool {
	return cmp.Or(h[i].head.Time.Compare(h[j].head.Time), cmp.Compare(h[i].stem, h[j].stem)) < 0
}
func (h heads) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *heads) Push(x any)   { *h = append(*h, x.(*tail)) }
func (h *heads) Pop() any {
	last := len(*h) - 1
	t := (*h)[last]
	*h = (*h)[:last]
	return t
}

// Speaker is a vat that has entries.
type Speaker struct{ VatID, Name string }

// Speakers lists the vats that have entries, by the names of their files.
func Speakers(path string) ([]Speaker, error) {
	all, err := listDir(path)
	if err != nil {
		return nil, err
	}
	r := NewReader(path, Query{})
	defer r.Close()
	var speakers []Speaker
	for _, l := range all {
		// The newest segment has the name of now.
		t := &tail{stem: l.stem, number: l.newest().number, end: end{l.newest().number, l.newest().size}}
		has, err := r.advance(t)
		r.closeTail(t)
		if err != nil {
			return nil, err
		}
		if has {
			speakers = append(speakers, Speaker{VatID: t.head.VatID, Name: t.head.Name})
		}
	}
	return speakers, nil
}
