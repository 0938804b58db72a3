package workerlogs

import (
	"fmt"
	"sync"
)

// MinVatBytes is the least that the entries of a vat may be given: room for
// several of the longest.
const MinVatBytes = 256 << 10

// maxPendingBytes bounds what waits to be written.
const maxPendingBytes = 8 << 20

// entryBytes is what an entry takes in memory besides its text.
const entryBytes = 256

// Options bound what a Dir takes.
type Options struct {
	VatBytes   int64 // on disk, for one vat; at least MinVatBytes
	TotalBytes int64 // on disk, for all; at least VatBytes
	// Tell is called when entries cannot be written any more, with the reason, and
	// with nil when they can again. It is called by the writing goroutine; nil
	// drops it.
	Tell func(err error)
	// Fault is called before each operation on a file, and its error is the
	// operation's: for tests.
	Fault func(op string) error
}

func (o Options) orDefault() Options {
	if o.Tell == nil {
		o.Tell = func(error) {}
	}
	if o.Fault == nil {
		o.Fault = func(string) error { return nil }
	}
	return o
}

// Dir is a directory of worker logs, open for writing by one process. Nothing is
// made before there is something to write. Adding never waits for the disk: what
// comes faster than it can be written, or cannot be written, is counted, and an
// entry says how much is missing where. What was written survives the
// process, but not always the machine: nothing is synced. Safe for concurrent use.
type Dir struct {
	wake chan struct{}
	over sync.WaitGroup

	mu      sync.Mutex // guards the rest
	pending []Entry
	bytes   int              // of pending
	dropped map[string]Entry // by vat: the first of those that pending had no room for
	drops   map[string]int64 // by vat: how many
	lost    int64            // entries that were not written, so far
	closed  bool
}

// Open gives the directory at path.
func Open(path string, o Options) (*Dir, error) {
	if o.VatBytes < MinVatBytes || o.TotalBytes < o.VatBytes {
		return nil, fmt.Errorf("cannot keep worker logs in %d bytes for a vat and %d for all: the least is %d for a vat, and as much for all", o.VatBytes, o.TotalBytes, MinVatBytes)
	}
	d := &Dir{wake: make(chan struct{}, 1), dropped: map[string]Entry{}, drops: map[string]int64{}}
	w := newWriter(path, o.orDefault())
	d.over.Go(func() { d.run(w) })
	return d, nil
}

// Add writes an entry, soon. A nil Dir keeps nothing.
func (d *Dir) Add(e Entry) {
	if d == nil {
		return
	}
	e.bound()
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.closed:
		return
	case d.bytes >= maxPendingBytes:
		if d.drops[e.VatID]++; d.drops[e.VatID] == 1 {
			e.Text = ""
			d.dropped[e.VatID] = e
		}
		d.lost++
		return
	}
	d.pending = append(d.pending, e)
	d.bytes += entryBytes + len(e.Text)
	d.signal()
}

// Lost gives how many entries were not written so far.
func (d *Dir) Lost() int64 {
	if d == nil {
		return 0
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lost
}

// Close writes what waits.
func (d *Dir) Close() {
	if d == nil {
		return
	}
	d.mu.Lock()
	d.closed = true
	d.signal()
	d.mu.Unlock()
	d.over.Wait()
}

func (d *Dir) signal() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// run writes until the Dir is closed.
func (d *Dir) run(w *writer) {
	defer w.closeAll()
	var used []Entry
	for range d.wake {
		b := d.take(used)
		if len(b.entries) > 0 || len(b.drops) > 0 {
			d.countLost(w.write(b))
		}
		if b.last {
			return
		}
		used = b.entries
	}
}

// batch is what waits to be written.
type batch struct {
	entries []Entry
	dropped map[string]Entry
	drops   map[string]int64
	last    bool
}

// take gives all that waits; the list of a former batch is used again.
func (d *Dir) take(used []Entry) batch {
	d.mu.Lock()
	defer d.mu.Unlock()
	b := batch{entries: d.pending, last: d.closed}
	clear(used)
	d.pending, d.bytes = used[:0], 0
	if len(d.drops) > 0 {
		b.dropped, b.drops = d.dropped, d.drops
		d.dropped, d.drops = map[string]Entry{}, map[string]int64{}
	}
	return b
}

func (d *Dir) countLost(n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lost += n
}
