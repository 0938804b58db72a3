package supervisor

import (
	"errors"
	"time"

	"vatworkerd/pipeproto"
	"vatworkerd/snapshots"
	"vatworkerd/transcripts"
)

// replay re-runs a vat's transcript in a throw-away worker and compares. It
// changes nothing, not even which vats are online.
func (s *Supervisor) replay(req pipeproto.Replay) (pipeproto.ReplayReply, error) {
	reply := pipeproto.ReplayReply{VatID: req.VatID}
	rec, err := s.recordOf(req.VatID)
	if err != nil {
		return reply, err
	}
	now, err := s.settledState(rec)
	if err != nil {
		return reply, err
	}
	if !now.hasIncarnation() {
		return reply, &RefusedError{VatID: rec.ID, State: now.String(), Event: "replay", Why: "there is no transcript between incarnations"}
	}
	began := time.Now()
	report, err := s.replayThrowAway(rec, req.Full, &reply)
	reply.Deliveries, reply.Snapshots = report.deliveries, report.snapshots
	reply.Micros = time.Since(began).Microseconds()
	reply.Identical = err == nil
	if text := divergence(err); text != "" {
		reply.Report = text
		return reply, nil
	}
	return reply, err
}

func (s *Supervisor) replayThrowAway(rec *record, full bool, reply *pipeproto.ReplayReply) (revived, error) {
	span, ok, err := transcripts.Current(s.db, rec.ID)
	if err != nil || !ok {
		return revived{}, err
	}
	image, err := s.imageOf(rec)
	if err != nil {
		return revived{}, err
	}
	row, has, err := snapshots.InUse(s.db, rec.ID)
	if err != nil {
		return revived{}, err
	}
	run := &rerun{
		kit: s.kit, rec: rec, image: image, liveSlotsOptions: s.liveSlotsOptions(rec), see: s.progress(rec, reply),
		at: berth{seat: s.census.take(), cpu: s.cpu},
	}
	reply.From, reply.Until = span.StartPos, span.EndPos
	if full || !has {
		reply.From, err = run.startAfresh(s.db)
	} else {
		err = run.startFrom(row.SnapPos, row.Hash)
	}
	if err != nil {
		run.at.seat.leave()
		return revived{}, err
	}
	defer func() { s.reaper.end(run.w) }()
	err = run.items(s.db, reply.From, reply.Until)
	return run.report, err
}

// progress tells the host how far a long replay is.
func (s *Supervisor) progress(rec *record, reply *pipeproto.ReplayReply) watch {
	const every = 100
	return func(position int64, _ time.Duration) {
		if (position-reply.From)%every == 0 {
			_ = s.host.Event(pipeproto.EventTick, pipeproto.ProgressEvent{
				What: "replay " + rec.label(), Done: position - reply.From, Total: reply.Until - reply.From,
			})
		}
	}
}

// divergence gives the report of a replay that did not repeat, or nothing.
func divergence(err error) string {
	var diverged *transcripts.AnachrophobiaError
	if errors.As(err, &diverged) {
		return diverged.Report()
	}
	var heap *SnapshotDivergedError
	if errors.As(err, &heap) {
		return heap.Error()
	}
	return ""
}
