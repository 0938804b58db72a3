package supervisor

import (
	"errors"
	"fmt"

	"vatworkerd/internal/crashpoint"
	"vatworkerd/pipeproto"
)

// A vat may ask, by way of the host, for things to be done to vats. Those that
// run a worker have an item's turn for themselves (act); those that do not are
// done at the end of the crank that asked for them (actNow).

// actionFailed says that an item's action came to nothing by the fault of the
// vat it was for, or because that vat's state does not allow it. The crank is
// undone; a second one tells the host.
type actionFailed struct {
	action  pipeproto.Action
	payload []byte
	problem string
	refused bool
}

func (e *actionFailed) Error() string { return "an action failed: " + e.problem }

// act performs the action of an item within the item's crank.
func (c *crank) act(a pipeproto.Action, payload []byte) error {
	rec, err := c.enact(a)
	var refused *RefusedError
	switch {
	case errors.As(err, &refused):
		return &actionFailed{action: a, payload: payload, problem: refused.Error(), refused: true}
	case faultOf(err) != "":
		return &actionFailed{action: a, payload: payload, problem: faultOf(err)}
	case err != nil:
		return err
	}
	crashpoint.Here(crashpoint.SupervisorActed)
	c.afterAction(a, rec)
	return c.acted(pipeproto.Acted{VatID: rec.ID, Payload: payload, Incarnation: rec.Incarnation, Admin: rec.admin()})
}

func (c *crank) acted(done pipeproto.Acted) error {
	return c.ask(pipeproto.ReqActed, done, &pipeproto.Empty{})
}

// enact does one action and gives the record of its vat.
func (c *crank) enact(a pipeproto.Action) (*record, error) {
	if a.Kind == pipeproto.ActionCreate && a.Create != nil {
		rec, err := c.createVat(*a.Create)
		if err != nil {
			return nil, err
		}
		return rec, c.apply(rec, evUnsuspend, change{reason: pipeproto.ReasonCreated})
	}
	admin, ev, ch, err := eventOf(a)
	if err != nil {
		return nil, err
	}
	if err := c.admit(admin); err != nil {
		return nil, err
	}
	rec, err := c.settled(admin.VatID)
	if err != nil {
		return nil, err
	}
	return rec, c.apply(rec, ev, ch)
}

// eventOf gives the lifecycle's event for an action.
func eventOf(a pipeproto.Action) (pipeproto.AdminNode, event, change, error) {
	if a.Kind == pipeproto.ActionUpgrade && a.Upgrade != nil {
		return a.Upgrade.Admin, evUpgrade, upgradeChange(*a.Upgrade), nil
	}
	if a.Control == nil {
		return pipeproto.AdminNode{}, 0, change{}, badRequest("action", fmt.Sprintf("cannot do %q: it is unknown, or says too little", a.Kind))
	}
	admin, reason := a.Control.Admin, orElse(a.Control.Reason, "by its admin node")
	switch a.Kind {
	case pipeproto.ActionPause:
		return admin, evPause, change{reason: reason}, nil
	case pipeproto.ActionResume:
		return admin, evResume, change{reason: reason}, nil
	case pipeproto.ActionUnsuspend:
		return admin, evUnsuspend, change{reason: reason}, nil
	case pipeproto.ActionSuspend:
		ev := evSuspend
		if a.Control.Deliberate {
			ev = evBar
		}
		return admin, ev, change{reason: reason, endReason: pipeproto.ReasonSuspended, message: reason}, nil
	case pipeproto.ActionTerminate:
		ch := change{reason: reason, problem: reason, endReason: pipeproto.ReasonTerminated, message: reason, info: a.Info}
		return admin, evTerminate, ch, nil
	}
	return admin, 0, change{}, badRequest("action", fmt.Sprintf("cannot do %q: it is unknown", a.Kind))
}

// admit is Supervisor.admit as the crank sees the vat.
func (c *crank) admit(admin pipeproto.AdminNode) error {
	rec, err := c.load(admin.VatID)
	if err != nil {
		return err
	}
	return rec.admit(admin)
}

