package kernelhost

import (
	"context"
	"fmt"

	"vatworkerd/internal/crashpoint"
	"vatworkerd/kernelhost/capdata"
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
		if vatID, err = k.createVat(ctx, c, vat, dynamicVat); err != nil {
			return err
		}
		return c.reachFromOutside(vatID)
	})
	return vatID, err
}

// RegisterVats makes many such vats at once, all or none. They do not start
// until a delivery comes, so they cost no more than their rows.
func (k *Kernel) RegisterVats(ctx context.Context, vats []config.Vat) (vatIDs []string, err error) {
	defer k.leave()
	if err := k.enter(); err != nil {
		return nil, err
	}
	err = k.change(ctx, func(c *crank) error {
		if vatIDs, err = k.registerVats(ctx, c, vats, dynamicVat); err != nil {
			return err
		}
		for _, vatID := range vatIDs {
			if err := c.reachFromOutside(vatID); err != nil {
				return err
			}
		}
		return nil
	})
	return vatIDs, err
}

// registerVats makes vats on both sides; nothing starts them.
func (k *Kernel) registerVats(ctx context.Context, c *crank, vats []config.Vat, origin vatOrigin) ([]string, error) {
	vatIDs := make([]string, len(vats))
	req := pipeproto.CreateVats{Vats: make([]pipeproto.CreateVat, len(vats))}
	for i, vat := range vats {
		var err error
		if req.Vats[i], err = c.addConfigured(vat, origin); err != nil {
			return nil, err
		}
		vatIDs[i] = req.Vats[i].VatID
	}
	var reply pipeproto.CreateVatsReply
	if err := k.call(ctx, pipeproto.ReqCreateVats, req, &reply); err != nil {
		return nil, err
	}
	crashpoint.Here(crashpoint.HostVatMade)
	for _, admin := range reply.Admins {
		c.kv.Set(adminKey(admin.VatID), admin.Key)
	}
	return vatIDs, c.kv.Err()
}

// createVat makes a vat on both sides and queues its start.
func (k *Kernel) createVat(ctx context.Context, c *crank, vat config.Vat, origin vatOrigin) (string, error) {
	vatIDs, err := k.registerVats(ctx, c, []config.Vat{vat}, origin)
	if err != nil {
		return "", err
	}
	c.items = append(c.items, pipeproto.Item{VatID: vatIDs[0], Priority: pipeproto.PriorityMessage, Start: true})
	return vatIDs[0], nil
}

// addConfigured makes the host's half of a vat and gives what makes the other.
func (c *crank) addConfigured(vat config.Vat, origin vatOrigin) (pipeproto.CreateVat, error) {
	if c.has("vat.name." + vat.Name) {
		return pipeproto.CreateVat{}, pipeproto.Errorf(pipeproto.CodeExists, "there is a vat %q already", vat.Name)
	}
	own, theirs := vatOptionsOf(vat, origin)
	req := pipeproto.CreateVat{Name: vat.Name, BundleID: vat.BundleID, Options: theirs}
	params, err := capdata.FromJSON(vat.Parameters)
	if err != nil {
		return req, fmt.Errorf("its parameters: %w", err)
	}
	if req.VatID, err = c.addVat(vat.Name, own); err != nil {
		return req, err
	}
	return req, c.setParameters(req.VatID, params)
}

// reachFromOutside pins a vat's root object: it can be sent to by its vat's name.
func (c *crank) reachFromOutside(vatID string) error {
	root, err := c.rootOf(vatID)
	if err != nil {
		return err
	}
	return c.pin(root)
}
