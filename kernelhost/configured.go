package kernelhost

import (
	"vatworkerd/kernelhost/config"
	"vatworkerd/pipeproto"
)

// vatOptionsOf splits a vat's options into those the kernel acts on and those
// vatworkerd does.
func vatOptionsOf(vat config.Vat) (vatOptions, pipeproto.VatOptions) {
	return vatOptions{}, pipeproto.VatOptions{Static: true}
}

func defaultReapInterval(cfg config.Config) int64 { return 1 }
