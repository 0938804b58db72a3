package supervisor

import (
	"errors"
	"fmt"

	"vatworkerd/internal/crashpoint"
	"vatworkerd/pipeproto"
)

// run processes cranks until nothing runnable is left or the budget ends, then
// does deferred deletions under theirs. It leaves the host without an open unit.
func (s *Supervisor) run(budget pipeproto.Run) (pipeproto.RunReply, error) {
	reply, err := s.runWithin(budget)
	return reply, errors.Join(err, s.dropAhead())
}

func (s *Supervisor) runWithin(budget pipeproto.Run) (pipeproto.RunReply, error) {
	var reply pipeproto.RunReply
	s.ranComputrons = 0
	s.spares.fill()
	for s.within(budget, reply.Cranks) {
		s.goesOn = s.within(budget, reply.Cranks+1)
		ran, err := s.step()
		if err != nil {
			return reply, err
		}
		if !ran {
			reply.Idle = true
			break
		}
		reply.Cranks++
		s.baton.lend()
	}
	done, err := s.cleanUp(budget.CleanupBudget)
	if err != nil {
		return reply, err
	}
	n, err := readCounts(s.db)
	if err != nil {
		return reply, err
	}
	reply.Cleanups, reply.Held, reply.Computrons = done, n.Held, s.ranComputrons
	return reply, nil
}

// within tells whether a run that did so many cranks may do another.
func (s *Supervisor) within(budget pipeproto.Run, cranks int64) bool {
	return (budget.MaxCranks == 0 || cranks < budget.MaxCranks) &&
		(budget.MaxComputrons == 0 || s.ranComputrons < budget.MaxComputrons)
}

// step runs the lowest runnable item: one crank, or the crank that has to come
// before it. Garbage collection is no reason to start a suspended vat: such
// items wait for its next incarnation.
func (s *Supervisor) step() (ran bool, err error) {
	s.collect()
	next, err := s.heads(1)
	if err != nil || len(next) == 0 {
		return false, err
	}
	if s.ranComputrons > 0 {
		s.hulls.fill() // the crank before may have taken one; if none follows, the commit goes first
	}
	rec, err := s.recordOf(next[0].vatID)
	if err != nil {
		return false, err
	}
	behind, err := s.behind(rec)
	if err != nil {
		return false, err
	}
	if behind {
		return true, s.settle(rec.ID)
	}
	square := s.table[evDeliver][rec.state()]
	switch square.does[0] {
	case doSplat:
		return true, s.splat(rec.ID, next[0].order)
	case doStart:
		if next[0].order.priority() < pipeproto.PriorityMessage {
			return true, s.runCrank(func(c *crank) error { return c.setAside(next[0].order) })
		}
		return true, s.startOnDemand(rec.ID)
	case doDeliver:
		s.turn = &next[0]
		defer func() { s.turn = nil }()
		if s.pool.has(rec.ID) || s.pager.has(rec.ID) {
			s.lookAhead() // else when the vat itself has its place
		}
		return true, s.deliverItem(rec.ID, next[0].order)
	}
	return false, fmt.Errorf("cannot run an item of %s: it is %s and its queue should be held", rec.ID, rec.state())
}

// startOnDemand unsuspends a vat because an item waits for it. A vat that
// fails is left deliberately suspended and its items held; that is its own
// affair and not the run's.
func (s *Supervisor) startOnDemand(vatID string) error {
	crashpoint.Here(crashpoint.SupervisorDemand)
	err := s.unsuspend(vatID, "delivery")
	var failed *startError
	if errors.As(err, &failed) {
		return s.criticalDeath(vatID, failed.problem)
	}
	if err != nil {
		return err
	}
	return s.maybeSnapshot(vatID)
}

// splat hands an item for a terminated vat back to the host, which answers its
// sender.
func (s *Supervisor) splat(vatID string, order itemOrder) error {
	return s.runCrank(func(c *crank) error {
		item, err := c.take(vatID, order)
		if err != nil || item.Start {
			return err
		}
		reply, err := c.turn(pipeproto.Turn{VatID: vatID, Payload: item.Payload, Dead: true})
		if err != nil {
			return err
		}
		return c.drop(reply)
	})
}

// turn tells the host that an item's turn has come.
func (c *crank) turn(req pipeproto.Turn) (pipeproto.TurnReply, error) {
	var reply pipeproto.TurnReply
	err := c.ask(pipeproto.ReqTurn, req, &reply)
	return reply, err
}

// turnOf is turn for an item that the host may have been told of before.
func (c *crank) turnOf(vatID string, order itemOrder, item queued) (pipeproto.TurnReply, error) {
	if reply, ok := c.s.takeAhead(vatID, order); ok {
		c.unitOpen = true
		return reply, nil
	}
	return c.turn(pipeproto.Turn{VatID: vatID, Payload: item.Payload})
}

// drop ends a crank whose item the host has used up itself.
func (c *crank) drop(reply pipeproto.TurnReply) error {
	if !reply.Drop {
		return fmt.Errorf("cannot deliver to a terminated vat: the host must drop the item")
	}
	c.unitOpen = false
	c.digest = append(c.digest, reply.Digest...)
	return c.enqueue(reply.Enqueue)
}

// undone is a crank that the host, or a meter, decided to undo.
type undone struct {
	verdict pipeproto.Verdict
	overrun bool
}

func (u *undone) Error() string { return "crank undone: " + u.verdict.Reason }

