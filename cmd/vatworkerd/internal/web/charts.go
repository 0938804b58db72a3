package web

import (
	"time"

	"vatworkerd/cmd/vatworkerd/internal/screen"
	"vatworkerd/pipeproto"
)

func plainNumber(v float64) string { return screen.Short(v) }

// overviewCharts gives the lines of the first page.
func overviewCharts(o overview) []lineChart {
	at := make([]time.Time, 0, len(o.History))
	values := map[string][]float64{}
	for _, m := range o.History {
		at = append(at, m.At)
		n := m.Counts
		for name, v := range map[string]float64{
			"online": float64(n.Online), "suspended": float64(n.Suspended), "paused": float64(n.Paused),
			"queued": float64(n.Queued), "held": float64(n.Held), "deliveries": m.Rates.Deliveries, "cranks": m.Rates.Cranks,
			"computrons": m.Rates.Computrons, "in": m.Rates.PageIns, "out": m.Rates.PageOuts, "memory": float64(m.Memory),
		} {
			values[name] = append(values[name], v)
		}
	}
	chart := func(title string, format func(float64) string, names ...string) lineChart {
		c := lineChart{Title: title, At: at, Format: format}
		for _, name := range names {
			c.Series = append(c.Series, series{Name: name, Values: values[name]})
		}
		return c
	}
	return []lineChart{
		chart("Vats", plainNumber, "online", "suspended", "paused"),
		chart("Deliveries a second", plainNumber, "deliveries", "cranks"),
		chart("Computrons a second", plainNumber, "computrons"),
		chart("Pages a second", plainNumber, "in", "out"),
		chart("Deliveries that wait", plainNumber, "queued", "held"),
		chart("Memory of all workers", func(v float64) string { return screen.Bytes(int64(v)) }, "memory"),
	}
}

// pageInChart gives how long page-ins took, since the daemon's start.
func pageInChart(h pipeproto.Histogram) barChart {
	c := barChart{Title: "Page-ins by how long they took"}
	first, last := len(h.Counts), -1
	for i, n := range h.Counts {
		if n > 0 {
			first, last = min(first, i), i
		}
	}
	for i := max(0, first-1); i <= min(last+1, len(h.Counts)-1); i++ {
		name := "longer"
		if i < len(h.Bounds) {
			name = "≤" + screen.Elapsed(time.Duration(h.Bounds[i])*time.Microsecond)
		}
		c.Bars = append(c.Bars, bar{Name: name, Value: h.Counts[i]})
	}
	return c
}

// heapChart gives the size of a vat's heap at its snapshots.
func heapChart(snapshots []pipeproto.SnapshotInfo) barChart {
	c := barChart{Title: "Heap at each snapshot, in kB"}
	for _, s := range snapshots {
		c.Bars = append(c.Bars, bar{Name: "at " + screen.Count(s.Position), Value: s.UncompressedSize / 1000})
	}
	return c
}
