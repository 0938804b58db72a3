package workerlogs

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestMergedByTime(t *testing.T) {
	path := logsDir(t)
	w := testWriter(path, options())
	write(w, said("v1", 1), said("v2", 2), said("v1", 3), said("v3", 3), said("v2", 9))
	write(w, said("v2", 4)) // its clock went back
	w.closeAll()
	want(t, entriesIn(t, path, Query{}), "v1 text 1", "v2 text 2", "v1 text 3", "v3 text 3", "v2 text 9", "v2 text 4")
	want(t, entriesIn(t, path, Query{VatIDs: []string{"v3", "v1", "v7"}}), "v1 text 1", "v1 text 3", "v3 text 3")
	want(t, entriesIn(t, path, Query{Since: said("", 3).Time}), "v1 text 3", "v3 text 3", "v2 text 9", "v2 text 4")
	want(t, entriesIn(t, path, Query{VatIDs: []string{}}))
	want(t, entriesIn(t, filepath.Join(path, "nowhere"), Query{}))
}

// Merging is sorting, over any number of vats, segments and files that are open.
func TestMergingIsSorting(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		path := logsDir(t)
		w := testWriter(path, Options{VatBytes: MinVatBytes, TotalBytes: 1 << 30})
		times := rapid.SliceOfN(rapid.IntRange(0, 50), 1, 60).Draw(rt, "times")
		slices.Sort(times)
		var all []Entry
		for i, n := range times {
			e := long(fmt.Sprintf("v%d", rapid.IntRange(0, 5).Draw(rt, "vat")), n, rapid.SampledFrom([]int{0, 100, 12000}).Draw(rt, "size"))
			e.Position = int64(i)
			all = append(all, e)
			write(w, e)
		}
		w.closeAll()
		got := entriesIn(t, path, Query{})
		slices.SortStableFunc(all, func(a, b Entry) int {
			return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.VatID, b.VatID))
		})
		if len(got) > len(all) {
			t.Fatalf("%d entries of %d", len(got), len(all))
		}
		all = all[len(all)-len(got):]
		for i := range got {
			if got[i].Position != all[i].Position && len(got) == len(times) {
				t.Fatalf("entry %d is %d, want %d", i, got[i].Position, all[i].Position)
			}
		}
	})
}

func TestFollowAcrossSegments(t *testing.T) {
	path := logsDir(t)
	r := NewReader(path, Query{Follow: true})
	defer r.Close()
	if got := drain(t, r); len(got) > 0 {
		t.Fatal(got)
	}
	w := testWriter(path, options())
	defer w.closeAll()
	n := 0
	for round := range 40 {
		var wanted []string
		for range 15 { // up to one new segment a round
			for _, vatID := range []string{"v1", fmt.Sprintf("w%d", round/8)} {
				n++
				write(w, long(vatID, n, 8000))
				wanted = append(wanted, fmt.Sprintf("%s text %d", vatID, n))
			}
		}
		want(t, drain(t, r), wanted...)
	}
	if w.rings["v1"].number < 10 {
		t.Errorf("only %d segments", w.rings["v1"].number)
	}
}

// Who follows too slowly is told that something is missing.
func TestFollowTooSlowly(t *testing.T) {
	path := logsDir(t)
	w := testWriter(path, options())
	defer w.closeAll()
	write(w, said("v1", 0))
	r := NewReader(path, Query{Follow: true})
	defer r.Close()
	want(t, drain(t, r), "v1 text 0")
	for n := range 100 {
		write(w, long("v1", n+1, 8000))
	}
	got := drain(t, r)
	if i := slices.IndexFunc(got, func(e Entry) bool { return strings.HasPrefix(e.Text, "entries may be missing") }); i < 1 || got[i-1].Position+1 >= got[i+1].Position {
		t.Errorf("no gap: %q", brief(got))
	}
	if last := got[len(got)-1]; last.Position != 100 {
		t.Errorf("the last is %d", last.Position)
	}
	for i := range len(got) - 1 {
		if got[i].Position > got[i+1].Position {
			t.Errorf("%d before %d", got[i].Position, got[i+1].Position)
		}
	}
}

