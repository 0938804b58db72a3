package kernelhost

import (
	"context"
	"errors"
	"strconv"
	"testing"

	"vatworkerd/kernelhost/capdata"
)

// testDevice counts its calls, hands out nodes, and tells listeners.
func testDevice(name string) Device {
	return Device{Name: name, Invoke: func(call *Invocation) (capdata.CapData, error) {
		if call.Node != "d+0" {
			return capdata.String("I am " + call.Node), nil
		}
		args, err := capdata.Elements(call.Args)
		if err != nil {
			return capdata.CapData{}, err
		}
		switch call.Method {
		case "count":
			text, _ := call.Get("calls")
			n, _ := strconv.ParseInt(text, 10, 64)
			call.Set("calls", strconv.FormatInt(n+1, 10))
			return capdata.Int(n + 1), nil
		case "parameters":
			return capdata.FromJSON(call.Parameters)
		case "listen":
			value, err := capdata.Unmarshal(args[0])
			if err != nil {
				return capdata.CapData{}, err
			}
			ref, ok := value.(capdata.Ref)
			if !ok {
				return capdata.CapData{}, errors.New("listen() takes an object")
			}
			return capdata.Undefined(), call.SendOnly(ref.Kref, "tell", "from the device to", ref.Kref)
		case "makeNode":
			return capdata.Slot("d+1", "Alleged: node"), nil
		case "badSlot":
			return capdata.Slot("o-99", ""), nil
		}
		return capdata.CapData{}, errors.New("no such method: " + call.Method)
	}}
}

func TestDevices(t *testing.T) {
	r := newRealRig(t, testDevice("one"), testDevice("two"))
	r.init(`{"bootstrap": "bootstrap", "vats": {"bootstrap": {"bundleSpec": "BUNDLES/device-user.json"}},
		"devices": {"two": {"parameters": {"size": 3}}, "one": {"sourceSpec": "nowhere.js"}}}`)
	r.logged("devices: one,two")
	r.equal(r.ask("call", "one", "count"), 1.0)
	r.equal(r.ask("call", "one", "count"), 2.0)
	r.equal(r.ask("call", "two", "count"), 1.0)
	r.equal(r.ask("call", "two", "parameters"), record("size", 3.0))
	r.fails("device.invoke failed: no such method: nothing", "call", "one", "nothing")
	r.fails("device.invoke failed: its result: ", "call", "one", "badSlot")
	r.equal(r.ask("makeNode", "one"), "I am d+1")
	r.fails("cannot be given another device's node", "passNode", "one", "two")
	r.ask("listen", "one")
	r.logged("told before", "told from the device to o-10")
	// The state is kept, and the object a device was given is known again.
	if err := r.k.Close(); err != nil {
		t.Fatal(err)
	}
	r.open()
	r.seen = 0
	r.equal(r.ask("call", "one", "count"), 3.0)
	r.ask("listen", "one")
	r.logged("told before", "told from the device to o-10")
}

func TestUnknownDevice(t *testing.T) {
	text := `{"vats": {"a": {"bundleSpec": "BUNDLES/echo.json"}}, "devices": {"timer": {}}}`
	if _, err := parseConfig(t, text, "one"); err == nil {
		t.Fatal("a config may ask for any device")
	}
	cfg, err := parseConfig(t, text, "timer")
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t)
	_, err = r.k.Initialize(context.Background(), cfg)
	var unknown *UnknownDeviceError
	if !errors.As(err, &unknown) || unknown.Name != "timer" {
		t.Fatalf("got %v", err)
	}
	for _, devices := range [][]Device{{testDevice("")}, {{Name: "x"}}, {testDevice("x"), testDevice("x")}, {testDevice("vatAdmin")}} {
		if _, err := Open(context.Background(), Options{DBDir: t.TempDir(), Devices: devices}); err == nil {
			t.Errorf("%v were registered", devices)
		}
	}
}
