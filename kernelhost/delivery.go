package kernelhost

import (
	"vatworkerd/kernelhost/capdata"
)

// This file shapes deliveries for a vat: the JSON text that goes into its
// transcript, byte for byte what SwingSet's translators and V8's
// JSON.stringify make of them (kernel/vatTranslator.js).

// bringOutYourDead is the whole delivery of that name.
const bringOutYourDead = `["bringOutYourDead"]`

// deliverMessage translates a message for the vat it was routed to, which
// becomes the decider of the result.
func (c *crank) deliverMessage(vatID, target string, msg message) ([]byte, error) {
	vtarget, err := c.toVat(vatID, target)
	if err != nil {
		return nil, err
	}
	slots, err := c.allToVat(vatID, msg.Methargs.Slots)
	if err != nil {
		return nil, err
	}
	out := message{Methargs: capdata.CapData{Body: msg.Methargs.Body, Slots: slots}}
	if msg.Result != "" {
		if out.Result, err = c.deliverResult(vatID, msg.Result); err != nil {
			return nil, err
		}
	}
	c.slog.message(target, msg)
	b := append([]byte(`["message",`), capdata.AppendString(nil, vtarget)...)
	b = append(b, ',')
	b = appendMessage(b, out)
	return append(b, ']'), c.kv.Err()
}

// deliverResult makes vatID the decider of a message's result. A pipelining
// vat gets at once what waits in that promise.
func (c *crank) deliverResult(vatID, kpid string) (string, error) {
	p, err := c.promise(kpid)
	if err != nil {
		return "", err
	}
	if p.state != Unresolved || p.decider != "" {
		return "", brokenf("result %s is %s and decided by %q when its message is delivered", kpid, p.state, p.decider)
	}
	vpid, err := c.toVat(vatID, kpid)
	if err != nil {
		return "", err
	}
	c.setDecider(kpid, vatID)
	opts, err := c.options(vatID)
	if err != nil || !opts.EnablePipelining {
		return vpid, err
	}
	return vpid, c.requeue(kpid)
}

// deliverNotify translates the resolution of a promise, and of all promises
// its data leads to. Their c-list entries are retired: the vat knows all of
// them now. No delivery means that the vat has been told already.
func (c *crank) deliverNotify(vatID, kpid string) ([]byte, error) {
	if _, known, err := c.clistEntry(vatID, kpid); err != nil || !known {
		return nil, err
	}
	kpids, err := c.closure(kpid)
	if err != nil {
		return nil, err
	}
	if len(kpids) == 0 {
		return nil, brokenf("%s is to be told of %s, which is unresolved", vatID, kpid)
	}
	if err := c.slog.notify(c, kpids); err != nil {
		return nil, err
	}
	b := []byte(`["notify",[`)
	for i, kpid := range kpids {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = c.appendResolution(b, vatID, kpid); err != nil {
			return nil, err
		}
	}
	for _, kpid := range kpids {
		if err := c.deleteEntry(vatID, kpid); err != nil {
			return nil, err
		}
	}
	return append(b, "]]"...), c.kv.Err()
}

func (c *crank) appendResolution(b []byte, vatID, kpid string) ([]byte, error) {
	vpid, err := c.toVat(vatID, kpid)
	if err != nil {
		return nil, err
	}
	p, err := c.promise(kpid)
	if err != nil {
		return nil, err
	}
	slots, err := c.allToVat(vatID, p.data.Slots)
	if err != nil {
		return nil, err
	}
	b = append(b, '[')
	b = capdata.AppendString(b, vpid)
	if p.state == Rejected {
		b = append(b, ",true,"...)
	} else {
		b = append(b, ",false,"...)
	}
	b = appendCapData(b, capdata.CapData{Body: p.data.Body, Slots: slots})
	return append(b, ']'), nil
}

// deliverStart translates a vat's parameters into its startVat.
func (c *crank) deliverStart(vatID string) ([]byte, error) {
	params, err := c.parameters(vatID)
	if err != nil {
		return nil, err
	}
	slots, err := c.allToVat(vatID, params.Slots)
	if err != nil {
		return nil, err
	}
	c.slog.start(params)
	b := appendCapData([]byte(`["startVat",`), capdata.CapData{Body: params.Body, Slots: slots})
	return append(b, ']'), c.kv.Err()
}
