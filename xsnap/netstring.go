package xsnap

import (
	"fmt"
	"strconv"
)

const (
	// MaxFromWorker is the longest netstring, in bytes, a worker may send. The
	// JavaScript system has the same limit.
	MaxFromWorker = 12_000_000
	// MaxToWorker is the longest netstring xsnap-worker can read: nine digits.
	MaxToWorker = 999_999_999
)

// FrameError tells what is wrong with bytes that should have been a netstring.
type FrameError struct {
	Reason string
}

func (e *FrameError) Error() string { return "bad netstring: " + e.Reason }

// netstrings are frames like "5:hello,".
func netstrings() framing { return framing{cut: parseLength, tail: ","} }

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

// writeNetstring sends the tag and the parts as the payload of one netstring.
func (w *frameWriter) writeNetstring(tag string, parts ...[]byte) error {
	size := len(tag) + sizeOf(parts)
	if size > MaxToWorker {
		return &FrameError{fmt.Sprintf("%d bytes to a worker are more than the %d it can read", size, MaxToWorker)}
	}
	w.buf = append(strconv.AppendInt(w.buf[:0], int64(size), 10), ':')
	w.buf = append(w.buf, tag...)
	return w.flush(parts, ",")
}
