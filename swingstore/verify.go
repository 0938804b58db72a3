package swingstore

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"vatworkerd/store"
	"vatworkerd/transcripts"
)

// Verification is the result of Verify.
type Verification struct {
	VatID           string `json:"vatID,omitempty"` // empty: the whole store
	Vats            int64  `json:"vats"`
	Spans           int64  `json:"spans"`           // whose hash was recomputed
	PrunedSpans     int64  `json:"prunedSpans"`     // old ones without items: only the record is kept
	Items           int64  `json:"items"`           // read and hashed
	Snapshots       int64  `json:"snapshots"`       // whose content was hashed
	PrunedSnapshots int64  `json:"prunedSnapshots"` // old ones of which only the hash is kept
	Bundles         int64  `json:"bundles"`
	ExportRecords   int64  `json:"exportRecords"`
	// Problems are in the order in which they were found, which is always the same.
	Problems []store.Problem `json:"problems"`
}

// OK tells whether all is as it must be.
func (v Verification) OK() bool { return len(v.Problems) == 0 }

// Verify checks one vat, or all of the store if vatID is empty: that the hash
// of every span is that of its items, that spans follow one another and the
// right one is current, that heap snapshots and bundles are what their hashes
// say, that items, snapshots and kernel records agree, and export records that
// wait in the store. A problem does not stop it. progress may be nil; it is
// called by this goroutine.
//
// Errors: *NoVatError, *ChangedError, ctx's error, and errors of the disk. What
// was found until then comes with them.
func (s *Store) Verify(ctx context.Context, vatID string, progress func(store.Progress)) (Verification, error) {
	v := &verifier{Audit: store.NewAudit(ctx, progress), s: s}
	err := v.run(vatID)
	return v.verification(vatID), s.settle(err)
}

type verifier struct {
	*store.Audit
	s *Store
}

// Names under which a verification counts, besides those of package transcripts.
const (
	countVats            = "vats"
	countSnapshots       = "snapshots"
	countPrunedSnapshots = "pruned snapshots"
	countBundles         = "bundles"
	countExportRecords   = "export records"
)

func (v *verifier) verification(vatID string) Verification {
	return Verification{
		VatID: vatID, Problems: v.Problems(), Vats: v.Counted(countVats),
		Spans: v.Counted(transcripts.CountSpans), PrunedSpans: v.Counted(transcripts.CountPruned), Items: v.Counted(transcripts.CountItems),
		Snapshots: v.Counted(countSnapshots), PrunedSnapshots: v.Counted(countPrunedSnapshots),
		Bundles: v.Counted(countBundles), ExportRecords: v.Counted(countExportRecords),
	}
}

func (v *verifier) run(vatID string) error {
	list, err := v.s.vats()
	if err != nil {
		if err := v.Survive("", "kvStore", err); err != nil {
			return err
		}
		if err := v.findVats(&list); err != nil {
			return err
		}
	}
	if vatID != "" {
		vat, err := list.vat(vatID)
		if err != nil {
			return err
		}
		return v.one(vat)
	}
	if err := v.all(list); err != nil {
		return err
	}
	return v.exports("")
}

// findVats adds the vats that have rows to a list that could not be read to
// its end.
func (v *verifier) findVats(list *VatList) error {
	ids, err := v.s.vatIDsOfRows()
	for _, id := range ids {
		if _, missing := list.vat(id); missing != nil {
			list.Vats = append(list.Vats, Vat{VatID: id})
		}
	}
	return v.Survive("", "database", err)
}

func (v *verifier) one(vat Vat) error {
	bundles := bundlesOf(vat)
	if err := v.count(int64(len(bundles)), "SELECT (SELECT count(*) FROM transcriptSpans WHERE vatID = ?1) + (SELECT count(*) FROM snapshots WHERE vatID = ?1)", vat.VatID); err != nil {
		return err
	}
	if err := v.vat(vat); err != nil {
		return err
	}
	for _, id := range bundles {
		if err := v.bundle(id); err != nil {
			return err
		}
	}
	return v.exports(vat.VatID)
}

func (v *verifier) all(list VatList) error {
	v.Add(list.Problems...)
	if err := v.count(0, "SELECT (SELECT count(*) FROM transcriptSpans) + (SELECT count(*) FROM snapshots) + (SELECT count(*) FROM bundles)"); err != nil {
		return err
	}
	if err := v.Survive("", "database", v.quickCheck()); err != nil {
		return err
	}
	for _, vat := range list.Vats {
		if err := v.vat(vat); err != nil {
			return err
		}
	}
	return v.bundles(list)
}

func (v *verifier) count(more int64, query string, args ...any) error {
	row, _, err := v.s.db.QueryRow(query, args...)
	if err == nil {
		v.Expect(more + row.Int64(0))
	}
	return v.Survive("", "database", err)
}

func (v *verifier) quickCheck() error {
	v.Look("database")
	rows, err := v.s.db.Query("PRAGMA quick_check(20)")
	for _, row := range rows {
		if text := row.Text(0); text != "ok" {
			v.Add(store.Problem{Kind: store.KindDatabase, Place: "database", What: strings.TrimSpace(text)})
		}
	}
	return err
}

// vat checks a vat's transcript and snapshots, and its records.
func (v *verifier) vat(vat Vat) error {
	v.Count(countVats, 1)
	v.Add(vat.Problems...)
	if err := transcripts.Audit(v.Audit, v.s.db, vat.VatID, transcripts.Rules{Terminated: vat.Terminated}); err != nil {
		return err
	}
	return v.Survive(vat.VatID, "snapshot."+vat.VatID, v.snapshots(vat))
}

// bundlesOf are the bundles that a vat needs to start, each once.
func bundlesOf(vat Vat) []string {
	var ids []string
	if vat.BundleID != "" {
		ids = append(ids, vat.BundleID)
	}
	for _, id := range vat.WorkerBundleIDs {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// bundles checks the stored bundles, then that no vat needs another one.
func (v *verifier) bundles(list VatList) error {
	rows, err := v.s.db.Query("SELECT bundleID FROM bundles ORDER BY bundleID")
	if err != nil {
		return v.Survive("", "bundles", err)
	}
	stored := map[string]bool{}
	for _, row := range rows {
		stored[row.Text(0)] = true
		if err := v.bundle(row.Text(0)); err != nil {
			return err
		}
	}
	for _, vat := range list.Vats {
		for _, id := range bundlesOf(vat) {
			if !stored[id] {
				v.Add(store.Problem{Kind: store.KindBundle, VatID: vat.VatID, Place: "bundle." + id, What: fmt.Sprintf("vat %s needs it and the store does not hold it", vat.VatID)})
			}
		}
	}
	return nil
}

func (v *verifier) bundle(id string) error {
	place := "bundle." + id
	if err := v.Step(place); err != nil {
		return err
	}
	data, ok, err := v.s.bundle(id)
	if err != nil {
		return v.Survive("", place, err)
	}
	v.Count(countBundles, 1)
	v.Add(checkBundle(id, data, ok)...)
	return nil
}
