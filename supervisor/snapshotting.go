package supervisor

import (
	"errors"
	"fmt"
	"io"
	"time"

	"vatworkerd/internal/crashpoint"
	"vatworkerd/pipeproto"
	"vatworkerd/snapshots"
	"vatworkerd/transcripts"
	"vatworkerd/xsnap"
)

// snapshotDue tells whether a vat's span has grown enough: snapshotInitial
// entries for an incarnation's first snapshot, snapshotInterval for the others,
// pseudo-entries counted, as the JavaScript vat-warehouse does.
func (s *Supervisor) snapshotDue(vatID string) (bool, error) {
	span, ok, err := transcripts.Current(s.db, vatID)
	if err != nil || !ok {
		return false, err
	}
	entries := span.EndPos - span.StartPos
	if entries >= s.config.SnapshotInterval {
		return true, nil
	}
	if entries < s.config.SnapshotInitial {
		return false, nil
	}
	_, has, err := snapshots.InUse(s.db, vatID)
	return !has, err
}

// maybeSnapshot takes a snapshot after a vat's crank if its schedule says so.
func (s *Supervisor) maybeSnapshot(vatID string) error {
	due, err := s.snapshotDue(vatID)
	if err != nil || !due {
		return err
	}
	if _, err = s.takeSnapshot(vatID); faultOf(err) != "" {
		return nil // the vat has been dealt with by its policy
	}
	return err
}

// snapshotNow takes a snapshot out of turn and waits for its file.
func (s *Supervisor) snapshotNow(req pipeproto.VatRef) (pipeproto.SnapshotInfo, error) {
	taken, err := s.takeSnapshot(req.VatID)
	if err != nil {
		return taken, err
	}
	taken.StoredSize, err = s.snapshots.StoredSize(taken.Hash)
	return taken, err
}

// takeSnapshot is a crank of its own: BOYD, save, save-snapshot, a new span,
// load-snapshot. A vat that fails its BOYD gets what its policy says.
func (s *Supervisor) takeSnapshot(vatID string) (pipeproto.SnapshotInfo, error) {
	var taken pipeproto.SnapshotInfo
	err := s.runCrank(func(c *crank) error {
		rec, err := c.settled(vatID)
		if err != nil {
			return err
		}
		if !rec.state().hasIncarnation() {
			return &RefusedError{VatID: vatID, State: rec.state().String(), Event: "snapshot", Why: "there is no heap between incarnations"}
		}
		taken, err = c.snapshot(rec)
		return err
	})
	if problem := faultOf(err); problem != "" {
		err = errors.Join(err, s.fatal(vatID, pipeproto.Verdict{Reason: problem}))
	}
	return taken, err
}

func (c *crank) snapshot(rec *record) (pipeproto.SnapshotInfo, error) {
	if err := c.bringOutYourDead(rec); err != nil {
		return pipeproto.SnapshotInfo{}, err
	}
	crashpoint.Here(crashpoint.SupervisorBuried)
	span, ok, err := transcripts.Current(c.tx, rec.ID)
	if err != nil || !ok {
		return pipeproto.SnapshotInfo{}, errors.Join(err, fmt.Errorf("cannot snapshot %s: it has no transcript", rec.ID))
	}
	image, err := c.s.imageOf(rec)
	if err != nil {
		return pipeproto.SnapshotInfo{}, err
	}
	began := time.Now()
	file, err := c.s.heapFile(image, true)
	if err != nil {
		return pipeproto.SnapshotInfo{}, err
	}
	info, next, err := c.s.saveHeap(rec, image, c.s.pool.use(rec.ID), file, c.s.makeRoom(rec.ID))
	if info.Hash != "" {
		c.s.dropped = append(c.s.dropped, info.Hash) // unless a row of a committed block names it
	}
	if err != nil {
		return pipeproto.SnapshotInfo{}, err
	}
	c.coming = append(c.coming, next)
	c.s.slog.heapSaved(rec, span.EndPos, info, began)
	crashpoint.Here(crashpoint.SupervisorHeapStored)
	if err := c.recordSnapshot(rec, span.EndPos, info); err != nil {
		return pipeproto.SnapshotInfo{}, err
	}
	crashpoint.Here(crashpoint.SupervisorSnapshotted)
	if next.plan, err = c.s.planFor(c.tx, rec); err != nil {
		return pipeproto.SnapshotInfo{}, err
	}
	c.after(func() { c.s.takeOver(rec, next) })
	c.s.emitAfter(c, pipeproto.VatEvent{
		Kind: pipeproto.VatSnapshotted, VatID: rec.ID, Name: rec.Name, Hash: info.Hash,
		Bytes: info.UncompressedSize, Micros: time.Since(began).Microseconds(),
	})
	return pipeproto.SnapshotInfo{
		VatID: rec.ID, VatName: rec.Name, Position: span.EndPos, Hash: info.Hash,
		UncompressedSize: info.UncompressedSize, InUse: true,
	}, nil
}

// takeOver lets a vat's worker go for the one that its heap was given to. That
// one may still be loading: nothing in the store depends on it, so other vats'
// cranks go on, and the vat's own next one waits for it. If it does not come, the
// vat is paged in from the snapshot like any other.
func (s *Supervisor) takeOver(rec *record, next *arrival) {
	if rec.state() == paused {
		s.reaper.abandon(next)
		s.evict(rec.ID, "paused")
		return
	}
	s.pool.retire(rec.ID)
	s.pager.join(next)
}

