package snapshots

import (
	"io"
	"sync"
)

// queueChunkBytes is the size of the pieces in which a Queue keeps bytes.
const queueChunkBytes = 256 << 10

// chunk is a piece of what is in a Queue.
type chunk struct {
	bytes [queueChunkBytes]byte
	from  int // what was read
	to    int // what was written
}

// chunks keeps pieces at rest for all Queues of a directory: memory that was used
// lately costs no page faults. What rests for long is collected.
type chunks struct{ pool sync.Pool }

func (c *chunks) take() *chunk {
	if at, ok := c.pool.Get().(*chunk); ok {
		return at
	}
	return new(chunk)
}

func (c *chunks) give(used *chunk) {
	used.from, used.to = 0, 0
	c.pool.Put(used)
}

// Queue is a pipe in memory that holds some bytes, so that neither end waits for
// the other at once. One goroutine writes and closes it, another reads it.
type Queue struct {
	limit int // bytes
	rest  *chunks

	mu     sync.Mutex // guards the rest
	change sync.Cond  // of the rest
	chunks []*chunk   // what was written and not yet read
	held   int        // bytes in chunks that were not
	ended  error      // why no more is written; io.EOF after Close
	unread error      // why no more is read
}

// NewQueue makes a Queue that holds at most limit bytes.
func (d *Dir) NewQueue(limit int) *Queue {
	q := &Queue{limit: limit, rest: &d.chunks}
	q.change.L = &q.mu
	return q
}

// Write keeps a copy of p; it waits while the queue is full. Its error is that of
// StopReading.
func (q *Queue) Write(p []byte) (n int, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for n < len(p) {
		for q.held >= q.limit && q.unread == nil {
			q.change.Wait()
		}
		if q.unread != nil {
			return n, q.unread
		}
		n += q.keep(p[n:])
		q.change.Broadcast()
	}
	return n, nil
}

// keep appends as much of p as there is room for.
func (q *Queue) keep(p []byte) int {
	p = p[:min(len(p), q.limit-q.held)]
	last := len(q.chunks) - 1
	if last < 0 || q.chunks[last].to == queueChunkBytes {
		q.chunks = append(q.chunks, q.rest.take())
		last++
	}
	at := q.chunks[last]
	n := copy(at.bytes[at.to:], p)
	at.to += n
	q.held += n
	return n
}

// Close ends what is written: the reader gets the rest and then io.EOF.
func (q *Queue) Close() error {
	q.CloseWithError(nil)
	return nil
}

// CloseWithError is Close that gives the reader err in place of io.EOF, and
// without the rest. Only the first end counts.
func (q *Queue) CloseWithError(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ended != nil {
		return
	}
	if q.ended = err; err == nil {
		q.ended = io.EOF
	} else {
		q.empty()
	}
	q.change.Broadcast()
}

// Read gives the next bytes; it waits while the queue is empty.
func (q *Queue) Read(p []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.wait(); err != nil {
		return 0, err
	}
	at := q.chunks[0]
	n := copy(p, at.bytes[at.from:at.to])
	q.held -= n
	if at.from += n; at.from == at.to {
		q.chunks = q.chunks[1:]
		q.rest.give(at)
	}
	q.change.Broadcast()
	return n, nil
}

// WriteTo gives w the bytes to their end, pieces as they lie here. It implements
// io.WriterTo; an error is w's, or that of CloseWithError.
func (q *Queue) WriteTo(w io.Writer) (total int64, err error) {
	for {
		at, err := q.next()
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
		n, err := w.Write(at.bytes[at.from:at.to])
		q.rest.give(at)
		if total += int64(n); err != nil {
			return total, err
		}
	}
}

// next takes the first chunk out.
func (q *Queue) next() (*chunk, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.wait(); err != nil {
		return nil, err
	}
	at := q.chunks[0]
	q.chunks = q.chunks[1:]
	q.held -= at.to - at.from
	q.change.Broadcast()
	return at, nil
}

// wait waits for bytes, or tells why none come. q.mu is held.
func (q *Queue) wait() error {
	for q.held == 0 && q.ended == nil && q.unread == nil {
		q.change.Wait()
	}
	if q.unread != nil {
		return q.unread
	}
	if q.held == 0 {
		return q.ended
	}
	return nil
}

// StopReading makes every further Write fail with err, and every Read.
func (q *Queue) StopReading(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.unread = err
	q.empty()
	q.change.Broadcast()
}

// empty forgets what was written. q.mu is held.
func (q *Queue) empty() {
	for _, at := range q.chunks {
		q.rest.give(at)
	}
	q.chunks, q.held = nil, 0
}
