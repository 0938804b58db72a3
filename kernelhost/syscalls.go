package kernelhost

import (
	"encoding/json"
	"errors"

	"vatworkerd/kernelhost/capdata"
)

// exitRequest is a vat's syscall.exit.
type exitRequest struct {
	failure bool
	info    capdata.CapData
}

// illegalSyscall is how SwingSet tells of one.
const illegalSyscall = "syscall translation error: prepare to die"

// perform acts on the syscalls of a delivery, in order. The first that is
// illegal is an *illegalError; what came before it is in the tables then, and
// the crank must be undone.
func (c *crank) perform(vatID string, syscalls [][]byte) (*exitRequest, error) {
	var exit *exitRequest
	for _, text := range syscalls {
		name, args, err := decodeSyscall(text)
		if err != nil {
			return nil, err
		}
		if name == "exit" {
			if exit, err = c.exit(vatID, args); err != nil {
				return nil, explain(name, err)
			}
			continue
		}
		if err := c.performOne(vatID, name, args); err != nil {
			return nil, explain(name, err)
		}
	}
	return exit, c.kv.Err()
}

// explain adds to an illegal syscall which one it was.
func explain(name string, err error) error {
	var illegal *illegalError
	if errors.As(err, &illegal) {
		return illegalf("%s (%s: %s)", illegalSyscall, name, illegal.reason)
	}
	return err
}

func (c *crank) performOne(vatID, name string, args []json.RawMessage) error {
	if len(args) != argumentCount(name) {
		return illegalf("it has %d arguments", len(args))
	}
	switch name {
	case "send":
		return c.send(vatID, args[0], args[1])
	case "subscribe":
		return c.subscribeVat(vatID, args[0])
	case "resolve":
		return c.resolveFromVat(vatID, args[0])
	case "dropImports":
		return c.eachVref(args[0], false, func(vref string) error { return c.dropImport(vatID, vref) })
	case "retireImports":
		return c.eachVref(args[0], false, func(vref string) error { return c.retireImport(vatID, vref) })
	case "retireExports":
		return c.eachVref(args[0], true, func(vref string) error { return c.retireExport(vatID, vref) })
	case "abandonExports":
		return c.eachVref(args[0], true, func(vref string) error { return c.abandonExport(vatID, vref) })
	}
	return illegalf("there is no such syscall")
}

// argumentCount is how many arguments a syscall takes.
func argumentCount(name string) int {
	if name == "send" || name == "exit" {
		return 2
	}
	return 1
}

// decodeSyscall takes ["name", args…] apart.
func decodeSyscall(text []byte) (name string, args []json.RawMessage, err error) {
	var parts []json.RawMessage
	if json.Unmarshal(text, &parts) != nil || len(parts) == 0 {
		return "", nil, illegalf("%s (it is no array)", illegalSyscall)
	}
	if name, err = decodeString(parts[0]); err != nil {
		return "", nil, illegalf("%s (its name is no string)", illegalSyscall)
	}
	return name, parts[1:], nil
}

func decodeString(text json.RawMessage) (string, error) {
	var s *string
	if json.Unmarshal(text, &s) != nil || s == nil {
		return "", illegalf("an argument is no string")
	}
	return *s, nil
}

func (c *crank) send(vatID string, target, body json.RawMessage) error {
	vtarget, err := decodeString(target)
	if err != nil {
		return err
	}
	var msg message
	if err := json.Unmarshal(body, &msg); err != nil {
		return illegalf("bad message: %v", err)
	}
	to, err := c.toKernel(vatID, vtarget)
	if err != nil {
		return err
	}
	if kind, err := kslotType(to); err != nil || kind == typeDevice {
		return illegalf("%s is no target for a message", vtarget)
	}
	var out message
	if out.Methargs, err = c.dataToKernel(vatID, msg.Methargs); err != nil {
		return err
	}
	if msg.Result != "" {
		if out.Result, err = c.resultOfSend(vatID, msg.Result); err != nil {
			return err
		}
	}
	return c.acceptSend(to, out)
}

// resultOfSend takes the promise for a message's result. It must be new,
// unless the vat may pipeline: then it may pass on one that it decides.
func (c *crank) resultOfSend(vatID, vref string) (string, error) {
	slot, err := parseVref(vref)
	if err != nil {
		return "", err
	}
	if slot.slotType != typePromise {
		return "", illegalf("the result %s is no promise", vref)
	}
	opts, err := c.options(vatID)
	if err != nil {
		return "", err
	}
	if !opts.EnablePipelining && c.has(clistKey(vatID, vref)) {
		return "", illegalf("the result %s is not new", vref)
	}
	kpid, err := c.toKernel(vatID, vref)
	if err != nil {
		return "", err
	}
	p, err := c.promise(kpid)
	if err != nil {
		return "", err
	}
	if p.state != Unresolved || p.decider != vatID {
		return "", illegalf("the result %s is %s and decided by %q", vref, p.state, p.decider)
	}
	c.clearDecider(kpid)
	return kpid, nil
}

func (c *crank) dataToKernel(vatID string, data capdata.CapData) (capdata.CapData, error) {
	slots, err := c.allToKernel(vatID, data.Slots)
	return capdata.CapData{Body: data.Body, Slots: slots}, err
}

