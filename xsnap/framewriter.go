package xsnap

import (
	"io"

	"golang.org/x/sys/unix"

	"vatworkerd/frames"
)

const gatherWriteBytes = 64 << 10

// frameWriter writes frames to a blocking descriptor.
type frameWriter struct {
	fd   rawFD
	buf  []byte
	tape *frames.Tape
}

// flush sends what is in buf, the parts and the tail as one: a small frame with
// one write, a large one without copying it.
func (w *frameWriter) flush(parts [][]byte, tail string) error {
	w.tape.Sent(w.buf, parts, tail)
	if len(w.buf)+sizeOf(parts) > gatherWriteBytes {
		return w.gather(parts, tail)
	}
	for _, p := range parts {
		w.buf = append(w.buf, p...)
	}
	w.buf = append(w.buf, tail...)
	return w.fd.writeAll(w.buf)
}

func (w *frameWriter) gather(parts [][]byte, tail string) error {
	vec := make([][]byte, 0, len(parts)+2)
	vec = append(vec, w.buf)
	vec = append(vec, parts...)
	vec = append(vec, []byte(tail))
	for {
		for len(vec) > 0 && len(vec[0]) == 0 {
			vec = vec[1:]
		}
		if len(vec) == 0 {
			return nil
		}
		n, err := unix.Writev(int(w.fd), vec)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		vec = skip(vec, n)
	}
}

func sizeOf(parts [][]byte) (size int) {
	for _, p := range parts {
		size += len(p)
	}
	return size
}

// skip drops the first n bytes of vec; it changes vec's slices, not their bytes.
func skip(vec [][]byte, n int) [][]byte {
	for n > 0 && n >= len(vec[0]) {
		n -= len(vec[0])
		vec = vec[1:]
	}
	if n > 0 {
		vec[0] = vec[0][n:]
	}
	return vec
}

// r// rawFD is a blocking descriptor that bypasses the runtime's poller: a reply
// comes back to the very thread that asked, with no goroutine switch between.
type rawFD int

func (fd rawFD) Read(p []byte) (int, error) {
	for {
		n, err := unix.Read(int(fd), p)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return 0, err
		}
		if n == 0 {
			return 0, io.EOF
		}
		return n, nil
	}
}

func (fd rawFD) writeAll(p []byte) error {
	for len(p) > 0 {
		n, err := unix.Write(int(fd), p)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}
