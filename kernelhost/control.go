package kernelhost

import (
	"context"
	"strconv"

	"vatworkerd/kernelhost/capdata"
	"vatworkerd/pipeproto"
)

// A vat's admin node is kept under v1.adminKey and used only in this file: who
// holds the Kernel holds the authority over its vats, and nobody else does.

func adminKey(vatID string) string { return vatID + ".adminKey" }

// admin gives the admin node of a vat, named by name or ID, for a request. It is
// gone with what is cleaned up of a terminated vat.
func (k *Kernel) admin(msgType, vat string) (pipeproto.AdminNode, error) {
	vatID, err := k.vatID(vat)
	if err != nil {
		return pipeproto.AdminNode{}, err
	}
	key, ok, err := k.db.Get(adminKey(vatID))
	if err == nil && !ok {
		err = pipeproto.Errorf(pipeproto.CodeRefused, "cannot %s %s (terminated): the vat is terminated", msgType, vatID)
	}
	return pipeproto.AdminNode{VatID: vatID, Key: key}, err
}

// Pause holds a vat's deliveries until Resume. The requests in this file change
// the open block, which Commit or Run makes durable. They take a vat's name or
// ID and give its new status. Errors: *UnknownVatError; *pipeproto.Error of
// pipeproto.CodeRefused where the vat's state does not allow it.
func (k *Kernel) Pause(ctx context.Context, vat, reason string) (pipeproto.VatStatus, error) {
	return k.control(ctx, pipeproto.ReqPause, vat, pipeproto.VatControl{Reason: reason})
}

// Resume releases what Pause, or a meter, has held.
func (k *Kernel) Resume(ctx context.Context, vat, reason string) (pipeproto.VatStatus, error) {
	return k.control(ctx, pipeproto.ReqResume, vat, pipeproto.VatControl{Reason: reason})
}

// Suspend ends a vat's incarnation; the next delivery, Unsuspend or Upgrade
// start another.
func (k *Kernel) Suspend(ctx context.Context, vat, reason string) (pipeproto.VatStatus, error) {
	return k.control(ctx, pipeproto.ReqSuspend, vat, pipeproto.VatControl{Reason: reason})
}

// SuspendDeliberately is Suspend, but no delivery starts the vat again: what
// arrives is held until Unsuspend or Upgrade.
func (k *Kernel) SuspendDeliberately(ctx context.Context, vat, reason string) (pipeproto.VatStatus, error) {
	return k.control(ctx, pipeproto.ReqSuspend, vat, pipeproto.VatControl{Reason: reason, Deliberate: true})
}

// Unsuspend starts a new incarnation of a suspended vat. When its startVat
// fails the error is of pipeproto.CodeVatFault, and the vat stays suspended
// with that error kept in the block.
func (k *Kernel) Unsuspend(ctx context.Context, vat, reason string) (pipeproto.VatStatus, error) {
	return k.control(ctx, pipeproto.ReqUnsuspend, vat, pipeproto.VatControl{Reason: reason})
}

// Terminate ends a vat for good. Whoever waits for it is told.
func (k *Kernel) Terminate(ctx context.Context, vat, reason string) (pipeproto.VatStatus, error) {
	defer k.leave()
	if err := k.enter(); err != nil {
		return pipeproto.VatStatus{}, err
	}
	status, err := k.controlVat(ctx, pipeproto.ReqTerminate, vat, pipeproto.VatControl{Reason: reason})
	if err != nil {
		return status, err
	}
	// A vat without an incarnation ends without a callback.
	return status, k.change(ctx, func(c *crank) error { return c.terminate(status.VatID) })
}

func (k *Kernel) control(ctx context.Context, msgType, vat string, req pipeproto.VatControl) (pipeproto.VatStatus, error) {
	defer k.leave()
	if err := k.enter(); err != nil {
		return pipeproto.VatStatus{}, err
	}
	return k.controlVat(ctx, msgType, vat, req)
}

// controlVat sends a control request with the vat's admin node filled in.
func (k *Kernel) controlVat(ctx context.Context, msgType, vat string, req pipeproto.VatControl) (status pipeproto.VatStatus, err error) {
	if req.Admin, err = k.admin(msgType, vat); err != nil {
		return status, err
	}
	err = k.call(ctx, msgType, req, &status)
	return status, err
}

// Upgrade starts a new incarnation of a vat from another bundle, which
// AddBundle or the config has stored. params are the new vat parameters,
// kernel-space; nil keeps the old ones. message goes to those who lose a
// promise by the upgrade. A failure of the vat's is pipeproto.CodeVatFault: the
// old incarnation serves again, or a suspended vat stays suspended with the
// error kept.
func (k *Kernel) Upgrade(ctx context.Context, vat, bundleID string, params *capdata.CapData, message string) (status pipeproto.VatStatus, err error) {
	defer k.leave()
	if err := k.enter(); err != nil {
		return status, err
	}
	admin, err := k.admin(pipeproto.ReqUpgrade, vat)
	if err != nil {
		return status, err
	}
	req := pipeproto.Upgrade{Admin: admin, BundleID: bundleID, Message: message}
	if params != nil {
		req.Parameters = appendCapData(nil, *params)
	}
	err = k.call(ctx, pipeproto.ReqUpgrade, req, &status)
	return status, err
}

