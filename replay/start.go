package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"vatworkerd/snapshots"
	"vatworkerd/transcripts"
	"vatworkerd/xsnap"
)

// What a replay starts from.
const (
	StartSnapshot = "snapshot"
	StartBundles  = "bundles"
)

func (r *Session) refuse(cause error, why string, args ...any) *RefusedError {
	return &RefusedError{VatID: r.facts.VatID, Why: fmt.Sprintf(why, args...), Err: cause}
}

// chooseSpan finds the span that the options name.
func (r *Session) chooseSpan() (transcripts.Span, error) {
	for i, span := range r.spans {
		first := i == 0 || r.spans[i-1].Incarnation != span.Incarnation
		switch {
		case r.opts.Full:
			if !first || span.Incarnation != r.facts.Incarnation {
				continue
			}
		case r.opts.From != nil:
			if span.StartPos != *r.opts.From {
				continue
			}
		case !span.IsCurrent:
			continue
		}
		if span.StartPos == span.EndPos {
			break
		}
		return span, nil
	}
	if r.opts.From != nil && !r.opts.Full {
		return transcripts.Span{}, r.noSpan(*r.opts.From)
	}
	e := r.refuse(nil, "there is no transcript between incarnations (it is %s)", r.facts.State)
	e.Hint = "`vatworkerd spans` shows what there is; --from replays an earlier span"
	return transcripts.Span{}, e
}

func (r *Session) noSpan(position int64) error {
	e := r.refuse(nil, "no span with items starts at position %d", position)
	var starts []string
	for _, span := range r.spans {
		if span.StartPos < span.EndPos {
			starts = append(starts, fmt.Sprint(span.StartPos))
		}
	}
	e.Hint = "spans start at " + strings.Join(starts, ", ")
	return e
}

// missing says of a transcript that lacks items what to do.
func (r *Session) missing(err error) error {
	var missing *transcripts.MissingItemsError
	if !errors.As(err, &missing) {
		return err
	}
	e := r.refuse(err, "item %d is not there: items of old incarnations, and on some nodes of old spans, are removed", missing.Missing)
	e.Hint = r.startsAtHand()
	return e
}

// start brings up a worker at the begin of a span.
func (r *Session) start(span transcripts.Span) error {
	entry, err := r.entry(span.StartPos + 1)
	if err != nil {
		return err
	}
	hash, loads, err := entry.StartsFrom()
	if err != nil {
		return r.refuse(err, "span %d: %v", span.StartPos, err)
	}
	if err := r.chooseImage(span, entry); err != nil {
		return err
	}
	r.report.EngineSHA256, r.report.EngineVersion = r.image.Engine.SHA256, r.image.Engine.Version
	if loads {
		return r.startFromSnapshot(span, hash)
	}
	return r.startFromBundles(entry)
}

// chooseImage takes the image that was asked for, or that of the incarnation.
func (r *Session) chooseImage(span transcripts.Span, first transcripts.Entry) (err error) {
	if r.opts.Image != nil {
		r.image = *r.opts.Image
	} else if r.image, err = r.facts.FindImage(r.src.db); err != nil {
		return err
	}
	if r.opts.Image == nil && span.Incarnation != r.facts.Incarnation {
		r.note("which engine incarnation %d ran on is not recorded; this is that of incarnation %d", span.Incarnation, r.facts.Incarnation)
	}
	if first.Kind() != transcripts.KindInitializeWorker {
		return nil
	}
	init, err := readInitialization(first)
	if err != nil {
		return r.refuse(err, "%v", err)
	}
	if !slices.Equal(init.WorkerOptions.BundleIDs, r.image.BundleIDs()) {
		r.note("the incarnation ran on other worker bundles: its transcript names %s", strings.Join(init.WorkerOptions.BundleIDs, " and "))
	}
	return nil
}

func (r *Session) note(format string, args ...any) {
	r.report.Notes = append(r.report.Notes, fmt.Sprintf(format, args...))
}

