package kernelhost

import (
	"math/big"

	"vatworkerd/kernelhost/capdata"
	"vatworkerd/pipeproto"
)

// A meter is an amount of computrons that vats share: m1.remaining, decimal or
// "unlimited", and m1.threshold. Every delivery of a vat with a meter is taken
// off it, but for those the kernel itself asks for (bringOutYourDead and garbage
// collection).

const (
	meterRemaining = "remaining"
	meterThreshold = "threshold"
	meterUnlimited = "unlimited"
	meterIDKey     = "meter.nextID"
)

func meterKey(meterID, column string) string { return meterID + "." + column }

// meterOverrun is why a vat is paused whose meter has too little left.
const meterOverrun = "meter overrun: its meter has too little left; add to the meter and resume the vat"

// chargeMeter takes a delivery off the vat's meter. Where too little is left it
// gives the reason to undo the delivery. An incarnation that a delivery or
// restart-all has to start is charged what there is: that was not the vat's wish.
func (c *crank) chargeMeter(req pipeproto.Delivered, opts vatOptions) (overrun string, err error) {
	if opts.MeterID == "" || !c.isMetered(req) {
		return "", nil
	}
	left, err := c.remaining(opts.MeterID)
	if err != nil || left == nil {
		return "", err
	}
	after := new(big.Int).Sub(left, big.NewInt(req.Computrons))
	if after.Sign() < 0 {
		if req.Purpose == pipeproto.PurposeItem || c.beginning != pipeproto.ReasonUnsuspend {
			return meterOverrun, nil
		}
		after.SetInt64(0)
	}
	c.kv.Set(meterKey(opts.MeterID, meterRemaining), after.String())
	threshold, err := c.bigint(meterKey(opts.MeterID, meterThreshold))
	if err != nil {
		return "", err
	}
	if left.Cmp(threshold) >= 0 && after.Cmp(threshold) < 0 {
		return "", c.tellAdmin("meterCrossedThreshold", capdata.String(opts.MeterID), capdata.BigInt(after))
	}
	return "", nil
}

func (c *crank) isMetered(req pipeproto.Delivered) bool {
	switch req.Purpose {
	case pipeproto.PurposeStart:
		return true
	case pipeproto.PurposeItem:
		return c.delivering == eventSend || c.delivering == eventNotify
	}
	return false
}

// remaining gives what a meter has left; nil = unlimited.
func (t tables) remaining(meterID string) (*big.Int, error) {
	key := meterKey(meterID, meterRemaining)
	text, err := t.require(key)
	if err != nil || text == meterUnlimited {
		return nil, err
	}
	return t.bigint(key)
}

func (t tables) bigint(key string) (*big.Int, error) {
	text, err := t.require(key)
	if err != nil {
		return nil, err
	}
	n, ok := new(big.Int).SetString(text, 10)
	if !ok {
		return nil, brokenf("%s holds %q, no number", key, text)
	}
	return n, nil
}

func (a *adminCall) addMeter(remaining, threshold string) (capdata.CapData, error) {
	n, err := a.allocate(meterIDKey)
	if err != nil {
		return capdata.CapData{}, err
	}
	meterID := "m" + n
	a.kv.Set(meterKey(meterID, meterRemaining), remaining)
	a.kv.Set(meterKey(meterID, meterThreshold), threshold)
	return capdata.String(meterID), a.kv.Err()
}

func (a *adminCall) createMeter() (capdata.CapData, error) {
	remaining, err := a.bigintArg(0, "remaining")
	if err != nil {
		return capdata.CapData{}, err
	}
	threshold, err := a.bigintArg(1, "threshold")
	if err != nil {
		return capdata.CapData{}, err
	}
	return a.addMeter(remaining.String(), threshold.String())
}

func (a *adminCall) createUnlimitedMeter() (capdata.CapData, error) {
	return a.addMeter(meterUnlimited, "0")
}

// meter gives the argument with the ID of a meter.
func (a *adminCall) meter() (string, error) {
	meterID, err := a.text(0, "meterID")
	if err != nil {
		return "", err
	}
	if !a.has(meterKey(meterID, meterRemaining)) {
		return "", invokef("there is no meter %s", meterID)
	}
	return meterID, nil
}

func (a *adminCall) addMeterRemaining() (capdata.CapData, error) {
	meterID, err := a.meter()
	if err != nil {
		return capdata.CapData{}, err
	}
	delta, err := a.bigintArg(1, "delta")
	if err != nil {
		return capdata.CapData{}, err
	}
	left, err := a.remaining(meterID)
	if err != nil || left == nil {
		return capdata.Undefined(), err
	}
	a.kv.Set(meterKey(meterID, meterRemaining), left.Add(left, delta).String())
	return capdata.Undefined(), a.kv.Err()
}

func (a *adminCall) setMeterThreshold() (capdata.CapData, error) {
	meterID, err := a.meter()
	if err != nil {
		return capdata.CapData{}, err
	}
	threshold, err := a.bigintArg(1, "threshold")
	if err != nil {
		return capdata.CapData{}, err
	}
	a.kv.Set(meterKey(meterID, meterThreshold), threshold.String())
	return capdata.Undefined(), a.kv.Err()
}

func (a *adminCall) getMeter() (capdata.CapData, error) {
	meterID, err := a.meter()
	if err != nil {
		return capdata.CapData{}, err
	}
	left, err := a.remaining(meterID)
	if err != nil {
		return capdata.CapData{}, err
	}
	remaining := capdata.String(meterUnlimited)
	if left != nil {
		remaining = capdata.BigInt(left)
	}
	threshold, err := a.bigint(meterKey(meterID, meterThreshold))
	if err != nil {
		return capdata.CapData{}, err
	}
	return capdata.Record(capdata.Field{Name: "remaining", Data: remaining}, capdata.Field{Name: "threshold", Data: capdata.BigInt(threshold)})
}
