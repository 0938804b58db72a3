package dbdir

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"vatworkerd/snapshots"
	"vatworkerd/store"
	"vatworkerd/swingexport"
	"vatworkerd/transcripts"
)

// exportRecords is what the export data says besides the keys of the databases.
type exportRecords struct {
	origin        origin
	number        int64 // of all records
	spans         []transcripts.Span
	heaps         []snapshots.Row
	bundles       []string
	bundleDetails map[string]bundleDetail
	outputs       []store.Output
}

// readRecords reads the export data of an export of ours. Errors: *NotOursError,
// *swingexport.BadError.
func readRecords(e *swingexport.Export) (*exportRecords, error) {
	texts := map[string]string{} // a later record of a key takes the place of an earlier one
	r := &exportRecords{bundleDetails: map[string]bundleDetail{}}
	err := e.Records(func(name string, value *string) error {
		r.number++
		if file, _ := importedKey(name); file != "" {
			return nil
		}
		if value == nil {
			delete(texts, name)
		} else {
			texts[name] = *value
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	text, ok := texts[kvPrefix+originKey]
	if !ok {
		return nil, &NotOursError{Dir: e.Dir()}
	}
	if err := r.origin.decode(text); err != nil {
		return nil, &swingexport.BadError{Place: kvPrefix + originKey, What: "it cannot be understood", Err: err}
	}
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		if err := r.read(name, texts[name]); err != nil {
			return nil, err
		}
	}
	return r, r.details(texts)
}

func (r *exportRecords) read(name, text string) (err error) {
	var span transcripts.Span
	var row snapshots.Row
	key := strings.TrimPrefix(name, kvPrefix)
	switch {
	case strings.HasPrefix(name, transcriptKey):
		span, err = transcripts.ParseExportRecord(name, text)
		r.spans = append(r.spans, span)
	case strings.HasPrefix(name, snapshotKey) && snapshots.IsCurrentKey(name):
	case strings.HasPrefix(name, snapshotKey):
		row, err = snapshots.ParseExportRecord(name, text)
		r.heaps = append(r.heaps, row)
	case name == bundleKey+text:
		r.bundles = append(r.bundles, text)
	case strings.HasPrefix(key, bundlePrefix):
		var detail bundleDetail
		if err := readDetail(name, text, &detail); err != nil {
			return err
		}
		r.bundleDetails[strings.TrimPrefix(key, bundlePrefix)] = detail
	case strings.HasPrefix(key, outboxPrefix):
		return r.output(key, text)
	case key == originKey, strings.HasPrefix(key, heapPrefix):
	default:
		return &swingexport.BadError{Place: name, What: "it is a record of no known kind"}
	}
	if err != nil {
		return &swingexport.BadError{Place: name, What: "it cannot be understood", Err: err}
	}
	return nil
}

func (r *exportRecords) output(key, text string) error {
	o, ok := parseOutputKey(key)
	if !ok {
		return &swingexport.BadError{Place: kvPrefix + key, What: "it names no output"}
	}
	var w waiting
	if err := readDetail(kvPrefix+key, text, &w); err != nil {
		return err
	}
	o.Height, o.Data = w.Height, w.Data
	r.outputs = append(r.outputs, o)
	return nil
}

// details completes the records of snapshots, and sorts all.
func (r *exportRecords) details(texts map[string]string) error {
	for i, row := range r.heaps {
		var detail heapDetail
		key := kvPrefix + heapDetailKey(row)
		if err := readDetail(key, texts[key], &detail); err != nil {
			return err
		}
		r.heaps[i].Incarnation, r.heaps[i].UncompressedSize = detail.Incarnation, detail.UncompressedSize
		if current := texts[row.CurrentKey()]; row.InUse != (current == row.Place()) {
			return &swingexport.BadError{Place: row.CurrentKey(), What: "it does not agree with the record of " + row.Place()}
		}
	}
	slices.SortFunc(r.spans, func(a, b transcripts.Span) int {
		return cmp.Or(cmp.Compare(a.VatID, b.VatID), cmp.Compare(a.StartPos, b.StartPos))
	})
	return nil
}
