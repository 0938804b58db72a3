package swingstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"

	"vatworkerd/store"
	"vatworkerd/transcripts"
	"vatworkerd/xsnap"
)

// ReplayOptions say what Replay shall do.
type ReplayOptions struct {
	// Image gives the engine, and the worker bundles if the store's transcript
	// names the same ones; else those of the store are evaluated.
	Image xsnap.Image
	// Position is any position in the span to replay; nil is the current span.
	Position *int64
	// Progress may be nil; it is called by the calling goroutine.
	Progress func(store.Progress)
	// Console takes what the vat prints, and what it gives to testLog with level
	// "testLog"; nil keeps it silent.
	Console func(position int64, source, level string, args []json.RawMessage)
	// Sink takes what the worker process writes to stdout and stderr; nil drops it.
	Sink   xsnap.LogSink
	Limits xsnap.Limits
	// Sandbox is how the worker is contained.
	Sandbox xsnap.Sandbox
	// Watch is what is done if the worker is silent.
	Watch xsnap.Watch
}

// ReplayReport is what came of a replay.
type ReplayReport struct {
	VatID       string `json:"vatID"`
	Name        string `json:"name"`
	Incarnation int64  `json:"incarnation"`
	From        int64  `json:"from"` // the span: from ≤ position < until
	Until       int64  `json:"until"`
	Start       string `json:"start"` // StartSnapshot or StartBundles
	// SnapshotHash is of the snapshot the worker was loaded from.
	SnapshotHash string `json:"snapshotHash,omitempty"`
	// BundleID and WorkerBundleIDs are what was evaluated otherwise.
	BundleID        string   `json:"bundleID,omitempty"`
	WorkerBundleIDs []string `json:"workerBundleIDs,omitempty"`
	EngineSHA256    string   `json:"engineSHA256"`
	EngineVersion   string   `json:"engineVersion"`
	Deliveries      int64    `json:"deliveries"` // that repeated
	Syscalls        int64    `json:"syscalls"`
	Computrons      int64    `json:"computrons"`
	// SnapshotRepeated: the span ends in a snapshot, and the heap hashed to it again.
	SnapshotRepeated bool        `json:"snapshotRepeated"`
	Identical        bool        `json:"identical"`
	Divergence       *Divergence `json:"divergence,omitempty"` // the first difference, unless Identical
}

// Divergence is where a replay did not repeat the transcript.
type Divergence struct {
	Position int64  `json:"position"`
	Kind     string `json:"kind"`   // of the delivery
	What     string `json:"what"`   // the first difference, in one line
	Report   string `json:"report"` // every syscall and the outcome, expected and got side by side
	Err      error  `json:"-"`      // *transcripts.AnachrophobiaError or *HeapDivergedError
}

// HeapDivergedError says that a heap does not hash to the snapshot that was
// taken after the same work.
type HeapDivergedError struct {
	VatID     string
	Position  int64
	Want, Got string // sha256, hex
}

func (e *HeapDivergedError) Error() string {
	return fmt.Sprintf("anachrophobia: the heap of vat %s at transcript position %d has another hash than its snapshot; check that the engine is the one that wrote the store", e.VatID, e.Position)
}

// Report gives both hashes side by side.
func (e *HeapDivergedError) Report() string {
	return fmt.Sprintf("vat %s, transcript position %d, %s\nsnapshot: WRONG\n  expected: %s\n  got     : %s\n",
		e.VatID, e.Position, transcripts.KindSaveSnapshot, e.Want, e.Got)
}

