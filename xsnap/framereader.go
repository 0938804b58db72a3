package xsnap

import (
	"fmt"
	"io"

	"vatworkerd/frames"
)

const (
	readBufferBytes   = 64 << 10
	keepBufferBytes   = 1 << 20 // a larger read buffer is given back after its frame
	frameOverheadHint = 16      // bytes of a frame's head and tail at least
)

// framing is how frames follow each other in a stream of bytes.
type framing struct {
	// cut reads the length of the frame at the begin of b, which is over limit
	// in an error; head is the bytes before the frame's content, 0 while more is
	// needed to tell.
	cut func(b []byte, limit int) (size, head int, err error)
	// tail ends a frame.
	tail string
}

// frameReader cuts frames out of a byte stream, with one read per frame where a
// frame fits into what the stream has.
type frameReader struct {
	r          io.Reader
	framing    framing
	limit      int
	tape       *frames.Tape
	buf        []byte
	start, end int // buf[start:end] was read and not yet returned
}

func newFrameReader(r io.Reader, framing framing, limit int) *frameReader {
	return &frameReader{r: r, framing: framing, limit: limit, buf: make([]byte, readBufferBytes)}
}

// next returns the next frame's content, valid until the following call. The
// end of the stream is io.EOF between two frames and io.ErrUnexpectedEOF inside
// one; malformed or too long frames are the framing's error.
func (f *frameReader) next() ([]byte, error) {
	frame, err := f.cut()
	if err != nil && f.start < f.end {
		f.tape.Received(f.buf[f.start:f.end], true)
	}
	return frame, err
}

func (f *frameReader) cut() ([]byte, error) {
	f.rewind()
	for {
		size, head, err := f.framing.cut(f.buf[f.start:f.end], f.limit)
		if err != nil {
			return nil, err
		}
		if head > 0 {
			total := head + size + len(f.framing.tail)
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

// left is what was read behind the last frame.
func (f *frameReader) left() []byte { return f.buf[f.start:f.end] }

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
	end := at + size
	f.start = end + len(f.framing.tail)
	if tail := f.buf[end:f.start]; string(tail) != f.framing.tail {
		return nil, &FrameError{fmt.Sprintf("%d bytes are followed by %q, not by %q", size, tail, f.framing.tail)}
	}
	f.tape.Received(f.buf[at-head:f.start], false)
	return f.buf[at:end:end], nil
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

// preview shortens bytes of unknown origin for an error text.
func preview(b []byte) string {
	const most = 200
	if len(b) <= most {
		return string(b)
	}
	return string(b[:most]) + "…"
}