// Refill adds computrons to a vat's allowance; a vat that ran out of it also
// needs Resume.
func (k *Kernel) Refill(ctx context.Context, vat string, computrons int64) (status pipeproto.VatStatus, err error) {
	defer k.leave()
	if err := k.enter(); err != nil {
		return status, err
	}
	admin, err := k.admin(pipeproto.ReqRefill, vat)
	if err != nil {
		return status, err
	}
	err = k.call(ctx, pipeproto.ReqRefill, pipeproto.Refill{Admin: admin, Computrons: computrons}, &status)
	return status, err
}

// Pin has a vat keep its worker, or no longer. It is local to the daemon, and
// remembered at once.
func (k *Kernel) Pin(ctx context.Context, vat string, pinned bool) (status pipeproto.VatStatus, err error) {
	defer k.leave()
	if err := k.enter(); err != nil {
		return status, err
	}
	vatID, err := k.vatID(vat)
	if err != nil {
		return status, err
	}
	err = k.call(ctx, pipeproto.ReqPin, pipeproto.Pin{VatID: vatID, Pinned: pinned}, &status)
	return status, err
}

// RestartAll suspends every vat and starts the static, critical and
// restartCritical ones anew on the daemon's engine. The same token again
// changes nothing. If one of those vats fails, the daemon panics (IsPanic) and
// the block is lost.
func (k *Kernel) RestartAll(ctx context.Context, token string) (reply pipeproto.RestartAllReply, err error) {
	defer k.leave()
	if err := k.enter(); err != nil {
		return reply, err
	}
	err = k.call(ctx, pipeproto.ReqRestartAll, pipeproto.RestartAll{Token: token}, &reply)
	if err != nil || !reply.Applied || k.noAdmin() {
		return reply, err
	}
	return reply, k.change(ctx, func(c *crank) error {
		c.kv.Set(epochKey, strconv.FormatInt(reply.Epoch, 10))
		return nil
	})
}

// Rehearse tries a restart of vats, named by name or ID (none = all), in
// throw-away state. Empty paths mean the daemon's own engine and bundles.
func (k *Kernel) Rehearse(ctx context.Context, vats []string, enginePath, lockdownPath, supervisorPath string) ([]pipeproto.Rehearsal, error) {
	defer k.leave()
	if err := k.enter(); err != nil {
		return nil, err
	}
	req := pipeproto.Rehearse{EnginePath: enginePath, LockdownPath: lockdownPath, SupervisorPath: supervisorPath}
	for _, vat := range vats {
		vatID, err := k.vatID(vat)
		if err != nil {
			return nil, err
		}
		req.VatIDs = append(req.VatIDs, vatID)
	}
	var reply pipeproto.RehearseReply
	err := k.call(ctx, pipeproto.ReqRehearse, req, &reply)
	return reply.Rehearsals, err
}

// WriteExplicitFlags writes both flags into the records of vats that lack one
// and gives how many did.
func (k *Kernel) WriteExplicitFlags(ctx context.Context) (int64, error) {
	var reply pipeproto.Count
	err := k.ask(ctx, pipeproto.ReqExplicitFlags, pipeproto.Empty{}, &reply)
	return reply.Count, err
}

// AddBundle stores a bundle, its JSON text under its ID (b1-…), and a name for
// it if name is not "".
func (k *Kernel) AddBundle(ctx context.Context, id, name string, data []byte) error {
	defer k.leave()
	if err := k.enter(); err != nil {
		return err
	}
	if err := k.call(ctx, pipeproto.ReqAddBundle, pipeproto.AddBundle{ID: id, Data: data}, nil); err != nil {
		return err
	}
	if k.noAdmin() && name == "" {
		return nil
	}
	return k.change(ctx, func(c *crank) error {
		if name != "" {
			c.kv.Set(bundleNameKey(name), id)
		}
		return c.noteBundle(id)
	})
}

func bundleNameKey(name string) string { return "namedBundleID." + name }

// BundleID gives the ID of a bundle that a name was given to.
func (k *Kernel) BundleID(name string) (id string, ok bool, err error) {
	defer k.leave()
	if err := k.enter(); err != nil {
		return "", false, err
	}
	return k.db.Get(bundleNameKey(name))
}

// ask is call as a whole method.
func (k *Kernel) ask(ctx context.Context, msgType string, req, reply any) error {
	defer k.leave()
	if err := k.enter(); err != nil {
		return err
	}
	return k.call(ctx, msgType, req, reply)
}

// askVat is ask about one vat, or about all where vat is "".
func (k *Kernel) askVat(ctx context.Context, msgType, vat string, reply any) error {
	defer k.leave()
	if err := k.enter(); err != nil {
		return err
	}
	var ref pipeproto.VatRef
	if vat != "" {
		vatID, err := k.vatID(vat)
		if err != nil {
			return err
		}
		ref.VatID = vatID
	}
	return k.call(ctx, msgType, ref, reply)
}