// Replay runs one span of a vat's transcript on a real worker, brought up from
// the heap snapshot or the bundles that the span starts from, and compares
// every syscall, every status, all computrons and, where the span ends in a
// snapshot, the heap. Syscalls are answered from the transcript; nothing is
// changed. The calling goroutine runs the worker.
//
// A replay that does not repeat is no error: the report tells. Errors:
// *NoVatError, *NotReplayableError (with a *transcripts.MissingItemsError inside
// for a span without its items), *SnapshotError, *BundleError, *ChangedError,
// ctx's error, and those of xsnap.
func (s *Store) Replay(ctx context.Context, vatID string, o ReplayOptions) (ReplayReport, error) {
	// xsnap speaks to its worker in plain reads and writes of one thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r := &replay{s: s, ctx: ctx, opts: o}
	r.report.VatID = vatID
	r.report.EngineSHA256, r.report.EngineVersion = o.Image.Engine.SHA256, o.Image.Engine.Version
	err := r.run(vatID)
	return r.report, s.settle(err)
}

type replay struct {
	s      *Store
	ctx    context.Context
	opts   ReplayOptions
	vat    Vat
	span   transcripts.Span
	report ReplayReport
	worker *xsnap.Worker // nil until the first item
}

func (r *replay) run(vatID string) error {
	list, err := r.s.vats()
	if err != nil {
		return err
	}
	if r.vat, err = list.vat(vatID); err != nil {
		return err
	}
	if r.span, err = r.chooseSpan(); err != nil {
		return err
	}
	r.report.Name, r.report.Incarnation = r.vat.Name, r.span.Incarnation
	r.report.From, r.report.Until = r.span.StartPos, r.span.EndPos
	if t := r.vat.WorkerType; t != workerXsnap && t != "" {
		return r.refuse("kv."+vatID+".options", fmt.Sprintf("its worker is of type %q; only vats on xsnap workers are replayed", t))
	}
	if r.span.StartPos == r.span.EndPos {
		return r.refuse(r.span.Place(), "the span has no items")
	}
	defer r.closeWorker()
	err = r.missing(transcripts.Each(r.s.db, vatID, r.span.StartPos, r.span.EndPos, r.item))
	if r.ctx.Err() != nil {
		return r.ctx.Err()
	}
	if err = r.diverged(err); err != nil {
		return err
	}
	r.tick(r.span.EndPos)
	r.report.Identical = r.report.Divergence == nil
	return nil
}

// missing says of a span that lacks items whether it was pruned or damaged.
func (r *replay) missing(err error) error {
	var missing *transcripts.MissingItemsError
	if !errors.As(err, &missing) {
		return err
	}
	why := fmt.Sprintf("item %d is missing", missing.Missing)
	if missing.Missing == r.span.StartPos && !r.span.IsCurrent {
		why = "its items were dropped, as nodes do with old spans; choose the current span, or a store with its history kept"
	}
	return &NotReplayableError{VatID: r.vat.VatID, Place: r.span.Place(), Why: why, Err: err}
}

func (r *replay) chooseSpan() (transcripts.Span, error) {
	spans, err := transcripts.Spans(r.s.db, r.vat.VatID)
	if err != nil {
		return transcripts.Span{}, err
	}
	for _, span := range spans {
		if r.opts.Position == nil && span.IsCurrent {
			return span, nil
		}
		if p := r.opts.Position; p != nil && span.StartPos <= *p && (*p < span.EndPos || span.IsCurrent && *p == span.EndPos) {
			return span, nil
		}
	}
	place := "transcript." + r.vat.VatID
	if r.opts.Position != nil {
		return transcripts.Span{}, &NotReplayableError{VatID: r.vat.VatID, Place: place, Why: fmt.Sprintf("no span holds position %d", *r.opts.Position)}
	}
	return transcripts.Span{}, &NotReplayableError{VatID: r.vat.VatID, Place: place + ".current", Why: "the vat has no current span; choose a span by a position"}
}

func (r *replay) tick(position int64) {
	if r.opts.Progress != nil {
		r.opts.Progress(store.Progress{What: r.span.Place(), Done: position - r.span.StartPos, Total: r.span.EndPos - r.span.StartPos})
	}
}