func (r *Session) startFromSnapshot(span transcripts.Span, hash string) error {
	r.report.Start, r.report.SnapshotHash = StartSnapshot, hash
	heap, err := r.src.heaps.Open(hash)
	var gone *snapshots.MissingError
	if errors.As(err, &gone) {
		e := r.refuse(err, "the heap snapshot that span %d starts from is not here any more", span.StartPos)
		e.Hint = r.startsAtHand()
		return e
	}
	if err != nil {
		return err
	}
	defer heap.Close()
	o := r.startOptions()
	o.From = heap
	return r.bringUp(o, func(w *xsnap.Worker) error { return w.Ready() })
}

// startsAtHand says which spans a replay can start from.
func (r *Session) startsAtHand() string {
	var starts []string
	for _, span := range r.spans {
		items, err := transcripts.Items(r.src.db, span.VatID, span.StartPos, min(span.StartPos+1, span.EndPos))
		if err != nil || len(items) == 0 {
			continue
		}
		entry, err := transcripts.Decode(items[0])
		if err != nil {
			continue
		}
		hash, loads, err := entry.StartsFrom()
		if err == nil && loads {
			_, err = r.src.heaps.StoredSize(hash)
		}
		if err == nil {
			starts = append(starts, fmt.Sprint(span.StartPos))
		}
	}
	if len(starts) == 0 {
		return "there is no span that a replay could start from: neither a heap snapshot nor the begin of an incarnation is there"
	}
	return "--from " + strings.Join(starts, ", or --from ") + " can be started from"
}

// initialization is the second element of an initialize-worker entry.
type initialization struct {
	Source struct {
		BundleID string `json:"bundleID"`
	} `json:"source"`
	WorkerOptions struct {
		BundleIDs []string `json:"bundleIDs"`
	} `json:"workerOptions"`
}

func readInitialization(first transcripts.Entry) (init initialization, err error) {
	var delivery []json.RawMessage
	if err = json.Unmarshal(first.Delivery, &delivery); err == nil && len(delivery) != 2 {
		err = errors.New("it has no options")
	}
	if err == nil {
		err = json.Unmarshal(delivery[1], &init)
	}
	if err != nil {
		return init, fmt.Errorf("its initialize-worker cannot be read: %w", err)
	}
	return init, nil
}

func (r *Session) startFromBundles(first transcripts.Entry) error {
	r.report.Start = StartBundles
	init, err := readInitialization(first)
	if err != nil {
		return r.refuse(err, "%v", err)
	}
	bundle, err := r.src.bundle(init.Source.BundleID)
	if err != nil {
		return err
	}
	return r.bringUp(r.startOptions(), func(w *xsnap.Worker) error {
		if err := w.EvaluateImage(r.image, quiet{}); err != nil {
			return err
		}
		_, err := w.SetBundle(r.facts.VatID, bundle, r.facts.LiveSlotsOptions, quiet{})
		return err
	})
}

func (r *Session) startOptions() xsnap.StartOptions {
	o := r.opts.Worker
	o.Name, o.MeterLimit, o.CPU = r.facts.VatID+":"+r.facts.Name, r.facts.MeterLimit, r.opts.CPU
	return o
}

// bringUp starts a worker, which takes the place of the one before, and runs its
// first commands.
func (r *Session) bringUp(o xsnap.StartOptions, first func(*xsnap.Worker) error) error {
	r.closeWorker()
	w, err := xsnap.Start(r.image.Engine, o)
	if err != nil {
		return err
	}
	r.worker = w
	defer r.killOnCancel()()
	if err := first(w); err != nil {
		w.Kill()
		r.closeWorker() // nothing reads the heap any more
		return r.orCancelled(err)
	}
	return r.ctx.Err()
}

// killOnCancel ends the worker while its command is in progress when the context
// ends; the function it gives stops that.
func (r *Session) killOnCancel() (stop func()) {
	cancel := context.AfterFunc(r.ctx, r.worker.Kill)
	return func() { cancel() }
}

// quiet serves a worker that is being set up: no code of the vat runs yet.
type quiet struct{}

func (quiet) Syscall(json.RawMessage) (json.RawMessage, error) {
	return nil, fmt.Errorf("%w: none can come before the first delivery", xsnap.ErrNoSyscall)
}
func (quiet) Console(string, string, []json.RawMessage) {}
func (quiet) TestLog([]json.RawMessage)                 {}
