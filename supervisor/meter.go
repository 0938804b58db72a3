package supervisor

import (
	"fmt"
	"math"

	"vatworkerd/pipeproto"
)

// overrunReason is the reason a vat over its allowance is paused with.
const overrunReason = "meter overrun: the allowance is used up; refill it and resume the vat"

// metered tells whether a delivery counts against the allowance. As in the
// JavaScript kernel, bringOutYourDead does not: the kernel asked for it.
func metered(run ranDelivery) bool { return run.entry.Kind() != "bringOutYourDead" }

// overruns tells whether a delivery used more than the vat's allowance has left.
// A delivery that failed is judged by its failure alone.
func (c *crank) overruns(rec *record, run ranDelivery) (bool, error) {
	if !metered(run) || run.status != pipeproto.StatusOK {
		return false, nil
	}
	u, err := c.usage(rec.ID)
	if err != nil || u.Allowance == nil {
		return false, err
	}
	return run.computrons > *u.Allowance, nil
}

// pauseOverrun pauses a vat whose overrunning delivery is committed
// (overrunPolicy "commit"); under "hold" the delivery is undone and held.
func (c *crank) pauseOverrun(rec *record) error {
	c.s.emitAfter(c, pipeproto.VatEvent{Kind: pipeproto.VatPaused, VatID: rec.ID, Name: rec.Name, Detail: overrunReason})
	return c.apply(rec, evOverrun, change{reason: overrunReason, problem: overrunReason})
}

// refill adds computrons to a vat's allowance. It does not resume the vat.
func (s *Supervisor) refill(vatID string, computrons int64) error {
	if computrons <= 0 {
		return badRequest("refill", fmt.Sprintf("%d computrons: the number must be positive", computrons))
	}
	return s.runCrank(func(c *crank) error {
		if _, err := c.settled(vatID); err != nil {
			return err
		}
		u, err := c.usage(vatID)
		if err != nil {
			return err
		}
		if u.Allowance == nil {
			return badRequest("refill", vatID+" has no allowance: it is not metered, so there is nothing to refill")
		}
		if computrons > math.MaxInt64-*u.Allowance {
			return badRequest("refill", fmt.Sprintf("%d computrons and the %d that are left are more than can be counted", computrons, *u.Allowance))
		}
		left := computrons + *u.Allowance
		u.Allowance = &left
		return c.saveUsage(vatID, u)
	})
}
