package supervisor

import (
	"encoding/json"
	"errors"
	"fmt"

	"vatworkerd/internal/crashpoint"
	"vatworkerd/pipeproto"
	"vatworkerd/transcripts"
	"vatworkerd/xsnap"
)

// ranDelivery is a delivery that a worker has run and that nothing has
// recorded yet.
type ranDelivery struct {
	entry      transcripts.Entry
	status     string
	problem    string
	computrons int64
	batch      [][]byte // syscalls the host has to act on, in order
	testLog    []string
}

// vatFaultError reports a delivery that failed by the vat's own fault.
type vatFaultError struct {
	vatID   string
	problem string
}

func (e *vatFaultError) Error() string { return fmt.Sprintf("%s failed: %s", e.vatID, e.problem) }

// deliver runs a delivery on the vat's worker, paging it in first if needed.
func (c *crank) deliver(rec *record, delivery json.RawMessage) (ranDelivery, error) {
	c.s.dropEarly(rec.ID, delivery)
	w, err := c.s.online(c.tx, rec)
	if err != nil {
		return ranDelivery{}, err
	}
	c.ran = append(c.ran, rec.ID)
	return c.deliverTo(w, rec, delivery)
}

// deliverTo runs a delivery on a given worker. Vatstore syscalls read and
// write this crank; the others are acknowledged and collected.
func (c *crank) deliverTo(w *worker, rec *record, delivery json.RawMessage) (ranDelivery, error) {
	position := c.s.live.positionOf(rec.ID)
	calls := &syscalls{c: c, rec: rec, slogged: c.slog.delivers(rec, position, false, c.kd, delivery)}
	c.kd = nil
	c.s.speech.begins(rec, position, false)
	outer := c.s.live.enter(stepDelivery, rec)
	result, early, err := w.deliver(delivery, calls, c.s.cpu)
	c.s.live.leave(outer)
	calls.slogged.ends(result, err)
	crashpoint.Here(crashpoint.SupervisorDelivered)
	if calls.failed != nil {
		return ranDelivery{}, calls.failed
	}
	var strayed *strayedError
	if errors.As(err, &strayed) {
		return ranDelivery{}, strayed
	}
	if early {
		c.s.early.taken()
		c.s.live.ranEarly()
	}
	if err != nil && !json.Valid(delivery) {
		return ranDelivery{}, badRequest(rec.ID, "the host's delivery is no JSON")
	}
	if cause := causeOf(result, err); cause != nil {
		c.s.crashed(w, rec, position, DoingDelivery, cause)
	}
	if err != nil {
		return ranDelivery{}, lostUnlessLocal(rec.ID, err)
	}
	if result.WorkerGone {
		if err := c.believe(faultIn(rec.ID, result.Problem, delivery, calls.log)); err != nil {
			return ranDelivery{}, err
		}
	}
	run := ranDelivery{
		entry:  transcripts.Entry{Delivery: delivery, Syscalls: calls.log, Result: transcripts.Result{Status: result.Status}},
		status: result.Status, problem: result.Problem,
		batch: calls.batch.calls, testLog: calls.testLog,
	}
	if result.Meter != nil {
		run.computrons = result.Meter.Compute
		run.entry.Result.Computrons = &run.computrons
	}
	if calls.illegal != "" && run.problem == "" {
		run.status, run.problem = pipeproto.StatusError, calls.illegal
	}
	return run, nil
}

// lostUnlessLocal says that a worker was lost, unless the trouble was found on
// this side of the pipe (divergence, a corrupt snapshot, the store).
func lostUnlessLocal(vatID string, err error) error {
	var exit *xsnap.ExitError
	var protocol *xsnap.ProtocolError
	if errors.As(err, &exit) || errors.As(err, &protocol) {
		return &lostError{vatID: vatID, err: err}
	}
	return fmt.Errorf("cannot run a worker for %s: %w", vatID, err)
}

// report tells the host how a delivery ended, which more of the same crank will
// follow, and returns its verdict.
func (c *crank) report(rec *record, run ranDelivery, purpose string) (pipeproto.Verdict, error) {
	var verdict pipeproto.Verdict
	err := c.ask(pipeproto.ReqDelivered, reportOf(rec, run, purpose), &verdict)
	c.slog.noted(verdict.Slog)
	return verdict, err
}

func reportOf(rec *record, run ranDelivery, purpose string) pipeproto.Delivered {
	return pipeproto.Delivered{
		VatID: rec.ID, Purpose: purpose, Status: run.status, Problem: run.problem,
		Computrons: run.computrons, Syscalls: run.batch, TestLog: run.testLog,
	}
}

// decide is the report whose verdict closes the host's unit. With guess, the
// host is asked to take the next item's turn as well.
func (c *crank) decide(rec *record, run ranDelivery, guess bool) (pipeproto.Verdict, error) {
	req := reportOf(rec, run, pipeproto.PurposeItem)
	req.Last = true
	var order itemOrder
	if guess {
		var err error
		if req.Next, order, err = c.guessTurn(); err != nil {
			return pipeproto.Verdict{}, err
		}
		if req.Next != nil {
			req.Later = c.guessLater(rec.ID, *req.Next, order)
		}
	}
	var verdict pipeproto.Verdict
	if err := c.ask(pipeproto.ReqDelivered, req, &verdict); err != nil {
		return verdict, err
	}
	crashpoint.Here(crashpoint.SupervisorJudged)
	c.slog.noted(verdict.Slog)
	c.unitOpen = false
	c.digest = append(c.digest, verdict.Digest...)
	if err := c.s.keepAhead(req.Next, order, verdict.Next); err != nil {
		return verdict, err
	}
	c.s.runEarly(rec.ID, req, verdict)
	return verdict, nil
}

// problemOf gives why a delivery counts as failed, or nothing.
func problemOf(run ranDelivery, verdict pipeproto.Verdict) string {
	switch {
	case run.status != pipeproto.StatusOK && run.problem != "":
		return run.problem
	case run.status != pipeproto.StatusOK:
		return "the delivery failed"
	case !verdict.Commit && verdict.Reason != "":
		return verdict.Reason
	case !verdict.Commit:
		return "the host refused the delivery"
	}
	return ""
}

// record makes a delivery part of the vat's history: transcript and usage.
func (c *crank) record(rec *record, run ranDelivery) error {
	position, err := transcripts.Append(c.tx, rec.ID, run.entry.Encode())
	if err != nil {
		return err
	}
	c.s.live.recorded(rec.ID, position, run.computrons)
	crashpoint.Here(crashpoint.SupervisorRecorded)
	u, err := c.usage(rec.ID)
	if err != nil {
		return err
	}
	u.Deliveries++
	u.Computrons += run.computrons
	if u.Allowance != nil && metered(run) {
		left := max(0, *u.Allowance-run.computrons)
		u.Allowance = &left
	}
	c.s.ranComputrons += run.computrons
	return c.saveUsage(rec.ID, u)
}
