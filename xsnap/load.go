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
	pulse   *pulse
	buffers buffers
	done    chan struct{}

	mu  sync.Mutex // guards err
	err error      // why the snapshot is not to be trusted
}

// startLoad reads src to its end, in a goroutine, into pipe. A source that
// fails kills the process: a worker must not run on half a snapshot, or on one
// whose hash proves wrong at its end.
func startLoad(src io.Reader, pipe *os.File, w *Worker, b buffers) *load {
	l := &load{name: w.Name, pipe: pipe, pulse: &w.pulse, buffers: b, done: make(chan struct{})}
	go func() {
		defer close(l.done)
		defer pipe.Close()
		if err := l.pump(src); err != nil {
			l.setFailure(err)
			w.Kill()
		}
		// The worker keeps its end open for life; let the pipe be small then.
		resizePipe(pipe, os.Getpagesize())
	}()
	return l
}

// loadAhead is how many parts of a snapshot are read before the worker wants
// them: 16 MiB, a whole heap of the usual size. Unpacking and hashing begin
// before the engine has started, and go on while it builds its heap.
const loadAhead = 64

// part is a piece of a snapshot, the error at its end, or both.
type part struct {
	data []byte
	err  error
}

// pump returns the source's error, or that the worker did not want all of it.
// A worker that died in the middle tells more by its exit.
func (l *load) pump(src io.Reader) error {
	parts, stop := make(chan part, loadAhead), make(chan struct{})
	var reading sync.WaitGroup
	reading.Go(func() { l.readAhead(src, parts, stop) })
	defer reading.Wait()
	defer close(stop)
	for {
		l.pulse.wait()
		p := <-parts
		l.pulse.done()
		if len(p.data) > 0 {
			if _, err := l.pipe.Write(p.data); err != nil {
				return l.writeFailure(err)
			}
			l.pulse.beat()
		}
		l.buffers.give(p.data)
		if p.err == io.EOF {
			return nil
		}
		if p.err != nil {
			return p.err
		}
	}
}

// readAhead reads src to its end, unless it is to stop.
func (l *load) readAhead(src io.Reader, parts chan<- part, stop <-chan struct{}) {
	for {
		p := part{data: l.buffers.take()}
		p.data, p.err = fill(src, p.data)
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

// fill reads until buf is full or src has ended, in whatever way.
func fill(src io.Reader, buf []byte) ([]byte, error) {
	n := 0
	for n < len(buf) {
		m, err := src.Read(buf[n:])
		n += m
		if err != nil {
			return buf[:n], err
		}
	}
	return buf, nil
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
