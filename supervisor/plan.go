package supervisor

import (
	"encoding/json"
	"fmt"

	"vatworkerd/snapshots"
	"vatworkerd/transcripts"
	"vatworkerd/xsnap"
)

// plan is all that it takes to bring a vat's worker to where the store says it
// is: what was read at one moment and does not change any more. Two plans of one
// vat that agree lead to the same heap, whatever happened in between.
type plan struct {
	rec              *record
	image            xsnap.Image
	liveSlotsOptions json.RawMessage
	snapshot         string // hash of the heap it starts from; "" = the incarnation's begin
	span             transcripts.Span
}

// planFor reads a vat's plan.
func (s *Supervisor) planFor(r transcripts.Reader, rec *record) (plan, error) {
	image, err := s.imageOf(rec)
	if err != nil {
		return plan{}, err
	}
	span, ok, err := transcripts.Current(r, rec.ID)
	if err == nil && !ok {
		err = fmt.Errorf("cannot page in %s: it has no transcript", rec.ID)
	}
	if err != nil {
		return plan{}, err
	}
	row, _, err := snapshots.InUse(r, rec.ID)
	asItIs := *rec // the record itself may change
	return plan{
		rec: &asItIs, image: image, liveSlotsOptions: s.liveSlotsOptions(rec), snapshot: row.Hash, span: span,
	}, err
}

// holds tells whether a worker that was brought in by this plan is what the
// vat needs by the store now.
func (p plan) holds(r transcripts.Reader, rec *record) (bool, error) {
	if rec.Incarnation != p.rec.Incarnation || rec.ImageID != p.rec.ImageID {
		return false, nil
	}
	span, ok, err := transcripts.Current(r, rec.ID)
	if err != nil || !ok || span != p.span {
		return false, err
	}
	row, _, err := snapshots.InUse(r, rec.ID)
	return row.Hash == p.snapshot, err
}
