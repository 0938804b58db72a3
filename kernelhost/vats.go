package kernelhost

import (
	"encoding/json"
	"strconv"
	"strings"

	"vatworkerd/kernelhost/capdata"
	"vatworkerd/pipeproto"
)

// vatOptions are the options of a vat that the kernel acts on, JSON under
// v1.options. Those that vatworkerd acts on are in its own record.
type vatOptions struct {
	EnablePipelining bool `json:"enablePipelining,omitempty"`
	// ReapInterval is how many deliveries come between two bringOutYourDead;
	// 0 = the kernel's default, neverReap = none.
	ReapInterval int64 `json:"reapInterval,omitempty"`
	// ReapGCKrefs is after how many krefs in garbage collection deliveries one
	// is due; 0 and neverReap as above.
	ReapGCKrefs int64  `json:"reapGCKrefs,omitempty"`
	MeterID     string `json:"meterID,omitempty"`     // the meter its deliveries are charged to
	FatalPolicy string `json:"fatalPolicy,omitempty"` // pipeproto.PolicySuspend (also "") or PolicyTerminate
}

// neverReap is the reap interval SwingSet spells "never".
const neverReap int64 = -1

// addVat makes a vat's record and its empty c-list.
func (t tables) addVat(name string, opts vatOptions) (string, error) {
	n, err := t.allocate("vat.nextID")
	if err != nil {
		return "", err
	}
	vatID := "v" + n
	t.kv.Set("vat.name."+name, vatID)
	return vatID, t.makeVat(vatID, name, opts)
}

// makeVat is addVat for a vat that has its ID already, and a name that is only
// for people.
func (t tables) makeVat(vatID, name string, opts vatOptions) error {
	if err := t.setOptions(vatID, opts); err != nil {
		return err
	}
	t.kv.Set(vatID+".name", name)
	t.kv.Set(vatID+".o.nextID", strconv.Itoa(firstImport))
	t.kv.Set(vatID+".p.nextID", strconv.Itoa(firstVatProm))
	t.kv.Set(vatID+".d.nextID", strconv.Itoa(firstVatDev))
	return t.kv.Err()
}

func (t tables) setOptions(vatID string, opts vatOptions) error {
	text, err := json.Marshal(opts)
	if err != nil {
		return err
	}
	t.kv.Set(optionsKey(vatID), string(text))
	return t.kv.Err()
}

// vatNames gives the names of all vats, sorted.
func (t tables) vatNames() ([]string, error) {
	const prefix = "vat.name."
	var names []string
	for key, ok := t.kv.NextKey(prefix, prefix); ok; key, ok = t.kv.NextKey(key, prefix) {
		names = append(names, key[len(prefix):])
	}
	return names, t.kv.Err()
}

func optionsKey(vatID string) string { return vatID + ".options" }

// options reads a vat's options.
func (t tables) options(vatID string) (vatOptions, error) {
	var opts vatOptions
	text, err := t.require(optionsKey(vatID))
	if err != nil {
		return opts, err
	}
	if err := json.Unmarshal([]byte(text), &opts); err != nil {
		return opts, brokenf("%s.options: %v", vatID, err)
	}
	return opts, nil
}

// policy gives what becomes of a vat that failed by its own fault.
func (o vatOptions) policy() string {
	if o.FatalPolicy == pipeproto.PolicyTerminate {
		return pipeproto.ThenTerminate
	}
	return pipeproto.ThenSuspend
}

func parametersKey(vatID string) string { return vatID + ".vatParameters" }

// setParameters keeps a vat's parameters (kernel-space) for every incarnation
// that starts from now on, and lets go of the ones before.
func (t tables) setParameters(vatID string, params capdata.CapData) error {
	if err := t.addRefs(params.Slots); err != nil {
		return err
	}
	if t.has(parametersKey(vatID)) {
		old, err := t.parameters(vatID)
		if err != nil {
			return err
		}
		if err := t.dropRefs(old.Slots); err != nil {
			return err
		}
	}
	t.kv.Set(parametersKey(vatID), string(appendCapData(nil, params)))
	return t.kv.Err()
}

// parameters reads a vat's parameters.
func (t tables) parameters(vatID string) (capdata.CapData, error) {
	text, err := t.require(parametersKey(vatID))
	if err != nil {
		return capdata.CapData{}, err
	}
	params, err := decodeCapData([]byte(text))
	if err != nil {
		return params, brokenf("%s.vatParameters: %v", vatID, err)
	}
	return params, nil
}

// rootOf gives the kref of a vat's root object.
func (t tables) rootOf(vatID string) (string, error) { return t.toKernel(vatID, rootVref) }

// isVatID tells whether ref is spelt like a vat's ID.
func isVatID(ref string) bool { return strings.HasPrefix(ref, "v") && isNumber(ref[1:]) }