// afterAction tells people of an action once its crank is committed.
func (c *crank) afterAction(a pipeproto.Action, rec *record) {
	kinds := map[string]string{
		pipeproto.ActionUpgrade: pipeproto.VatUpgraded, pipeproto.ActionSuspend: pipeproto.VatSuspended,
		pipeproto.ActionUnsuspend: pipeproto.VatUnsuspended, pipeproto.ActionPause: pipeproto.VatPaused,
		pipeproto.ActionResume: pipeproto.VatResumed, pipeproto.ActionTerminate: pipeproto.VatTerminated,
	}
	kind, ok := kinds[a.Kind]
	if !ok {
		return // that a vat was created has been told
	}
	reason := ""
	if a.Control != nil {
		reason = a.Control.Reason
	}
	c.s.emitAfter(c, pipeproto.VatEvent{Kind: kind, VatID: rec.ID, Name: rec.Name, Detail: reason})
}

// actNow does the actions that verdicts of this crank have asked for. The host
// has closed its unit by then: they open another, and none may fail by a vat's
// fault.
func (c *crank) actNow() error {
	actions := c.actions
	c.actions = nil
	for _, a := range actions {
		switch a.Kind {
		case pipeproto.ActionPause, pipeproto.ActionResume, pipeproto.ActionTerminate:
		default:
			return badRequest("action", fmt.Sprintf("cannot do %q at the end of a crank", a.Kind))
		}
		rec, err := c.enact(a)
		var refused *RefusedError
		if errors.As(err, &refused) {
			continue
		}
		if err != nil {
			return err
		}
		if a.Kind == pipeproto.ActionTerminate && rec.Options.Critical {
			return c.s.panic(fmt.Errorf("critical vat %s was terminated: %s", rec.label(), a.Control.Reason))
		}
		c.afterAction(a, rec)
	}
	return c.closeUnit()
}

// afterFailedAction is the crank after one that an action's failure undid: the
// item is used up, the host hears why, the vat moves as the table says.
func (s *Supervisor) afterFailedAction(vatID string, order itemOrder, failed *actionFailed) error {
	crashpoint.Here(crashpoint.SupervisorActionFailed)
	return s.runCrank(func(c *crank) error {
		if _, err := c.take(vatID, order); err != nil {
			return err
		}
		done := pipeproto.Acted{Payload: failed.payload, Problem: failed.problem}
		if failed.action.Kind == pipeproto.ActionCreate {
			done.VatID = failed.action.Create.VatID
			return c.acted(done)
		}
		admin, ev, ch, err := eventOf(failed.action)
		if err != nil {
			return err
		}
		rec, err := c.settled(admin.VatID)
		if err != nil {
			return err
		}
		if err := c.failAction(failed, rec, ev, ch); err != nil {
			return err
		}
		done.VatID, done.Incarnation = rec.ID, rec.Incarnation
		if failed.action.Kind == pipeproto.ActionSuspend && !failed.refused {
			done.Problem = "" // it is suspended all the same
		}
		return c.acted(done)
	})
}

// failAction moves a vat after its action failed.
func (c *crank) failAction(failed *actionFailed, rec *record, ev event, ch change) error {
	if failed.refused {
		return nil
	}
	kind, fail := pipeproto.VatSuspended, change{reason: "startVat failed", problem: failed.problem}
	switch failed.action.Kind {
	case pipeproto.ActionUpgrade:
		ev, kind, fail.reason = evUpgradeFailed, pipeproto.VatUpgradeFailed, "upgrade failed"
	case pipeproto.ActionUnsuspend:
		ev = evStartFailed
	case pipeproto.ActionSuspend:
		fail = ch
		fail.skipBOYD = true
	}
	c.s.emitAfter(c, pipeproto.VatEvent{Kind: kind, VatID: rec.ID, Name: rec.Name, Detail: fail.reason})
	return c.apply(rec, ev, fail)
}
