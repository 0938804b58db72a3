package supervisor

import (
	"errors"
	"fmt"

	"vatworkerd/internal/crashpoint"
	"vatworkerd/pipeproto"
)

// change is what a transition is told besides the event.
type change struct {
	reason     string // why, for people; kept with the flags it sets
	problem    string // the error to keep
	endReason  string // why the incarnation ends, if it does
	message    string // what the disconnected promises say
	bundleID   string // an upgrade's bundle
	parameters []byte // an upgrade's vat parameters, kernel-space
	info       []byte // the host's, about a termination
	skipBOYD   bool   // the vat is too broken for a last bringOutYourDead
}

// apply moves a vat through the table: it refuses what the table refuses, does
// the cell's effects in order and sets the flags. Any error undoes the crank.
func (c *crank) apply(rec *record, ev event, ch change) error {
	from, incarnation := rec.state(), rec.Incarnation
	square := c.s.table[ev][from]
	if square.refuse != "" {
		return &RefusedError{VatID: rec.ID, State: from.String(), Event: ev.String(), Why: square.refuse}
	}
	for _, do := range square.does {
		if err := c.perform(do, rec, ch); err != nil {
			return err
		}
	}
	rec.enter(square.next, ch.reason)
	c.tally().move(from, square.next)
	if err := c.save(rec); err != nil || from == square.next && incarnation == rec.Incarnation {
		return err
	}
	return c.ask(pipeproto.ReqVatState, pipeproto.VatState{
		VatID: rec.ID, State: square.next.String(), Reason: ch.reason, LastError: rec.LastError,
		Incarnation: rec.Incarnation, Epoch: rec.Epoch, Info: ch.info,
	}, &pipeproto.Empty{})
}

func (c *crank) perform(do effect, rec *record, ch change) error {
	switch do {
	case doBOYD:
		if ch.skipBOYD {
			return nil
		}
		return c.bringOutYourDead(rec)
	case doEnd:
		return c.endIncarnation(rec, ch)
	case doEvict:
		c.after(func() { c.s.evict(rec.ID, "") })
		return nil
	case doStart:
		return c.startIncarnation(rec, ch)
	case doPark:
		return c.park(rec.ID)
	case doRelease:
		return c.wake(rec.ID)
	case doKeepErr:
		rec.LastError = ch.problem
		return nil
	case doDiscard:
		return c.discard(rec)
	}
	// doDeliver, doHold and doSplat are the scheduler's: see step.
	return fmt.Errorf("cannot perform %s outside of the scheduler", do)
}

// transition runs one event on one vat in a crank of its own.
func (s *Supervisor) transition(vatID string, ev event, ch change, kind string) error {
	return s.runCrank(func(c *crank) error {
		rec, err := c.settled(vatID)
		if err != nil {
			return err
		}
		if err := c.apply(rec, ev, ch); err != nil {
			return err
		}
		if kind != "" {
			s.emitAfter(c, pipeproto.VatEvent{Kind: kind, VatID: vatID, Name: rec.Name, Detail: ch.reason})
		}
		return nil
	})
}

// startError reports an incarnation whose startVat failed; the vat's fault.
type startError struct {
	vatID   string
	problem string
}

func (e *startError) Error() string {
	return fmt.Sprintf("cannot start %s: %s", e.vatID, e.problem)
}

// unsuspend starts a new incarnation of a suspended vat. When its startVat
// fails, the crank is undone and a second one leaves the vat deliberately
// suspended, where the table has no automatic start: attempts cannot loop.
func (s *Supervisor) unsuspend(vatID, reason string) error {
	err := s.transition(vatID, evUnsuspend, change{reason: reason}, pipeproto.VatUnsuspended)
	var failed *startError
	if !errors.As(err, &failed) {
		return err
	}
	crashpoint.Here(crashpoint.SupervisorStartFailed)
	fail := change{reason: "startVat failed", problem: failed.problem}
	if err := s.transition(vatID, evStartFailed, fail, pipeproto.VatSuspended); err != nil {
		return err
	}
	return failed
}

// upgrade puts a vat on a new bundle. A failure undoes everything: the old
// incarnation, if there was one, serves again.
func (s *Supervisor) upgrade(up pipeproto.Upgrade) error {
	err := s.transition(up.Admin.VatID, evUpgrade, upgradeChange(up), pipeproto.VatUpgraded)
	problem := faultOf(err)
	if problem == "" {
		return err
	}
	crashpoint.Here(crashpoint.SupervisorUpgradeLost)
	fail := change{reason: "upgrade failed", problem: problem}
	if err := s.transition(up.Admin.VatID, evUpgradeFailed, fail, pipeproto.VatUpgradeFailed); err != nil {
		return err
	}
	return err
}

func upgradeChange(up pipeproto.Upgrade) change {
	return change{
		reason: "upgraded", endReason: pipeproto.ReasonUpgraded, message: up.Message,
		bundleID: up.BundleID, parameters: up.Parameters,
	}
}

// suspend ends a vat's incarnation after a last bringOutYourDead; a vat that
// fails even that is suspended without it. ev is evSuspend or evBar.
func (s *Supervisor) suspend(vatID string, ev event, reason string) error {
	ch := change{reason: reason, endReason: pipeproto.ReasonSuspended, message: reason}
	err := s.transition(vatID, ev, ch, pipeproto.VatSuspended)
	if faultOf(err) == "" {
		return err
	}
	ch.skipBOYD = true
	return s.transition(vatID, ev, ch, pipeproto.VatSuspended)
}

// faultOf gives the problem text of an error that is the vat's own fault, and
// nothing for every other error.
func faultOf(err error) string {
	var failed *startError
	if errors.As(err, &failed) {
		return failed.problem
	}
	var fault *vatFaultError
	if errors.As(err, &fault) {
		return fault.problem
	}
	return ""
}
