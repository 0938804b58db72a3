package kernelhost

import (
	"fmt"
	"maps"
	"math/big"
	"regexp"
	"slices"

	"vatworkerd/kernelhost/capdata"
	"vatworkerd/pipeproto"
)

// This file is the vatAdmin device: its root node takes requests about vats,
// meters and bundles, its other nodes are bundlecaps. Methods and arguments are
// those of SwingSet's device (devices/vat-admin/device-vat-admin.js), and some
// more for the controls SwingSet does not have.

var bundleIDSpelling = regexp.MustCompile(`^b1-[0-9a-f]{128}$`)

// adminCall is one call of the device; krefs in its arguments.
type adminCall struct {
	*crank
	deviceID string
	data     []capdata.CapData
	args     []any
}

func (c *crank) invokeAdmin(deviceID, slot, method string, args capdata.CapData) (capdata.CapData, error) {
	call := adminCall{crank: c, deviceID: deviceID}
	var err error
	if call.data, err = capdata.Elements(args); err != nil {
		return capdata.CapData{}, invokef("%v", err)
	}
	for _, data := range call.data {
		value, err := capdata.Unmarshal(data)
		if err != nil {
			return capdata.CapData{}, invokef("%v", err)
		}
		call.args = append(call.args, value)
	}
	if slot != rootNode {
		return call.bundlecap(slot, method)
	}
	serve, ok := adminMethods()[method]
	if !ok {
		return capdata.CapData{}, invokef("TypeError: target[%s] does not exist", method)
	}
	if len(call.args) < serve.arguments {
		return capdata.CapData{}, invokef("%s() takes %d arguments", method, serve.arguments)
	}
	return serve.serve(&call)
}

type adminMethod struct {
	arguments int
	serve     func(*adminCall) (capdata.CapData, error)
}

func adminMethods() map[string]adminMethod {
	return map[string]adminMethod{
		"createByBundleID":     {2, (*adminCall).create},
		"upgradeVat":           {4, (*adminCall).upgrade},
		"terminateWithFailure": {2, (*adminCall).terminateVat},
		"changeOptions":        {2, (*adminCall).changeVatOptions},
		"pauseVat":             {2, (*adminCall).pause},
		"resumeVat":            {2, (*adminCall).resume},
		"suspendVat":           {2, func(a *adminCall) (capdata.CapData, error) { return a.control(eventSuspend) }},
		"suspendDeliberately":  {2, func(a *adminCall) (capdata.CapData, error) { return a.control(eventBar) }},
		"unsuspendVat":         {2, func(a *adminCall) (capdata.CapData, error) { return a.control(eventUnsuspend) }},
		"getVatState":          {1, (*adminCall).getState},
		"watchVatState":        {1, (*adminCall).watchState},
		"getBundleCap":         {1, (*adminCall).getBundleCap},
		"getNamedBundleCap":    {1, (*adminCall).getNamedBundleCap},
		"getBundleIDByName":    {1, (*adminCall).getBundleIDByName},
		"createMeter":          {2, (*adminCall).createMeter},
		"createUnlimitedMeter": {0, (*adminCall).createUnlimitedMeter},
		"addMeterRemaining":    {2, (*adminCall).addMeterRemaining},
		"setMeterThreshold":    {2, (*adminCall).setMeterThreshold},
		"getMeter":             {1, (*adminCall).getMeter},
	}
}

// text gives an argument that must be a string.
func (a *adminCall) text(at int, what string) (string, error) {
	s, ok := a.args[at].(string)
	if !ok {
		return "", invokef("%s must be a string", what)
	}
	return s, nil
}

// vat gives the argument with the ID of a vat that is there.
func (a *adminCall) vat() (string, error) {
	vatID, err := a.text(0, "vatID")
	if err != nil {
		return "", err
	}
	if !isVatID(vatID) || !a.has(vatID+".name") || a.terminated(vatID) {
		return "", invokef("there is no vat %s", vatID)
	}
	return vatID, a.kv.Err()
}

func (a *adminCall) bundle(at int) (string, error) {
	id, err := a.text(at, "bundleID")
	if err != nil {
		return "", err
	}
	if !a.has(bundleKey(id)) {
		return "", invokef("bundle %s is not installed", id)
	}
	return id, nil
}

// create gives a vat's ID at once; the vat is made when its turn comes.
func (a *adminCall) create() (capdata.CapData, error) {
	bundleID, err := a.bundle(0)
	if err != nil {
		return capdata.CapData{}, err
	}
	r := adminRequest{BundleID: bundleID, Options: &vatOptions{}}
	if err := a.readOptions(a.data[1], &r); err != nil {
		return capdata.CapData{}, err
	}
	n, err := a.allocate("vat.nextID")
	if err != nil {
		return capdata.CapData{}, err
	}
	r.VatID = "v" + n
	return capdata.String(r.VatID), a.acceptRequest(eventCreate, r)
}

