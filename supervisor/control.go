package supervisor

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"

	"vatworkerd/pipeproto"
	"vatworkerd/transcripts"
)

// ExistsError reports a vat ID or bundle that is taken.
type ExistsError struct{ What string }

func (e *ExistsError) Error() string { return e.What + " exists already" }

// AdminError reports a request without the admin node it needs.
type AdminError struct{ VatID string }

func (e *AdminError) Error() string {
	return fmt.Sprintf("cannot control %s: the request does not carry its admin node", e.VatID)
}

// createVat is createVats for one.
func (s *Supervisor) createVat(req pipeproto.CreateVat) (pipeproto.CreateVatReply, error) {
	reply, err := s.createVats(pipeproto.CreateVats{Vats: []pipeproto.CreateVat{req}})
	if err != nil {
		return pipeproto.CreateVatReply{}, err
	}
	return pipeproto.CreateVatReply{Admin: reply.Admins[0]}, nil
}

// createVats registers vats, in one crank. A vat reads as suspended until its
// first item, or an unsuspend, starts its first incarnation.
func (s *Supervisor) createVats(req pipeproto.CreateVats) (pipeproto.CreateVatsReply, error) {
	for _, vat := range req.Vats {
		if vat.VatID == "" || vat.BundleID == "" {
			return pipeproto.CreateVatsReply{}, badRequest("createVat", "vatID and bundleID are needed")
		}
	}
	var admins []pipeproto.AdminNode
	err := s.runCrank(func(c *crank) error {
		admins = make([]pipeproto.AdminNode, len(req.Vats))
		for i, vat := range req.Vats {
			rec, err := c.createVat(vat)
			if err != nil {
				return err
			}
			admins[i] = rec.admin()
		}
		return nil
	})
	return pipeproto.CreateVatsReply{Admins: admins}, err
}

func (c *crank) createVat(req pipeproto.CreateVat) (*record, error) {
	if _, ok := c.tx.Get(vatKey(req.VatID)); ok {
		return nil, &ExistsError{What: "vat " + req.VatID}
	}
	if ok, err := c.tx.HasBundle(req.BundleID); err != nil || !ok {
		return nil, missingBundle(req.BundleID, err)
	}
	epoch, err := epochIn(c)
	if err != nil {
		return nil, err
	}
	isSuspended := true
	rec := &record{
		ID: req.VatID, Name: req.Name, BundleID: req.BundleID, Options: req.Options,
		Suspended: &isSuspended, SuspendReason: pipeproto.ReasonCreated, Incarnation: noIncarnation,
		Epoch: epoch, AdminKey: adminKey(c.s.db.ActivityHash(), req.VatID),
	}
	return rec, c.register(rec)
}

// admin gives the admin node of a vat.
func (r *record) admin() pipeproto.AdminNode {
	return pipeproto.AdminNode{VatID: r.ID, Key: r.AdminKey}
}

func (c *crank) register(rec *record) error {
	if err := transcripts.Init(c.tx, rec.ID); err != nil {
		return err
	}
	n := c.tally()
	n.Vats++
	n.add(rec.state(), +1)
	if rec.Options.Static || rec.Options.Critical || rec.Options.RestartCritical {
		c.tx.Set(immediateKey(rec.ID), "")
	}
	if rec.Options.Allowance != nil {
		if err := c.saveUsage(rec.ID, usage{Allowance: rec.Options.Allowance}); err != nil {
			return err
		}
	}
	c.s.emitAfter(c, pipeproto.VatEvent{Kind: pipeproto.VatCreated, VatID: rec.ID, Name: rec.Name})
	return c.save(rec)
}

func missingBundle(id string, err error) error {
	if err != nil {
		return err
	}
	return badRequest("bundleID", fmt.Sprintf("bundle %s is not known: add it first", id))
}

// adminKey makes an admin node's key: the same on every supervisor of a
// network, and in no place a vat can read.
func adminKey(activityHash, vatID string) string {
	sum := sha256.Sum256([]byte("admin node\n" + activityHash + "\n" + vatID + "\n"))
	return hex.EncodeToString(sum[:16])
}

