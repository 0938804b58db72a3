package kernelhost

import (
	"slices"

	"vatworkerd/kernelhost/capdata"
	"vatworkerd/pipeproto"
)

// begin prepares the startVat of an incarnation. New parameters replace the
// old ones for good.
func (c *crank) begin(req pipeproto.Incarnation) ([]byte, error) {
	if len(req.Parameters) > 0 {
		params, err := decodeCapData(req.Parameters)
		if err != nil {
			return nil, pipeproto.Errorf(pipeproto.CodeBadRequest, "the vat parameters of %s: %v", req.VatID, err)
		}
		for _, kref := range params.Slots {
			if err := c.checkKref(kref); err != nil {
				return nil, pipeproto.Errorf(pipeproto.CodeBadRequest, "the vat parameters of %s: %v", req.VatID, err)
			}
		}
		if err := c.setParameters(req.VatID, params); err != nil {
			return nil, err
		}
	}
	c.beginning = req.Reason
	c.kv.Delete(rootRetiredKey(req.VatID))
	return c.deliverStart(req.VatID)
}

// end disconnects a vat from the world as SwingSet does on an upgrade: the
// promises it decides are rejected, and what the next incarnation cannot know
// is abandoned. A terminated vat loses all it exports, by the mark alone.
func (c *crank) end(req pipeproto.Incarnation) error {
	if req.Reason == pipeproto.ReasonTerminated {
		if err := c.terminate(req.VatID); err != nil {
			return err
		}
		return c.rejectDecided(req.VatID, capdata.MakeError(vatTerminated))
	}
	if err := c.disconnectDecided(req); err != nil {
		return err
	}
	krefs, err := c.nonDurableExports(req.VatID)
	if err != nil {
		return err
	}
	for _, kref := range krefs {
		if err := c.orphan(req.VatID, kref); err != nil {
			return err
		}
	}
	c.clearDirt(req.VatID)
	c.kv.Delete(reapKey(req.VatID)) // vatworkerd drops the item with the incarnation
	return c.kv.Err()
}

func (c *crank) rejectDecided(vatID string, reason capdata.CapData) error {
	kpids, err := c.decidedBy(vatID)
	if err != nil {
		return err
	}
	for _, kpid := range kpids {
		if err := c.resolve(vatID, []resolution{{kpid: kpid, rejected: true, data: reason}}); err != nil {
			return err
		}
	}
	return nil
}

// disconnectDecided rejects the promises a vat decides because its incarnation
// ends. A vat that is not subscribed to its own promise will never hear of it
// again, so that its c-list entry goes now.
func (c *crank) disconnectDecided(req pipeproto.Incarnation) error {
	reason := capdata.UpgradeDisconnection(req.Message, req.Incarnation)
	kpids, err := c.decidedBy(req.VatID)
	if err != nil {
		return err
	}
	for _, kpid := range kpids {
		p, err := c.promise(kpid)
		if err != nil {
			return err
		}
		if err := c.resolve(req.VatID, []resolution{{kpid: kpid, rejected: true, data: reason}}); err != nil {
			return err
		}
		if !slices.Contains(p.subscribers, req.VatID) {
			if err := c.deleteEntry(req.VatID, kpid); err != nil {
				return err
			}
		}
	}
	return nil
}
