package swingstore

import (
	"cmp"
	"slices"

	"vatworkerd/store"
	"vatworkerd/transcripts"
)

// Vat is what a swing-store records of one vat.
type Vat struct {
	VatID  string `json:"vatID"`
	Name   string `json:"name"`
	Static bool   `json:"static"`
	// Terminated: its cleanup is not done yet; its records may be gone in part.
	Terminated    bool   `json:"terminated"`
	Critical      bool   `json:"critical"`
	Metered       bool   `json:"metered"`
	WorkerType    string `json:"workerType"` // "xsnap", "local", …
	EnableDisavow bool   `json:"-"`          // liveslots option
	Incarnation   int64  `json:"incarnation"`
	// StartPos ≤ position < EndPos is the current span; of a terminated vat, the
	// newest one that is left.
	StartPos int64  `json:"startPos"`
	EndPos   int64  `json:"endPos"`
	SpanHash string `json:"spanHash"`
	Spans    int64  `json:"spans"` // all spans on record
	// The snapshot in use; nil if there is none.
	SnapshotPosition *int64 `json:"snapshotPosition"`
	SnapshotHash     string `json:"snapshotHash"`
	SnapshotSize     int64  `json:"snapshotSize"` // uncompressed bytes, 0 if not recorded
	// BundleID is empty for a vat whose bundle is not in the bundle store.
	BundleID        string          `json:"bundleID"`
	WorkerBundleIDs []string        `json:"workerBundleIDs"` // lockdown, supervisor; empty unless xsnap
	Problems        []store.Problem `json:"problems,omitempty"`
}

// VatList is the document of `vatworkerd swingstore list --json`.
type VatList struct {
	Vats     []Vat           `json:"vats"`
	Problems []store.Problem `json:"problems,omitempty"` // of the lists themselves
}

// Vats lists the vats in SwingSet's order: static ones by name, dynamic ones by
// creation, then terminated ones whose cleanup is not done, then vats that have
// a transcript and that the kernel does not know. Records that cannot be read
// become problems of the list or the vat.
func (s *Store) Vats() (VatList, error) {
	list, err := s.vats()
	return list, s.settle(err)
}

func (s *Store) vats() (VatList, error) {
	list := VatList{Vats: []Vat{}}
	known, err := s.kernelRecords()
	if err != nil {
		return list, err
	}
	list.Problems = known.problems
	seen := map[string]bool{}
	add := func(v Vat) error {
		if seen[v.VatID] {
			return nil
		}
		seen[v.VatID] = true
		v.Terminated = slices.Contains(known.terminated, v.VatID)
		if err := s.describe(&v); err != nil {
			return err
		}
		list.Vats = append(list.Vats, v)
		return nil
	}
	for _, n := range known.static {
		if err := add(Vat{VatID: n.vatID, Name: n.name, Static: true}); err != nil {
			return list, err
		}
	}
	for _, id := range slices.Concat(known.dynamic, known.terminated) {
		if err := add(Vat{VatID: id}); err != nil {
			return list, err
		}
	}
	stray, err := s.vatIDsOfRows()
	if err != nil {
		return list, err
	}
	for _, id := range stray {
		if seen[id] {
			continue
		}
		unknown := store.Problem{Kind: KindKernel, VatID: id, Place: "kv.vat.dynamicIDs", What: "the store has transcript or snapshot records of a vat that the kernel does not know"}
		if err := add(Vat{VatID: id, Problems: []store.Problem{unknown}}); err != nil {
			return list, err
		}
	}
	return list, nil
}

// vatIDsOfRows gives all vats that have rows, in the order of their numbers.
func (s *Store) vatIDsOfRows() ([]string, error) {
	rows, err := s.db.Query(`SELECT vatID FROM transcriptSpans UNION SELECT vatID FROM transcriptItems UNION SELECT vatID FROM snapshots`)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(rows))
	for i, row := range rows {
		ids[i] = row.Text(0)
	}
	slices.SortFunc(ids, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
	})
	return ids, nil
}

// describe fills in all but the vat's ID, name and place in the lists.
func (s *Store) describe(v *Vat) error {
	options, source, problems, err := s.vatRecords(v.VatID)
	if err != nil {
		return err
	}
	v.Problems = append(v.Problems, problems...)
	v.Name = cmp.Or(v.Name, options.Name)
	v.Critical, v.Metered, v.WorkerType = options.Critical, options.MeterID != nil, options.WorkerOptions.Type
	v.EnableDisavow = options.EnableDisavow
	v.WorkerBundleIDs = append([]string{}, options.WorkerOptions.BundleIDs...)
	v.BundleID = source.BundleID
	if v.BundleID == "" && source.BundleName != "" {
		if v.BundleID, _, err = s.kvGet("namedBundleID." + source.BundleName); err != nil {
			return err
		}
	}
	if err := s.describeTranscript(v); err != nil {
		return err
	}
	row, ok, err := s.snapshotInUse(v.VatID)
	if err != nil || !ok {
		return err
	}
	position := row.Int64(0)
	v.SnapshotPosition, v.SnapshotHash, v.SnapshotSize = &position, row.Text(1), row.Int64(2)
	return nil
}

func (s *Store) describeTranscript(v *Vat) error {
	spans, err := transcripts.Spans(s.db, v.VatID)
	if err != nil || len(spans) == 0 {
		return err
	}
	shown := spans[len(spans)-1]
	for _, span := range spans {
		if span.IsCurrent {
			shown = span
		}
	}
	v.Spans = int64(len(spans))
	v.Incarnation, v.StartPos, v.EndPos, v.SpanHash = shown.Incarnation, shown.StartPos, shown.EndPos, shown.Hash
	return nil
}

func (s *Store) snapshotInUse(vatID string) (store.Row, bool, error) {
	return s.db.QueryRow("SELECT snapPos, hash, uncompressedSize FROM snapshots WHERE vatID = ? AND inUse = 1", vatID)
}

// vat finds one vat of the list.
func (l VatList) vat(vatID string) (Vat, error) {
	for _, v := range l.Vats {
		if v.VatID == vatID {
			return v, nil
		}
	}
	return Vat{}, &NoVatError{vatID}
}