// A vat whose whole ring was dropped for the total begins again.
func TestFollowThroughADroppedRing(t *testing.T) {
	path := logsDir(t)
	w := testWriter(path, options())
	defer w.closeAll()
	for n := range 40 {
		write(w, long("v1", n, 8000))
	}
	r := NewReader(path, Query{Follow: true})
	defer r.Close()
	drain(t, r)
	again := func() []Entry {
		w.removeAll(w.rings["v1"])
		want(t, drain(t, r))
		write(w, said("v1", 100), said("v1", 101))
		return drain(t, r)
	}
	want(t, again(), "v1 text 100", "v1 text 101")
	r.closeTail(r.tails["v1"]) // now it cannot know that it had all
	want(t, again(), "v1 entries may be missing here: they were dropped before they could be read", "v1 text 100", "v1 text 101")
}

// Without following, a reader ends, and with what there was when it began.
func TestReaderEndsWhereItBegan(t *testing.T) {
	path := logsDir(t)
	w := testWriter(path, options())
	defer w.closeAll()
	write(w, said("v1", 1), said("v2", 2), said("v1", 3))
	r := NewReader(path, Query{})
	defer r.Close()
	first, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	for n := range 20 {
		write(w, long("v1", 10+n, 8000), said("v3", 10+n))
	}
	want(t, append([]Entry{first}, drain(t, r)...), "v1 text 1", "v2 text 2", "v1 text 3")
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v", err)
	}
}

// A reader that meets half a line waits for the rest.
func TestHalfALine(t *testing.T) {
	path := logsDir(t)
	w := testWriter(path, options())
	write(w, said("v1", 1), said("v1", 2))
	w.closeAll()
	file := filepath.Join(path, "v1.1.log")
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for at := range len(whole) {
		if err := os.WriteFile(file, whole[:at], 0o600); err != nil {
			t.Fatal(err)
		}
		r := NewReader(path, Query{Follow: true})
		got := drain(t, r)
		rest, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := rest.Write(whole[at:]); err != nil {
			t.Fatal(err)
		}
		rest.Close()
		want(t, append(got, drain(t, r)...), "v1 text 1", "v1 text 2")
		r.Close()
	}
}

func TestSpeakers(t *testing.T) {
	path := logsDir(t)
	w := testWriter(path, options())
	for n := range 40 {
		write(w, long("v2", n, 8000))
	}
	write(w, said("v1", 1))
	w.closeAll()
	if err := os.WriteFile(filepath.Join(path, "v3.1.log"), []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Speakers(path)
	if err != nil || !slices.Equal(got, []Speaker{{"v1", "name of v1"}, {"v2", "name of v2"}}) {
		t.Errorf("%v, %v", got, err)
	}
}

// A reader keeps up with a writer beside it, and misses nothing that is not told.
func TestReaderBesideWriter(t *testing.T) {
	path := logsDir(t)
	d := openDir(t, path, options())
	const vats, lines = 3, 2000
	go func() {
		for n := range lines {
			for v := range vats {
				d.Add(long(fmt.Sprintf("v%d", v), n, 200))
			}
		}
		d.Close()
	}()
	r := NewReader(path, Query{Follow: true})
	defer r.Close()
	next := map[string]int64{}
	gaps := 0
	deadline := time.Now().Add(time.Minute)
	for done := 0; done < vats; {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			if time.Now().After(deadline) {
				t.Fatalf("it has come to %v", next)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if e.Source == SourceOwn {
			gaps++
			next[e.VatID] = -1
			continue
		}
		if at, ok := next[e.VatID]; ok && at >= 0 && e.Position != at {
			t.Fatalf("%s: %d follows %d", e.VatID, e.Position, at-1)
		}
		if next[e.VatID] = e.Position + 1; e.Position == lines-1 {
			done++
		}
	}
	t.Logf("%d gaps", gaps)
}
