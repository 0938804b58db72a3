package xsnap

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"
)

// load feeds a snapshot to a starting worker.
type load struct {
	name    func() string // of the worker
	pipe    *os.File
	area    *heapArea // nil: all of it goes through the pipe
	pulse   *pulse
	buffers buffers
	done    chan struct{}

	mu  sync.Mutex // guards err
	err error      // why the snapshot is not to be trusted
}

// startLoad reads src to its end, in a goroutine, into the pipe of p. A source that
// fails kills the process: a worker must not run on half a snapshot, or on one
// whose hash proves wrong at its end.
func startLoad(src io.Reader, p *plumbing, w *Worker, b buffers) *load {
	l := &load{name: w.Name, pipe: p.load, area: p.area, pulse: &w.pulse, buffers: b, done: make(chan struct{})}
	go func() {
		defer l.area.close() // nobody waits for it but Close
		defer close(l.done)
		defer l.pipe.Close() // after the failure is known: a native worker waits for the end
		if err := l.run(src); err != nil {
			l.setFailure(err)
			w.Kill()
		}
	}()
	return l
}

// CheckedLater is a heap that can be checked while its reader uses it already.
// Next and Check may run at the same time, each in one goroutine.
type CheckedLater interface {
	io.Reader
	// Next is Read, but what it gives is not checked; its io.EOF says so little.
	Next(p []byte) (int, error)
	// Check takes what Next gave, in order.
	Check(p []byte)
	// Verdict is nil if all was right.
	Verdict() error
}

// run feeds the worker and tells whether what it got is right. The engine goes
// on while the last of it is checked.
func (l *load) run(src io.Reader) error {
	src, err := l.feedHead(src)
	if src == nil {
		return err
	}
	next, used, verdict := src.Read, l.give, func() error { return nil }
	if later, ok := src.(CheckedLater); ok {
		c := newChecks(later, l.give)
		next, used, verdict = later.Next, c.take, c.verdict
	}
	whole, err := l.pump(next, used)
	// The worker keeps its end open for life; let the pipe be small then.
	resizePipe(l.pipe, os.Getpagesize())
	if whole {
		_ = l.pipe.Close()
	}
	if checked := verdict(); whole {
		return checked
	}
	return err
}

// feedHead gives the worker a heap's head, if it was read off, and then gives
// the rest, for which a hull waits here; nil if there is an error, or the worker
// is gone.
func (l *load) feedHead(src io.Reader) (rest io.Reader, err error) {
	h, ok := src.(headed)
	if !ok {
		return src, nil
	}
	if err := l.send(part{data: h.head()}); err != nil {
		return nil, l.writeFailure(err)
	}
	l.pulse.wait()
	defer l.pulse.done()
	if rest = h.tail(); rest == nil {
		return nil, errNoHeap
	}
	return rest, nil
}

// checks checks the parts of a heap beside those who go on using it.
type checks struct {
	heap  CheckedLater
	parts chan part
	over  sync.WaitGroup
}

// newChecks gives checks whose parts go to used in the end.
func newChecks(heap CheckedLater, used func(part)) *checks {
	c := &checks{heap: heap, parts: make(chan part, loadAhead)}
	c.over.Go(func() {
		for p := range c.parts {
			heap.Check(p.data)
			used(p)
		}
	})
	return c
}

func (c *checks) take(p part) { c.parts <- p }

// verdict waits for the last part; none may follow.
func (c *checks) verdict() error {
	close(c.parts)
	c.over.Wait()
	return c.heap.Verdict()
}

// loadAhead is how many parts of a snapshot are read before the worker wants
// them: 16 MiB, a whole heap of the usual size. Unpacking and hashing begin
// before the engine has started, and go on while it builds its heap.
const loadAhead = 64

// part is a piece of a snapshot, the error at its end, or both.
type part struct {
	data   []byte
	inArea bool // data is there, and the worker finds it there
	err    error
}

// read reads the next part.
func (l *load) read(next readFunc) part {
	p, ok := l.area.fill(next)
	if !ok {
		p.data, p.err = fill(next, l.buffers.take(), snapshotChunkBytes)
	}
	return p
}

// give takes back a part that is of no more use.
func (l *load) give(p part) {
	if !p.inArea {
		l.buffers.give(p.data)
	}
}

// send gives the worker a part.
func (l *load) send(p part) error {
	if l.area != nil {
		if _, err := l.pipe.Write(portionHead(len(p.data), p.inArea)); err != nil || p.inArea {
			return err
		}
	}
	_, err := l.pipe.Write(p.data)
	return err
}

// pump gives the worker what next reads, each part then to used, and tells
// whether it took the whole of it. A worker that died in the middle tells more by
// its exit.
func (l *load) pump(next readFunc, used func(part)) (whole bool, err error) {
	parts, stop := make(chan part, loadAhead), make(chan struct{})
	var reading sync.WaitGroup
	reading.Go(func() { l.readAhead(next, parts, stop) })
	defer reading.Wait()
	defer close(stop)
	for {
		l.pulse.wait()
		p := <-parts
		l.pulse.done()
		if len(p.data) > 0 {
			if err := l.send(p); err != nil {
				return false, l.writeFailure(err)
			}
			l.pulse.beat()
		}
		used(p)
		if p.err == io.EOF {
			return true, nil
		}
		if p.err != nil {
			return false, p.err
		}
	}
}

type readFunc func([]byte) (int, error)

// readAhead reads to the end, unless it is to stop.
func (l *load) readAhead(next readFunc, parts chan<- part, stop <-chan struct{}) {
	for {
		p := l.read(next)
		select {
		case parts <- p:
		case <-stop:
			return
		}
		if p.err != nil {
			return
		}
	}
}

// fill reads until buf has enough bytes or src has ended, in whatever way.
func fill(next readFunc, buf []byte, enough int) ([]byte, error) {
	n := 0
	for n < enough {
		m, err := next(buf[n:])
		n += m
		if err != nil {
			return buf[:n], err
		}
	}
	return buf[:n], nil
}

// buffers keeps what loads read into, as much as one load uses: memory that was
// used lately costs no page faults. Safe for concurrent use.
type buffers chan []byte

func newBuffers() buffers { return make(buffers, loadAhead) }

func (b buffers) take() []byte {
	select {
	case buf := <-b:
		return buf
	default:
		return make([]byte, snapshotChunkBytes)
	}
}

func (b buffers) give(buf []byte) {
	select {
	case b <- buf[:cap(buf)]:
	default:
	}
}

func (l *load) writeFailure(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return &ProtocolError{Name: l.name(), Op: opLoad.String(), Reason: "it was ready before it had taken the whole snapshot, which goes on behind the end of its heap"}
	}
	if errors.Is(err, os.ErrClosed) || isBrokenPipe(err) {
		return nil
	}
	return fmt.Errorf("cannot write to the worker: %w", err)
}

// finish is called when the worker has loaded all it wants; what it has not
// taken by now it never will, so the pump must not wait for it.
func (l *load) finish() error {
	_ = l.pipe.SetWriteDeadline(time.Unix(1, 0))
	<-l.done
	return l.failure()
}

func (l *load) abandon() {
	_ = l.pipe.SetWriteDeadline(time.Unix(1, 0))
	<-l.done
}

func (l *load) failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

func (l *load) setFailure(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

func isBrokenPipe(err error) bool { return errors.Is(err, syscall.EPIPE) }
