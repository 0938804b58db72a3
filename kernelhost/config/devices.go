package config

import (
	"fmt"
	"slices"
	"strings"
)

// vatAdminName is that of the vat and of the device that the kernel brings.
const vatAdminName = "vatAdmin"

// readDevices reads which devices the config asks for, and tells whether
// vatAdmin is among them. A device is a Go function here: where SwingSet's
// config names its source, that is not used.
func (r reader) readDevices(c *Config, top *fields) (vatAdmin bool, err error) {
	m, ok := top.want("devices", kindObject)
	if !ok {
		return false, top.err
	}
	for _, device := range m.value.members {
		place := join("devices", device.key)
		if device.key != vatAdminName && !slices.Contains(r.devices, device.key) {
			return false, r.doc.fail(device.at, "devices", fmt.Sprintf("unknown device %q", device.key), r.knownDevices())
		}
		f := open(r.doc, place, device.value, []string{"sourceSpec", "bundleSpec", "bundleName", "parameters", "creationOptions"}, nil)
		spec := DeviceSpec{Name: device.key, Parameters: f.parameters()}
		if f.err != nil {
			return false, f.err
		}
		if device.key == vatAdminName {
			vatAdmin = true
			continue
		}
		c.Devices = append(c.Devices, spec)
	}
	slices.SortFunc(c.Devices, func(a, b DeviceSpec) int { return strings.Compare(a.Name, b.Name) })
	return vatAdmin, nil
}

func (r reader) knownDevices() string {
	return "there are: " + strings.Join(append([]string{vatAdminName}, r.devices...), ", ")
}

// vatAdmin decides whether there is a vat-admin vat: as "vatAdmin" says; else if
// the config asks for its device, or names a bundle that none of its vats is made
// of, which only a vat-admin vat can be for.
func (r reader) vatAdmin(c *Config, top *fields, asked bool) error {
	c.VatAdmin = asked || c.hasSpareBundle()
	if top.has("vatAdmin") {
		c.VatAdmin = top.bool("vatAdmin", false)
	}
	if top.err != nil || !c.VatAdmin {
		return top.err
	}
	m, _ := top.object.get("vats")
	for _, vat := range m.value.members {
		if vat.key == vatAdminName {
			return r.doc.fail(vat.at, "vats", `the name "vatAdmin" is the kernel's`, `with "vatAdmin": false it is free`)
		}
	}
	return nil
}

func (c *Config) hasSpareBundle() bool {
	for _, n := range c.named {
		used := slices.ContainsFunc(c.sources, func(s source) bool { return s.mode == "bundleName" && s.spec == n.name })
		if !used {
			return true
		}
	}
	return false
}
