package supervisor

import (
	"vatworkerd/pipeproto"
	"vatworkerd/snapshots"
	"vatworkerd/transcripts"
)

// maxStatusVats bounds one status reply.
const maxStatusVats = 1000

// status describes the supervisor and one page of its vats.
func (s *Supervisor) status(req pipeproto.StatusRequest) (pipeproto.Status, error) {
	s.collect()
	n, err := readCounts(s.db)
	if err != nil {
		return pipeproto.Status{}, err
	}
	epoch, err := epochIn(s.db)
	if err != nil {
		return pipeproto.Status{}, err
	}
	st := pipeproto.Status{
		Height: s.db.Height(), ActivityHash: s.db.ActivityHash(), StateHash: s.db.StateHash(), Epoch: epoch,
		ImageID: s.image.ID(), Engine: s.image.Engine.Kind.String(), EngineSHA256: s.image.Engine.SHA256,
		Counts: pipeproto.Counts{
			Vats: n.Vats, Suspended: n.Suspended, Paused: n.Paused, Terminated: n.Terminated,
			Queued: n.Queued, Held: n.Held, Online: int64(s.pool.size() + s.pager.takingOver()),
		},
	}
	st.Pool = s.poolStatus()
	if s.panicked != nil {
		st.Panic = s.panicked.Err.Error()
	}
	st.Vats, st.More, err = s.page(req.After, min(req.Limit, maxStatusVats))
	return st, err
}

// poolStatus tells who is online and what bounds it.
func (s *Supervisor) poolStatus() pipeproto.Pool {
	for _, vatID := range s.pool.vatIDs() {
		w := s.pool.peek(vatID)
		weigh(w.process, w.seat)
	}
	workers, bytes := s.census.figures()
	return pipeproto.Pool{
		Workers: int64(workers), MaxWorkers: int64(s.census.bounds.workers),
		MemoryBytes: bytes, MaxMemoryBytes: s.census.bounds.bytes,
		Spares: int64(s.spares.count()), Hulls: int64(s.hulls.count()), ComingIn: int64(s.pager.count()),
		Pinned: s.pins.all(),
	}
}

// page lists up to limit vats after one ID, in creation order of IDs.
func (s *Supervisor) page(after string, limit int) (vats []pipeproto.VatStatus, more bool, err error) {
	key := prefixVat
	if after != "" {
		key = vatKey(after)
	}
	for {
		next, ok, err := s.db.NextKey(key, prefixVat)
		if err != nil || !ok {
			return vats, false, err
		}
		if len(vats) >= limit {
			return vats, true, nil
		}
		st, err := s.vatStatus(vatIDOfKey(next, prefixVat))
		if err != nil {
			return vats, false, err
		}
		vats = append(vats, st)
		key = next
	}
}

// vatStatus describes one vat. A record that a restart-all has passed over
// shows the state it would be settled into.
func (s *Supervisor) vatStatus(vatID string) (pipeproto.VatStatus, error) {
	rec, err := s.recordOf(vatID)
	if err != nil {
		return pipeproto.VatStatus{}, err
	}
	now, err := s.settledState(rec)
	if err != nil {
		return pipeproto.VatStatus{}, err
	}
	isSuspended, isPaused := now.flags()
	u, err := readUsage(s.db, vatID)
	if err != nil {
		return pipeproto.VatStatus{}, err
	}
	st := pipeproto.VatStatus{
		VatID: vatID, Name: rec.Name, State: now.String(), Incarnation: max(0, rec.Incarnation),
		Suspended: isSuspended, SuspendReason: rec.SuspendReason,
		Paused: isPaused, PauseReason: rec.PauseReason, Online: s.isOnline(vatID), Pinned: now != terminated && s.pins.rank(vatID, rec.Name) != noRank,
		Deliveries: u.Deliveries, Computrons: u.Computrons, Allowance: u.Allowance,
		LastError: rec.LastError, LastEnd: rec.LastEnd, BundleID: rec.BundleID, ImageID: rec.ImageID,
		Options: rec.Options,
	}
	if st.Engine, err = s.engineKind(rec.ImageID); err != nil {
		return st, err
	}
	if isSuspended && st.SuspendReason == "" {
		st.SuspendReason, st.LastEnd = "restart-all", pipeproto.ReasonRestarted
	}
	if now.holds() {
		if st.Held, err = readQueueLen(s.db, vatID); err != nil {
			return st, err
		}
	}
	return st, s.addHistory(rec, now, &st)
}

// settledState is the state a record is in, or will be settled into.
func (s *Supervisor) settledState(rec *record) (state, error) {
	epoch, err := epochIn(s.db)
	return settledIn(s.table, rec, epoch), err
}

func settledIn(table [numEvents][numStates]cell, rec *record, epoch int64) state {
	if !rec.Terminated && rec.Epoch < epoch {
		return table[evRestart][rec.state()].next
	}
	return rec.state()
}

func (s *Supervisor) addHistory(rec *record, now state, st *pipeproto.VatStatus) error {
	span, ok, err := transcripts.Current(s.db, rec.ID)
	if err != nil {
		return err
	}
	if ok {
		st.Position, st.SpanHash = span.EndPos, span.Hash
	}
	if !now.hasIncarnation() {
		return nil
	}
	row, ok, err := snapshots.InUse(s.db, rec.ID)
	if err != nil || !ok {
		return err
	}
	st.SnapshotHash, st.SnapshotPosition = row.Hash, row.SnapPos
	return nil
}
