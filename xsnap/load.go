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
	pipe  *os.File
	pulse *pulse
	done  chan struct{}

	mu  sync.Mutex // guards err
	err error      // why the snapshot is not to be trusted
}

// startLoad reads src to its end, in a goroutine, into pipe. A source that
// fails kills the process: a worker must not run on half a snapshot, or on one
// whose hash proves wrong at its end.
func startLoad(src io.Reader, pipe *os.File, w *Worker) *load {
	l := &load{pipe: pipe, pulse: &w.pulse, done: make(chan struct{})}
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

// pump returns the source's error, or that the worker did not want all of it.
// A worker that died in the middle tells more by its exit.
func (l *load) pump(src io.Reader) error {
	buf := make([]byte, snapshotChunkBytes)
	for {
		l.pulse.wait()
		n, err := src.Read(buf)
		l.pulse.done()
		if n > 0 {
			if _, werr := l.pipe.Write(buf[:n]); werr != nil {
				return writeFailure(werr)
			}
			l.pulse.beat()
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func writeFailure(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errors.New("it goes on behind the end of the heap; it is no snapshot of this engine")
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
