package supervisor

import (
	"time"

	"vatworkerd/pipeproto"
)

// The bounds of the histograms: 0.1 ms to 100 s, three a decade.
const numBounds = 19

func histogramBounds() [numBounds]int64 {
	return [numBounds]int64{
		100, 200, 500, 1e3, 2e3, 5e3, 10e3, 20e3, 50e3, 100e3, 200e3, 500e3,
		1e6, 2e6, 5e6, 10e6, 20e6, 50e6, 100e6,
	}
}

// histogram counts durations in microseconds; the last count is of those above
// all bounds.
type histogram struct {
	counts   [numBounds + 1]int64
	sum, max int64
}

func (h *histogram) add(took time.Duration) {
	micros := took.Microseconds()
	h.sum += micros
	h.max = max(h.max, micros)
	for i, bound := range histogramBounds() {
		if micros <= bound {
			h.counts[i]++
			return
		}
	}
	h.counts[numBounds]++
}

func (h *histogram) wire() pipeproto.Histogram {
	bounds := histogramBounds()
	counts := h.counts
	return pipeproto.Histogram{Bounds: bounds[:], Counts: counts[:], Sum: h.sum, Max: h.max}
}
