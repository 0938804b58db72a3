package swingstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"vatworkerd/store"
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
	v := &verifier{s: s, ctx: ctx, progress: progress}
	v.report.VatID, v.report.Problems = vatID, []store.Problem{}
	err := v.run(vatID)
	return v.report, s.settle(err)
}

type verifier struct {
	s        *Store
	ctx      context.Context
	progress func(store.Progress)
	report   Verification
	done     int64
	total    int64
}

func (v *verifier) add(problems ...store.Problem) {
	v.report.Problems = append(v.report.Problems, problems...)
}

// survive turns damage of the database into a problem of a place and lets the
// next check go on; other errors come back.
func (v *verifier) survive(vatID, place string, err error) error {
	var corrupt *store.CorruptError
	if !errors.As(err, &corrupt) {
		return err
	}
	v.add(store.Problem{Kind: store.KindDatabase, VatID: vatID, Place: place, What: "its rows cannot be read: " + corrupt.Err.Error()})
	return nil
}

// step reports progress before a piece of work.
func (v *verifier) step(what string) error {
	if v.progress != nil {
		v.progress(store.Progress{What: what, Done: v.done, Total: max(v.total, v.done)})
	}
	v.done++
	return v.ctx.Err()
}

func (v *verifier) run(vatID string) error {
	list, err := v.s.vats()
	if err != nil {
		if err := v.survive("", "kvStore", err); err != nil {
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
	return v.survive("", "database", err)
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
	v.add(list.Problems...)
	if err := v.count(0, "SELECT (SELECT count(*) FROM transcriptSpans) + (SELECT count(*) FROM snapshots) + (SELECT count(*) FROM bundles)"); err != nil {
		return err
	}
	if err := v.survive("", "database", v.quickCheck()); err != nil {
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
		v.total = more + row.Int64(0)
	}
	return v.survive("", "database", err)
}

func (v *verifier) quickCheck() error {
	if err := v.step("database"); err != nil {
		return err
	}
	v.done = 0
	rows, err := v.s.db.Query("PRAGMA quick_check(20)")
	for _, row := range rows {
		if text := row.Text(0); text != "ok" {
			v.add(store.Problem{Kind: store.KindDatabase, Place: "database", What: strings.TrimSpace(text)})
		}
	}
	return err
}

// vat checks a vat's transcript and snapshots, and its records.
func (v *verifier) vat(vat Vat) error {
	v.report.Vats++
	v.add(vat.Problems...)
	if err := v.survive(vat.VatID, "transcript."+vat.VatID, v.transcript(vat)); err != nil {
		return err
	}
	return v.survive(vat.VatID, "snapshot."+vat.VatID, v.snapshots(vat))
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
		return v.survive("", "bundles", err)
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
				v.add(store.Problem{Kind: store.KindBundle, VatID: vat.VatID, Place: "bundle." + id, What: fmt.Sprintf("vat %s needs it and the store does not hold it", vat.VatID)})
			}
		}
	}
	return nil
}

func (v *verifier) bundle(id string) error {
	place := "bundle." + id
	if err := v.step(place); err != nil {
		return err
	}
	data, ok, err := v.s.bundle(id)
	if err != nil {
		return v.survive("", place, err)
	}
	v.report.Bundles++
	v.add(checkBundle(id, data, ok)...)
	return nil
}
