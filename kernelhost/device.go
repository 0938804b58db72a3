package kernelhost

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"vatworkerd/kernelhost/capdata"
)

// Device is what vats reach with D(node).method(…): a Go function that runs
// while the vat waits. A config asks for it by name under "devices"; bootstrap
// gets its root node. What Invoke does must follow from its arguments and its
// kept state alone, for a crank may be undone and run again, and other hosts
// must come to the same. What goes out it emits, what comes in Kernel.Input
// brings.
type Device struct {
	Name string
	// Invoke serves one call. The result is smallcaps whose slots are those of
	// Invocation: no promises. An error is thrown in the vat as an Error with its
	// text; what the call has changed stays.
	Invoke func(*Invocation) (capdata.CapData, error)
	// Release, which only a device that emits needs, gives an output to the world
	// outside once its block is committed, in order. After a crash an output may
	// come again, under the same ID. One that gives an error stays and comes again
	// after the next block, or when the kernel is opened. Release runs inside a
	// method of the Kernel and must not call it.
	Release func(Output) error
}

// Invocation is one call of a device. It may be used until Invoke returns.
type Invocation struct {
	// Node is the device's own node that was called: "d+0" is its root.
	Node   string
	Method string
	// Args is the capdata of the array of arguments. Its slots are the device's:
	// d+N a node of its own, o-N an object of a vat. The device holds every
	// object that it was ever given, and knows it again by the same slot.
	Args capdata.CapData
	// Parameters are the config's, JSON.
	Parameters json.RawMessage

	c        *crank
	deviceID string
	device   Device
}

// Get reads what Set has kept under a key.
func (i *Invocation) Get(key string) (value string, ok bool) {
	return i.c.kv.Get(deviceStateKey(i.deviceID, key))
}

// Set keeps a value as part of the kernel's state.
func (i *Invocation) Set(key, value string) { i.c.kv.Set(deviceStateKey(i.deviceID, key), value) }

// Delete forgets a key.
func (i *Invocation) Delete(key string) { i.c.kv.Delete(deviceStateKey(i.deviceID, key)) }

// SendOnly queues a message to an object that the device was given (o-N); its
// result goes nowhere. args are Go values (see capdata.Marshal), a capdata.Ref
// in them names a slot of the device.
func (i *Invocation) SendOnly(object, method string, args ...any) error {
	data, err := capdata.Arguments(args...)
	if err != nil {
		return err
	}
	methargs, err := capdata.MethArgs(method, data)
	if err != nil {
		return err
	}
	target, err := i.c.deviceToKernel(i.deviceID, object)
	if err != nil {
		return err
	}
	if kind, err := kslotType(target); err != nil || kind != typeObject {
		return fmt.Errorf("cannot send to %s: it is no object", object)
	}
	if methargs.Slots, err = i.c.allDeviceToKernel(i.deviceID, methargs.Slots); err != nil {
		return err
	}
	return i.c.acceptSend(target, message{Methargs: methargs})
}

// UnknownDeviceError says that a config asks for a device nobody has registered.
type UnknownDeviceError struct{ Name string }

func (e *UnknownDeviceError) Error() string {
	return fmt.Sprintf("unknown device %q; the program that opens the kernel must register it", e.Name)
}

// A device's keys: device.name.NAME = d7, d7.parameters, d7.vs.KEY, a c-list as
// vats have one, and kd30.owner = d7 for each of its nodes.
const (
	firstDevice       = 7
	firstNode         = 30
	firstDeviceObject = 10
	firstDeviceNode   = 20
	deviceNamePrefix  = "device.name."
	rootNode          = "d+0"
)

func deviceStateKey(deviceID, key string) string { return deviceID + ".vs." + key }

// addDevice makes a device's record and gives the kref of its root node.
func (t tables) addDevice(name string, parameters json.RawMessage) (string, error) {
	if !t.has("device.nextID") {
		t.kv.Set("device.nextID", strconv.Itoa(firstDevice))
		t.kv.Set("kd.nextID", strconv.Itoa(firstNode))
	}
	n, err := t.allocate("device.nextID")
	if err != nil {
		return "", err
	}
	deviceID := "d" + n
	t.kv.Set(deviceNamePrefix+name, deviceID)
	t.kv.Set(deviceID+".name", name)
	if len(parameters) > 0 {
		t.kv.Set(deviceID+".parameters", string(parameters))
	}
	t.kv.Set(deviceID+".o.nextID", strconv.Itoa(firstDeviceObject))
	t.kv.Set(deviceID+".d.nextID", strconv.Itoa(firstDeviceNode))
	return t.deviceToKernel(deviceID, rootNode)
}

