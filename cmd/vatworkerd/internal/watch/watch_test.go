package watch

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"vatworkerd/pipeproto"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func TestRates(t *testing.T) {
	before := Point{At: noon, Daemon: 1, Totals: pipeproto.Totals{Deliveries: 10, PageOuts: 4}, PageIns: pipeproto.Histogram{Counts: []int64{1, 2}}}
	after := Point{At: noon.Add(2 * time.Second), Daemon: 1, Totals: pipeproto.Totals{Deliveries: 15, PageOuts: 4}, PageIns: pipeproto.Histogram{Counts: []int64{1, 5}}}
	if got, want := Between(before, after), (Rates{Deliveries: 2.5, PageIns: 1.5}); got != want {
		t.Errorf("%+v", got)
	}
	other := after
	other.Daemon = 2
	for name, pair := range map[string][2]Point{"another daemon": {before, other}, "no time": {after, after}, "time that runs back": {after, before}} {
		if got := Between(pair[0], pair[1]); got != (Rates{}) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// A quantile lies in the bucket of the duration it stands for, and none exceeds
// the longest one.
func TestQuantile(t *testing.T) {
	bounds := []int64{100, 200, 500, 1000}
	rapid.Check(t, func(t *rapid.T) {
		took := rapid.SliceOfN(rapid.Int64Range(0, 3000), 1, 50).Draw(t, "took")
		h := pipeproto.Histogram{Bounds: bounds, Counts: make([]int64, len(bounds)+1), Max: slices.Max(took)}
		for _, d := range took {
			i, _ := slices.BinarySearch(bounds, d)
			h.Counts[i]++
		}
		slices.Sort(took)
		q := rapid.Float64Range(0.01, 1).Draw(t, "q")
		got := Quantile(h, q)
		rank := min(len(took)-1, max(0, int(q*float64(len(took))+0.999999)-1))
		low, high := bucket(bounds, h.Max, took[rank])
		if got < low || got > high || got > h.Max {
			t.Fatalf("quantile %v of %v is %d, not from %d to %d", q, took, got, low, high)
		}
	})
	if got := Quantile(pipeproto.Histogram{Bounds: bounds, Counts: make([]int64, 5)}, 0.5); got != 0 {
		t.Errorf("of nothing: %d", got)
	}
}

func bucket(bounds []int64, longest, d int64) (low, high int64) {
	i, _ := slices.BinarySearch(bounds, d)
	if i > 0 {
		low = bounds[i-1]
	}
	if i == len(bounds) {
		return low, longest
	}
	return low, bounds[i]
}

func TestHistoryIsBounded(t *testing.T) {
	h := NewHistory(3)
	if _, _, ok := h.Last(); ok {
		t.Error("an empty history has two points")
	}
	for i := range int64(5) {
		h.Add(Point{Daemon: 1, Height: i})
	}
	if points := h.Points(); len(points) != 3 || points[0].Height != 2 || points[2].Height != 4 {
		t.Errorf("%+v", points)
	}
	h.Add(Point{Daemon: 2, Height: 9})
	if points := h.Points(); len(points) != 1 || points[0].Height != 9 {
		t.Errorf("after another daemon: %+v", points)
	}
}

func TestRecentPageIns(t *testing.T) {
	h := NewHistory(3)
	at := func(counts ...int64) Point {
		return Point{Daemon: 1, PageIns: pipeproto.Histogram{Bounds: []int64{1}, Counts: counts}}
	}
	h.Add(at(4, 0))
	h.Add(at(4, 0))
	if got := h.PageIns().Counts; !slices.Equal(got, []int64{4, 0}) {
		t.Errorf("all since the start: %v", got)
	}
	h.Add(at(4, 2))
	if got := h.PageIns().Counts; !slices.Equal(got, []int64{0, 2}) {
		t.Errorf("recent ones: %v", got)
	}
}

func TestRows(t *testing.T) {
	now := Look{Live: pipeproto.Live{Workers: []pipeproto.LiveWorker{{VatID: "v99", Name: "late"}, {VatID: "v10", RSSBytes: 5, Idle: 3}}}}
	list := func(deliveries int64) []pipeproto.VatStatus {
		return []pipeproto.VatStatus{
			{VatID: "v9", Name: "Bob", State: "paused", Paused: true, Held: 1},
			{VatID: "v10", Name: "alice", State: "running", Deliveries: deliveries},
		}
	}
	rows := Rows(now, Vats{At: noon.Add(time.Second), List: list(7)}, Vats{At: noon, List: list(4)})
	if len(rows) != 3 || rows[0].Worker != nil || rows[1].Deliveries != 3 || !rows[1].Vat.Online || !rows[2].IsBrief || rows[2].Vat.VatID != "v99" {
		t.Fatalf("%+v", rows)
	}
	for key, want := range map[string]string{
		ByVat: "v9 v10 v99", ByName: "v10 v9 v99", ByState: "v9 v10 v99", ByMemory: "v10 v99 v9", ByIdle: "v10 v99 v9",
		ByRate: "v10 v9 v99", ByDeliveries: "v10 v9 v99", ByHeld: "v9 v10 v99",
	} {
		Sort(rows, key, false)
		if got := ids(rows); got != want {
			t.Errorf("by %s: %s, not %s", key, got, want)
		}
	}
	for _, key := range Keys() {
		Sort(rows, key, false)
		forward := ids(rows)
		slices.Reverse(rows)
		backward := ids(rows)
		if Sort(rows, key, true); ids(rows) != backward {
			t.Errorf("%s reversed is %s, not %s turned around", key, ids(rows), forward)
		}
	}
	Sort(rows, ByVat, false)
	for state, want := range map[string]string{Every: "v9 v10 v99", Online: "v10 v99", Running: "v10 v99", Paused: "v9", Suspended: "", Holding: "v9", Failed: "", Terminated: ""} {
		if got := ids(Filter(rows, state, "")); got != want {
			t.Errorf("%s: %q", state, got)
		}
	}
	if got := ids(Filter(rows, Every, "BO")) + " " + ids(Filter(rows, Every, "v1")); got != "v9 v10" {
		t.Errorf("by name and ID: %s", got)
	}
}

func ids(rows []Row) string {
	text := ""
	for i, row := range rows {
		if i > 0 {
			text += " "
		}
		text += row.Vat.VatID
	}
	return text
}
