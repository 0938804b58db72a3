package supervisor

import (
	"encoding/json"
	"fmt"

	"vatworkerd/pipeproto"
	"vatworkerd/store"
)

// AdoptedVat is a vat of another system that goes on here, in the incarnation that
// it is in.
type AdoptedVat struct {
	VatID, Name     string
	BundleID        string
	Options         pipeproto.VatOptions
	Incarnation     int64
	ImageID         string // the worker image that it runs on from now on
	WorkerBundleIDs []string
}

// Adopt writes the records of a new database that takes over vats, and gives their
// admin nodes. Their transcripts, snapshots, bundles and storage (VatstoreKey) are
// the caller's to write. origin is the other system's activity hash, which makes
// the admin nodes' keys.
func Adopt(c *store.Crank, origin string, cfg pipeproto.Configure, vats []AdoptedVat) ([]pipeproto.AdminNode, error) {
	if cfg.SnapshotInitial < 1 || cfg.SnapshotInterval < 1 {
		return nil, badRequest("configure", "snapshotInitial and snapshotInterval must be at least 1")
	}
	if err := adoptJSON(c, keyConfig, config(cfg)); err != nil {
		return nil, err
	}
	admins := make([]pipeproto.AdminNode, len(vats))
	for i, vat := range vats {
		rec := &record{
			ID: vat.VatID, Name: vat.Name, BundleID: vat.BundleID, Options: vat.Options, AdminKey: adminKey(origin, vat.VatID),
			Incarnation: vat.Incarnation, ImageID: vat.ImageID, WorkerBundleIDs: vat.WorkerBundleIDs,
		}
		admins[i] = rec.admin()
		if err := adopt(c, rec); err != nil {
			return nil, err
		}
	}
	return admins, adoptJSON(c, keyCounts, counts{Vats: int64(len(vats))})
}

func adopt(c *store.Crank, rec *record) error {
	text, err := rec.encode()
	if err != nil {
		return err
	}
	c.Set(vatKey(rec.ID), text)
	if rec.Options.Static || rec.Options.Critical || rec.Options.RestartCritical {
		c.Set(immediateKey(rec.ID), "")
	}
	return c.Err()
}

func adoptJSON(c *store.Crank, key string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("cannot encode %s: %w", key, err)
	}
	c.Set(key, string(text))
	return c.Err()
}

// VatstoreKey is where a key of a vat's storage is.
func VatstoreKey(vatID, key string) string { return vatstorePrefix(vatID) + key }
