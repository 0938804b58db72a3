package xsnap

import (
	"fmt"
	"io"
	"strconv"

	"golang.org/x/sys/unix"
)

const (
	// MaxFromWorker is the longest netstring, in bytes, a worker may send. The
	// JavaScript system has the same limit.
	MaxFromWorker = 12_000_000
	// MaxToWorker is the longest netstring xsnap-worker can read: nine digits.
	MaxToWorker = 999_999_999

	readBufferBytes   = 64 << 10
	keepBufferBytes   = 1 << 20 // a larger read buffer is given back after its frame
	gatherWriteBytes  = 64 << 10
	maxLengthDigits   = 9
	frameOverheadHint = maxLengthDigits + 2
)

// FrameError tells what is wrong with bytes that should have been a netstring.
type FrameError struct {
	Reason string
}

func (e *FrameError) Error() string { return "bad netstring: " + e.Reason }

// frameReader cuts netstrings out of a byte stream, with one read per frame
// where a frame fits into what the stream has.
type frameReader struct {
	r          io.Reader
	limit      int
	buf        []byte
	start, end int // buf[start:end] was read and not yet returned
}

func newFrameReader(r io.Reader, limit int) *frameReader {
	return &frameReader{r: r, limit: limit, buf: make([]byte, readBufferBytes)}
}

// next returns the next netstring's payload, valid until the following call.
// The end of the stream is io.EOF between two frames and io.ErrUnexpectedEOF
// inside one; malformed or too long frames are a *FrameError.
func (f *frameReader) next() ([]byte, error) {
	f.rewind()
	for {
		size, head, err := parseLength(f.buf[f.start:f.end], f.limit)
		if err != nil {
			return nil, err
		}
		if head > 0 {
			total := head + size + 1
			if f.end-f.start >= total {
				return f.take(head, size)
			}
			f.reserve(total)
		}
		if err := f.fill(); err != nil {
			return nil, err
		}
	}
}

func (f *frameReader) rewind() {
	if f.start < f.end {
		return
	}
	f.start, f.end = 0, 0
	if len(f.buf) > keepBufferBytes {
		f.buf = make([]byte, readBufferBytes)
	}
}

func (f *frameReader) take(head, size int) ([]byte, error) {
	at := f.start + head
	if f.buf[at+size] != ',' {
		return nil, &FrameError{fmt.Sprintf("%d bytes are followed by %q, not by a comma", size, f.buf[at+size])}
	}
	f.start = at + size + 1
	return f.buf[at : at+size : at+size], nil
}

// reserve makes room for a frame of total bytes that begins at start.
func (f *frameReader) reserve(total int) {
	if len(f.buf)-f.start >= total {
		return
	}
	buf := f.buf
	if len(buf) < total {
		buf = make([]byte, total)
	}
	f.end = copy(buf, f.buf[f.start:f.end])
	f.start = 0
	f.buf = buf
}

func (f *frameReader) fill() error {
	if f.end == len(f.buf) {
		f.reserve(len(f.buf) - f.start + frameOverheadHint)
	}
	n, err := f.r.Read(f.buf[f.end:])
	f.end += n
	switch {
	case n > 0:
		return nil
	case err == nil:
		return io.ErrNoProgress
	case err == io.EOF && f.end > f.start:
		return io.ErrUnexpectedEOF
	}
	return err
}

// parseLength reads "123:" at the begin of b; head is 0 while more is needed.
func parseLength(b []byte, limit int) (size, head int, err error) {
	for i, c := range b {
		if c == ':' && i > 0 {
			return size, i + 1, nil
		}
		if c < '0' || c > '9' {
			return 0, 0, &FrameError{fmt.Sprintf("the length begins with %q", preview(b))}
		}
		if i == 1 && size == 0 {
			return 0, 0, &FrameError{"the length has a leading zero"}
		}
		size = size*10 + int(c-'0')
		if size > limit {
			return 0, 0, &FrameError{fmt.Sprintf("it is longer than the limit of %d bytes", limit)}
		}
	}
	return 0, 0, nil
}

// preview shortens bytes of unknown origin for an error text.
func preview(b []byte) string {
	const most = 200
	if len(b) <= most {
		return string(b)
	}
	return string(b[:most]) + "…"
}

// frameWriter writes netstrings to a blocking descriptor.
type frameWriter struct {
	fd  rawFD
	buf []byte
}

// write sends the tag and the parts as the payload of one netstring: a small
// one with one write, a large one without copying it.
func (w *frameWriter) write(tag string, parts ...[]byte) error {
	size := len(tag)
	for _, p := range parts {
		size += len(p)
	}
	if size > MaxToWorker {
		return &FrameError{fmt.Sprintf("%d bytes to a worker are more than the %d it can read", size, MaxToWorker)}
	}
	w.buf = append(strconv.AppendInt(w.buf[:0], int64(size), 10), ':')
	w.buf = append(w.buf, tag...)
	if size > gatherWriteBytes {
		return w.gather(parts)
	}
	for _, p := range parts {
		w.buf = append(w.buf, p...)
	}
	w.buf = append(w.buf, ',')
	return w.fd.writeAll(w.buf)
}

func (w *frameWriter) gather(parts [][]byte) error {
	vec := make([][]byte, 0, len(parts)+2)
	vec = append(vec, w.buf)
	vec = append(vec, parts...)
	vec = append(vec, []byte{','})
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

// rawFD is a blocking descriptor that bypasses the runtime's poller: a reply
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
