package supervisor

import (
	"errors"
	"fmt"
	"time"

	"vatworkerd/internal/crashpoint"
	"vatworkerd/pipeproto"
	"vatworkerd/snapshots"
	"vatworkerd/transcripts"
	"vatworkerd/xsnap"
)

// online gives the vat's worker, paging the vat in if it is offline: a worker
// from the heap snapshot (or the base snapshot and the bundle), then the
// current span replayed and compared.
func (s *Supervisor) online(r transcripts.Reader, rec *record) (*worker, error) {
	if w := s.pool.use(rec.ID); w != nil {
		return w, nil
	}
	began := time.Now()
	image, err := s.imageOf(rec)
	if err != nil {
		return nil, err
	}
	crashpoint.Here(crashpoint.SupervisorPageIn)
	s.makeRoom("")
	w, report, err := s.revive(r, rec, image)
	if err != nil {
		return nil, err
	}
	s.pool.adopt(rec.ID, w)
	crashpoint.Here(crashpoint.SupervisorPagedIn)
	s.emit(pipeproto.VatEvent{
		Kind: pipeproto.VatPagedIn, VatID: rec.ID, Name: rec.Name, Hash: report.snapshot,
		Micros: time.Since(began).Microseconds(), Deliveries: report.deliveries,
	})
	return w, nil
}

// revived says what a revival did.
type revived struct {
	snapshot   string
	deliveries int64
	snapshots  int64
}

// revive brings a vat's worker to the end of its transcript. A snapshot that is
// missing or corrupt is replaced by replaying the whole incarnation, which
// writes the same snapshot anew.
func (s *Supervisor) revive(r transcripts.Reader, rec *record, image xsnap.Image) (*worker, revived, error) {
	span, ok, err := transcripts.Current(r, rec.ID)
	if err != nil {
		return nil, revived{}, err
	}
	if !ok {
		return nil, revived{}, fmt.Errorf("cannot page in %s: it has no transcript", rec.ID)
	}
	row, hasSnapshot, err := snapshots.InUse(r, rec.ID)
	if err != nil {
		return nil, revived{}, err
	}
	if !hasSnapshot {
		w, report, err := s.replayIncarnation(r, rec, image, span.EndPos, nil)
		return w, report, s.brokenConsensus(err)
	}
	w, err := s.launchFromSnapshot(rec, image, row.Hash)
	if damaged(err) {
		s.warn("%v; replaying the whole incarnation of %s instead", err, rec.label())
		w, report, replayErr := s.replayIncarnation(r, rec, image, span.EndPos, nil)
		if replayErr != nil {
			return nil, report, s.panic(errors.Join(&SnapshotLostError{VatID: rec.ID, Hash: row.Hash, Err: err}, replayErr))
		}
		return w, report, nil
	}
	if err != nil {
		return nil, revived{}, lostUnlessLocal(rec.ID, err)
	}
	crashpoint.Here(crashpoint.SupervisorHeapLoaded)
	report := revived{snapshot: row.Hash}
	if err := s.replayItems(r, rec, image, &w, span.StartPos, span.EndPos, &report, nil); err != nil {
		s.reaper.end(w)
		return nil, report, s.brokenConsensus(err)
	}
	return w, report, nil
}

// brokenConsensus makes a panic of a page-in that did not repeat: the vat's
// history and this node's worker disagree, and no guess can mend that.
func (s *Supervisor) brokenConsensus(err error) error {
	if divergence(err) == "" {
		return err
	}
	s.log.Error("page-in diverged", "report", divergence(err))
	return s.panic(err)
}

// SnapshotLostError reports a heap snapshot that cannot be read while the
// transcript before it is gone too.
type SnapshotLostError struct {
	VatID string
	Hash  string
	Err   error
}

