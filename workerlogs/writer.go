package workerlogs

import (
	"container/list"
	"time"
)

// tellEvery is how often at most it is told that entries cannot be written.
const tellEvery = time.Minute

// writer writes the entries of a Dir. It belongs to one goroutine.
type writer struct {
	path  string
	bound Options

	scanned bool
	rings   map[string]*ring // by stem
	recent  *list.List       // of *ring, the one written to last in front
	opened  *list.List       // of *ring, those with an open file, the same
	bytes   int64            // of all rings on disk
	floor   int64            // no ring begins with a lower segment

	failing bool      // entries cannot be written
	told    time.Time // when that was told last
	failed  error     // the first failure of the batch
	line    []byte    // room to encode in
}

func newWriter(path string, o Options) *writer {
	return &writer{path: path, bound: o, rings: map[string]*ring{}, recent: list.New(), opened: list.New()}
}

// write files a batch, vat by vat, and gives how many entries it could not
// write.
func (w *writer) write(b batch) (lost int64) {
	w.failed = nil
	if err := w.scan(); err != nil {
		w.fail(err)
	}
	var touched []*ring
	of := func(e Entry) *ring {
		r := w.ringOf(e)
		if !r.touched {
			r.touched = true
			touched = append(touched, r)
		}
		return r
	}
	for _, e := range b.entries {
		w.add(of(e), e)
	}
	for vatID, e := range b.dropped {
		r := of(e)
		r.miss(b.drops[vatID], "they came faster than they could be written", e)
		w.note(r)
	}
	for _, r := range touched {
		w.flush(r)
		r.touched = false
		lost += r.lost
		r.lost = 0
	}
	w.shrink()
	w.tell()
	return lost
}

// add has an entry written to a ring, and before it how many are missing.
func (w *writer) add(r *ring, e Entry) {
	if r.missing > 0 {
		w.note(r)
	}
	w.put(r, e, 1)
}

// note has it written that entries are missing.
func (w *writer) note(r *ring) {
	n := r.missing
	r.missing = 0
	w.put(r, r.gap(n), n)
}

// put has a line written that stands for so many entries.
func (w *writer) put(r *ring, e Entry, worth int64) {
	line, err := appendLine(w.line[:0], e)
	w.line = line[:0]
	if err != nil {
		r.lose(worth, err, e)
		w.fail(err)
		return
	}
	if r.used()+int64(len(line)) > w.bound.VatBytes/2 {
		w.flush(r)
		r.full = r.size > 0
		if r.missing > 0 {
			r.lose(worth, w.failed, e) // what comes behind a gap begins with a note
			return
		}
	}
	if len(r.buf) == 0 {
		r.first = e
	}
	r.buf = append(r.buf, line...)
	r.worth = append(r.worth, worth)
}

// flush writes what is in a ring's buffer to its file.
func (w *writer) flush(r *ring) {
	if len(r.buf) == 0 {
		return
	}
	written, err := w.append(r)
	if err != nil {
		for _, worth := range r.worth[written:] {
			r.lose(worth, err, r.first)
		}
		w.fail(err)
	}
	r.empty()
	w.recent.MoveToFront(r.inRecent)
}

// append gives how many whole lines of the buffer were written.
func (w *writer) append(r *ring) (lines int, err error) {
	if err := w.open(r); err != nil {
		return 0, err
	}
	if r.torn {
		r.buf = append([]byte{'\n'}, r.buf...)
	}
	before := r.disk()
	n, err := w.writeTo(r)
	r.size += int64(n)
	w.bytes += r.disk() - before
	lines = countLines(r.buf[:n])
	if r.torn && n > 0 {
		lines--
	}
	r.torn = r.torn && n == 0 || err != nil && n > 0
	return lines, err
}

func (w *writer) fail(err error) {
	if w.failed == nil {
		w.failed = err
	}
}

// tell tells what has changed for the better or the worse with a batch.
func (w *writer) tell() {
	switch now := time.Now(); {
	case w.failed == nil && w.failing:
		w.failing = false
		w.bound.Tell(nil)
	case w.failed != nil && !w.failing:
		w.failing = true
		if w.told.IsZero() || now.Sub(w.told) >= tellEvery {
			w.told = now
			w.bound.Tell(w.failed)
		}
	}
}

// shrink removes what was said least lately until all rings together are within
// their bound.
func (w *writer) shrink() {
	for w.bytes > w.bound.TotalBytes {
		r := w.recent.Back().Value.(*ring)
		switch {
		case r.old > 0:
			w.removeOld(r)
		case w.recent.Len() > 1:
			w.removeAll(r)
		default:
			return
		}
	}
}
