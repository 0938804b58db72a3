package watch

import "vatworkerd/pipeproto"

// Rates are so many a second.
type Rates struct {
	Cranks     float64 `json:"cranks"`
	Blocks     float64 `json:"blocks"`
	Deliveries float64 `json:"deliveries"`
	Computrons float64 `json:"computrons"`
	PageIns    float64 `json:"pageIns"`
	PageOuts   float64 `json:"pageOuts"`
	Snapshots  float64 `json:"snapshots"`
}

// Between gives the rates between two points; those of different daemons have
// none.
func Between(before, after Point) Rates {
	seconds := after.At.Sub(before.At).Seconds()
	if before.Daemon != after.Daemon || seconds <= 0 {
		return Rates{}
	}
	per := func(from, to int64) float64 { return float64(max(0, to-from)) / seconds }
	a, b := before.Totals, after.Totals
	return Rates{
		Cranks: per(a.Cranks, b.Cranks), Blocks: per(a.Blocks, b.Blocks),
		Deliveries: per(a.Deliveries, b.Deliveries), Computrons: per(a.Computrons, b.Computrons),
		PageIns: per(Number(before.PageIns), Number(after.PageIns)), PageOuts: per(a.PageOuts, b.PageOuts),
		Snapshots: per(Number(before.Snapshots), Number(after.Snapshots)),
	}
}

// Number is how many durations a histogram has counted.
func Number(h pipeproto.Histogram) int64 {
	var n int64
	for _, count := range h.Counts {
		n += count
	}
	return n
}

// Less gives what a histogram has counted since it was as before.
func Less(h, before pipeproto.Histogram) pipeproto.Histogram {
	if len(before.Counts) != len(h.Counts) {
		return h
	}
	less := pipeproto.Histogram{Bounds: h.Bounds, Counts: make([]int64, len(h.Counts)), Sum: h.Sum - before.Sum, Max: h.Max}
	for i, count := range h.Counts {
		less.Counts[i] = max(0, count-before.Counts[i])
	}
	return less
}

// Quantile estimates the duration, in microseconds, that a share q of those
// counted does not exceed; 0 if there are none. Within a bucket they are taken to
// lie evenly.
func Quantile(h pipeproto.Histogram, q float64) int64 {
	rank := q * float64(Number(h))
	if rank <= 0 {
		return 0
	}
	var below, lower int64
	for i, count := range h.Counts {
		upper := h.Max
		if i < len(h.Bounds) {
			upper = min(h.Bounds[i], h.Max)
		}
		if count > 0 && float64(below+count) >= rank {
			share := (rank - float64(below)) / float64(count)
			return lower + int64(share*float64(max(0, upper-lower)))
		}
		below, lower = below+count, upper
	}
	return h.Max
}
