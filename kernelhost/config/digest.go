package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// The digest is kept in databases for as long as they live. Hence what it is
// made of has a form of its own, and whatever comes to it later must be left
// out where it has its default.

type digestedConfig struct {
	Bootstrap            string           `json:"bootstrap,omitempty"`
	SnapshotInitial      int64            `json:"snapshotInitial"`
	SnapshotInterval     int64            `json:"snapshotInterval"`
	ReapInterval         ReapInterval     `json:"reapInterval"`
	ReapGCKrefs          ReapGCKrefs      `json:"reapGCKrefs"`
	RelaxDurabilityRules bool             `json:"relaxDurabilityRules,omitempty"`
	PinBootstrapRoot     bool             `json:"pinBootstrapRoot,omitempty"`
	DevDependencies      bool             `json:"includeDevDependencies,omitempty"`
	VatAdmin             bool             `json:"vatAdmin,omitempty"`
	Devices              []digestedDevice `json:"devices,omitempty"`
	Bundles              []digestedSource `json:"bundles"`
	Vats                 []digestedVat    `json:"vats"`
}

type digestedSource struct {
	Name string `json:"name"`
	Mode string `json:"mode"`
	Spec string `json:"spec"`
}

type digestedDevice struct {
	Name       string `json:"name"`
	Parameters any    `json:"parameters"`
}

type digestedVat struct {
	digestedSource
	Parameters       any           `json:"parameters"`
	Critical         bool          `json:"critical,omitempty"`
	RestartCritical  bool          `json:"restartCritical,omitempty"`
	Unmetered        bool          `json:"unmetered,omitempty"`
	EnablePipelining bool          `json:"enablePipelining,omitempty"`
	EnableDisavow    bool          `json:"enableDisavow,omitempty"`
	FatalPolicy      string        `json:"fatalPolicy"`
	OverrunPolicy    string        `json:"overrunPolicy"`
	Allowance        *int64        `json:"allowance,omitempty"`
	ReapInterval     *ReapInterval `json:"reapInterval,omitempty"`
	ReapGCKrefs      *ReapGCKrefs  `json:"reapGCKrefs,omitempty"`
}

// digest is Config.Digest.
func (c *Config) digest() string {
	d := digestedConfig{
		Bootstrap: c.Bootstrap, SnapshotInitial: c.SnapshotInitial, SnapshotInterval: c.SnapshotInterval,
		ReapInterval: c.DefaultReapInterval, ReapGCKrefs: c.DefaultReapGCKrefs,
		RelaxDurabilityRules: c.RelaxDurabilityRules, PinBootstrapRoot: c.PinBootstrapRoot, DevDependencies: c.includeDevDependencies,
	}
	d.VatAdmin = c.VatAdmin
	for _, device := range c.Devices {
		d.Devices = append(d.Devices, digestedDevice{Name: device.Name, Parameters: normalised(device.Parameters)})
	}
	for _, n := range c.named {
		d.Bundles = append(d.Bundles, digestedSource{Name: n.name, Mode: n.mode, Spec: n.spec})
	}
	for i, vat := range c.Vats {
		d.Vats = append(d.Vats, digestVat(vat, c.sources[i]))
	}
	text, err := json.Marshal(d)
	if err != nil {
		panic(err) // there is nothing in it that JSON cannot hold
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

func digestVat(vat Vat, src source) digestedVat {
	o := vat.Options
	return digestedVat{
		digestedSource: digestedSource{Name: vat.Name, Mode: src.mode, Spec: src.spec},
		Parameters:     normalised(vat.Parameters),
		Critical:       o.Critical, RestartCritical: o.RestartCritical, Unmetered: !o.Metered,
		EnablePipelining: o.EnablePipelining, EnableDisavow: o.EnableDisavow,
		FatalPolicy: o.FatalPolicy, OverrunPolicy: o.OverrunPolicy,
		Allowance: o.Allowance, ReapInterval: o.ReapInterval, ReapGCKrefs: o.ReapGCKrefs,
	}
}

// normalised makes JSON a value that is printed with its keys in order and its
// numbers as they were written.
func normalised(text []byte) any {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return nil // cannot be: the document has been parsed
	}
	return v
}
