package supervisor

import (
	"errors"
	"fmt"
	"slices"
	"strings"
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
	defer s.live.leave(s.live.enter(stepPageIn, rec))
	if w, err := s.awaited(r, rec); w != nil || err != nil {
		return w, err
	}
	began := time.Now()
	image, err := s.imageOf(rec)
	if err != nil {
		return nil, err
	}
	crashpoint.Here(crashpoint.SupervisorPageIn)
	seat := s.makeRoom("")
	s.lookAhead()
	w, report, err := s.revive(r, rec, image, berth{seat: seat, cpu: s.cpu})
	if err != nil {
		seat.leave()
		return nil, err
	}
	s.pool.adopt(rec.ID, w)
	if span, ok, err := transcripts.Current(r, rec.ID); err == nil && ok {
		s.live.at(rec.ID, span.EndPos)
	}
	crashpoint.Here(crashpoint.SupervisorPagedIn)
	s.tellPagedIn(rec, report, time.Since(began), "")
	weigh(w.process, w.seat)
	return w, nil
}

func (s *Supervisor) tellPagedIn(rec *record, report revived, took time.Duration, why string) {
	s.emit(pipeproto.VatEvent{
		Kind: pipeproto.VatPagedIn, VatID: rec.ID, Name: rec.Name, Hash: report.snapshot,
		Micros: took.Microseconds(), Deliveries: report.deliveries, Detail: why,
	})
}

// revived says what a revival did.
type revived struct {
	snapshot   string
	deliveries int64
	snapshots  int64
}

// revive brings a vat's worker to the end of its transcript: from the newest of
// its kept heap snapshots that can be read, else from the begin of its
// incarnation. What cannot be read is written anew on the way.
func (s *Supervisor) revive(r transcripts.Reader, rec *record, image xsnap.Image, at berth) (*worker, revived, error) {
	span, ok, err := transcripts.Current(r, rec.ID)
	if err != nil {
		return nil, revived{}, err
	}
	if !ok {
		return nil, revived{}, fmt.Errorf("cannot page in %s: it has no transcript", rec.ID)
	}
	kept, err := snapshots.Kept(r, rec.ID, s.keep)
	if err != nil {
		return nil, revived{}, err
	}
	run := &rerun{
		kit: s.kit, rec: rec, image: image, liveSlotsOptions: s.liveSlotsOptions(rec), at: at, files: map[string]bool{},
	}
	var unread []error
	for _, row := range slices.Backward(kept) {
		run.files[row.Hash] = true
		err := run.startFrom(row.SnapPos, row.Hash)
		if err == nil {
			crashpoint.Here(crashpoint.SupervisorHeapLoaded)
			return s.rerunTo(run, r, row.SnapPos+1, span.EndPos, unread)
		}
		if !unreadable(err) {
			return nil, revived{}, lostUnlessLocal(rec.ID, err)
		}
		s.warn("%v; bringing back %s from what was before it", err, rec.label())
		unread = append(unread, err)
	}
	from, err := run.startAfresh(r)
	if err != nil {
		return nil, revived{}, err
	}
	return s.rerunTo(run, r, from, span.EndPos, unread)
}

// rerunTo runs the items [from, until). unread says which snapshots, newest
// first, made it begin that far back.
func (s *Supervisor) rerunTo(run *rerun, r transcripts.Reader, from, until int64, unread []error) (*worker, revived, error) {
	err := run.items(r, from, until)
	if err == nil {
		return run.w, run.report, nil
	}
	s.reaper.end(run.w)
	var missing *transcripts.MissingItemsError
	if errors.As(err, &missing) && len(unread) > 0 {
		return nil, run.report, s.panic(&SnapshotLostError{VatID: run.rec.ID, Unread: unread, Err: err})
	}
	return nil, run.report, s.brokenConsensus(err)
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

// SnapshotLostError reports a vat whose kept heap snapshots cannot be read while
// the transcript before them is gone too.
type SnapshotLostError struct {
	VatID  string
	Unread []error // of its snapshots, newest first
	Err    error   // of the transcript
}

func (e *SnapshotLostError) Error() string {
	unread := make([]string, len(e.Unread))
	for i, err := range e.Unread {
		unread[i] = err.Error()
	}
	return fmt.Sprintf("cannot bring back %s: %s; and its transcript does not reach back far enough: %v", e.VatID, strings.Join(unread, "; "), e.Err)
}
func (e *SnapshotLostError) Unwrap() []error {
	return append(e.Unread[:len(e.Unread):len(e.Unread)], e.Err)
}

// ErrorHint is the user's next step.
func (e *SnapshotLostError) ErrorHint() string {
	return "put a sound copy of the first of these files back, from a backup or from another node of the same chain, and start again"
}

// unreadable tells trouble with one snapshot's file, which another snapshot need
// not have, from all other trouble.
func unreadable(err error) bool {
	var disk *snapshots.IOError
	return damaged(err) || errors.As(err, &disk)
}

// damaged tells a snapshot file that is not what its name says.
func damaged(err error) bool {
	var corrupt *snapshots.CorruptError
	var missing *snapshots.MissingError
	return errors.As(err, &corrupt) || errors.As(err, &missing)
}
