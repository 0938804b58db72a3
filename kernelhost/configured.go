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

func defaultReapInterval(cfg config.Config) int64 { return deliveriesOf(cfg.DefaultReapInterval) }