// devices gives the roots of all devices, by name.
func (t tables) devices() ([]capdata.Root, error) {
	var roots []capdata.Root
	for key, ok := t.kv.NextKey(deviceNamePrefix, deviceNamePrefix); ok; key, ok = t.kv.NextKey(key, deviceNamePrefix) {
		deviceID, err := t.require(key)
		if err != nil {
			return nil, err
		}
		kref, err := t.deviceToKernel(deviceID, rootNode)
		if err != nil {
			return nil, err
		}
		roots = append(roots, capdata.Root{Name: key[len(deviceNamePrefix):], Kref: kref})
	}
	return roots, t.kv.Err()
}

// deviceToKernel translates a slot of a device's. A node of its own that is new
// gets a kref.
func (t tables) deviceToKernel(deviceID, slot string) (string, error) {
	if kref, ok := t.kv.Get(clistKey(deviceID, slot)); ok {
		return kref, nil
	}
	if err := t.kv.Err(); err != nil {
		return "", err
	}
	parsed, err := parseVref(slot)
	if err != nil {
		return "", err
	}
	if parsed.slotType != typeDevice || !parsed.exported {
		return "", fmt.Errorf("the device was never given %s", slot)
	}
	n, err := t.allocate("kd.nextID")
	if err != nil {
		return "", err
	}
	kref := "kd" + n
	t.kv.Set(ownerKey(kref), deviceID)
	// Nodes have no reference counts: they are there for ever.
	t.kv.Set(clistKey(deviceID, kref), clistEntry{reachable: true, vref: slot}.String())
	t.kv.Set(clistKey(deviceID, slot), kref)
	return kref, t.kv.Err()
}

func (t tables) allDeviceToKernel(deviceID string, slots []string) ([]string, error) {
	return translateAll(slots, func(slot string) (string, error) { return t.deviceToKernel(deviceID, slot) })
}

// invoke runs a device for a call that is translated to krefs, and gives the
// result with krefs. An *invokeError is the device's own.
func (k *Kernel) invoke(c *crank, node, method string, args capdata.CapData) (capdata.CapData, error) {
	deviceID, err := c.require(ownerKey(node))
	if err != nil {
		return capdata.CapData{}, err
	}
	name, err := c.require(deviceID + ".name")
	if err != nil {
		return capdata.CapData{}, err
	}
	slot, err := c.toVat(deviceID, node)
	if err != nil {
		return capdata.CapData{}, err
	}
	if name == adminDevice {
		return c.invokeAdmin(deviceID, slot, method, args)
	}
	device, ok := k.device(name)
	if !ok {
		return capdata.CapData{}, &UnknownDeviceError{Name: name}
	}
	for _, kref := range args.Slots {
		if owner, _ := c.kv.Get(ownerKey(kref)); isNode(kref) && owner != deviceID {
			return capdata.CapData{}, invokef("a device cannot be given another device's node")
		}
	}
	args.Slots, err = c.allToVat(deviceID, args.Slots)
	if err != nil {
		return capdata.CapData{}, err
	}
	parameters, _ := c.kv.Get(deviceID + ".parameters")
	call := Invocation{Node: slot, Method: method, Args: args, Parameters: json.RawMessage(parameters), c: c, deviceID: deviceID, device: device}
	result, err := device.Invoke(&call)
	if err != nil {
		return capdata.CapData{}, errors.Join(&invokeError{why: err.Error()}, c.kv.Err())
	}
	if result.Slots, err = c.allDeviceToKernel(deviceID, result.Slots); err != nil && c.kv.Err() == nil {
		err = invokef("its result: %v", err)
	}
	return result, err
}

// device gives a registered device.
func (k *Kernel) device(name string) (Device, bool) {
	at := slices.IndexFunc(k.opts.Devices, func(d Device) bool { return d.Name == name })
	if at < 0 {
		return Device{}, false
	}
	return k.opts.Devices[at], true
}

func isNode(kref string) bool {
	kind, err := kslotType(kref)
	return err == nil && kind == typeDevice
}

// invokeError is a call that a device refuses; the vat gets it as an error.
type invokeError struct{ why string }

func (e *invokeError) Error() string { return "device.invoke failed: " + e.why }

func invokef(format string, args ...any) error {
	return &invokeError{why: fmt.Sprintf(format, args...)}
}
