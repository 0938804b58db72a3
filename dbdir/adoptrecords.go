package dbdir

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"vatworkerd/kernelhost"
	"vatworkerd/pipeproto"
	"vatworkerd/supervisor"
	"vatworkerd/swingstore"
	"vatworkerd/transcripts"
)

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

// UnfitError says that a vat cannot be taken over.
type UnfitError struct {
	VatID, Name string
	Why         string
	Left        []LeftVat // where no vat can be
}

func (e *UnfitError) Error() string {
	if e.VatID == "" {
		text := "cannot import vats: " + e.Why
		for _, left := range e.Left {
			text += fmt.Sprintf("\n  %s %s: %s", left.VatID, left.Name, left.Reason)
		}
		return text
	}
	return fmt.Sprintf("cannot import %s %s: %s", e.VatID, e.Name, e.Why)
}

// ErrorCode is the error's code on the pipe.
func (e *UnfitError) ErrorCode() string { return pipeproto.CodeRefused }

// ErrorHint is the user's next step.
func (e *UnfitError) ErrorHint() string {
	return "without VAT all vats are imported that can be; nothing was changed"
}

// DamagedError says that a part of a swing-store is missing, damaged or altered.
type DamagedError struct{ Err error }

func (e *DamagedError) Error() string { return "cannot import vats: " + e.Err.Error() }

// Unwrap gives what is wrong.
func (e *DamagedError) Unwrap() error { return e.Err }

// ErrorCode is the error's code on the pipe.
func (e *DamagedError) ErrorCode() string { return pipeproto.CodeCorrupt }

// ErrorHint is the user's next step.
func (e *DamagedError) ErrorHint() string {
	return "`vatworkerd swingstore verify` tells all that is wrong with the store; nothing was changed"
}

// damaged gives errors about the content of a store their form.
func damaged(err error) error {
	var hash *transcripts.HashError
	var missing *transcripts.MissingItemsError
	var snapshot *swingstore.SnapshotError
	var bundle *swingstore.BundleError
	if errors.As(err, &hash) || errors.As(err, &missing) || errors.As(err, &snapshot) || errors.As(err, &bundle) {
		return &DamagedError{Err: err}
	}
	return err
}

// OursError says that a store holds what was exported from a database of vatworkerd.
type OursError struct{ Dir string }

func (e *OursError) Error() string {
	return fmt.Sprintf("cannot import vats: %s is of a database of vatworkerd, which is imported as a whole", e.Dir)
}

// ErrorCode is the error's code on the pipe.
func (e *OursError) ErrorCode() string { return pipeproto.CodeBadRequest }

// ErrorHint is the user's next step.
func (e *OursError) ErrorHint() string {
	return fmt.Sprintf("`vatworkerd import %s` makes that database again; nothing was changed", e.Dir)
}
