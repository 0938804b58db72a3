package workerlogs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

func TestRingKeepsTheNewest(t *testing.T) {
	path := logsDir(t)
	o := options()
	w := testWriter(path, o)
	defer w.closeAll()
	const lines, size = 600, 2 << 10
	for n := range lines {
		if n == lines/2 { // another process goes on
			w.closeAll()
			w = testWriter(path, o)
		}
		write(w, long("v1", n, size))
		names, bytes := segmentsIn(t, path)
		if len(names) > 2 || bytes > o.VatBytes || w.bytes < bytes || w.bytes > bytes+2*blockBytes {
			t.Fatalf("after %d: %q, %d bytes, counted as %d", n, names, bytes, w.bytes)
		}
	}
	got := entriesIn(t, path, Query{})
	if least := int(o.VatBytes / 2 / (size + 300)); len(got) < least {
		t.Errorf("%d entries are kept, at least %d fit", len(got), least)
	}
	for i, e := range got {
		if e.Position != int64(lines-len(got)+i) {
			t.Fatalf("entry %d of %d is %d", i, len(got), e.Position)
		}
	}
}

// A batch of many segments fills each.
func TestOneBatchOfManySegments(t *testing.T) {
	path := logsDir(t)
	w := testWriter(path, options())
	defer w.closeAll()
	var all []Entry
	for n := range 300 {
		all = append(all, long("v1", n, 4<<10))
	}
	write(w, all...)
	if got := entriesIn(t, path, Query{}); len(got) < 32 || got[len(got)-1].Position != 299 {
		t.Errorf("%d entries are kept", len(got))
	}
	if n := w.rings["v1"].number; n != 300/30+1 && n != 300/30 {
		t.Errorf("%d segments", n)
	}
}

func TestTotalTakesFromWhoWasSilentLongest(t *testing.T) {
	path := logsDir(t)
	o := Options{VatBytes: MinVatBytes, TotalBytes: 4 * MinVatBytes}
	w := testWriter(path, o)
	defer w.closeAll()
	n := 0
	speak := func(vatID string, times int) {
		for range times {
			n++
			write(w, long(vatID, n, 4<<10))
		}
	}
	const whole = 56 // entries in which a ring is full
	for v := range 4 {
		speak(fmt.Sprintf("v%d", v), whole)
	}
	speak("v0", 1)
	speak("v4", whole)
	if _, bytes := segmentsIn(t, path); bytes > o.TotalBytes || w.bytes > o.TotalBytes {
		t.Errorf("%d bytes, counted as %d", bytes, w.bytes)
	}
	left := map[string]int{}
	for _, e := range entriesIn(t, path, Query{}) {
		left[e.VatID]++
	}
	if left["v1"] >= left["v2"] || left["v0"] < left["v2"] || left["v4"] < whole*2/5 {
		t.Errorf("left are %v", left)
	}
	w.closeAll()
	o.TotalBytes = MinVatBytes
	w = testWriter(path, o)
	defer w.closeAll()
	write(w, said("v9", n))
	if w.bytes > o.TotalBytes || len(w.rings) != w.recent.Len() {
		t.Errorf("%d bytes, %d rings, %d in order", w.bytes, len(w.rings), w.recent.Len())
	}
	names, _ := segmentsIn(t, path)
	if !slices.Contains(names, "v9.1.log") || !slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(name, "v4.") }) {
		t.Errorf("left are %q", names)
	}
}

func TestOpenFilesAreBounded(t *testing.T) {
	path := logsDir(t)
	w := testWriter(path, options())
	defer w.closeAll()
	const vats = 3 * maxOpenFiles
	for round := range 3 {
		var all []Entry
		for v := range vats {
			all = append(all, said(fmt.Sprintf("v%d", v), round))
		}
		write(w, all...)
		if open := openIn(t, path); open > maxOpenFiles || open != w.opened.Len() {
			t.Fatalf("%d files are open, %d counted", open, w.opened.Len())
		}
	}
	r := NewReader(path, Query{})
	defer r.Close()
	if got := drain(t, r); len(got) != 3*vats {
		t.Errorf("%d entries", len(got))
	}
	w.closeAll()
	if open := openIn(t, path); open > readerFiles || open != r.files {
		t.Errorf("the reader has %d files open, and counts %d", open, r.files)
	}
	r.Close()
	if open := openIn(t, path); open != 0 {
		t.Errorf("%d files stay open", open)
	}
}

