package slogfile

import (
	"fmt"
	"sync"
	"time"

	"vatworkerd/internal/jsonline"
)

// MinBytes is the least that a slog may be given.
const MinBytes = 1 << 20

const (
	// maxPendingBytes bounds what waits to be written.
	maxPendingBytes = 32 << 20
	// gatherFor is how long lines gather before they are written together.
	gatherFor = 20 * time.Millisecond
)

// Options bound a File.
type Options struct {
	// Bytes is what the file and the one before it, of the same name with ".1"
	// behind it, take on disk together, give or take what is written at once.
	Bytes int64
	// Tell is called when lines cannot be written any more, with the reason, and
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

// File is a slog, open for writing by one process. Writing never waits for the
// disk: what comes faster than it can be written, or cannot be written, is
// counted, and a line says how many are missing where. What was written survives
// the process, but not always the machine: nothing is synced. Safe for concurrent
// use.
type File struct {
	began time.Time
	wake  chan struct{}
	end   chan struct{}
	over  sync.WaitGroup

	mu      sync.Mutex // guards the rest
	pending []byte     // whole lines
	line    []byte     // room to encode in
	missing int64      // lines, since the last one of pending
	why     string     // of the first of them
	closed  bool
}

// Open opens the slog at path, which it continues if it is there.
func Open(path string, o Options) (*File, error) {
	if o.Bytes < MinBytes {
		return nil, fmt.Errorf("cannot keep a slog in %d bytes: the least is %d", o.Bytes, MinBytes)
	}
	w := &writer{path: path, bound: o.orDefault()}
	if err := w.open(); err != nil {
		return nil, err
	}
	f := &File{began: time.Now(), wake: make(chan struct{}, 1), end: make(chan struct{})}
	f.over.Go(func() { f.run(w) })
	return f, nil
}

// Write has an event written, soon. A nil File writes nothing.
func (f *File) Write(e Event) {
	if f == nil {
		return
	}
	now := time.Now()
	e.stamp(now, now.Sub(f.began))
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	line, err := jsonline.Append(f.line[:0], e)
	f.line = line
	switch {
	case err != nil:
		f.miss(1, err.Error())
	case len(f.pending)+len(line) > maxPendingBytes:
		f.miss(1, "they came faster than they could be written")
	default:
		f.tellMissing()
		f.pending = append(f.pending, line...)
	}
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func (f *File) miss(n int64, why string) {
	if f.missing == 0 {
		f.why = why
	}
	f.missing += n
}

// tellMissing has it written how many lines are missing here.
func (f *File) tellMissing() {
	if f.missing == 0 {
		return
	}
	now := time.Now()
	e := &Missing{Type: TypeMissing, Lines: f.missing, Why: f.why}
	e.stamp(now, now.Sub(f.began))
	if pending, err := jsonline.Append(f.pending, e); err == nil {
		f.pending, f.missing = pending, 0
	}
}

// Close writes what waits.
func (f *File) Close() {
	if f == nil {
		return
	}
	f.mu.Lock()
	if !f.closed {
		f.closed = true
		close(f.end)
	}
	f.mu.Unlock()
	f.over.Wait()
}

// run writes until the File is closed.
func (f *File) run(w *writer) {
	defer w.close()
	var used []byte
	for last := false; !last; {
		last = f.gather()
		lines := f.take(used)
		lost, err := w.write(lines)
		if lost > 0 {
			f.mu.Lock()
			f.miss(lost, err.Error())
			f.mu.Unlock()
		}
		used = lines
	}
}

// gather waits until there are lines for a while, or no more will come.
func (f *File) gather() (isLast bool) {
	select {
	case <-f.wake:
	case <-f.end:
		return true
	}
	select {
	case <-time.After(gatherFor):
		return false
	case <-f.end:
		return true
	}
}

// keepBytes is what a buffer may keep between two batches.
const keepBytes = 1 << 20

// take gives all that waits; the buffer of a former batch is used again.
func (f *File) take(used []byte) []byte {
	if cap(used) > keepBytes {
		used = nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if cap(f.line) > keepBytes {
		f.line = nil
	}
	f.tellMissing()
	lines := f.pending
	f.pending = used[:0]
	return lines
}