func (r *replay) item(position int64, item string) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	r.tick(position)
	entry, err := transcripts.Decode(item)
	if err != nil {
		return r.refuse(fmt.Sprintf("%s item %d", r.span.Place(), position), err.Error())
	}
	if r.worker == nil {
		r.worker, err = r.startWorker(entry)
		return err
	}
	switch entry.Kind() {
	case transcripts.KindInitializeWorker, transcripts.KindLoadSnapshot:
		return r.refuse(fmt.Sprintf("%s item %d", r.span.Place(), position), entry.Kind()+" stands only at the start of a span")
	case transcripts.KindShutdownWorker:
		return nil
	case transcripts.KindSaveSnapshot:
		return r.saveSnapshot(position, entry)
	}
	return r.deliver(position, entry)
}

func (r *replay) deliver(position int64, entry transcripts.Entry) error {
	defer r.killOnCancel(r.worker)()
	replayer := transcripts.NewReplayer(r.vat.VatID, position, entry)
	result, err := r.worker.Deliver(entry.Delivery, &handler{replayer: replayer, position: position, console: r.opts.Console})
	if err != nil {
		return err
	}
	var computrons *int64
	if result.Meter != nil {
		computrons = &result.Meter.Compute
	}
	if err := replayer.Finish(result.Status, computrons); err != nil {
		return err
	}
	r.report.Deliveries++
	r.report.Syscalls += int64(len(entry.Syscalls))
	if computrons != nil {
		r.report.Computrons += *computrons
	}
	return nil
}

// saveSnapshot takes the snapshot that ends the span once more.
func (r *replay) saveSnapshot(position int64, entry transcripts.Entry) error {
	defer r.killOnCancel(r.worker)()
	h := sha256.New()
	if _, err := r.worker.Snapshot(h); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != entry.Result.SnapshotID {
		return &HeapDivergedError{VatID: r.vat.VatID, Position: position, Want: entry.Result.SnapshotID, Got: got}
	}
	r.report.SnapshotRepeated = true
	return nil
}

// diverged takes a difference out of err and into the report.
func (r *replay) diverged(err error) error {
	var delivery *transcripts.AnachrophobiaError
	var heap *HeapDivergedError
	switch {
	case errors.As(err, &delivery):
		r.report.Divergence = &Divergence{Position: delivery.Position, Kind: delivery.Kind, What: delivery.First(), Report: delivery.Report(), Err: delivery}
	case errors.As(err, &heap):
		r.report.Divergence = &Divergence{Position: heap.Position, Kind: transcripts.KindSaveSnapshot, What: heap.Error(), Report: heap.Report(), Err: heap}
	default:
		return err
	}
	return nil
}

// killOnCancel ends a worker whose command is in progress when the context
// ends; the function it gives stops that.
func (r *replay) killOnCancel(w *xsnap.Worker) (stop func()) {
	cancel := context.AfterFunc(r.ctx, w.Kill)
	return func() { cancel() }
}

// closeWorker frees the worker. How it ends after the replay tells nothing.
func (r *replay) closeWorker() {
	if r.worker == nil {
		return
	}
	if r.ctx.Err() != nil || r.report.Divergence != nil {
		r.worker.Kill()
	}
	_ = r.worker.Close()
}

// handler answers syscalls from the transcript.
type handler struct {
	replayer *transcripts.Replayer
	position int64
	console  func(position int64, source, level string, args []json.RawMessage)
}

func (h *handler) Syscall(vso json.RawMessage) (json.RawMessage, error) {
	return h.replayer.Syscall(vso)
}

func (h *handler) Console(source, level string, args []json.RawMessage) {
	if h.console != nil {
		h.console(h.position, source, level, args)
	}
}

func (h *handler) TestLog(args []json.RawMessage) { h.Console("vat", "testLog", args) }

// quiet serves a worker that is being set up: no code of the vat runs yet.
type quiet struct{}

func (quiet) Syscall(json.RawMessage) (json.RawMessage, error) {
	return nil, errors.New("a syscall before the first delivery")
}
func (quiet) Console(string, string, []json.RawMessage) {}
func (quiet) TestLog([]json.RawMessage)                 {}
