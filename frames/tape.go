package frames

import (
	"sync"
	"time"
)

// Bounds of a Tape.
const (
	ringBytes = 32 << 10
	maxFrames = 256
	// maxKept is how much of a frame is kept at most; it is the begin.
	maxKept = 4 << 10
)

// Direction is which way a frame went.
type Direction uint8

// The directions.
const (
	ToWorker Direction = iota
	FromWorker
)

// Dialects of workers.
const (
	Netstrings = "netstring" // of the stock xsnap-worker
	Msgpack    = "msgpack"   // of the native worker
)

// Worker is whose pipe it is.
type Worker struct {
	Name    string `json:"name"`
	PID     int    `json:"pid"`
	Engine  string `json:"engine"`
	Dialect string `json:"dialect"`
}

// Frame is one frame, with all that is around its content, or the begin of it.
type Frame struct {
	Time      time.Time
	Direction Direction
	Size      int    // of the whole
	Bytes     []byte // what is kept of it
	// Torn: what came is no frame, or only a part of one.
	Torn bool
}

// head is what a Tape knows of a frame besides its bytes.
type head struct {
	at         int64 // Unix time in nanoseconds
	size       int
	from, kept int // in the ring
	direction  Direction
	torn       bool
}

// Tape keeps the last frames of one worker. Adding one allocates nothing. A nil
// Tape keeps nothing. Safe for concurrent use.
type Tape struct {
	mu            sync.Mutex // guards the rest
	worker        Worker
	heads         [maxFrames]head
	oldest, count int // of heads
	ring          [ringBytes]byte
	next          int        // where in ring the next frame goes
	to            *Recording // nil: to nothing
}

// NewTape is for a pipe to an engine of a kind.
func NewTape(engine, dialect string) *Tape {
	return &Tape{worker: Worker{Engine: engine, Dialect: dialect}}
}

// Begin says which process is at the other end.
func (t *Tape) Begin(pid int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.worker.PID = pid
}

// Rename gives the worker another name.
func (t *Tape) Rename(name string) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.worker.Name = name
}

// Sent adds a frame to the worker, which is of three pieces.
func (t *Tape) Sent(before []byte, content [][]byte, after string) {
	if t == nil {
		return
	}
	size := len(before) + len(after)
	for _, part := range content {
		size += len(part)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	kept := t.add(ToWorker, size, false)
	kept = kept[copy(kept, before):]
	for _, part := range content {
		kept = kept[copy(kept, part):]
	}
	copy(kept, after)
	if t.to != nil {
		t.to.frame(t.worker.PID, t.newest(), before, content, after)
	}
}

// Received adds a frame from the worker. With torn it is what came in place of
// one.
func (t *Tape) Received(frame []byte, torn bool) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	copy(t.add(FromWorker, len(frame), torn), frame)
	if t.to != nil {
		t.to.frame(t.worker.PID, t.newest(), frame, nil, "")
	}
}

// newest is the frame that was added last, without its bytes.
func (t *Tape) newest() Frame { return t.heads[(t.oldest+t.count-1)%maxFrames].frame() }

func (h head) frame() Frame {
	return Frame{Time: time.Unix(0, h.at), Direction: h.direction, Size: h.size, Torn: h.torn}
}

// add makes room for a frame, at the cost of the oldest, and gives the place for
// its begin.
func (t *Tape) add(d Direction, size int, torn bool) []byte {
	n := min(size, maxKept)
	room := max(n, 1) // an empty frame has a place too, or it would not go in its turn
	at := t.next
	if at+room > ringBytes {
		for t.count > 0 && t.heads[t.oldest].from >= at {
			t.drop() // these are the oldest
		}
		at = 0
	}
	for t.count > 0 && (t.count == maxFrames || t.heads[t.oldest].overlaps(at, room)) {
		t.drop()
	}
	t.heads[(t.oldest+t.count)%maxFrames] = head{at: time.Now().UnixNano(), size: size, from: at, kept: n, direction: d, torn: torn}
	t.count++
	t.next = at + room
	return t.ring[at : at+n]
}

func (h head) overlaps(at, n int) bool { return h.from < at+n && at < h.from+max(h.kept, 1) }

func (t *Tape) drop() {
	t.oldest = (t.oldest + 1) % maxFrames
	t.count--
}

// Last gives the worker and its last frames, oldest first.
func (t *Tape) Last() (Worker, []Frame) {
	if t == nil {
		return Worker{}, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]Frame, 0, t.count)
	for i := range t.count {
		h := t.heads[(t.oldest+i)%maxFrames]
		f := h.frame()
		f.Bytes = append([]byte(nil), t.ring[h.from:h.from+h.kept]...)
		all = append(all, f)
	}
	return t.worker, all
}

// RecordTo has all frames from now on written to a recording as well. One that
// has ended takes no more.
func (t *Tape) RecordTo(r *Recording) {
	if t == nil || r == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	r.worker(t.worker)
	t.to = r
}
