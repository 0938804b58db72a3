package kernelhost

import (
	"context"

	"vatworkerd/kernelhost/config"
	"vatworkerd/pipeproto"
)

// CreateVat makes a vat that no config names, from a bundle that AddBundle or
// the config has stored, and queues its start; Run starts it. It is not static:
// after a restart-all it stays suspended until a delivery comes. Errors:
// *pipeproto.Error of pipeproto.CodeExists where the name is taken, of
// pipeproto.CodeBadRequest where the bundle is not known. The change is part of
// the open block.
func (k *Kernel) CreateVat(ctx context.Context, vat config.Vat) (vatID string, err error) {
	defer k.leave()
	if err := k.enter(); err != nil {
		return "", err
	}
	err = k.change(ctx, func(c *crank) error {
		if c.has("vat.name." + vat.Name) {
			return pipeproto.Errorf(pipeproto.CodeExists, "there is a vat %q already", vat.Name)
		}
		if vatID, err = k.createVat(ctx, c, vat, dynamicVat); err != nil {
			return err
		}
		root, err := c.rootOf(vatID)
		if err != nil {
			return err
		}
		return c.pin(root) // it can be sent to from outside by its vat's name
	})
	return vatID, err
}
