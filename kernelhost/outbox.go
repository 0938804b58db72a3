package kernelhost

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"vatworkerd/internal/crashpoint"
	"vatworkerd/kernelhost/capdata"
)

// What a device does to the world outside cannot be undone, but the crank it is
// called in can. So it emits outputs: they are kept with the crank, and leave
// when its block is committed. d7.out.nextID = 1 is a device's next output.

// Output is what a device has emitted.
type Output struct {
	Device string
	// ID counts a device's outputs from 1. It is the same on every host and is
	// never used again, so that the last one seen tells what comes twice.
	ID     int64
	Height int64 // of the block that emitted it
	Data   string
}

const (
	firstOutput   = 1
	pageOfOutputs = 100
)

func nextOutputKey(deviceID string) string { return deviceID + ".out.nextID" }

// Emit sends something to the world outside: the device's Release gets it once
// the block is committed, and never if the crank or the block is undone.
func (i *Invocation) Emit(data string) (id int64, err error) {
	if i.device.Release == nil {
		return 0, fmt.Errorf("device %q cannot emit: it has no Release", i.device.Name)
	}
	key := nextOutputKey(i.deviceID)
	if !i.c.has(key) {
		i.c.kv.Set(key, strconv.Itoa(firstOutput))
	}
	text, err := i.c.allocate(key)
	if err != nil {
		return 0, err
	}
	if id, err = strconv.ParseInt(text, 10, 64); err != nil {
		return 0, brokenf("%s holds %q, no number", key, text)
	}
	return id, i.c.kv.PutOutput(i.deviceID, id, data)
}

// Input lets a device bring something in from the world outside: enter may do all
// that Invoke may, between deliveries. What it does is part of the open block,
// and all of it is undone if enter gives an error.
func (k *Kernel) Input(ctx context.Context, device string, enter func(*Invocation) error) error {
	defer k.leave()
	if err := k.enter(); err != nil {
		return err
	}
	d, ok := k.device(device)
	if !ok {
		return &UnknownDeviceError{Name: device}
	}
	return k.change(ctx, func(c *crank) error {
		deviceID, ok := c.kv.Get(deviceNamePrefix + device)
		if !ok {
			return also(fmt.Errorf("cannot bring anything in: the config has no device %q", device), c.kv.Err())
		}
		parameters, _ := c.kv.Get(deviceID + ".parameters")
		return enter(&Invocation{Node: rootNode, Args: capdata.CapData{Slots: []string{}}, Parameters: []byte(parameters), c: c, deviceID: deviceID, device: d})
	})
}

// Outputs gives the outputs of committed blocks that have not left: their
// device's Release has failed.
func (k *Kernel) Outputs() ([]Output, error) {
	defer k.leave()
	if err := k.enter(); err != nil {
		return nil, err
	}
	var waiting []Output
	return waiting, k.eachSender(func(d Device, deviceID string) error {
		return k.eachOutput(d, deviceID, func(o Output) error {
			waiting = append(waiting, o)
			return nil
		})
	})
}

// release gives the outputs of committed blocks to their devices. No block may
// be open.
func (k *Kernel) release() error { return k.eachSender(k.releaseFrom) }

// releaseFrom gives a device its outputs. What the device does not take stays,
// with all that it emitted after it, for the next time. A crash between the two
// steps releases the same again.
func (k *Kernel) releaseFrom(d Device, deviceID string) error {
	var last int64
	err := k.eachOutput(d, deviceID, func(o Output) error {
		if err := d.Release(o); err != nil {
			return &releaseError{output: o, err: err}
		}
		last = o.ID
		return nil
	})
	var kept *releaseError
	if errors.As(err, &kept) {
		k.log.Warn("a device does not take its output; it is kept", "device", d.Name, "output", kept.output.ID, "error", kept.err)
	} else if err != nil {
		return err
	}
	if last == 0 {
		return nil
	}
	crashpoint.Here(crashpoint.HostReleased)
	err = k.db.ForgetOutputs(deviceID, last)
	crashpoint.Here(crashpoint.HostForgotten)
	return err
}

// releaseError says that a device did not take an output.
type releaseError struct {
	output Output
	err    error
}

func (e *releaseError) Error() string { return fmt.Sprintf("output %d: %v", e.output.ID, e.err) }
func (e *releaseError) Unwrap() error { return e.err }

// eachSender visits the devices that can emit and that the config has.
func (k *Kernel) eachSender(visit func(d Device, deviceID string) error) error {
	for _, d := range k.opts.Devices {
		if d.Release == nil {
			continue
		}
		deviceID, ok, err := k.db.Get(deviceNamePrefix + d.Name)
		if err == nil && ok {
			err = visit(d, deviceID)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (k *Kernel) eachOutput(d Device, deviceID string, visit func(Output) error) error {
	for after := int64(0); ; {
		outputs, err := k.db.Outputs(deviceID, after, pageOfOutputs)
		if err != nil || len(outputs) == 0 {
			return err
		}
		for _, o := range outputs {
			after = o.ID
			if err := visit(Output{Device: d.Name, ID: o.ID, Height: o.Height, Data: o.Data}); err != nil {
				return err
			}
		}
	}
}
