package xsnap

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const snapshotChunkBytes = 256 << 10

// Snapshot writes the worker's heap to dst, uncompressed, and returns its size
// in bytes. It is called between deliveries; the engine collects garbage first.
// The bytes are worth nothing unless the error is nil. If dst fails, the worker
// can go on; any other error means that it is gone or going. Another goroutine
// writes to dst, but never after Snapshot has returned.
func (w *Worker) Snapshot(dst io.Writer) (size int64, err error) {
	if w.broken != nil {
		return 0, w.broken
	}
	resizePipe(w.save, snapshotPipeBytes)
	defer resizePipe(w.save, os.Getpagesize())
	// The worker answers only when the pipe has taken every byte, so somebody
	// must read the pipe before it is asked to write.
	d := &drain{src: w.save, dst: dst, pulse: &w.pulse, limit: w.heapLimit, overrun: w.Kill}
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.run()
	}()
	reply, _, err := w.command(opSnapshot, nil, cmdSnapshot)
	_ = w.save.SetReadDeadline(time.Unix(1, 0))
	<-done
	_ = w.save.SetReadDeadline(time.Time{})
	if d.size > w.heapLimit {
		return 0, w.protocolBroken(opSnapshot, fmt.Sprintf("it wrote more than %d bytes", w.heapLimit), nil, nil)
	}
	if err != nil {
		return 0, err
	}
	want, ok := w.wire.heapBytes(reply)
	if !ok {
		return 0, w.protocolBroken(opSnapshot, "the reply is no length", reply, nil)
	}
	d.rest(want)
	return w.checkSnapshot(want, d)
}

func (w *Worker) checkSnapshot(want int64, d *drain) (int64, error) {
	if d.readErr != nil {
		return 0, w.fail(fmt.Errorf("cannot read the heap snapshot of worker %s: %w", w.Name(), d.readErr))
	}
	if d.size != want {
		return 0, w.protocolBroken(opSnapshot, fmt.Sprintf("it announced %d bytes but wrote %d", want, d.size), nil, nil)
	}
	if d.writeErr != nil {
		return 0, fmt.Errorf("cannot save the heap snapshot of worker %s: %w", w.Name(), d.writeErr)
	}
	return d.size, nil
}

// drain moves a snapshot from the worker's pipe to its destination. It goes on
// reading when the destination fails, or the worker would stay blocked.
type drain struct {
	src      *os.File
	dst      io.Writer
	pulse    *pulse
	limit    int64  // bytes after which nothing is taken any more
	overrun  func() // is called then, and ends the worker
	buf      []byte
	size     int64
	readErr  error
	writeErr error
}

// run ends at src's read deadline or at its end.
func (d *drain) run() {
	d.buf = make([]byte, snapshotChunkBytes)
	for {
		n, err := d.src.Read(d.buf)
		d.take(d.buf[:n])
		if err == nil {
			continue
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) && err != io.EOF {
			d.readErr = err
		}
		return
	}
}

// rest takes what is in the pipe now, up to a byte more than the worker said it
// wrote. It has written all before it replied, so nothing can be under way.
func (d *drain) rest(want int64) {
	conn, err := d.src.SyscallConn()
	if err != nil {
		d.readErr = err
		return
	}
	err = conn.Control(func(fd uintptr) {
		for {
			n, err := unix.Read(int(fd), d.buf)
			if err == unix.EINTR {
				continue
			}
			if err != nil && err != unix.EAGAIN {
				d.readErr = err
			}
			if n <= 0 {
				return
			}
			if d.take(d.buf[:n]); d.size > want {
				return
			}
		}
	})
	if err != nil {
		d.readErr = err
	}
}

func (d *drain) take(p []byte) {
	d.size += int64(len(p))
	d.pulse.beat()
	if d.size > d.limit {
		d.overrun()
		return
	}
	if d.writeErr != nil || len(p) == 0 {
		return
	}
	d.pulse.wait()
	defer d.pulse.done()
	_, d.writeErr = d.dst.Write(p)
}
