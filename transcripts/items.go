package transcripts

import (
	"fmt"

	"vatworkerd/store"
)

// MissingItemsError says that items were truncated away (or lost).
type MissingItemsError struct {
	VatID      string
	Start, End int64 // what was asked for
	Missing    int64 // the first position that is not there
}

func (e *MissingItemsError) Error() string {
	return fmt.Sprintf("cannot read transcript items %d to %d of vat %s: item %d is not there; start from a later snapshot", e.Start, e.End, e.VatID, e.Missing)
}

// itemsAtOnce bounds how many items are in memory while a span is read.
const itemsAtOnce = 64

// Each calls f for the items start ≤ position < end in order. A missing item
// is a *MissingItemsError; an error of f ends the walk and comes out as it is.
func Each(r Reader, vatID string, start, end int64, f func(position int64, item string) error) error {
	for at := start; at < end; {
		rows, err := r.Query("SELECT position, item FROM transcriptItems WHERE vatID = ? AND position >= ? AND position < ? ORDER BY position LIMIT ?",
			vatID, at, end, itemsAtOnce)
		if err != nil {
			return fmt.Errorf("cannot read the transcript of vat %s: %w", vatID, err)
		}
		if len(rows) == 0 {
			return &MissingItemsError{VatID: vatID, Start: start, End: end, Missing: at}
		}
		for _, row := range rows {
			if row.Int64(0) != at {
				return &MissingItemsError{VatID: vatID, Start: start, End: end, Missing: at}
			}
			if err := f(at, row.Text(1)); err != nil {
				return err
			}
			at++
		}
	}
	return nil
}

// Items gives the items start ≤ position < end. A missing one is a *MissingItemsError.
func Items(r Reader, vatID string, start, end int64) ([]string, error) {
	var items []string
	err := Each(r, vatID, start, end, func(_ int64, item string) error {
		items = append(items, item)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return items, nil
}

var (
	_ Reader = (*store.DB)(nil)
	_ Reader = (*store.Crank)(nil)
)
