package pipeproto

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	// headerBytes is the length prefix of a frame: a big-endian uint32 that
	// counts the bytes after it.
	headerBytes = 4

	// MinFrameBytes is the least frame limit an end may have: every error frame fits it.
	MinFrameBytes = 4096

	// firstReadBytes is how much of a claimed length is believed before any of
	// it has arrived.
	firstReadBytes = 64 << 10

	// keepBufferBytes is the largest buffer kept for the next frame, so that
	// one bundle does not pin its size for the life of a connection.
	keepBufferBytes = 1 << 20
)

// FrameError reports bytes that are no frame of this protocol, or a frame that
// breaks its rules. The connection is of no use afterwards.
type FrameError struct {
	// Reason says what was wrong, for people.
	Reason string
	// FromPeer is set when the other end found the fault in what this end sent.
	FromPeer bool
	// Err is the cause, if there is one: io.ErrUnexpectedEOF for a stream that
	// ended in the middle of a frame, the peer's *Error with FromPeer.
	Err error
}

func (e *FrameError) Error() string {
	what := "broken pipe protocol: "
	if e.FromPeer {
		what = "the other end of the pipe refused what it was sent: "
	}
	return what + e.Reason
}

// Unwrap gives the cause.
func (e *FrameError) Unwrap() error { return e.Err }

func frameErrorf(format string, args ...any) *FrameError {
	return &FrameError{Reason: fmt.Sprintf(format, args...)}
}

// readFrame reads one frame of at most limit bytes into buf, which it may grow,
// and returns the frame's body. A stream that ends between frames gives io.EOF,
// one that ends inside a frame a *FrameError over io.ErrUnexpectedEOF.
func readFrame(r io.Reader, buf []byte, limit int) ([]byte, error) {
	var header [headerBytes]byte
	if n, err := io.ReadFull(r, header[:]); err != nil {
		if errors.Is(err, io.EOF) {
			return buf[:0], io.EOF
		}
		return buf[:0], cutShort(err, n, headerBytes)
	}
	claimed := binary.BigEndian.Uint32(header[:])
	if claimed == 0 {
		return buf[:0], frameErrorf("a frame of length 0")
	}
	if uint64(claimed) > uint64(limit) {
		return buf[:0], frameErrorf("a frame of %d bytes is over the limit of %d", claimed, limit)
	}
	return readBody(r, buf[:0], int(claimed))
}

// readBody appends size bytes of r to buf. It grows buf only as bytes arrive:
// a header that lies costs the liar as many bytes as it costs this end.
func readBody(r io.Reader, buf []byte, size int) ([]byte, error) {
	step := max(firstReadBytes, cap(buf))
	for len(buf) < size {
		have := len(buf)
		want := min(size, have+step)
		buf = growTo(buf, want)
		n, err := io.ReadFull(r, buf[have:])
		if err != nil {
			return buf[:0], cutShort(err, have+n, size)
		}
		step = max(step, len(buf))
	}
	return buf, nil
}

// growTo returns buf with length size, its contents kept.
func growTo(buf []byte, size int) []byte {
	if size <= cap(buf) {
		return buf[:size]
	}
	grown := make([]byte, size)
	copy(grown, buf)
	return grown
}

func cutShort(err error, got, want int) error {
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("cannot read a frame: %w", err)
	}
	return &FrameError{
		Reason: fmt.Sprintf("the stream ended in the middle of a frame (%d of %d bytes)", got, want),
		Err:    io.ErrUnexpectedEOF,
	}
}
