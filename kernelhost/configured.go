package kernelhost

import (
	"vatworkerd/kernelhost/config"
	"vatworkerd/pipeproto"
)

// vatOptionsOf splits a vat's options into those the kernel acts on and those
// vatworkerd does.
func vatOptionsOf(vat config.Vat) (vatOptions, pipeproto.VatOptions) {
	o := vat.Options
	own := vatOptions{EnablePipelining: o.EnablePipelining, FatalPolicy: o.FatalPolicy}
	if o.ReapInterval != nil {
		own.ReapInterval = reapInterval(*o.ReapInterval)
	}
	theirs := pipeproto.VatOptions{Static: true, Critical: o.Critical, FatalPolicy: o.FatalPolicy}
	return own, theirs
}

func reapInterval(i config.ReapInterval) int64 {
	if i.Never {
		return neverReap
	}
	return i.Deliveries
}

func defaultReapInterval(cfg config.Config) int64 { return reapInterval(cfg.DefaultReapInterval) }
