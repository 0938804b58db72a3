package snapshots

import (
	"io"
	"sync"
)

// queueChunkBytes is the size of the pieces in which a Queue keeps bytes.
const queueChunkBytes = 256 << 10

// Queue is a pipe in memory that holds some bytes, so that neither end waits for
// the other at once. One goroutine writes and closes it, another reads it.
type Queue struct {
	limit int // bytes

	mu     sync.Mutex // guards the rest
	change sync.Cond  // of the rest
	chunks [][]byte   // what was written and not yet read
	at     int        // how much of the first chunk was read
	held   int        // bytes in chunks that were not
	spare  []byte     // a chunk at rest
	ended  error      // why no more is written; io.EOF after Close
	unread error      // why no more is read
}

// NewQueue makes a Queue that holds at most limit bytes.
func NewQueue(limit int) *Queue {
	q := &Queue{limit: limit}
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
	if last < 0 || len(q.chunks[last]) == cap(q.chunks[last]) {
		chunk := q.spare
		if q.spare = nil; chunk == nil {
			chunk = make([]byte, 0, queueChunkBytes)
		}
		q.chunks = append(q.chunks, chunk)
		last++
	}
	chunk := q.chunks[last]
	n := copy(chunk[len(chunk):cap(chunk)], p)
	q.chunks[last] = chunk[:len(chunk)+n]
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
		q.chunks, q.at, q.held = nil, 0, 0
	}
	q.change.Broadcast()
}

// Read gives the next bytes; it waits while the queue is empty.
func (q *Queue) Read(p []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.held == 0 && q.ended == nil {
		q.change.Wait()
	}
	if q.held == 0 {
		return 0, q.ended
	}
	chunk := q.chunks[0]
	n := copy(p, chunk[q.at:])
	q.held -= n
	if q.at += n; q.at == len(chunk) {
		q.chunks, q.at, q.spare = q.chunks[1:], 0, chunk[:0]
	}
	q.change.Broadcast()
	return n, nil
}

// StopReading makes every further Write fail with err.
func (q *Queue) StopReading(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.unread, q.chunks, q.at, q.held = err, nil, 0, 0
	q.change.Broadcast()
}
