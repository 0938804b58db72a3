package replay

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"time"

	"vatworkerd/supervisor"
	"vatworkerd/transcripts"
	"vatworkerd/xsnap"
)

// Options say how a vat is replayed.
type Options struct {
	// From is the start of the span to begin with; nil is the current span.
	From *int64
	// Full begins with the incarnation, whatever From says.
	Full bool
	// Image is what to run on; nil is what the vat's incarnation was started on.
	Image *xsnap.Image
	// Progress is told how many items are done, and of how many; may be nil. It and
	// Hold and Console are called by the goroutine that replays.
	Progress func(done, total int64)
	// Hold is called with a difference while the worker is still there, in the
	// syscall if it is one; when it returns the worker ends. May be nil.
	Hold func(Difference)
	// Console takes what the vat prints; nil keeps it silent.
	Console func(position int64, source, level string, args []json.RawMessage)
	// Timings wants the time of each delivery.
	Timings bool
	// CPU is what the calling thread and its workers share; -1 is none.
	CPU int
	// Worker says how workers are started: containment, limits, watch, sink, wrapper.
	Worker xsnap.StartOptions
}

// Session is a replay in progress: it has a worker, and goes as far as it is
// told. It belongs to the goroutine that began it, and keeps that on one thread
// until Close.
type Session struct {
	src   *Source
	ctx   context.Context
	opts  Options
	facts supervisor.StartFacts
	spans []transcripts.Span // of the vat
	image xsnap.Image

	worker *xsnap.Worker // nil after it was closed
	ahead  []string      // items that were read and did not run yet, from next on
	next   int64         // position of the next item
	last   []transcripts.Passed
	unpin  func() error
	began  time.Time
	report Report

	isVisited bool // somebody has evaluated in the worker
}

// Begin brings up a worker in the state in which the chosen span starts. The end
// of ctx kills the worker, whatever it does. Errors: *NoVatError, *RefusedError,
// *ChangedError, *supervisor.ImageError, ctx's error, those of snapshots and xsnap.
func (s *Source) Begin(ctx context.Context, vatID string, o Options) (*Session, error) {
	r := &Session{src: s, ctx: ctx, opts: o, began: time.Now(), unpin: func() error { return nil }}
	// xsnap speaks to its worker in plain reads and writes of one thread.
	runtime.LockOSThread()
	if err := r.begin(vatID); err != nil {
		return nil, errors.Join(s.settle(err), r.Close())
	}
	return r, nil
}

func (r *Session) begin(vatID string) (err error) {
	if r.facts, err = r.src.startFacts(vatID); err != nil {
		return err
	}
	if r.spans, err = transcripts.Spans(r.src.db, vatID); err != nil {
		return err
	}
	span, err := r.chooseSpan()
	if err != nil {
		return err
	}
	r.next = span.StartPos
	r.report = Report{
		VatID: vatID, Name: r.facts.Name, Incarnation: span.Incarnation, From: span.StartPos, Until: span.StartPos,
		Spans: []SpanCheck{},
	}
	r.last = []transcripts.Passed{}
	if r.opts.CPU >= 0 {
		if r.unpin, err = xsnap.PinThread(r.opts.CPU); err != nil {
			return err
		}
	}
	return r.start(span)
}

// Report is what came of the replay so far.
func (r *Session) Report() Report {
	report := r.report
	report.Micros = time.Since(r.began).Microseconds()
	report.Identical = report.Difference == nil && !report.altered()
	return report
}

// Position is that of the next item to run.
func (r *Session) Position() int64 { return r.next }

// End is the position behind the last item of the incarnation that is replayed.
func (r *Session) End() int64 {
	end := r.next
	for _, span := range r.spans {
		if span.Incarnation == r.report.Incarnation {
			end = span.EndPos
		}
	}
	return end
}

// PID is that of the worker, or of what it is wrapped in.
func (r *Session) PID() int { return r.worker.PID() }

// RunTo runs the items before a position, at most to End, and stops at the first
// that differs, after which nothing more can run: the report tells. Errors:
// *RefusedError where an item is missing, *ChangedError, ctx's error, those of xsnap.
func (r *Session) RunTo(position int64) error {
	for until := min(position, r.End()); r.next < until && r.report.Difference == nil; {
		if err := r.step(until); err != nil {
			return r.src.settle(r.orCancelled(err))
		}
	}
	r.report.Until = r.next
	return r.src.settle(r.checkSpans())
}

// step runs the next item.
func (r *Session) step(until int64) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	if r.opts.Progress != nil {
		r.opts.Progress(r.next-r.report.From, until-r.report.From)
	}
	entry, err := r.entry(until)
	if err != nil {
		return err
	}
	different, err := r.run(entry)
	if err != nil {
		return err
	}
	if different == nil {
		r.passed(entry)
	}
	return nil
}

// differs notes the first difference.
func (r *Session) differs(d transcripts.Difference, report string) *Difference {
	if r.report.Difference != nil {
		return r.report.Difference // noted while the worker waited
	}
	r.report.Difference = &Difference{Difference: d, Before: r.last, Report: report}
	if r.opts.Hold != nil {
		r.opts.Hold(*r.report.Difference)
	}
	return r.report.Difference
}

// passed goes on to the next item.
func (r *Session) passed(entry transcripts.Entry) {
	r.last = append(r.last, transcripts.Pass(r.next, entry))
	r.last = r.last[max(0, len(r.last)-contextItems):]
	r.next, r.ahead = r.next+1, r.ahead[1:]
	if !entry.IsPseudo() {
		r.report.Deliveries++
		r.report.Syscalls += int64(len(entry.Syscalls))
	}
	if c := entry.Result.Computrons; c != nil {
		r.report.Computrons += *c
	}
}

// contextItems is how many items before a difference are shown.
const contextItems = 3

// itemsAtOnce bounds how many items are in memory.
const itemsAtOnce = 64

// entry gives the next item, decoded.
func (r *Session) entry(until int64) (transcripts.Entry, error) {
	if len(r.ahead) == 0 {
		items, err := transcripts.Items(r.src.db, r.facts.VatID, r.next, min(r.next+itemsAtOnce, until))
		if err != nil {
			return transcripts.Entry{}, r.missing(err)
		}
		r.ahead = items
	}
	entry, err := transcripts.Decode(r.ahead[0])
	if err != nil {
		return entry, r.refuse(err, "item %d: %v", r.next, err)
	}
	return entry, nil
}

// orCancelled is ctx's error if that is why the worker was lost.
func (r *Session) orCancelled(err error) error {
	if r.ctx.Err() != nil {
		return r.ctx.Err()
	}
	return err
}

// Close ends the worker and frees everything. How the worker ends tells nothing.
func (r *Session) Close() error {
	r.closeWorker()
	err := r.unpin()
	runtime.UnlockOSThread()
	return err
}

func (r *Session) closeWorker() {
	if r.worker == nil {
		return
	}
	if r.ctx.Err() != nil || r.report.Difference != nil {
		r.worker.Kill()
	}
	_ = r.worker.Close()
	r.worker = nil
}
