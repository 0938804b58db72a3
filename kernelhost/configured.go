package kernelhost

import (
	"vatworkerd/kernelhost/config"
	"vatworkerd/pipeproto"
)

// vatOptionsOf splits a vat's options into those the kernel acts on and those
// vatworkerd does. A vat of a config is static.
func vatOptionsOf(vat config.Vat) (vatOptions, pipeproto.VatOptions) {
	o := vat.Options
	own := vatOptions{EnablePipelining: o.EnablePipelining, FatalPolicy: o.FatalPolicy}
	if o.ReapInterval != nil {
		own.ReapInterval = deliveriesOf(*o.ReapInterval)
	}
	if o.ReapGCKrefs != nil {
		own.ReapGCKrefs = krefsOf(*o.ReapGCKrefs)
	}
	return own, pipeproto.VatOptions{
		Static:          true,
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
