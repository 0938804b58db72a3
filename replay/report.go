package replay

import (
	"errors"

	"vatworkerd/transcripts"
)

// Report is what came of a replay.
type Report struct {
	VatID       string `json:"vatID"`
	Name        string `json:"name"`
	Incarnation int64  `json:"incarnation"`
	From        int64  `json:"from"` // the items that repeated: from ≤ position < until
	Until       int64  `json:"until"`
	Start       string `json:"start"` // StartSnapshot or StartBundles
	// SnapshotHash is of the snapshot the first worker was loaded from.
	SnapshotHash  string      `json:"snapshotHash,omitempty"`
	EngineSHA256  string      `json:"engineSHA256"`
	EngineVersion string      `json:"engineVersion"`
	Deliveries    int64       `json:"deliveries"` // that repeated
	Syscalls      int64       `json:"syscalls"`
	Computrons    int64       `json:"computrons"`
	Snapshots     int64       `json:"snapshots"` // that were taken again on the way and hashed to the same
	Identical     bool        `json:"identical"` // nothing differs, and no span was altered
	Difference    *Difference `json:"difference,omitempty"`
	// Spans are those that were replayed, as far as all their items are there.
	Spans   []SpanCheck `json:"spans"`
	Notes   []string    `json:"notes,omitempty"`
	Micros  int64       `json:"micros"`
	Timings []Timing    `json:"timings,omitempty"` // in order
}

// Difference is the first place where a replay did not repeat its transcript.
type Difference struct {
	transcripts.Difference
	Before []transcripts.Passed `json:"before"` // the items just before it, which repeated
	Report string               `json:"report"` // every syscall and the outcome, expected and got
}

// SpanCheck compares a span's record with its items.
type SpanCheck struct {
	Place    string `json:"place"` // the name of its artifact
	Recorded string `json:"recorded"`
	Got      string `json:"got"` // the hash that its items have now
}

// Altered tells that an item of the span, or its record, is not what was written.
func (c SpanCheck) Altered() bool { return c.Recorded != c.Got }

func (r Report) altered() bool {
	for _, c := range r.Spans {
		if c.Altered() {
			return true
		}
	}
	return false
}

// Timing is how long a delivery took.
type Timing struct {
	Position   int64  `json:"position"`
	Kind       string `json:"kind"`
	Micros     int64  `json:"micros"`
	Computrons *int64 `json:"computrons,omitempty"` // nil if the worker was gone after it
	Syscalls   int    `json:"syscalls"`
}

// checkSpans hashes the items of the spans that were replayed up to here, or in
// which the replay stopped.
func (r *Session) checkSpans() error {
	r.report.Spans = []SpanCheck{}
	for _, span := range r.spans {
		isDone := span.StartPos >= r.report.From && span.EndPos <= r.next
		if !isDone && (r.report.Difference == nil || r.next < span.StartPos || r.next >= span.EndPos) {
			continue
		}
		got, err := transcripts.HashItems(r.src.db, span)
		var missing *transcripts.MissingItemsError
		if errors.As(err, &missing) {
			continue
		}
		if err != nil {
			return err
		}
		r.report.Spans = append(r.report.Spans, SpanCheck{Place: span.Place(), Recorded: span.Hash, Got: got})
	}
	return nil
}