// readOptions reads the options of a new vat.
func (a *adminCall) readOptions(data capdata.CapData, r *adminRequest) error {
	fields, err := capdata.Fields(data)
	if err != nil {
		return invokef("the options of a vat: %v", err)
	}
	none := capdata.Undefined()
	r.Parameters = &none
	for _, f := range fields {
		if f.Name == "vatParameters" {
			r.Parameters = &f.Data
			continue
		}
		value, err := capdata.Unmarshal(f.Data)
		if err != nil {
			return invokef("%s: %v", f.Name, err)
		}
		if _, absent := value.(capdata.UndefinedValue); absent {
			continue
		}
		if err := a.readOption(f.Name, value, r); err != nil {
			return err
		}
	}
	return nil
}

func (a *adminCall) readOption(name string, value any, r *adminRequest) error {
	ok := true
	switch name {
	case "name":
		r.Name, ok = value.(string)
	case "meterID":
		if r.Options.MeterID, ok = value.(string); ok && !a.has(meterKey(r.Options.MeterID, meterRemaining)) {
			return invokef("there is no meter %s", r.Options.MeterID)
		}
	case "critical":
		r.Critical, ok = value.(bool)
	case "enablePipelining":
		r.Options.EnablePipelining, ok = value.(bool)
	case "fatalPolicy":
		r.Options.FatalPolicy, ok = value.(string)
		ok = ok && (r.Options.FatalPolicy == pipeproto.PolicySuspend || r.Options.FatalPolicy == pipeproto.PolicyTerminate)
	case "reapInterval":
		r.Options.ReapInterval, ok = reapIntervalOf(value)
	case "managerType", "enableSetup", "useTranscript":
		// There is one kind of worker; the vat-admin vat checks the spelling.
	default:
		return invokef("unknown option %s", name)
	}
	if !ok {
		return invokef("the option %s has a value that is not right for it", name)
	}
	return nil
}

// reapIntervalOf reads a number of deliveries, or "never".
func reapIntervalOf(value any) (int64, bool) {
	if value == "never" {
		return neverReap, true
	}
	switch n := value.(type) {
	case float64:
		return max(1, int64(n)), n >= 0 && n < 1<<53 && n == float64(int64(n))
	case *big.Int:
		return max(1, n.Int64()), n.Sign() >= 0 && n.IsInt64()
	}
	return 0, false
}

func (a *adminCall) upgrade() (capdata.CapData, error) {
	vatID, err := a.vat()
	if err != nil {
		return capdata.CapData{}, err
	}
	bundleID, err := a.bundle(1)
	if err != nil {
		return capdata.CapData{}, err
	}
	text, err := a.text(3, "upgradeMessage")
	if err != nil {
		return capdata.CapData{}, err
	}
	r := adminRequest{VatID: vatID, BundleID: bundleID, Parameters: &a.data[2], Text: text}
	return a.request(eventUpgrade, r)
}

// request queues what will be answered, and gives the ID of the answer.
func (a *adminCall) request(kind string, r adminRequest) (capdata.CapData, error) {
	var err error
	if r.ID, err = a.requestID(); err != nil {
		return capdata.CapData{}, err
	}
	return capdata.String(r.ID), a.acceptRequest(kind, r)
}

func (a *adminCall) control(kind string) (capdata.CapData, error) {
	vatID, err := a.vat()
	if err != nil {
		return capdata.CapData{}, err
	}
	reason, err := a.text(1, "the reason")
	if err != nil {
		return capdata.CapData{}, err
	}
	return a.request(kind, adminRequest{VatID: vatID, Text: reason})
}

func (a *adminCall) terminateVat() (capdata.CapData, error) {
	vatID, err := a.vat()
	if err != nil {
		return capdata.CapData{}, err
	}
	end := ending{Reject: true, Info: a.data[1]}
	return capdata.Undefined(), a.actNow(pipeproto.ActionTerminate, vatID, capdata.Legible(a.data[1]), end.encode())
}

func (a *adminCall) changeVatOptions() (capdata.CapData, error) {
	vatID, err := a.vat()
	if err != nil {
		return capdata.CapData{}, err
	}
	options, ok := a.args[1].(map[string]any)
	if !ok {
		return capdata.CapData{}, invokef("changeOptions() takes a record")
	}
	changed, err := changedOptions(options)
	if err != nil {
		return capdata.CapData{}, err
	}
	return capdata.Undefined(), a.acceptRequest(eventOptions, adminRequest{VatID: vatID, Options: changed})
}

// changedOptions reads the options that a vat may change. They are looked at by
// name: which of several wrong ones the error names is in the transcript.
func changedOptions(options map[string]any) (*vatOptions, error) {
	changed := &vatOptions{}
	for _, name := range slices.Sorted(maps.Keys(options)) {
		if name != "reapInterval" {
			return nil, invokef("invalid option %s", name)
		}
		var ok bool
		if changed.ReapInterval, ok = reapIntervalOf(options[name]); !ok {
			return nil, invokef("invalid reapInterval value")
		}
	}
	return changed, nil
}

