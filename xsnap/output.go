package xsnap

import (
	"bufio"
	"errors"
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// LogSink takes one line a worker wrote, without its newline; stream is
// "stdout" or "stderr". It is called from several goroutines at once and must
// not call the worker. The caller's sink knows which vat it is for.
type LogSink func(stream, line string)

const (
	stderrTailBytes = 4 << 10
	maxLineBytes    = 16 << 10 // a longer line reaches the sink in pieces
	// maxOutputBytes is what one worker may say on one stream in its life. Stock
	// engines say a line or two, when they die.
	maxOutputBytes = 4 << 20
)

// tailBuffer keeps the end of what was written to it.
type tailBuffer struct {
	mu   sync.Mutex // guards data
	data []byte
}

func (t *tailBuffer) add(p []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = append(t.data, p...)
	if len(t.data) > stderrTailBytes {
		t.data = append(t.data[:0], t.data[len(t.data)-stderrTailBytes:]...)
	}
}

func (t *tailBuffer) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.ToValidUTF8(string(t.data), "�")
}

// forwardLines reads f to its end, line by line, and closes it. What goes
// beyond maxOutputBytes is read, so that the worker does not block, and dropped.
func forwardLines(f *os.File, stream string, sink LogSink, tail *tailBuffer) {
	defer f.Close()
	if sink == nil {
		sink = func(string, string) {}
	}
	r := bufio.NewReaderSize(f, maxLineBytes)
	for told := 0; ; {
		line, err := r.ReadSlice('\n')
		if len(line) > 0 && tail != nil {
			tail.add(line)
		}
		if len(line) > 0 && told <= maxOutputBytes {
			sink(stream, strings.ToValidUTF8(strings.TrimRight(string(line), "\r\n"), "�"))
			if told += len(line); told > maxOutputBytes {
				sink(stream, "(more than 4 MiB of output: the rest is dropped)")
			}
		}
		switch {
		case err == nil || err == bufio.ErrBufferFull:
			continue
		case err != io.EOF && !isHangup(err):
			sink(stream, "cannot read the worker's output: "+err.Error())
		}
		return
	}
}

// isHangup tells whether reading has ended as it does on a terminal whose other
// end nobody has open any more.
func isHangup(err error) bool { return errors.Is(err, unix.EIO) }
