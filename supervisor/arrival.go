package supervisor

import (
	"errors"
	"fmt"
	"time"

	"vatworkerd/transcripts"
)

// arrival is a vat's worker on its way in, beside the supervisor's goroutine.
// Its plan says for which state of the store it is good.
type arrival struct {
	plan  plan
	why   string // it was not waited for, for people
	rank  int    // the lower, the sooner
	seat  *seat  // nil: it takes one when it starts, if there is room
	leash leash

	done   chan struct{} // closed when the rest is known
	w      *worker       // nil if there is an error
	report revived
	took   time.Duration
	err    error
}

// rankUsed is the lowest rank of those that only were in use once.
const rankUsed = 1 << 20

// Why an arrival is under way.
const (
	forNext     = "ahead of its delivery"
	forUsed     = "preloaded"
	forSnapshot = "after its snapshot"
)

func newArrival(p plan, why string, rank int, seat *seat) *arrival {
	return &arrival{plan: p, why: why, rank: rank, seat: seat, done: make(chan struct{})}
}

// land says how it ended.
func (a *arrival) land(w *worker, report revived, took time.Duration, err error) {
	if w != nil {
		weigh(w.process, w.seat)
	} else if a.seat != nil {
		a.seat.leave()
	}
	a.w, a.report, a.took, a.err = w, report, took, err
	close(a.done)
}

// landed tells whether it has ended.
func (a *arrival) landed() bool {
	select {
	case <-a.done:
		return true
	default:
		return false
	}
}

// errNotBeside reports a vat that only the supervisor's goroutine can bring in.
var errNotBeside = errors.New("its transcript has to be run through a snapshot")

// bringIn does what an arrival's plan says. What it reads from the store may be
// gone or changed by now (a block was undone), so the items must have the hash
// that the plan says: only then the worker is what the plan promises.
func (k *kit) bringIn(a *arrival, cpu int) (*worker, revived, error) {
	p := a.plan
	run := &rerun{kit: k, rec: p.rec, image: p.image, liveSlotsOptions: p.liveSlotsOptions, at: berth{seat: a.seat, cpu: cpu, leash: &a.leash}}
	if err := run.start(p); err != nil {
		return nil, run.report, err
	}
	if err := run.span(k.db, p.span); err != nil {
		k.reaper.end(run.w)
		return nil, run.report, err
	}
	return run.w, run.report, nil
}

// start starts the worker that a plan begins with.
func (run *rerun) start(p plan) error {
	if p.snapshot != "" {
		if err := run.startFrom(p.span.StartPos-1, p.snapshot); err != nil {
			return lostUnlessLocal(run.rec.ID, err)
		}
		return nil
	}
	from, err := run.startAfresh(run.kit.db)
	if err == nil && from != p.span.StartPos {
		run.kit.reaper.end(run.w)
		err = errNotBeside
	}
	return err
}

// span runs the items of one span, and demands that they are that span's.
func (run *rerun) span(r transcripts.Reader, span transcripts.Span) error {
	defer run.kit.slog.replays(span.VatID, span.EndPos-span.StartPos)()
	hash := transcripts.EmptySpanHash()
	items := func(f func(int64, string) error) error {
		return transcripts.Each(r, span.VatID, span.StartPos, span.EndPos, func(position int64, item string) error {
			hash = transcripts.NextSpanHash(hash, item)
			return f(position, item)
		})
	}
	err := eachEntry(span.VatID, items, func(position int64, entry transcripts.Entry) error {
		if entry.Kind() == transcripts.KindSaveSnapshot {
			return errNotBeside
		}
		return run.one(position, entry)
	})
	if err == nil && hash != span.Hash {
		err = fmt.Errorf("cannot use the transcript of %s up to %d: it is not what it was", span.VatID, span.EndPos)
	}
	return err
}