// admit checks that a request carries the vat's admin node.
func (s *Supervisor) admit(admin pipeproto.AdminNode) error {
	rec, err := s.recordOf(admin.VatID)
	if err != nil {
		return err
	}
	return rec.admit(admin)
}

func (r *record) admit(admin pipeproto.AdminNode) error {
	if subtle.ConstantTimeCompare([]byte(r.AdminKey), []byte(admin.Key)) != 1 {
		return &AdminError{VatID: admin.VatID}
	}
	return nil
}

// control runs an admin node holder's request on one vat.
func (s *Supervisor) control(msgType string, req pipeproto.VatControl) (pipeproto.VatStatus, error) {
	if err := s.admit(req.Admin); err != nil {
		return pipeproto.VatStatus{}, err
	}
	vatID := req.Admin.VatID
	var err error
	switch msgType {
	case pipeproto.ReqPause:
		err = s.transition(vatID, evPause, change{reason: orElse(req.Reason, "paused by its admin node")}, pipeproto.VatPaused)
	case pipeproto.ReqResume:
		err = s.transition(vatID, evResume, change{reason: req.Reason}, pipeproto.VatResumed)
	case pipeproto.ReqSuspend:
		ev := evSuspend
		if req.Deliberate {
			ev = evBar
		}
		err = s.suspend(vatID, ev, orElse(req.Reason, "suspended by its admin node"))
	case pipeproto.ReqUnsuspend:
		err = s.unsuspend(vatID, req.Reason)
	case pipeproto.ReqTerminate:
		reason := orElse(req.Reason, "terminated by its admin node")
		if err := s.criticalDeath(vatID, reason); err != nil {
			return pipeproto.VatStatus{}, err
		}
		err = s.transition(vatID, evTerminate, change{
			reason: reason, endReason: pipeproto.ReasonTerminated, message: reason,
		}, pipeproto.VatTerminated)
	}
	if err != nil {
		return pipeproto.VatStatus{}, err
	}
	return s.vatStatus(vatID)
}

func (s *Supervisor) controlUpgrade(req pipeproto.Upgrade) (pipeproto.VatStatus, error) {
	if err := s.admit(req.Admin); err != nil {
		return pipeproto.VatStatus{}, err
	}
	if ok, err := s.db.HasBundle(req.BundleID); err != nil || !ok {
		return pipeproto.VatStatus{}, missingBundle(req.BundleID, err)
	}
	if err := s.upgrade(req); err != nil {
		return pipeproto.VatStatus{}, err
	}
	if err := s.maybeSnapshot(req.Admin.VatID); err != nil {
		return pipeproto.VatStatus{}, err
	}
	return s.vatStatus(req.Admin.VatID)
}

func (s *Supervisor) controlRefill(req pipeproto.Refill) (pipeproto.VatStatus, error) {
	if err := s.admit(req.Admin); err != nil {
		return pipeproto.VatStatus{}, err
	}
	if err := s.refill(req.Admin.VatID, req.Computrons); err != nil {
		return pipeproto.VatStatus{}, err
	}
	return s.vatStatus(req.Admin.VatID)
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// writeExplicitFlags writes both flags into every record that lacks one: the
// migration from "absent means neither". It gives how many it changed.
func (s *Supervisor) writeExplicitFlags() (int64, error) {
	var n int64
	key, ok, err := s.db.NextKey(prefixVat, prefixVat)
	for ; ok && err == nil; key, ok, err = s.db.NextKey(key, prefixVat) {
		rec, err := s.recordOf(vatIDOfKey(key, prefixVat))
		if err != nil {
			return n, err
		}
		if rec.Suspended != nil && rec.Paused != nil {
			continue
		}
		if err := s.runCrank(func(c *crank) error { return c.saveExplicit(rec) }); err != nil {
			return n, err
		}
		n++
	}
	return n, err
}

func (c *crank) saveExplicit(rec *record) error {
	isSuspended, isPaused := isSet(rec.Suspended), isSet(rec.Paused)
	rec.Suspended, rec.Paused = &isSuspended, &isPaused
	return c.save(rec)
}
