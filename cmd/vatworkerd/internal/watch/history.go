package watch

import (
	"time"

	"vatworkerd/pipeproto"
)

// Point is what is kept of a look.
type Point struct {
	At          time.Time
	Daemon      int64 // when it started, which tells it from others
	Height      int64
	Counts      pipeproto.Counts
	Totals      pipeproto.Totals
	Deliveries  pipeproto.Histogram
	PageIns     pipeproto.Histogram
	Snapshots   pipeproto.Histogram
	MemoryBytes int64
}

// PointOf gives what is kept of a look.
func PointOf(l Look) Point {
	live := l.Live
	return Point{
		At: l.At, Daemon: live.Started, Height: live.Height, Counts: live.Counts, Totals: live.Totals,
		Deliveries: live.Deliveries, PageIns: live.PageIns, Snapshots: live.Snapshots, MemoryBytes: l.Memory(),
	}
}

// History is the last points of one daemon. It belongs to one goroutine.
type History struct {
	limit  int
	points []Point // oldest first
}

// NewHistory keeps at most limit points.
func NewHistory(limit int) *History { return &History{limit: limit} }

// Add adds a point. Those of an earlier daemon are forgotten: its totals have
// nothing to do with the new one's.
func (h *History) Add(p Point) {
	if n := len(h.points); n > 0 && h.points[n-1].Daemon != p.Daemon {
		h.points = nil
	}
	h.points = append(h.points, p)
	if over := len(h.points) - h.limit; over > 0 {
		h.points = append(h.points[:0], h.points[over:]...)
	}
}

// Points gives all points, oldest first. They are not to be changed.
func (h *History) Points() []Point { return h.points }

// Last gives the last point and the one before it; ok tells whether there are
// two.
func (h *History) Last() (before, last Point, ok bool) {
	n := len(h.points)
	if n < 2 {
		return before, last, false
	}
	return h.points[n-2], h.points[n-1], true
}

// PageIns gives the times of the page-ins between the oldest point and the last,
// or of all since the daemon's start if there was none.
func (h *History) PageIns() pipeproto.Histogram {
	if len(h.points) == 0 {
		return pipeproto.Histogram{}
	}
	last := h.points[len(h.points)-1].PageIns
	if recent := Less(last, h.points[0].PageIns); Number(recent) > 0 {
		return recent
	}
	return last
}