// recordSnapshot writes the pseudo-entries and the snapshot's row. The
// snapshot's position is that of its save-snapshot entry.
func (c *crank) recordSnapshot(rec *record, position int64, info snapshots.Info) error {
	if err := c.dropSnapshots(rec.ID); err != nil {
		return err
	}
	if _, err := transcripts.Append(c.tx, rec.ID, transcripts.SaveSnapshot(info.Hash).Encode()); err != nil {
		return err
	}
	span, err := transcripts.RolloverSpan(c.tx, rec.ID)
	if err != nil {
		return err
	}
	loaded, err := transcripts.Append(c.tx, rec.ID, transcripts.LoadSnapshot(info.Hash).Encode())
	if err != nil {
		return err
	}
	c.s.live.at(rec.ID, loaded+1)
	return snapshots.Record(c.tx, rec.ID, position, span.Incarnation, info)
}

// heapFile takes a heap: a *snapshots.Writer, or a *snapshots.Digest that only
// looks at it.
type heapFile interface {
	io.Writer
	CommitLater() (snapshots.Info, error)
	Abort()
}

// heapFile begins a file for the heap of a vat of the image; with store unset,
// something that only gives the hash.
func (k *kit) heapFile(image xsnap.Image, store bool) (heapFile, error) {
	if !store {
		return snapshots.NewDigest(), nil
	}
	return k.bases.create(image)
}

// feedBytes is how much of a heap waits in memory for the process that is to load
// it, which takes a while to come up: the engine that writes waits for nobody.
const feedBytes = 8 << 20

// saveHeap writes a worker's heap into file, which it ends, and, from the same
// stream, into a new worker, which may still be on its way when saveHeap returns.
// The new worker always takes over: a process that went on would collect garbage
// at other moments than one that was paged in. The file need not be durable yet
// when this returns: see prepare.
func (k *kit) saveHeap(rec *record, image xsnap.Image, w *worker, file heapFile, seat *seat) (snapshots.Info, *arrival, error) {
	defer k.live.leave(k.live.enter(stepSnapshot, rec))
	next := newArrival(plan{rec: rec}, forSnapshot, 0, seat)
	began := time.Now()
	heap := k.snapshots.NewQueue(feedBytes)
	go func() {
		w, err := k.launchFrom(rec, image, heap, berth{seat: seat, cpu: k.away(), leash: &next.leash})
		heap.StopReading(errNoLoader) // a worker that takes no more must not stop the save
		next.land(w, revived{}, time.Since(began), err)
	}()
	_ = w.process.Unpin() // it writes while this side hashes and compresses; it is at its end
	crashpoint.Here(crashpoint.SupervisorHeapBegun)
	size, err := w.process.Snapshot(&heapTee{file: file, worker: heap})
	heap.CloseWithError(err) // nil ends the stream
	crashpoint.Here(crashpoint.SupervisorHeapStreamed)
	var info snapshots.Info
	if err != nil {
		file.Abort()
	} else {
		info, err = file.CommitLater()
	}
	if err == nil && info.UncompressedSize != size {
		err = fmt.Errorf("cannot save the heap of %s: %d of %d bytes arrived", rec.ID, info.UncompressedSize, size)
	}
	if err != nil {
		k.reaper.abandon(next)
		err = lostUnlessLocal(rec.ID, err)
		if lost := (*lostError)(nil); errors.As(err, &lost) {
			k.crashed(w, rec, k.live.positionOf(rec.ID), DoingSnapshot, err)
		}
		return info, nil, err
	}
	return info, next, nil
}

// errNoLoader says that a heap that is written is not loaded any more.
var errNoLoader = errors.New("the worker takes no more of the heap")

// heapTee gives a heap to the store and to a new worker. Only the store's
// trouble stops it: a worker that fails is found when it reports ready.
type heapTee struct {
	file   io.Writer
	worker io.Writer
	lost   bool
}

func (t *heapTee) Write(p []byte) (int, error) {
	n, err := t.file.Write(p)
	if err != nil {
		return n, err
	}
	if !t.lost {
		_, err := t.worker.Write(p)
		t.lost = err != nil
	}
	return n, nil
}

// dropSnapshots notes that files of a vat's snapshots may go once the block is
// committed; until then an undone block may need them.
func (c *crank) dropSnapshots(vatID string) error {
	kept, err := snapshots.Kept(c.tx, vatID, c.s.keep)
	if err != nil {
		return err
	}
	c.after(func() {
		for _, row := range kept {
			c.s.dropped = append(c.s.dropped, row.Hash)
		}
	})
	return nil
}

// removeDropped removes the files that went out of use in the block that was
// just committed, unless another vat starts from the same heap, or this one
// may have to; and those that no row has come to name.
func (s *Supervisor) removeDropped() error {
	for len(s.dropped) > 0 {
		hash := s.dropped[0]
		kept, err := snapshots.IsKept(s.db, hash, s.keep)
		if err != nil {
			return err
		}
		if !kept {
			err := s.snapshots.Remove(hash)
			if errors.Is(err, snapshots.ErrHeld) {
				s.dropped, s.sweepDue = nil, true
				return nil
			}
			if err != nil {
				return err
			}
		}
		s.dropped = s.dropped[1:]
	}
	return nil
}

// sweepOrphans removes the files that nothing keeps: what a crash or an undone
// block has left. No block may be open. While somebody holds the files that
// stays due.
func (s *Supervisor) sweepOrphans() error {
	if s.sweepDue = s.snapshots.Held(); s.sweepDue {
		return nil
	}
	kept, err := snapshots.KeptHashes(s.db, s.keep)
	if err != nil {
		return err
	}
	_, err = s.snapshots.Sweep(func(hash string) bool { return kept[hash] })
	if errors.Is(err, snapshots.ErrHeld) {
		s.sweepDue = true
		return nil
	}
	return err
}