// deliverItem is the crank of one item. When the verdict undoes it, a second
// crank does what is left to do.
func (s *Supervisor) deliverItem(vatID string, order itemOrder) error {
	err := s.runCrank(func(c *crank) error { return c.itemCrank(vatID, order) })
	var undo *undone
	if errors.As(err, &undo) {
		return s.afterUndo(vatID, order, undo)
	}
	var failed *actionFailed
	if errors.As(err, &failed) {
		return s.afterFailedAction(vatID, order, failed)
	}
	if err != nil {
		return err
	}
	rec, err := s.recordOf(vatID)
	if err != nil || rec.state() != running {
		return err
	}
	return s.maybeSnapshot(vatID)
}

func (c *crank) itemCrank(vatID string, order itemOrder) error {
	rec, err := c.load(vatID)
	if err != nil {
		return err
	}
	item, err := c.take(vatID, order)
	if err != nil || item.Start {
		return err // a start item has done its work once the vat runs
	}
	crashpoint.Here(crashpoint.SupervisorTurnTaken)
	reply, err := c.turnOf(vatID, order, item)
	if err != nil {
		return err
	}
	crashpoint.Here(crashpoint.SupervisorTurnAnswered)
	c.kd = c.slog.noted(reply.Slog)
	if reply.Drop {
		return c.drop(reply)
	}
	if reply.Action != nil {
		return c.act(*reply.Action, item.Payload)
	}
	run, err := c.deliver(rec, reply.Delivery)
	if err != nil {
		return err
	}
	overrun, err := c.overruns(rec, run)
	if err != nil {
		return err
	}
	if overrun && rec.Options.OverrunPolicy != pipeproto.PolicyCommit {
		return &undone{overrun: true, verdict: pipeproto.Verdict{Reason: overrunReason}}
	}
	verdict, err := c.decide(rec, run, !overrun)
	if err != nil {
		return err
	}
	if problem := problemOf(run, verdict); problem != "" {
		verdict.Reason = problem
		return &undone{verdict: verdict}
	}
	if err := c.record(rec, run); err != nil {
		return err
	}
	if err := c.enqueue(verdict.Enqueue); err != nil {
		return err
	}
	c.actions = append(c.actions, verdict.Actions...)
	if overrun && verdict.Then == "" {
		return c.pauseOverrun(rec)
	}
	return c.then(rec, verdict) // a vat that ends needs no pause
}

// then does what a committing verdict asks for besides: a vat that exits, or a
// host that stops it after this delivery.
func (c *crank) then(rec *record, verdict pipeproto.Verdict) error {
	switch verdict.Then {
	case "":
		return nil
	case pipeproto.ThenPause:
		return c.apply(rec, evPause, change{reason: verdict.Reason})
	case pipeproto.ThenSuspend:
		return c.apply(rec, evFatal, change{
			reason: verdict.Reason, problem: verdict.Reason, endReason: pipeproto.ReasonSuspended, message: verdict.Reason,
		})
	case pipeproto.ThenTerminate:
		c.s.emitAfter(c, pipeproto.VatEvent{Kind: pipeproto.VatTerminated, VatID: rec.ID, Name: rec.Name, Detail: verdict.Reason})
		return c.apply(rec, evTerminate, change{
			reason: verdict.Reason, endReason: pipeproto.ReasonTerminated, message: verdict.Reason, info: verdict.Info,
		})
	}
	return fmt.Errorf("cannot do %q after a delivery: unknown", verdict.Then)
}

// afterUndo is the crank after one that was undone: use the item up if the
// host said so, and move the vat.
func (s *Supervisor) afterUndo(vatID string, order itemOrder, undo *undone) error {
	crashpoint.Here(crashpoint.SupervisorAfterUndo)
	verdict := undo.verdict
	if verdict.Consume || len(verdict.Enqueue) > 0 {
		err := s.runCrank(func(c *crank) error {
			if verdict.Consume {
				if _, err := c.take(vatID, order); err != nil {
					return err
				}
			}
			return c.enqueue(verdict.Enqueue)
		})
		if err != nil {
			return err
		}
	}
	if undo.overrun {
		ch := change{reason: overrunReason, problem: overrunReason}
		return s.transition(vatID, evOverrun, ch, pipeproto.VatPaused)
	}
	switch verdict.Then {
	case pipeproto.ThenPause:
		return s.transition(vatID, evPause, change{reason: verdict.Reason}, pipeproto.VatPaused)
	case "":
		if verdict.Consume {
			return nil
		}
	}
	return s.fatal(vatID, verdict)
}

// fatal ends a vat that failed by its own fault: suspended deliberately or
// terminated, as the host said or the vat's policy says. A critical vat's death
// is the supervisor's.
func (s *Supervisor) fatal(vatID string, verdict pipeproto.Verdict) error {
	problem, then := verdict.Reason, verdict.Then
	if err := s.criticalDeath(vatID, problem); err != nil {
		return err
	}
	rec, err := s.recordOf(vatID)
	if err != nil {
		return err
	}
	if then == pipeproto.ThenTerminate || (then == "" && rec.Options.FatalPolicy == pipeproto.PolicyTerminate) {
		ch := change{reason: problem, problem: problem, endReason: pipeproto.ReasonTerminated, message: problem, info: verdict.Info}
		return s.transition(vatID, evTerminate, ch, pipeproto.VatTerminated)
	}
	ch := change{reason: problem, problem: problem, endReason: pipeproto.ReasonSuspended, message: problem}
	return s.transition(vatID, evFatal, ch, pipeproto.VatSuspended)
}

// criticalDeath panics when the vat is critical.
func (s *Supervisor) criticalDeath(vatID, problem string) error {
	rec, err := s.recordOf(vatID)
	if err != nil {
		return err
	}
	if !rec.Options.Critical {
		return nil
	}
	return s.panic(fmt.Errorf("critical vat %s failed: %s", rec.label(), problem))
}
