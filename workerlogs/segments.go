package workerlogs

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// maxOpenFiles bounds how many segments a writer has open.
const maxOpenFiles = 64

// segment is a file found in the directory.
type segment struct {
	number  int64
	size    int64
	written time.Time
}

// listing is what the directory has of one vat, by number.
type listing struct {
	stem  string
	kept  []segment // the newest, and the one before it
	stray []segment // what could not be removed when it was time
}

func (l listing) newest() segment { return l.kept[len(l.kept)-1] }

// listDir lists a directory, by vat. One that is not there is empty.
func listDir(path string) ([]listing, error) {
	files, err := os.ReadDir(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot list the worker logs: %w", err)
	}
	byStem := map[string][]segment{}
	for _, file := range files {
		stem, number, ok := parseSegment(file.Name())
		if !ok {
			continue
		}
		info, err := file.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("cannot list the worker logs: %w", err)
		}
		byStem[stem] = append(byStem[stem], segment{number, info.Size(), info.ModTime()})
	}
	all := make([]listing, 0, len(byStem))
	for stem, segments := range byStem {
		all = append(all, listingOf(stem, segments))
	}
	slices.SortFunc(all, func(a, b listing) int { return cmp.Compare(a.stem, b.stem) })
	return all, nil
}

func listingOf(stem string, segments []segment) listing {
	slices.SortFunc(segments, func(a, b segment) int { return cmp.Compare(a.number, b.number) })
	from := len(segments) - 1
	if from > 0 && segments[from-1].number == segments[from].number-1 {
		from--
	}
	return listing{stem: stem, kept: segments[from:], stray: segments[:from]}
}

// scan finds, before the first write, what the directory has.
func (w *writer) scan() error {
	if w.scanned {
		return nil
	}
	if err := w.op("mkdir"); err != nil {
		return err
	}
	if err := os.MkdirAll(w.path, 0o700); err != nil {
		return fmt.Errorf("cannot make the directory of worker logs: %w", err)
	}
	all, err := listDir(w.path)
	if err != nil {
		return err
	}
	w.rescue(all)
	w.scanned = true
	return nil
}

// rescue takes the segments of an earlier process over.
func (w *writer) rescue(all []listing) {
	slices.SortStableFunc(all, func(a, b listing) int { return a.newest().written.Compare(b.newest().written) })
	for _, l := range all {
		r := w.ring(l.stem)
		r.number, r.size = l.newest().number, l.newest().size
		if len(l.kept) > 1 {
			r.old = l.kept[0].size
		}
		w.bytes += r.disk()
		w.recent.MoveToFront(r.inRecent)
		for _, s := range l.stray {
			w.unlink(segmentName(l.stem, s.number))
		}
	}
}

func (w *writer) ringOf(e Entry) *ring { return w.ring(stemOf(e.VatID)) }

func (w *writer) ring(stem string) *ring {
	r := w.rings[stem]
	if r == nil {
		r = &ring{stem: stem, number: w.floor}
		r.inRecent = w.recent.PushFront(r)
		w.rings[stem] = r
	}
	return r
}

// open has a ring's newest segment open, and begins one if need be. It does
// neither before it is known what there is.
func (w *writer) open(r *ring) error {
	if !w.scanned {
		return w.failed
	}
	if r.file != nil && isUnlinked(r.file) {
		w.gone(r) // by somebody who wanted the room
	}
	if r.full || r.size == 0 && r.file == nil {
		return w.begin(r)
	}
	if r.file != nil {
		w.opened.MoveToFront(r.inOpened)
		return nil
	}
	if err := w.op("open"); err != nil {
		return err
	}
	file, err := os.OpenFile(w.segment(r, r.number), os.O_RDWR|os.O_APPEND, 0)
	if errors.Is(err, fs.ErrNotExist) {
		w.gone(r)
		return w.begin(r)
	}
	if err != nil {
		return fmt.Errorf("cannot open a worker log: %w", err)
	}
	w.adopt(r, file)
	r.torn = r.torn || endsInside(file, r.size)
	return nil
}

// gone notes that a ring's newest segment is not there any more.
func (w *writer) gone(r *ring) {
	w.close(r)
	w.bytes -= onDisk(r.size)
	r.size, r.full = 0, true
}

// begin begins a segment. The one before the last goes first: a ring on a full
// disk then has room in its own.
func (w *writer) begin(r *ring) error {
	w.close(r)
	w.removeOld(r)
	if err := w.op("create"); err != nil {
		return err
	}
	number := r.number + 1
	file, err := os.OpenFile(w.segment(r, number), os.O_RDWR|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("cannot begin a worker log: %w", err)
	}
	r.number, r.old, r.size = number, r.size, 0
	r.full, r.torn = false, false
	w.adopt(r, file)
	return nil
}

// adopt keeps a file open, for as long as others are not used more lately.
func (w *writer) adopt(r *ring, file *os.File) {
	if w.opened.Len() >= maxOpenFiles {
		w.close(w.opened.Back().Value.(*ring))
	}
	r.file, r.inOpened = file, w.opened.PushFront(r)
}

func (w *writer) close(r *ring) {
	if r.file == nil {
		return
	}
	_ = r.file.Close() // all was written
	w.opened.Remove(r.inOpened)
	r.file, r.inOpened = nil, nil
}

func (w *writer) closeAll() {
	for w.opened.Len() > 0 {
		w.close(w.opened.Back().Value.(*ring))
	}
}

func (w *writer) writeTo(r *ring) (int, error) {
	if err := w.op("write"); err != nil {
		return 0, err
	}
	n, err := r.file.Write(r.buf)
	if err != nil {
		return n, fmt.Errorf("cannot write a worker log: %w", err)
	}
	return n, nil
}

func (w *writer) removeOld(r *ring) {
	w.unlink(segmentName(r.stem, r.number-1))
	w.bytes -= onDisk(r.old)
	r.old = 0
}

// removeAll forgets a ring. If its vat speaks again its segments go on behind: who
// follows must not take them for those it knows.
func (w *writer) removeAll(r *ring) {
	w.close(r)
	w.removeOld(r)
	w.floor = max(w.floor, r.number)
	w.unlink(segmentName(r.stem, r.number))
	w.bytes -= r.disk()
	w.recent.Remove(r.inRecent)
	delete(w.rings, r.stem)
}

// unlink removes a segment. One that stays is found by the next process.
func (w *writer) unlink(name string) {
	err := w.op("remove")
	if err == nil {
		err = os.Remove(filepath.Join(w.path, name))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.fail(fmt.Errorf("cannot remove a worker log: %w", err))
	}
}

func (w *writer) segment(r *ring, number int64) string {
	return filepath.Join(w.path, segmentName(r.stem, number))
}

func (w *writer) op(name string) error {
	if err := w.bound.Fault(name); err != nil {
		return fmt.Errorf("cannot %s: %w", name, err)
	}
	return nil
}

// isUnlinked tells whether a file has lost its name.
func isUnlinked(f *os.File) bool {
	var st unix.Stat_t
	return unix.Fstat(int(f.Fd()), &st) == nil && st.Nlink == 0
}

// endsInside tells whether a file of a size ends inside a line.
func endsInside(f *os.File, size int64) bool {
	if size == 0 {
		return false
	}
	var end [1]byte
	_, err := f.ReadAt(end[:], size-1)
	return err != nil && err != io.EOF || end[0] != '\n'
}
