package dbdir

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"vatworkerd/kernelhost"
	"vatworkerd/pipeproto"
	"vatworkerd/store"
	"vatworkerd/supervisor"
	"vatworkerd/swingstore"
)

// records writes what both sides keep of the vats.
func (t *takeover) records() error {
	origin, _, err := t.s.Get("activityhash")
	if err != nil {
		return err
	}
	cfg, err := t.schedule()
	if err != nil {
		return err
	}
	var admins []pipeproto.AdminNode
	err = inCrank(t.db, func(c *store.Crank) error {
		admins, err = supervisor.Adopt(c, origin, cfg, t.adopted())
		return err
	})
	if err != nil {
		return err
	}
	names := ownNames(t.vats)
	vats := make([]kernelhost.AdoptedVat, len(t.vats))
	for i, admin := range admins {
		vats[i] = kernelhost.AdoptedVat{VatID: admin.VatID, Name: names[admin.VatID], AdminKey: admin.Key}
	}
	return inCrank(t.hostDB, func(c *store.Crank) error {
		return kernelhost.Adopt(c, t.s, vats, func(id string) bool { return t.bundles[id] })
	})
}

// adopted gives what vatworkerd keeps of the vats.
func (t *takeover) adopted() []supervisor.AdoptedVat {
	vats := make([]supervisor.AdoptedVat, len(t.vats))
	for i, v := range t.vats {
		vats[i] = supervisor.AdoptedVat{
			VatID: v.VatID, Name: v.Name, BundleID: v.BundleID, Incarnation: v.Incarnation,
			ImageID: t.opts.ImageID, WorkerBundleIDs: t.opts.WorkerBundleIDs,
			Options: pipeproto.VatOptions{Critical: v.Critical, Static: v.Static, Unmetered: !v.Metered, EnableDisavow: v.EnableDisavow},
		}
	}
	return vats
}

// schedule reads when snapshots are taken.
func (t *takeover) schedule() (cfg pipeproto.Configure, err error) {
	for _, one := range []struct {
		key  string
		into *int64
	}{{"kernel.snapshotInitial", &cfg.SnapshotInitial}, {"kernel.snapshotInterval", &cfg.SnapshotInterval}} {
		text, _, err := t.s.Get(one.key)
		if err != nil {
			return cfg, err
		}
		if *one.into, err = strconv.ParseInt(text, 10, 64); err != nil || *one.into < 1 {
			return cfg, &kernelhost.AdoptError{Key: one.key, What: fmt.Sprintf("it is no number of deliveries: %.40q", text)}
		}
	}
	relax, _, err := t.s.Get("kernel.relaxDurabilityRules")
	cfg.RelaxDurabilityRules = relax == "true"
	return cfg, err
}

// ownNames gives the names that one vat alone has, by the vats' IDs. A static vat
// has its name in any case.
func ownNames(vats []swingstore.Vat) map[string]string {
	holders := map[string][]swingstore.Vat{}
	for _, v := range vats {
		holders[v.Name] = append(holders[v.Name], v)
	}
	names := map[string]string{}
	for name, all := range holders {
		static := slices.IndexFunc(all, func(v swingstore.Vat) bool { return v.Static })
		switch {
		case name == "":
		case static >= 0:
			names[all[static].VatID] = name
		case len(all) == 1:
			names[all[0].VatID] = name
		}
	}
	return names
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
