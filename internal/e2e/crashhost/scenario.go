package main

import (
	"vatworkerd/internal/blockhost"
	"vatworkerd/kernelhost"
	"vatworkerd/pipeproto"
)

// scenario gives the steps, one block each. A step that comes out otherwise than
// it says is an error, so that the scenario keeps touching what it is there for.
func scenario(config string) []blockhost.Step {
	return []blockhost.Step{
		initialize(config),
		runs,
		sends("counter increment", "counter increment", "account deposit 7", "counter increment"),
		asks(`create child admin-child {"name":"child"}`, "call child count"),
		creates("extra", "exiter", running, nil),
		asks("callDevice post emit one", "call child count", "callDevice post emit two"),
		brings("three"),
		holds("counter", "increment"),
		resumes("counter"),
		suspends("account"),
		sends("account balance", "counter increment"),
		upgrades("account", "upgradable-v2", ""),
		upgrades("account", "bad-upgrade", pipeproto.CodeVatFault),
		creates("busy", "spinner", paused, allow(3_000_000), "busy ok", "busy work 1000000", "busy ok"),
		refills("busy", 1_000_000_000),
		ends("extra", "suspendWithFailure enough", "deliberately-suspended"),
		creates("stillborn", "throws-on-start", "deliberately-suspended", nil),
		asks("hold child later never", "control child suspend tired", "call child count"),
		asks("upgrade child admin-child", "call child count"),
		refuses("upgrade child throws-on-start", "call child count"),
		snapshots("counter"),
		rollsBack("counter increment"),
		asks("terminate child done"),
		terminates("extra"),
		cleans(2),
		cleans(40),
		restartsAll,
		sends("counter increment", "account balance"),
		cleans(pipeproto.UnlimitedCleanup),
		grows,
	}
}

const (
	running = "running"
	paused  = "paused"
)

func allow(computrons int64) *int64 { return &computrons }

// keepOpen lets the vats come to rest in the open block.
func keepOpen() kernelhost.Budget { return kernelhost.Budget{KeepOpen: true} }
