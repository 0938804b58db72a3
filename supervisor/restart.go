package supervisor

import (
	"errors"
	"fmt"
	"strconv"

	"vatworkerd/internal/crashpoint"
	"vatworkerd/pipeproto"
)

// Restart-all raises an epoch in the store. A record of an older epoch reads as
// suspended from that moment on and is settled — its incarnation ended in the
// books — when something touches it, or under the cleanup budget. So the
// restart itself costs the same for ten vats and for a million.

// epochIn reads the current epoch.
func epochIn(r keyReader) (int64, error) { return readNumber(r, keyEpoch) }

// behind tells whether a restart-all has passed over this record.
func (s *Supervisor) behind(rec *record) (bool, error) {
	epoch, err := epochIn(s.db)
	return !rec.Terminated && rec.Epoch < epoch, err
}

// settled loads a record and brings it up to the current epoch in this crank.
func (c *crank) settled(vatID string) (*record, error) {
	rec, err := c.load(vatID)
	if err != nil {
		return nil, err
	}
	epoch, err := epochIn(c)
	if err != nil {
		return nil, err
	}
	if rec.Terminated || rec.Epoch >= epoch {
		return rec, nil
	}
	return rec, c.catchUp(rec, epoch)
}

func (c *crank) catchUp(rec *record, epoch int64) error {
	rec.Epoch = epoch
	from := rec.state()
	next := c.s.table[evRestart][from].next
	// restart-all has counted every live vat as suspended already.
	c.tally().Suspended -= suspendedBy(from, next)
	err := c.apply(rec, evRestart, change{
		reason: "restart-all", endReason: pipeproto.ReasonRestarted, message: "restart-all",
	})
	crashpoint.Here(crashpoint.SupervisorSettled)
	return err
}

// suspendedBy is how much a transition adds to the count of suspended vats.
func suspendedBy(from, next state) int64 {
	var n counts
	n.move(from, next)
	return n.Suspended
}

// settle brings one record up to the current epoch in a crank of its own.
func (s *Supervisor) settle(vatID string) error {
	return s.runCrank(func(c *crank) error {
		_, err := c.settled(vatID)
		return err
	})
}

// restartAll applies a restart token: every vat is suspended, then the
// immediate set (static, critical and restartCritical vats, in vat order) is
// unsuspended. If one of them fails the supervisor panics and the block is
// never prepared, so nothing of the restart is committed.
func (s *Supervisor) restartAll(req pipeproto.RestartAll) (pipeproto.RestartAllReply, error) {
	var reply pipeproto.RestartAllReply
	if req.Token == "" {
		return reply, badRequest("restartAll", "a token is needed: it makes applying the restart twice harmless")
	}
	err := s.runCrank(func(c *crank) error {
		before, err := readNumber(c, prefixToken+req.Token)
		if err != nil || before > 0 {
			reply.Epoch = before
			return err
		}
		now, err := epochIn(c)
		if err != nil {
			return err
		}
		reply.Applied = true
		reply.Epoch = now + 1
		epoch := strconv.FormatInt(reply.Epoch, 10)
		c.tx.Set(keyEpoch, epoch)
		c.tx.Set(prefixToken+req.Token, epoch)
		c.tx.Set(keyCursor, prefixVat)
		n := c.tally()
		n.Suspended = n.Vats - n.Terminated
		reply.Suspended = n.Suspended
		c.after(s.evictAll)
		return nil
	})
	if err != nil || !reply.Applied {
		return reply, err
	}
	crashpoint.Here(crashpoint.SupervisorRestarted)
	s.live.note(func() { s.live.now.Epoch, s.live.now.Totals.Restarts = reply.Epoch, s.live.now.Totals.Restarts+1 })
	reply.Unsuspended, err = s.startImmediateSet()
	return reply, err
}

func (s *Supervisor) startImmediateSet() ([]string, error) {
	var startedIDs []string
	key, ok, err := s.db.NextKey(prefixImmediate, prefixImmediate)
	for ; ok && err == nil; key, ok, err = s.db.NextKey(key, prefixImmediate) {
		vatID := vatIDOfKey(key, prefixImmediate)
		if err := s.settle(vatID); err != nil {
			return startedIDs, err
		}
		rec, err := s.recordOf(vatID)
		if err != nil {
			return startedIDs, err
		}
		if rec.state() != suspended {
			continue // paused by hand or deliberately suspended: it takes a decision to start it
		}
		if err := s.startImmediate(rec); err != nil {
			return startedIDs, err
		}
		startedIDs = append(startedIDs, vatID)
		s.baton.lend()
	}
	return startedIDs, err
}

func (s *Supervisor) startImmediate(rec *record) error {
	err := s.transition(rec.ID, evUnsuspend, change{endReason: pipeproto.ReasonRestarted}, pipeproto.VatUnsuspended)
	var failed *startError
	if errors.As(err, &failed) {
		return s.panic(fmt.Errorf("restart-all: %s cannot start on worker image %s: %s; "+
			"nothing of the restart is kept: restart with the old engine, or with a better one and the same token",
			rec.label(), s.image.ID(), failed.problem))
	}
	if err != nil {
		return err
	}
	crashpoint.Here(crashpoint.SupervisorRestartedOne)
	return s.maybeSnapshot(rec.ID)
}
