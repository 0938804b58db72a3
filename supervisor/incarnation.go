package supervisor

import (
	"encoding/json"
	"errors"
	"fmt"

	"vatworkerd/internal/crashpoint"
	"vatworkerd/pipeproto"
	"vatworkerd/snapshots"
	"vatworkerd/transcripts"
	"vatworkerd/xsnap"
)

// startIncarnation samples the current worker image and the bundle, starts a
// worker and delivers startVat. The worker joins the pool when the crank
// commits; until then the old one, if any, stays what the store describes.
func (c *crank) startIncarnation(rec *record, ch change) error {
	if ch.bundleID != "" {
		rec.BundleID = ch.bundleID
	}
	delivery, err := c.beginOnHost(rec, ch)
	if err != nil {
		return err
	}
	crashpoint.Here(crashpoint.SupervisorStartTold)
	w, err := c.s.launchFresh(rec)
	if err != nil {
		return c.startProblem(rec.ID, err)
	}
	c.started[rec.ID] = w
	crashpoint.Here(crashpoint.SupervisorStartReady)
	if err := c.sampleImage(rec); err != nil {
		return err
	}
	init := transcripts.InitializeWorker(rec.BundleID, rec.WorkerBundleIDs)
	position, err := transcripts.Append(c.tx, rec.ID, init.Encode())
	if err != nil {
		return err
	}
	c.s.live.at(rec.ID, position+1)
	run, err := c.deliverTo(w, rec, delivery)
	if err != nil {
		return err
	}
	verdict, err := c.report(rec, run, pipeproto.PurposeStart)
	if err != nil {
		return err
	}
	if problem := problemOf(run, verdict); problem != "" {
		return &startError{vatID: rec.ID, problem: problem}
	}
	if err := c.record(rec, run); err != nil {
		return err
	}
	crashpoint.Here(crashpoint.SupervisorStarted)
	rec.LastError = ""
	if !rec.state().holds() {
		if err := c.wake(rec.ID); err != nil {
			return err
		}
	}
	c.after(func() { c.s.adopt(rec.ID, w) })
	return nil
}

// launchFresh starts a worker for an incarnation that begins.
func (s *Supervisor) launchFresh(rec *record) (*worker, error) {
	bundle, err := s.bundleOf(rec)
	if err != nil {
		return nil, err
	}
	at := berth{spare: s.spares.take(s.image, limitOf(rec)), cpu: s.cpu}
	if at.spare == nil {
		at.seat = s.makeRoom("")
	}
	w, err := s.launchWith(rec, s.image, setup{bundle, s.liveSlotsOptions(rec)}, at)
	if err != nil && at.seat != nil {
		at.seat.leave()
	}
	return w, err
}

// sampleImage makes the current worker image the one of the incarnation that
// begins.
func (c *crank) sampleImage(rec *record) (err error) {
	rec.Incarnation++
	rec.ImageID = c.s.image.ID()
	rec.WorkerBundleIDs = c.s.image.BundleIDs()
	rec.Epoch, err = epochIn(c)
	return err
}

func (c *crank) beginOnHost(rec *record, ch change) (json.RawMessage, error) {
	reason := ch.endReason
	if reason == "" {
		reason = pipeproto.ReasonUnsuspend
	}
	if rec.Incarnation == noIncarnation {
		reason = pipeproto.ReasonCreated
	}
	req := pipeproto.Incarnation{
		VatID: rec.ID, Incarnation: rec.Incarnation + 1, Reason: reason,
		Message: ch.message, Parameters: ch.parameters,
	}
	var reply pipeproto.TurnReply
	if err := c.ask(pipeproto.ReqBeginIncarnation, req, &reply); err != nil {
		return nil, err
	}
	c.kd = c.slog.noted(reply.Slog)
	if len(reply.Delivery) == 0 {
		return nil, fmt.Errorf("cannot start %s: the host gave no startVat delivery", rec.ID)
	}
	return reply.Delivery, nil
}

// endIncarnation writes shutdown-worker, gives up transcript and snapshot
// (span records and hashes stay) and lets the host disconnect the vat.
func (c *crank) endIncarnation(rec *record, ch change) error {
	req := pipeproto.Incarnation{
		VatID: rec.ID, Incarnation: rec.Incarnation, Reason: ch.endReason, Message: ch.message,
	}
	if err := c.ask(pipeproto.ReqEndIncarnation, req, &pipeproto.Empty{}); err != nil {
		return err
	}
	crashpoint.Here(crashpoint.SupervisorEndTold)
	if _, err := transcripts.Append(c.tx, rec.ID, transcripts.ShutdownWorker().Encode()); err != nil {
		return err
	}
	span, err := transcripts.RolloverIncarnation(c.tx, rec.ID)
	if err != nil {
		return err
	}
	crashpoint.Here(crashpoint.SupervisorEnded)
	if err := c.dropSnapshots(rec.ID); err != nil {
		return err
	}
	if err := snapshots.StopUsing(c.tx, rec.ID); err != nil {
		return err
	}
	if err := c.dropReaps(rec.ID); err != nil {
		return err
	}
	rec.LastEnd = ch.endReason
	return c.addCleanup(cleanup{Kind: cleanupTruncate, VatID: rec.ID, Before: span.StartPos})
}

// bringOutYourDead delivers a last BOYD to an incarnation that is about to end.
func (c *crank) bringOutYourDead(rec *record) error {
	run, err := c.deliver(rec, json.RawMessage(`["bringOutYourDead"]`))
	if err != nil {
		return err
	}
	verdict, err := c.report(rec, run, pipeproto.PurposeBOYD)
	if err != nil {
		return err
	}
	if problem := problemOf(run, verdict); problem != "" {
		return &vatFaultError{vatID: rec.ID, problem: problem}
	}
	return c.record(rec, run)
}

// startProblem tells apart what a new worker died of: the vat's fault fails
// the start, anything else loses the worker and is tried again.
func (c *crank) startProblem(vatID string, err error) error {
	var setup *xsnap.VatSetupError
	if errors.As(err, &setup) {
		return &startError{vatID: vatID, problem: setup.Error()}
	}
	var exit *xsnap.ExitError
	if !errors.As(err, &exit) || !exit.VatFault() {
		return lostUnlessLocal(vatID, err)
	}
	if doubt := c.believe(faultIn(vatID, exit.VatFaultText(), nil, nil)); doubt != nil {
		return doubt
	}
	return &startError{vatID: vatID, problem: exit.VatFaultText()}
}