func (a *adminCall) pause() (capdata.CapData, error) { return a.now(pipeproto.ActionPause) }

// resume refuses what the daemon would leave out.
func (a *adminCall) resume() (capdata.CapData, error) {
	vatID, err := a.vat()
	if err != nil {
		return capdata.CapData{}, err
	}
	state, err := a.stateOf(vatID)
	if err != nil {
		return capdata.CapData{}, err
	}
	if state.State == stateDeliberate {
		return capdata.CapData{}, invokef("cannot resume %s: it is deliberately suspended; upgrade or unsuspend it", vatID)
	}
	return a.now(pipeproto.ActionResume)
}

func (a *adminCall) now(kind string) (capdata.CapData, error) {
	vatID, err := a.vat()
	if err != nil {
		return capdata.CapData{}, err
	}
	reason, err := a.text(1, "the reason")
	if err != nil {
		return capdata.CapData{}, err
	}
	return capdata.Undefined(), a.actNow(kind, vatID, reason, nil)
}

func (a *adminCall) getState() (capdata.CapData, error) {
	vatID, err := a.vat()
	if err != nil {
		return capdata.CapData{}, err
	}
	if !a.has(stateKey(vatID)) {
		return capdata.CapData{}, invokef("%s has no state yet", vatID)
	}
	state, err := a.stateOf(vatID)
	if err != nil {
		return capdata.CapData{}, err
	}
	return state.record(), nil
}

func (a *adminCall) watchState() (capdata.CapData, error) {
	data, err := a.getState()
	if err == nil {
		a.kv.Set(watchedKey(a.args[0].(string)), "1")
	}
	return data, err
}

func (a *adminCall) getBundleCap() (capdata.CapData, error) {
	id, err := a.text(0, "getBundleCap() bundleID")
	if err != nil {
		return capdata.CapData{}, err
	}
	if !bundleIDSpelling.MatchString(id) {
		return capdata.CapData{}, invokef("getBundleCap() not a bundleID")
	}
	return a.capFor(id)
}

func (a *adminCall) getNamedBundleCap() (capdata.CapData, error) {
	id, err := a.named()
	if err != nil {
		return capdata.CapData{}, err
	}
	return a.capFor(id)
}

func (a *adminCall) getBundleIDByName() (capdata.CapData, error) {
	id, err := a.named()
	return capdata.String(id), err
}

func (a *adminCall) named() (string, error) {
	name, err := a.text(0, "the name of a bundle")
	if err != nil {
		return "", err
	}
	id, ok := a.kv.Get(bundleNameKey(name))
	if !ok {
		return "", invokef("unregistered bundle name '%s'", name)
	}
	return id, nil
}

// capFor gives the bundlecap of a bundle, always the same node, or undefined
// while the bundle is not there.
func (a *adminCall) capFor(id string) (capdata.CapData, error) {
	if !a.has(bundleKey(id)) {
		return capdata.Undefined(), a.kv.Err()
	}
	key := deviceStateKey(a.deviceID, "id."+id)
	slot, ok := a.kv.Get(key)
	if !ok {
		next := deviceStateKey(a.deviceID, "nextDev")
		if !a.has(next) {
			a.kv.Set(next, "1")
		}
		n, err := a.allocate(next)
		if err != nil {
			return capdata.CapData{}, err
		}
		slot = "d+" + n
		a.kv.Set(key, slot)
		a.kv.Set(deviceStateKey(a.deviceID, "slot."+slot), id)
	}
	kref, err := a.deviceToKernel(a.deviceID, slot)
	return capdata.Slot(kref, "Alleged: device node"), err
}

// bundlecap serves a call of a bundlecap.
func (a *adminCall) bundlecap(slot, method string) (capdata.CapData, error) {
	id, ok := a.kv.Get(deviceStateKey(a.deviceID, "slot."+slot))
	if !ok {
		return capdata.CapData{}, brokenf("the vatAdmin device has no node %s", slot)
	}
	switch method {
	case "getBundleID":
		return capdata.String(id), nil
	case "getBundle":
		return capdata.CapData{}, invokef("getBundle() is not offered: make vats of the bundlecap")
	}
	return capdata.CapData{}, invokef("TypeError: bundlecap[%s] does not exist", method)
}

// bigintArg gives an argument that must be a natural BigInt.
func (a *adminCall) bigintArg(at int, what string) (*big.Int, error) {
	n, ok := a.args[at].(*big.Int)
	if !ok || n.Sign() < 0 {
		return nil, invokef("%s must be a natural BigInt, not %s", what, fmt.Sprint(a.args[at]))
	}
	return n, nil
}
