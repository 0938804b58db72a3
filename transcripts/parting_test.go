package transcripts

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"vatworkerd/store"
)

// rolled ends a span in a list of item numbers.
const rolled = -1

// tell writes a transcript of item numbers.
func tell(t testing.TB, db *store.DB, vatID string, numbers []int) {
	t.Helper()
	inCrank(t, db, func(c *store.Crank) {
		must(t, Init(c, vatID))
		at := 0
		for _, n := range numbers {
			if n == rolled {
				if _, err := RolloverSpan(c, vatID); err == nil { // else the span is empty
					at = 0
				}
				continue
			}
			text := item(n)
			if at == 0 {
				text = LoadSnapshot(fmt.Sprint(n)).Encode()
			}
			_, err := Append(c, vatID, text)
			must(t, err)
			at++
		}
	})
}

// Part finds what reading all items of both finds.
func TestPart(t *testing.T) {
	a, b := openTest(t), openTest(t)
	number := rapid.OneOf(rapid.IntRange(0, 9), rapid.Just(rolled))
	vats := 0
	rapid.Check(t, func(rt *rapid.T) {
		vats++
		vatID := fmt.Sprintf("v%d", vats)
		same := rapid.SliceOfN(number, 0, 150).Draw(rt, "same")
		one := append(slices.Clone(same), rapid.SliceOfN(number, 0, 5).Draw(rt, "one")...)
		other := append(slices.Clone(same), rapid.SliceOfN(number, 0, 5).Draw(rt, "other")...)
		tell(t, a, vatID, one)
		tell(t, b, vatID, other)
		got, err := Part(a, b, vatID)
		must(t, err)
		spansA, err := Spans(a, vatID)
		must(t, err)
		spansB, err := Spans(b, vatID)
		must(t, err)
		endA, endB := spansA[len(spansA)-1].EndPos, spansB[len(spansB)-1].EndPos
		itemsA, err := Items(a, vatID, 0, endA)
		must(t, err)
		itemsB, err := Items(b, vatID, 0, endB)
		must(t, err)
		for i := range min(len(itemsA), len(itemsB)) {
			if itemsA[i] != itemsB[i] {
				if got.Difference == nil || got.Position != int64(i) || got.Difference.Position != int64(i) || got.What == "" {
					rt.Fatalf("item %d differs, found %+v", i, got)
				}
				return
			}
		}
		switch {
		case got.Difference != nil:
			rt.Fatalf("no item differs, found %+v", got)
		case endA != endB && (got.Position != min(endA, endB) || !strings.Contains(got.What, "goes on to")):
			rt.Fatalf("%d and %d items, found %+v", endA, endB, got)
		case endA == endB && got.Same() != slices.Equal(spansA, spansB):
			rt.Fatalf("%+v and %+v, found %+v", spansA, spansB, got)
		}
	})
}

// What nodes remove of old spans does not count, but a difference may be in it.
func TestPartOfWhatIsRemoved(t *testing.T) {
	a, b := openTest(t), openTest(t)
	tell(t, a, "v1", []int{1, 2, 3, rolled, 4, 5, 6, rolled, 7, 8})
	tell(t, b, "v1", []int{1, 2, 9, rolled, 4, 5, 6, rolled, 7, 8})
	part := func() Parting {
		t.Helper()
		p, err := Part(a, b, "v1")
		must(t, err)
		return p
	}
	if p := part(); p.Difference == nil || p.Position != 2 || p.SameSpans != 0 || len(p.Before) != 2 {
		t.Errorf("%+v", p)
	}
	inCrank(t, b, func(c *store.Crank) {
		_, _, err := TruncateItems(c, "v1", 3, 10)
		must(t, err)
	})
	if p := part(); p.Difference != nil || p.Position != 0 || !strings.Contains(p.What, "item 0 of B is not there any more") {
		t.Errorf("%+v", p)
	}
	inCrank(t, b, func(c *store.Crank) {
		_, _, err := Delete(c, "v1", 1)
		must(t, err)
	})
	if p := part(); !p.Same() || p.SameSpans != 2 {
		t.Errorf("%+v", p)
	}
	if p, err := Part(a, b, "v2"); err != nil || !p.Same() {
		t.Errorf("%+v, %v", p, err)
	}
	tell(t, a, "v3", []int{1, 2})
	if p, err := Part(a, b, "v3"); err != nil || p.What != "the same up to position 0, where A goes on to 2" {
		t.Errorf("%+v, %v", p, err)
	}
}