// openIn counts this process's open files in a directory.
func openIn(t *testing.T, path string) (n int) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if target, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(target, path+"/") {
			n++
		}
	}
	return n
}

// A line that a crash has torn, at any length, costs that line only.
func TestTornEnds(t *testing.T) {
	path := logsDir(t)
	w := testWriter(path, options())
	write(w, said("v1", 1), said("v1", 2))
	w.closeAll()
	file := filepath.Join(path, "v1.1.log")
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	first := strings.Index(string(whole), "\n") + 1
	for end := first; end <= len(whole); end++ {
		if err := os.WriteFile(file, whole[:end], 0o600); err != nil {
			t.Fatal(err)
		}
		before := []string{"v1 text 1"}
		if end == len(whole) {
			before = append(before, "v1 text 2")
		}
		want(t, entriesIn(t, path, Query{}), before...)
		w := testWriter(path, options())
		write(w, said("v1", 3))
		w.closeAll()
		if end == len(whole)-1 {
			before = append(before, "v1 text 2") // all of it was there
		}
		want(t, entriesIn(t, path, Query{}), append(before, "v1 text 3")...)
	}
}

// What a power cut leaves in a file, such as zeros, is skipped too.
func TestGarbageIsSkipped(t *testing.T) {
	path := logsDir(t)
	w := testWriter(path, options())
	write(w, said("v1", 1))
	w.closeAll()
	file, err := os.OpenFile(filepath.Join(path, "v1.1.log"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	junk := string(make([]byte, 5000)) + "\n{\"time\":\"2026-01-02T03:04:05Z\"}\n[]\n\n{\n" + strings.Repeat("y", 2*longestLineBytes)
	if _, err := file.WriteString(junk); err != nil {
		t.Fatal(err)
	}
	w = testWriter(path, Options{VatBytes: 8 << 20, TotalBytes: 64 << 20})
	write(w, said("v1", 2))
	w.closeAll()
	want(t, entriesIn(t, path, Query{}), "v1 text 1", "v1 text 2")
}

func TestFilesThatWereRemovedByHand(t *testing.T) {
	path := logsDir(t)
	w := testWriter(path, options())
	defer w.closeAll()
	write(w, said("v1", 1), said("v2", 1))
	for _, name := range []string{"v1.1.log", "v2.1.log"} {
		if err := os.Remove(filepath.Join(path, name)); err != nil {
			t.Fatal(err)
		}
	}
	w.close(w.rings["v2"])
	if lost := write(w, said("v1", 2), said("v2", 2)); lost > 0 {
		t.Errorf("%d lost", lost)
	}
	want(t, entriesIn(t, path, Query{}), "v1 text 2", "v2 text 2")
	if w.bytes != 2*blockBytes {
		t.Errorf("counted are %d bytes", w.bytes)
	}
}

var missingHere = regexp.MustCompile(`^(\d+) entr(?:y is|ies are) missing here: `)

// wantAccount checks that of the entries 0 to n-1 of a vat each was written or
// is said to be missing at its place.
func wantAccount(t failer, got []Entry, n int, untold int64) {
	t.Helper()
	next := int64(0)
	for _, e := range got {
		if m := missingHere.FindStringSubmatch(e.Text); m != nil && e.Source == SourceOwn {
			missing, _ := strconv.ParseInt(m[1], 10, 64)
			if e.Position != next {
				t.Fatalf("a gap at %d that is said to be at %d", next, e.Position)
			}
			next += missing
			continue
		}
		if e.Position != next {
			t.Fatalf("entry %d follows %d", e.Position, next-1)
		}
		next++
	}
	if next+untold != int64(n) {
		t.Fatalf("%d of %d entries are accounted for, %d are still to be told", next, n, untold)
	}
}

// Every operation fails, one or several in a row, at every index.
func TestFaultsAtEveryOperation(t *testing.T) {
	for _, width := range []int{1, 3} {
		for at := 0; ; at++ {
			if !faultAt(t, at, width) {
				t.Logf("%d operations", at)
				break
			}
		}
	}
}

var errFault = errors.New("injected")

// faultAt gives false when there was no such operation.
func faultAt(t *testing.T, at, width int) (met bool) {
	path := logsDir(t)
	ops := 0
	o := options()
	o.Fault = func(string) error {
		ops++
		if n := ops - 1; n >= at && n < at+width {
			met = true
			return errFault
		}
		return nil
	}
	told := []error{}
	o.Tell = func(err error) { told = append(told, err) }
	w := testWriter(path, o)
	const batches, size = 9, 15 << 10
	n := 0
	var lost int64
	for b := range batches {
		if b == batches/2 {
			w.closeAll()
			untold := w.missing()
			w = testWriter(path, o)
			if untold > 0 {
				return met // a process that ended before it could tell
			}
		}
		var all []Entry
		for range 4 {
			all = append(all, long("v1", n, size))
			n++
		}
		lost += write(w, all...)
	}
	defer w.closeAll()
	got := entriesIn(t, path, Query{})
	if names, bytes := segmentsIn(t, path); bytes > 2*o.VatBytes {
		t.Fatalf("fault %d: %q have %d bytes", at, names, bytes)
	}
	if len(got) == 0 {
		t.Fatalf("fault %d: nothing was written", at)
	}
	// The ring may have dropped the begin.
	from := int(got[0].Position)
	for i := range got {
		got[i].Position -= int64(from)
	}
	wantAccount(t, got, n-from, w.missing())
	if (lost > 0) != (len(told) > 0 && told[0] != nil) && met && lost > 0 {
		t.Fatalf("fault %d: %d lost, told %v", at, lost, told)
	}
	return met
}

// missing gives how many entries are missing that no line tells of.
func (w *writer) missing() (n int64) {
	for _, r := range w.rings {
		n += r.missing
	}
	return n
}

func TestRandomFaultsAreAccountedFor(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		path := logsDir(t)
		o := Options{VatBytes: 8 << 20, TotalBytes: 64 << 20}
		faults := rapid.SliceOfN(rapid.Bool(), 0, 60).Draw(rt, "faults")
		o.Fault = func(string) error {
			if len(faults) == 0 {
				return nil
			}
			fails := faults[0]
			faults = faults[1:]
			if fails {
				return errFault
			}
			return nil
		}
		w := testWriter(path, o)
		defer w.closeAll()
		n := 0
		for range rapid.IntRange(1, 12).Draw(rt, "batches") {
			var all []Entry
			for range rapid.IntRange(1, 4).Draw(rt, "entries") {
				all = append(all, said("v1", n))
				n++
			}
			write(w, all...)
		}
		wantAccount(t, entriesIn(t, path, Query{}), n, w.missing())
	})
}

// A full disk costs entries; they are counted, and once there is room again, told.
func TestFullDisk(t *testing.T) {
	mount := t.TempDir()
	if err := unix.Mount("none", mount, "tmpfs", 0, "size=512k,mode=0700"); err != nil {
		t.Skipf("NOT RUN: no small file system can be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(mount, unix.MNT_DETACH) })
	path := filepath.Join(mount, "logs")
	told := []error{}
	o := Options{VatBytes: 1 << 20, TotalBytes: 64 << 20, Tell: func(err error) { told = append(told, err) }}
	w := testWriter(path, o)
	defer w.closeAll()
	n := 0
	speak := func(times int) (lost int64) {
		for range times {
			lost += write(w, long("v1", n, 3000))
			n++
		}
		return lost
	}
	ballast := filepath.Join(mount, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 300<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	if lost := speak(100); lost == 0 || len(told) != 1 || !errors.Is(told[0], unix.ENOSPC) {
		t.Fatalf("%d lost, told %v", lost, told)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if lost := speak(20); lost > 0 || len(told) != 2 || told[1] != nil {
		t.Errorf("%d lost, told %v", lost, told)
	}
	wantAccount(t, entriesIn(t, path, Query{}), n, 0)
}