func (c *crank) subscribeVat(vatID string, arg json.RawMessage) error {
	vpid, err := decodeString(arg)
	if err != nil {
		return err
	}
	kpid, err := c.toKernel(vatID, vpid)
	if err != nil {
		return err
	}
	if !isPromise(kpid) {
		return illegalf("%s is no promise", vpid)
	}
	p, err := c.promise(kpid)
	if err != nil {
		return err
	}
	if p.state != Unresolved {
		return c.acceptNotify(vatID, kpid)
	}
	c.subscribe(kpid, vatID, p)
	return nil
}

func (c *crank) resolveFromVat(vatID string, arg json.RawMessage) error {
	var list []json.RawMessage
	if err := json.Unmarshal(arg, &list); err != nil {
		return illegalf("its resolutions are no array")
	}
	resolutions := make([]resolution, len(list))
	for i, text := range list {
		var err error
		if resolutions[i], err = c.resolutionToKernel(vatID, text); err != nil {
			return err
		}
	}
	for _, r := range resolutions {
		if _, known, err := c.clistEntry(vatID, r.kpid); err != nil || !known {
			return errors.Join(err, illegalf("promise %s is resolved twice", r.kpid))
		}
		if err := c.deleteEntry(vatID, r.kpid); err != nil {
			return err
		}
	}
	return c.resolve(vatID, resolutions)
}

// resolutionToKernel translates [vpid, rejected, capdata].
func (c *crank) resolutionToKernel(vatID string, text json.RawMessage) (resolution, error) {
	var parts []json.RawMessage
	if json.Unmarshal(text, &parts) != nil || len(parts) != 3 {
		return resolution{}, illegalf("a resolution is no [promise, rejected, capdata]")
	}
	vpid, err := decodeString(parts[0])
	if err != nil {
		return resolution{}, err
	}
	var r resolution
	if err := json.Unmarshal(parts[1], &r.rejected); err != nil {
		return r, illegalf("a resolution's second part is no boolean")
	}
	data, err := decodeCapData(parts[2])
	if err != nil {
		return r, illegalf("a resolution's data: %v", err)
	}
	slot, err := parseVref(vpid)
	if err != nil {
		return r, err
	}
	if slot.slotType != typePromise {
		return r, illegalf("%s is no promise", vpid)
	}
	if !r.rejected {
		if err := checkFulfilment(data); err != nil {
			return r, err
		}
	}
	if r.kpid, err = c.toKernel(vatID, vpid); err != nil {
		return r, err
	}
	r.data, err = c.dataToKernel(vatID, data)
	return r, err
}

// checkFulfilment refuses what the kernel has no forwarding for: a promise
// that is fulfilled to a promise.
func checkFulfilment(data capdata.CapData) error {
	vref, err := capdata.SingleSlot(data)
	if err != nil {
		return illegalf("a resolution's data: %v", err)
	}
	if vref == "" {
		return nil
	}
	slot, err := parseVref(vref)
	if err != nil {
		return err
	}
	if slot.slotType == typePromise {
		return illegalf("cannot resolve to a promise")
	}
	return nil
}

func (c *crank) exit(vatID string, args []json.RawMessage) (*exitRequest, error) {
	if len(args) != argumentCount("exit") {
		return nil, illegalf("it has %d arguments", len(args))
	}
	var exit exitRequest
	if err := json.Unmarshal(args[0], &exit.failure); err != nil {
		return nil, illegalf("its first argument is no boolean")
	}
	info, err := decodeCapData(args[1])
	if err != nil {
		return nil, illegalf("its information: %v", err)
	}
	exit.info, err = c.dataToKernel(vatID, info)
	return &exit, err
}

// eachVref runs act on the vrefs of a garbage collection syscall; all must be
// objects, exported by the vat or imported.
func (c *crank) eachVref(arg json.RawMessage, exported bool, act func(vref string) error) error {
	var vrefs []*string
	if err := json.Unmarshal(arg, &vrefs); err != nil {
		return illegalf("its vrefs are no array of strings")
	}
	for _, vref := range vrefs {
		if vref == nil {
			return illegalf("its vrefs are no array of strings")
		}
		slot, err := parseVref(*vref)
		if err != nil {
			return err
		}
		if slot.slotType != typeObject || slot.exported != exported {
			return illegalf("%s is the wrong kind of vref", *vref)
		}
		if err := act(*vref); err != nil {
			return err
		}
	}
	return nil
}

func (c *crank) dropImport(vatID, vref string) error {
	kref, err := c.knownToKernel(vatID, vref)
	if err != nil {
		return err
	}
	e, _, err := c.clistEntry(vatID, kref)
	if err != nil {
		return err
	}
	return c.setReachable(vatID, kref, e, false)
}

func (c *crank) retireImport(vatID, vref string) error {
	_, err := c.retireEntry(vatID, vref)
	return err
}

func (c *crank) retireExport(vatID, vref string) error {
	kref, err := c.retireEntry(vatID, vref)
	if err != nil {
		return err
	}
	return c.retireObject(kref)
}

// retireEntry removes the entry of an object that the vat cannot reach any more.
func (c *crank) retireEntry(vatID, vref string) (string, error) {
	kref, err := c.knownToKernel(vatID, vref)
	if err != nil {
		return "", err
	}
	e, _, err := c.clistEntry(vatID, kref)
	if err != nil {
		return "", err
	}
	if e.reachable {
		return "", illegalf("%s is still reachable", vref)
	}
	return kref, c.deleteEntry(vatID, kref)
}

func (c *crank) abandonExport(vatID, vref string) error {
	kref, err := c.knownToKernel(vatID, vref)
	if err != nil {
		return err
	}
	return c.orphan(vatID, kref)
}
