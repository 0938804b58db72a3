package kernelhost

import (
	"vatworkerd/kernelhost/config"
	"vatworkerd/pipeproto"
)

// vatOrigin tells the vats of a config from those made later. Static vats are
// started at once after a restart-all.
type vatOrigin bool

const (
	staticVat  vatOrigin = true
	dynamicVat vatOrigin = false
)

// vatOptionsOf splits a vat's options into those the kernel acts on and those
// vatworkerd does.
func vatOptionsOf(vat config.Vat, origin vatOrigin) (vatOptions, pipeproto.VatOptions) {
	o := vat.Options
	own := vatOptions{EnablePipelining: o.EnablePipelining, FatalPolicy: o.FatalPolicy}
	if o.ReapInterval != nil {
		own.ReapInterval = deliveriesOf(*o.ReapInterval)
	}
	if o.ReapGCKrefs != nil {
		own.ReapGCKrefs = krefsOf(*o.ReapGCKrefs)
	}
	return own, pipeproto.VatOptions{
		Static:          bool(origin),
		Critical:        o.Critical,
		RestartCritical: o.RestartCritical,
		Unmetered:       !o.Metered,
		EnableDisavow:   o.EnableDisavow,
		FatalPolicy:     o.FatalPolicy,
		OverrunPolicy:   o.OverrunPolicy,
		Allowance:       o.Allowance,
	}
}

func deliveriesOf(i config.ReapInterval) int64 {
	if i.Never {
		return neverReap
	}
	return i.Deliveries
}

func krefsOf(g config.ReapGCKrefs) int64 {
	if g.Never || g.Krefs == 0 {
		return neverReap
	}
	return g.Krefs
}
