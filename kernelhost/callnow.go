package kernelhost

import (
	"errors"
	"fmt"

	"vatworkerd/internal/crashpoint"
	"vatworkerd/kernelhost/capdata"
	"vatworkerd/pipeproto"
)

// callNow runs a device for a vat that waits for the answer. What the vat did
// before it in the same delivery is done first, so that krefs are given out and
// messages queued in the order of the syscalls.
func (h *callbacks) callNow(req pipeproto.CallNow) (pipeproto.CallNowReply, error) {
	c, err := h.open()
	if err != nil {
		return pipeproto.CallNowReply{}, err
	}
	reply, err := h.k.callDevice(c, req)
	crashpoint.Here(crashpoint.HostCallNow)
	var illegal *illegalError
	var refused *invokeError
	switch {
	case errors.As(err, &illegal):
		c.illegal = illegal.reason
		return pipeproto.CallNowReply{Problem: illegalSyscall}, c.kv.Err()
	case errors.As(err, &refused):
		return pipeproto.CallNowReply{Problem: refused.Error()}, c.kv.Err()
	}
	return reply, err
}

func (k *Kernel) callDevice(c *crank, req pipeproto.CallNow) (pipeproto.CallNowReply, error) {
	if c.illegal != "" {
		return pipeproto.CallNowReply{}, &illegalError{reason: c.illegal}
	}
	exit, err := c.perform(req.VatID, req.Syscalls)
	if err != nil {
		return pipeproto.CallNowReply{}, err
	}
	if exit != nil {
		c.exiting = exit
	}
	node, args, err := c.callToKernel(req)
	if err != nil {
		return pipeproto.CallNowReply{}, explain("callNow", err)
	}
	result, err := k.invoke(c, node, req.Method, args)
	if err != nil {
		return pipeproto.CallNowReply{}, err
	}
	if result.Slots, err = c.allToVat(req.VatID, result.Slots); err != nil {
		return pipeproto.CallNowReply{}, err
	}
	return pipeproto.CallNowReply{Result: appendCapData(nil, result)}, c.kv.Err()
}

// callToKernel translates a call's target and arguments.
func (c *crank) callToKernel(req pipeproto.CallNow) (node string, args capdata.CapData, err error) {
	if args, err = decodeCapData(req.Args); err != nil {
		return "", args, illegalf("bad arguments: %v", err)
	}
	if node, err = c.toKernel(req.VatID, req.Target); err != nil {
		return "", args, err
	}
	if !isNode(node) {
		return "", args, illegalf("%s is no device node", req.Target)
	}
	for _, vref := range args.Slots {
		slot, err := parseVref(vref)
		if err != nil {
			return "", args, err
		}
		if slot.slotType == typePromise {
			return "", args, illegalf("the arguments cannot have promises such as %s", vref)
		}
	}
	args, err = c.dataToKernel(req.VatID, args)
	return node, args, err
}

// checkRegistered refuses devices that could not be told apart, or run.
func checkRegistered(devices []Device) error {
	seen := map[string]bool{adminDevice: true}
	for _, d := range devices {
		if d.Name == "" || d.Invoke == nil {
			return fmt.Errorf("cannot register device %q: it needs a name and Invoke", d.Name)
		}
		if seen[d.Name] {
			return fmt.Errorf("cannot register device %q: the name is taken", d.Name)
		}
		seen[d.Name] = true
	}
	return nil
}
