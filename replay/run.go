package replay

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"vatworkerd/transcripts"
	"vatworkerd/xsnap"
)

// run runs one item and gives its difference, or nil.
func (r *Session) run(entry transcripts.Entry) (*Difference, error) {
	switch entry.Kind() {
	case transcripts.KindInitializeWorker, transcripts.KindLoadSnapshot, transcripts.KindShutdownWorker:
		return nil, nil
	case transcripts.KindSaveSnapshot:
		return r.retake(entry)
	}
	began := time.Now()
	result, err := r.deliver(entry)
	if r.opts.Timings && err == nil {
		r.report.Timings = append(r.report.Timings, Timing{
			Position: r.next, Kind: entry.Kind(), Micros: time.Since(began).Microseconds(),
			Computrons: computronsOf(result), Syscalls: len(entry.Syscalls),
		})
	}
	var diverged *transcripts.AnachrophobiaError
	if errors.As(err, &diverged) {
		return r.differs(diverged.Difference(entry), diverged.Report()), nil
	}
	return nil, err
}

func computronsOf(result xsnap.DeliveryResult) *int64 {
	if result.Meter == nil {
		return nil
	}
	return &result.Meter.Compute
}

// deliver runs a delivery and compares it; a difference is a
// *transcripts.AnachrophobiaError.
func (r *Session) deliver(entry transcripts.Entry) (xsnap.DeliveryResult, error) {
	defer r.killOnCancel()()
	replayer := transcripts.NewReplayer(r.facts.VatID, r.next, entry)
	result, err := r.worker.Deliver(entry.Delivery, &handler{session: r, entry: entry, replayer: replayer})
	if err != nil {
		return result, err
	}
	if result.WorkerGone && result.ExitCode != xsnap.ExitTooMuchComputation {
		// What was recorded did not end so; memory and stack are this host's.
		return result, fmt.Errorf("cannot replay position %d of %s: the worker ended with %q", r.next, r.facts.VatID, result.Problem)
	}
	return result, replayer.Finish(result.Status, computronsOf(result))
}

// retake saves the heap again, compares its hash and goes on in a worker loaded
// from it, as the first run did.
func (r *Session) retake(entry transcripts.Entry) (*Difference, error) {
	heap, err := os.CreateTemp("", "vatworkerd-heap-")
	if err != nil {
		return nil, fmt.Errorf("cannot save a heap: %w", err)
	}
	defer heap.Close()
	if err := os.Remove(heap.Name()); err != nil { // it needs no name
		return nil, fmt.Errorf("cannot save a heap: %w", err)
	}
	got, err := r.saveHeap(heap)
	if err != nil {
		return nil, err
	}
	if want := entry.Result.SnapshotID; got != want {
		report := fmt.Sprintf("vat %s, transcript position %d, %s\nsnapshot: WRONG\n  expected: %s\n  got     : %s\n",
			r.facts.VatID, r.next, entry.Kind(), want, got)
		return r.differs(transcripts.HeapDifference(r.next, want, got), report), nil
	}
	r.report.Snapshots++
	if _, err := heap.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("cannot load a heap: %w", err)
	}
	o := r.startOptions()
	o.From = heap
	return nil, r.bringUp(o, func(w *xsnap.Worker) error { return w.Ready() })
}

// saveHeap writes the heap to dst, as the engine writes it, and gives its hash.
func (r *Session) saveHeap(dst io.Writer) (hash string, err error) {
	defer r.killOnCancel()()
	sum := sha256.New()
	if _, err := r.worker.Snapshot(io.MultiWriter(dst, sum)); err != nil {
		return "", r.orCancelled(err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// handler answers syscalls from the transcript.
type handler struct {
	session  *Session
	entry    transcripts.Entry
	replayer *transcripts.Replayer
}

// Syscall tells a syscall that differs from bytes that are none: the first is
// a difference, the other only says that this worker is broken.
func (h *handler) Syscall(vso json.RawMessage) (json.RawMessage, error) {
	reply, err := h.replayer.Syscall(vso)
	if err == nil {
		return reply, nil
	}
	if _, unreadable := transcripts.JSRestringify(vso); unreadable != nil {
		return nil, fmt.Errorf("%w: %w", xsnap.ErrNoSyscall, unreadable)
	}
	var diverged *transcripts.AnachrophobiaError
	if errors.As(err, &diverged) {
		h.session.differs(diverged.Difference(h.entry), diverged.Report())
	}
	return nil, err
}

func (h *handler) Console(source, level string, args []json.RawMessage) {
	if say := h.session.opts.Console; say != nil {
		say(h.session.next, source, level, args)
	}
}

func (*handler) TestLog([]json.RawMessage) {}
