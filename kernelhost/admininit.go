package kernelhost

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"vatworkerd/kernelhost/config"
)

// withAdmin adds the vat-admin vat and its device to a config that needs them,
// and checks that there is every device it asks for.
func (k *Kernel) withAdmin(cfg config.Config) (config.Config, error) {
	for _, d := range cfg.Devices {
		if _, ok := k.device(d.Name); !ok {
			return cfg, &UnknownDeviceError{Name: d.Name}
		}
	}
	if !cfg.VatAdmin {
		return cfg, nil
	}
	if k.opts.VatAdminBundle == "" {
		return cfg, errors.New("the config needs the vat-admin vat, but there is no bundle of it; run `make bundles` and say where it is in Options.VatAdminBundle")
	}
	data, err := os.ReadFile(k.opts.VatAdminBundle)
	if err != nil {
		return cfg, fmt.Errorf("the config needs the vat-admin vat, but its bundle cannot be read (run `make bundles`): %w", err)
	}
	id, err := config.BundleID(data)
	if err != nil {
		return cfg, fmt.Errorf("the bundle of the vat-admin vat, %s: %w", k.opts.VatAdminBundle, err)
	}
	cfg.Bundles = maps.Clone(cfg.Bundles)
	cfg.Bundles[id] = data
	vat := config.Vat{Name: adminVat, BundleID: id, Parameters: json.RawMessage(`{}`), Options: config.DefaultOptions()}
	cfg.Vats = append(slices.Clone(cfg.Vats), vat)
	return cfg, nil
}

// createDevices makes the devices of a config and, once the vats are there, what
// the vatAdmin device works with.
func (c *crank) createDevices(cfg config.Config) error {
	for _, d := range cfg.Devices {
		if _, err := c.addDevice(d.Name, d.Parameters); err != nil {
			return err
		}
	}
	if !cfg.VatAdmin {
		return nil
	}
	if _, err := c.addDevice(adminDevice, nil); err != nil {
		return err
	}
	vatID, err := c.require("vat.name." + adminVat)
	if err != nil {
		return err
	}
	root, err := c.rootOf(vatID)
	if err != nil {
		return err
	}
	c.kv.Set(adminVatKey, vatID)
	c.kv.Set(adminRootKey, root)
	c.kv.Set(meterIDKey, "1")
	c.kv.Set(upgradeIDKey, "1")
	for _, id := range slices.Sorted(maps.Keys(cfg.Bundles)) {
		c.kv.Set(bundleKey(id), "1")
	}
	return c.pin(root)
}
