package kernelhost

import (
	"encoding/json"
	"fmt"
	"strconv"

	"vatworkerd/kernelhost/capdata"
)

// vat writes the records of a vat and its c-list.
func (a *adoption) vat(vat AdoptedVat) error {
	opts, name, err := a.oldOptions(vat.VatID)
	if err != nil {
		return err
	}
	if vat.Name != "" {
		name = vat.Name
		a.kv.Set("vat.name."+name, vat.VatID)
	}
	if err := a.makeVat(vat.VatID, name, opts); err != nil {
		return err
	}
	a.kv.Set(adminKey(vat.VatID), vat.AdminKey)
	for _, column := range []string{".o.nextID", ".p.nextID", ".d.nextID"} {
		if err := a.count(vat.VatID + column); err != nil {
			return err
		}
	}
	if err := a.oldParameters(vat.VatID); err != nil {
		return err
	}
	if err := a.oldDirt(vat.VatID); err != nil {
		return err
	}
	return a.clist(vat.VatID)
}

// oldOptions reads the options of a vat that the kernel acts on.
func (a *adoption) oldOptions(vatID string) (opts vatOptions, name string, err error) {
	key := optionsKey(vatID)
	text, err := a.requireOld(key)
	if err != nil {
		return opts, "", err
	}
	var raw struct {
		Name              string          `json:"name"`
		EnablePipelining  bool            `json:"enablePipelining"`
		ReapDirtThreshold json.RawMessage `json:"reapDirtThreshold"`
	}
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		return opts, "", &AdoptError{Key: key, What: err.Error()}
	}
	opts.EnablePipelining = raw.EnablePipelining
	if opts.ReapInterval, opts.ReapGCKrefs, err = parseDirtThreshold(raw.ReapDirtThreshold); err != nil {
		return opts, "", &AdoptError{Key: key, What: err.Error()}
	}
	return opts, raw.Name, nil
}

// oldParameters: vats from before SwingSet kept them have none, and are started
// with undefined there too.
func (a *adoption) oldParameters(vatID string) error {
	key := parametersKey(vatID)
	text, ok, err := a.from.Get(key)
	if err != nil {
		return err
	}
	params := capdata.Undefined()
	if ok {
		if params, err = decodeCapData([]byte(text)); err != nil {
			return &AdoptError{Key: key, What: err.Error()}
		}
	}
	a.kv.Set(key, string(appendCapData(nil, params)))
	return a.refer(params.Slots...)
}

func (a *adoption) oldDirt(vatID string) error {
	text, ok, err := a.from.Get(dirtKey(vatID))
	if err != nil || !ok {
		return err
	}
	var d dirt
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return &AdoptError{Key: dirtKey(vatID), What: err.Error()}
	}
	if d == (dirt{}) {
		return nil
	}
	own, err := json.Marshal(d)
	a.kv.Set(dirtKey(vatID), string(own))
	return err
}

// root pins a vat's root object, so that it can be sent to from outside.
func (a *adoption) root(vatID string) error {
	kref, ok := a.kv.Get(clistKey(vatID, rootVref))
	if !ok {
		n, err := a.allocate("ko.nextID")
		if err != nil {
			return err
		}
		kref = "ko" + n
		if err := a.entry(vatID, kref, clistEntry{reachable: true, vref: rootVref}); err != nil {
			return err
		}
	}
	return a.hold(kref)
}

// hold pins a kref.
func (a *adoption) hold(kref string) error {
	if a.has(pinKey(kref)) {
		return a.kv.Err()
	}
	a.kv.Set(pinKey(kref), "1")
	return a.refer(kref)
}

// parseDirtThreshold reads {"deliveries":5,"gcKrefs":"never"} or {"never":true}; 0
// is for what it does not say.
func parseDirtThreshold(text []byte) (deliveries, krefs int64, err error) {
	if len(text) == 0 {
		return 0, 0, nil
	}
	var raw struct {
		Never      bool            `json:"never"`
		Deliveries json.RawMessage `json:"deliveries"`
		GCKrefs    json.RawMessage `json:"gcKrefs"`
	}
	if err := json.Unmarshal(text, &raw); err != nil {
		return 0, 0, err
	}
	if raw.Never {
		return neverReap, neverReap, nil
	}
	if deliveries, err = parseThreshold(raw.Deliveries); err != nil {
		return 0, 0, err
	}
	krefs, err = parseThreshold(raw.GCKrefs)
	return deliveries, krefs, err
}

func parseThreshold(text json.RawMessage) (n int64, err error) {
	switch string(text) {
	case "", "null":
		return 0, nil
	case `"never"`:
		return neverReap, nil
	}
	if n, err = strconv.ParseInt(string(text), 10, 64); err != nil || n < 1 {
		return 0, fmt.Errorf("it is no threshold: %.40s", text)
	}
	return n, nil
}
