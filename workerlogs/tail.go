package workerlogs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Bounds of a Reader.
const (
	readerFiles      = 256 // open at a time
	readerBytes      = 32 << 20
	leastChunkBytes  = 4 << 10
	mostChunkBytes   = 64 << 10
	longestLineBytes = 1 << 20 // what is longer is no line
)

// tail is how far the segments of one vat were read.
type tail struct {
	stem   string
	number int64
	newest int64 // number of the newest segment, as far as it was looked
	end    end   // of what was there when the vat was found

	file   *os.File // nil while closed
	offset int64    // of what was not read yet
	buf    []byte   // what was read: unread lines, and the begin of one

	has  bool
	head Entry
	last Entry // the head before; for the place of a gap
}

// end is a place in a vat's segments.
type end struct{ number, size int64 }

// line gives the next line of a vat without its end, valid until the next call;
// nil if there is none, yet.
func (r *Reader) line(t *tail) ([]byte, error) {
	for {
		if i := bytes.IndexByte(t.buf, '\n'); i >= 0 {
			line := t.buf[:i]
			t.buf = t.buf[i+1:]
			return line, nil
		}
		if len(t.buf) > longestLineBytes {
			t.buf = nil
		}
		more, err := r.more(t)
		if err != nil || !more {
			return nil, err
		}
	}
}

// more reads on, in the next segment if this one is at its end; false if there is
// nothing, yet.
func (r *Reader) more(t *tail) (bool, error) {
	n, err := r.read(t)
	switch {
	case errors.Is(err, errGone):
		return r.leap(t, true)
	case err != nil || n > 0:
		return n > 0, err
	case !r.query.Follow && t.number == t.end.number:
		return false, nil
	}
	_, err = os.Stat(filepath.Join(r.path, segmentName(t.stem, t.number+1)))
	switch {
	case err == nil:
		// The writer begins a segment when it is done with the one before.
		if n, err := r.read(t); err != nil || n > 0 {
			return n > 0, err
		}
		r.goTo(t, t.number+1)
		return true, nil
	case !errors.Is(err, fs.ErrNotExist):
		return false, fmt.Errorf("cannot look for worker logs: %w", err)
	case r.isThere(t) && t.newest <= t.number:
		return false, nil
	}
	return r.leap(t, false)
}

// errGone says that a segment is not there any more.
var errGone = errors.New("the segment is gone")

// read reads on in the present segment; 0 is its end.
func (r *Reader) read(t *tail) (n int, err error) {
	if err := r.openTail(t); err != nil {
		return 0, err
	}
	info, err := t.file.Stat()
	if err != nil {
		return 0, fmt.Errorf("cannot read the worker logs: %w", err)
	}
	rest := info.Size() - t.offset
	if !r.query.Follow && t.number == t.end.number {
		rest = t.end.size - t.offset
	}
	if rest <= 0 {
		return 0, nil
	}
	chunk := min(rest, max(int64(readerBytes/max(1, len(r.tails))), leastChunkBytes), mostChunkBytes)
	buf := make([]byte, len(t.buf)+int(chunk))
	had := copy(buf, t.buf)
	n, err = t.file.ReadAt(buf[had:], t.offset)
	t.buf = buf[:had+n]
	t.offset += int64(n)
	if err != nil && err != io.EOF {
		return n, fmt.Errorf("cannot read the worker logs: %w", err)
	}
	return n, nil
}

// isThere tells whether the present segment has its name still.
func (r *Reader) isThere(t *tail) bool {
	_, err := os.Stat(filepath.Join(r.path, segmentName(t.stem, t.number)))
	return err == nil
}

// leap goes on where the next segment is gone already, to the oldest that there
// is. isCut says that the present one was not read to its end.
func (r *Reader) leap(t *tail, isCut bool) (ok bool, err error) {
	all, err := listDir(r.path)
	if err != nil {
		return false, err
	}
	at := slices.IndexFunc(all, func(l listing) bool { return l.stem == t.stem })
	if at < 0 {
		return false, nil // the vat has said nothing since
	}
	oldest, newest := all[at].kept[0], all[at].newest()
	if oldest.number == t.number && r.isThere(t) {
		t.newest = newest.number
		return newest.number > t.number, nil
	}
	isGap := isCut || oldest.number > t.number+1
	r.goTo(t, oldest.number)
	t.newest, t.end = newest.number, end{newest.number, newest.size}
	if isGap {
		t.buf = t.gap()
	}
	return true, nil
}

func (r *Reader) goTo(t *tail, number int64) {
	r.closeTail(t)
	t.number, t.offset = number, 0
	t.buf = nil // the begin of a line that has no end
}

// gap is a line that says that entries may be gone.
func (t *tail) gap() []byte {
	e := t.last
	if e.VatID == "" {
		return nil // nothing was read before
	}
	e.Source, e.Level, e.Bytes, e.Replay = SourceOwn, "warn", 0, false
	e.Text = "entries may be missing here: they were dropped before they could be read"
	line, _ := appendLine(nil, e)
	return line
}

// openTail has the present segment open, or gives errGone.
func (r *Reader) openTail(t *tail) error {
	if t.file != nil {
		return nil
	}
	file, err := os.Open(filepath.Join(r.path, segmentName(t.stem, t.number)))
	if errors.Is(err, fs.ErrNotExist) {
		return errGone
	}
	if err != nil {
		return fmt.Errorf("cannot open the worker logs: %w", err)
	}
	if r.files >= readerFiles {
		r.closeOther()
	}
	t.file = file
	r.files++
	return nil
}

// closeOther closes any file: it is opened again when it is read.
func (r *Reader) closeOther() {
	for _, t := range r.tails {
		if t.file != nil {
			r.closeTail(t)
			return
		}
	}
}

func (r *Reader) closeTail(t *tail) {
	if t.file != nil {
		_ = t.file.Close() // it was only read
		t.file = nil
		r.files--
	}
}

// timeOf reads the time of a line, which comes first, without all the rest.
func timeOf(line []byte) (time.Time, bool) {
	text, ok := bytes.CutPrefix(line, []byte(`{"time":"`))
	if !ok {
		return time.Time{}, false
	}
	text, _, ok = bytes.Cut(text, []byte{'"'})
	if !ok {
		return time.Time{}, false
	}
	at, err := time.Parse(time.RFC3339Nano, string(text))
	return at, err == nil
}