func (e *SnapshotLostError) Error() string {
	return fmt.Sprintf("cannot bring back %s: its heap snapshot %s cannot be read (%v) and its transcript does not reach back far enough; "+
		"put a sound copy of that file back, for example from a backup or another node", e.VatID, e.Hash, e.Err)
}
func (e *SnapshotLostError) Unwrap() error { return e.Err }

// damaged tells a snapshot file that is not what its name says from all other
// trouble.
func damaged(err error) bool {
	var corrupt *snapshots.CorruptError
	var missing *snapshots.MissingError
	return errors.As(err, &corrupt) || errors.As(err, &missing)
}

func (s *Supervisor) launchFromSnapshot(rec *record, image xsnap.Image, hash string) (*worker, error) {
	heap, err := s.snapshots.Open(hash)
	if err != nil {
		return nil, err
	}
	defer heap.Close()
	return s.launchFrom(rec, image, heap)
}

// watch sees each replayed delivery; nil watches nothing.
type watch func(position int64, d time.Duration)

// replayIncarnation replays the current incarnation up to a position from its
// initialize-worker on, taking its snapshots again on the way.
func (s *Supervisor) replayIncarnation(r transcripts.Reader, rec *record, image xsnap.Image, until int64, see watch) (*worker, revived, error) {
	var report revived
	from, err := incarnationStart(r, rec)
	if err != nil {
		return nil, report, err
	}
	w, err := s.launchFresh(rec, image)
	if err != nil {
		return nil, report, lostUnlessLocal(rec.ID, err)
	}
	if err := s.replayItems(r, rec, image, &w, from, until, &report, see); err != nil {
		s.reaper.end(w)
		return nil, report, err
	}
	return w, report, nil
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

// replayItems runs the items [from, until) on *w and compares everything. At a
// save-snapshot the heap must hash to what was recorded, and the worker is
// replaced by one loaded from it, as it was in the first run.
func (s *Supervisor) replayItems(r transcripts.Reader, rec *record, image xsnap.Image, w **worker, from, until int64, report *revived, see watch) error {
	items, err := transcripts.Items(r, rec.ID, from, until)
	if err != nil {
		return err
	}
	for i, item := range items {
		position := from + int64(i)
		entry, err := transcripts.Decode(item)
		if err != nil {
			return fmt.Errorf("cannot decode transcript item %d of %s: %w", position, rec.ID, err)
		}
		switch entry.Kind() {
		case "initialize-worker", "load-snapshot", "shutdown-worker":
			continue
		case "save-snapshot":
			if err := s.retakeSnapshot(rec, image, w, position, entry.Result.SnapshotID); err != nil {
				return err
			}
			report.snapshots++
			continue
		}
		began := time.Now()
		if err := s.replayOne(rec, *w, position, entry); err != nil {
			return err
		}
		if see != nil {
			see(position, time.Since(began))
		}
		report.deliveries++
	}
	return nil
}

func (s *Supervisor) replayOne(rec *record, w *worker, position int64, entry transcripts.Entry) error {
	replayer := transcripts.NewReplayer(rec.ID, position, entry)
	result, err := w.process.Deliver(entry.Delivery, replayHandler{replayer: replayer})
	crashpoint.Here(crashpoint.SupervisorReplayed)
	if err != nil {
		return lostUnlessLocal(rec.ID, err)
	}
	var computrons *int64
	if result.Meter != nil {
		computrons = &result.Meter.Compute
	}
	return replayer.Finish(result.Status, computrons)
}

// retakeSnapshot saves the heap again, demands the recorded hash and goes on in
// a worker loaded from it.
func (s *Supervisor) retakeSnapshot(rec *record, image xsnap.Image, w **worker, position int64, want string) error {
	info, next, err := s.saveHeap(rec, image, *w)
	if err != nil {
		return err
	}
	s.reaper.end(*w)
	*w = next
	if info.Hash != want {
		return &SnapshotDivergedError{VatID: rec.ID, Position: position, Want: want, Got: info.Hash}
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
