package supervisor

import (
	"encoding/json"
	"fmt"
	"time"

	"vatworkerd/internal/crashpoint"
	"vatworkerd/transcripts"
	"vatworkerd/xsnap"
)

// rerun runs items of a vat's transcript again on a worker and compares
// everything. It starts with startFrom or startAfresh; whoever made it owns the
// worker it ends with. It may work beside the supervisor's goroutine.
type rerun struct {
	kit              *kit
	rec              *record
	image            xsnap.Image
	liveSlotsOptions json.RawMessage // for setBundle
	at               berth           // of its first worker

	w      *worker
	files  map[string]bool // hashes of the snapshots on the way that are to be stored
	see    watch
	report revived
}

// watch sees each delivery that ran again; nil watches nothing.
type watch func(position int64, d time.Duration)

// startFrom starts a worker from the heap snapshot that was taken at a position.
func (run *rerun) startFrom(position int64, hash string) (err error) {
	heap, err := run.kit.bases.open(run.image, hash)
	if err != nil {
		return err
	}
	defer heap.Close()
	run.kit.slog.heapLoads(run.rec, position, hash)
	run.w, err = run.kit.launchFrom(run.rec, run.image, heap, run.at)
	run.report.snapshot = hash
	return err
}

// startAfresh starts a worker as the current incarnation did and gives the
// position of its initialize-worker.
func (run *rerun) startAfresh(r transcripts.Reader) (from int64, err error) {
	if from, err = incarnationStart(r, run.rec); err != nil {
		return 0, err
	}
	with := setup{liveSlotsOptions: run.liveSlotsOptions}
	if with.bundle, err = run.kit.bundleOf(run.rec); err != nil {
		return 0, err
	}
	if run.at.spare = run.kit.spares.take(run.image, limitOf(run.rec)); run.at.spare != nil {
		run.at.seat.leave() // a spare has its own
	}
	if run.w, err = run.kit.launchWith(run.rec, run.image, with, run.at); err != nil {
		return 0, lostUnlessLocal(run.rec.ID, err)
	}
	run.report.snapshot = ""
	return from, nil
}

// incarnationStart is the position of the current incarnation's
// initialize-worker.
func incarnationStart(r transcripts.Reader, rec *record) (int64, error) {
	spans, err := transcripts.Spans(r, rec.ID)
	if err != nil {
		return 0, err
	}
	for i := len(spans) - 1; i >= 0; i-- {
		if i == 0 || spans[i-1].Incarnation != spans[i].Incarnation {
			return spans[i].StartPos, nil
		}
	}
	return 0, fmt.Errorf("cannot find a transcript span of %s", rec.ID)
}

// items runs the items [from, until). At a save-snapshot the heap must hash to
// what was recorded, and the worker is replaced by one loaded from it, as it was
// in the first run. After an error the worker is of no use.
func (run *rerun) items(r transcripts.Reader, from, until int64) error {
	// A crank reads for one goroutine only.
	items, err := transcripts.Items(r, run.rec.ID, from, until)
	if err != nil {
		return err
	}
	defer run.kit.slog.replays(run.rec.ID, until-from)()
	return eachEntry(run.rec.ID, func(f func(int64, string) error) error {
		for i, item := range items {
			if err := f(from+int64(i), item); err != nil {
				return err
			}
		}
		return nil
	}, run.one)
}

func (run *rerun) one(position int64, entry transcripts.Entry) error {
	switch entry.Kind() {
	case "initialize-worker", "load-snapshot", "shutdown-worker":
		return nil
	case "save-snapshot":
		run.report.snapshots++
		return run.retake(position, entry.Result.SnapshotID)
	}
	began := time.Now()
	if err := run.deliver(position, entry); err != nil {
		return err
	}
	if run.see != nil {
		run.see(position, time.Since(began))
	}
	run.report.deliveries++
	return nil
}

func (run *rerun) deliver(position int64, entry transcripts.Entry) error {
	err := run.again(position, entry)
	if err != nil && !run.isUnwanted() {
		run.kit.crashed(run.w, run.rec, position, DoingReplay, err)
	}
	return err
}

// isUnwanted tells whether the worker may have been ended on purpose.
func (run *rerun) isUnwanted() bool { return run.at.leash != nil && run.at.leash.isCut() }

func (run *rerun) again(position int64, entry transcripts.Entry) error {
	replayer := transcripts.NewReplayer(run.rec.ID, position, entry)
	run.kit.speech.begins(run.rec, position, true)
	slogged := run.kit.slog.delivers(run.rec, position, true, nil, entry.Delivery)
	result, err := run.w.process.Deliver(entry.Delivery, replayHandler{replayer, run.rec, run.kit.speech, slogged})
	slogged.ends(result, err)
	crashpoint.Here(crashpoint.SupervisorReplayed)
	if err != nil {
		return lostUnlessLocal(run.rec.ID, err)
	}
	if result.WorkerGone && result.ExitCode != xsnap.ExitTooMuchComputation {
		// What was recorded did not end so; memory and stack are this host's.
		return &lostError{vatID: run.rec.ID, err: fmt.Errorf("the replay of position %d ended with %q", position, result.Problem)}
	}
	var computrons *int64
	if result.Meter != nil {
		computrons = &result.Meter.Compute
	}
	return replayer.Finish(result.Status, computrons)
}

// retake saves the heap again, demands the recorded hash and goes on in a
// worker loaded from it.
func (run *rerun) retake(position int64, want string) error {
	file, err := run.kit.heapFile(run.image, run.files[want])
	if err != nil {
		return err
	}
	info, next, err := run.kit.saveHeap(run.rec, run.image, run.w, file, run.kit.census.take())
	if err != nil {
		return err
	}
	<-next.done
	if next.err != nil {
		return lostUnlessLocal(run.rec.ID, next.err)
	}
	before := run.w
	run.kit.reaper.end(before)
	run.w = next.w
	if run.at.cpu >= 0 {
		_ = run.w.process.PinTo(run.at.cpu) // one that cannot be pinned is only slower
	}
	if info.Hash != want {
		err := &SnapshotDivergedError{VatID: run.rec.ID, Position: position, Want: want, Got: info.Hash}
		run.kit.crashed(before, run.rec, position, DoingSnapshot, err)
		return err
	}
	return nil
}

// SnapshotDivergedError reports a heap that did not hash to what was recorded
// when the same work had been done.
type SnapshotDivergedError struct {
	VatID     string
	Position  int64
	Want, Got string
}

func (e *SnapshotDivergedError) Error() string {
	return fmt.Sprintf("anachrophobia in %s at position %d: the heap snapshot differs\n  expected: %s\n  got     : %s",
		e.VatID, e.Position, e.Want, e.Got)
}
