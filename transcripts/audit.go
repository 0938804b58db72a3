package transcripts

import (
	"context"
	"errors"
	"fmt"

	"vatworkerd/store"
)

// Names under which an audit counts.
const (
	CountSpans  = "spans"        // whose hash was recomputed
	CountPruned = "pruned spans" // old ones that lack items: only the record counts
	CountItems  = "items"        // read and hashed
)

// Rules say what must hold of a vat's transcript beside its hashes.
type Rules struct {
	// Terminated: the vat is.
	Terminated bool
	// OldestFirst: spans and items are removed oldest first, as Delete and
	// TruncateItems do, so that a vat has a current span for as long as it has
	// any, a terminated one may lack its first, and an old span may lack its
	// first items. The JavaScript store removes whole spans' items, and spans of
	// a terminated vat newest first.
	OldestFirst bool
}

// Audit checks the spans and items of a vat: spans follow one another, the right
// one is current, the hash of every span whose items are all there is that of
// its items, each item is an entry in its place, and none lies in no span. A
// problem does not stop it. Errors: that of the audit's context, those of the disk.
func Audit(a *store.Audit, r Reader, vatID string, rules Rules) error {
	c := &auditor{Audit: a, r: r, vatID: vatID, rules: rules}
	return a.Survive(vatID, "transcript."+vatID, c.transcript())
}

// Check is Audit of all vats, as one error. It does not know which of them are
// terminated and allows each what those may lack.
func Check(r Reader) error {
	rows, err := r.Query("SELECT DISTINCT vatID FROM transcriptSpans UNION SELECT DISTINCT vatID FROM transcriptItems ORDER BY 1")
	if err != nil {
		return fmt.Errorf("cannot check the transcripts: %w", err)
	}
	a := store.NewAudit(context.Background(), nil)
	for _, row := range rows {
		if err := Audit(a, r, row.Text(0), Rules{OldestFirst: true, Terminated: true}); err != nil {
			return err
		}
	}
	return a.Err()
}

type auditor struct {
	*store.Audit
	r     Reader
	vatID string
	rules Rules
}

// Place is the name of the span's artifact.
func (s Span) Place() string {
	return fmt.Sprintf("transcript.%s.%d.%d", s.VatID, s.StartPos, s.EndPos)
}

func (c *auditor) wrongSpan(s Span, what, expected, got string) {
	c.Add(store.Problem{Kind: store.KindSpan, VatID: s.VatID, Place: s.Place(), What: what, Expected: expected, Got: got})
}

func (c *auditor) wrongItem(s Span, position int64, what, expected, got string) {
	c.Add(store.Problem{Kind: store.KindItem, VatID: s.VatID, Place: s.Place(), Position: &position, What: what, Expected: expected, Got: got})
}

func (c *auditor) transcript() error {
	spans, err := Spans(c.r, c.vatID)
	if err != nil {
		return err
	}
	if len(spans) == 0 {
		if !c.rules.Terminated {
			c.Add(store.Problem{Kind: store.KindSpan, VatID: c.vatID, Place: "transcript." + c.vatID, What: "the vat has no transcript span"})
		}
		return c.stray(nil)
	}
	c.currentSpan(spans)
	for i, span := range spans {
		c.sequence(spans, i)
		if err := c.Step(span.Place()); err != nil {
			return err
		}
		if err := c.Survive(c.vatID, span.Place(), c.items(span)); err != nil {
			return err
		}
	}
	return c.stray(spans)
}

// currentSpan: a vat has exactly one current span, and it is the last; one that
// the JavaScript system has terminated has none.
func (c *auditor) currentSpan(spans []Span) {
	current, want := 0, 1
	for _, span := range spans {
		if span.IsCurrent {
			current++
		}
	}
	if c.rules.Terminated && !c.rules.OldestFirst {
		want = 0
	}
	last := spans[len(spans)-1]
	switch {
	case want == 0 && current > 0:
		c.wrongSpan(last, "a terminated vat has a current span", "0", fmt.Sprint(current))
	case current != want:
		c.wrongSpan(last, "the number of the vat's current spans", fmt.Sprint(want), fmt.Sprint(current))
	case want == 1 && !last.IsCurrent:
		c.wrongSpan(last, "the last span is not the current one", "", "")
	}
}

// sequence checks how span i follows the one before it.
func (c *auditor) sequence(spans []Span, i int) {
	span := spans[i]
	var start, incarnation int64
	switch {
	case i > 0:
		start, incarnation = spans[i-1].EndPos, spans[i-1].Incarnation
	case c.rules.Terminated && c.rules.OldestFirst:
		start, incarnation = span.StartPos, span.Incarnation
	}
	if span.StartPos != start {
		c.wrongSpan(span, "where it starts", fmt.Sprint(start), fmt.Sprint(span.StartPos))
	}
	if d := span.Incarnation - incarnation; d < 0 || d > 1 || i == 0 && d != 0 {
		c.wrongSpan(span, fmt.Sprintf("its incarnation does not follow %d", incarnation), "", fmt.Sprint(span.Incarnation))
	}
	if span.EndPos < span.StartPos || span.EndPos == span.StartPos && i < len(spans)-1 {
		c.wrongSpan(span, "it is empty and not the last", "", "")
	}
}

// items checks the items of a span, each by itself and all by the hash.
func (c *auditor) items(span Span) error {
	pruned, err := c.pruned(span)
	if err != nil {
		return err
	}
	if pruned {
		c.Count(CountPruned, 1)
		return nil
	}
	hash := EmptySpanHash()
	err = Each(c.r, span.VatID, span.StartPos, span.EndPos, func(position int64, item string) error {
		hash = NextSpanHash(hash, item)
		c.Count(CountItems, 1)
		c.item(span, position, item)
		return c.Interrupted()
	})
	var missing *MissingItemsError
	if errors.As(err, &missing) {
		return c.missingItems(span)
	}
	if err != nil {
		return err
	}
	c.Count(CountSpans, 1)
	if hash != span.Hash {
		c.wrongSpan(span, "its recorded hash is not that of its items: an item or the record was altered", hash, span.Hash)
	}
	return c.incarnations(span)
}

// pruned tells whether a span lacks items in a way that is allowed: all of them
// or, where the oldest go first, the first of them and all before the span.
func (c *auditor) pruned(span Span) (bool, error) {
	row, _, err := c.r.QueryRow("SELECT count(*), min(position) FROM transcriptItems WHERE vatID = ? AND position >= ? AND position < ?",
		span.VatID, span.StartPos, span.EndPos)
	if err != nil || span.IsCurrent || span.EndPos <= span.StartPos {
		return false, err
	}
	if !c.rules.OldestFirst {
		return row.Int64(0) == 0, nil
	}
	first := span.EndPos
	if row.Int64(0) > 0 {
		first = row.Int64(1)
	}
	if first == span.StartPos || row.Int64(0) != span.EndPos-first {
		return false, nil
	}
	_, older, err := c.r.QueryRow("SELECT 1 FROM transcriptItems WHERE vatID = ? AND position < ? LIMIT 1", span.VatID, span.StartPos)
	return !older, err
}

// missingItems names every item that is not there.
func (c *auditor) missingItems(span Span) error {
	rows, err := c.r.Query("SELECT position FROM transcriptItems WHERE vatID = ? AND position >= ? AND position < ? ORDER BY position",
		span.VatID, span.StartPos, span.EndPos)
	if err != nil {
		return err
	}
	at := span.StartPos
	gap := func(end int64) {
		switch end - at {
		case 0:
		case 1:
			c.wrongItem(span, at, "it is missing", "", "")
		default:
			c.wrongItem(span, at, fmt.Sprintf("it and all up to item %d are missing", end-1), "", "")
		}
	}
	for _, row := range rows {
		gap(row.Int64(0))
		at = row.Int64(0) + 1
	}
	gap(span.EndPos)
	return nil
}

// item checks one item by itself: it must be an entry, spelled as the
// JavaScript kernel spells it, of a kind that may stand where it stands.
func (c *auditor) item(span Span, position int64, item string) {
	entry, err := Decode(item)
	if err != nil {
		c.wrongItem(span, position, err.Error(), "", "")
		return
	}
	if text, err := entry.Marshal(); err != nil {
		c.wrongItem(span, position, err.Error(), "", "")
	} else if text != item {
		c.wrongItem(span, position, "it is not spelled as the JavaScript kernel spells it", "", "")
	}
	first, last := position == span.StartPos, position == span.EndPos-1
	switch kind := entry.Kind(); kind {
	case KindInitializeWorker, KindLoadSnapshot:
		if !first {
			c.wrongItem(span, position, kind+" stands only at the start of a span", "", "")
		}
	case KindSaveSnapshot, KindShutdownWorker:
		if !last || span.IsCurrent {
			c.wrongItem(span, position, kind+" stands only at the end of a closed span", "", "")
		}
	default:
		if first {
			c.wrongItem(span, position, "a span starts with initialize-worker or load-snapshot", "", kind)
		}
	}
}

func (c *auditor) incarnations(span Span) error {
	rows, err := c.r.Query("SELECT position, incarnation FROM transcriptItems WHERE vatID = ? AND position >= ? AND position < ? AND incarnation IS NOT ? ORDER BY position",
		span.VatID, span.StartPos, span.EndPos, span.Incarnation)
	for _, row := range rows {
		c.wrongItem(span, row.Int64(0), "its incarnation", fmt.Sprint(span.Incarnation), fmt.Sprint(row.Int64(1)))
	}
	return err
}

// stray reports items that lie in no span.
func (c *auditor) stray(spans []Span) error {
	at := int64(-1 << 62)
	for _, span := range append(spans, Span{VatID: c.vatID, StartPos: 1 << 62}) {
		row, _, err := c.r.QueryRow("SELECT count(*), min(position), max(position) FROM transcriptItems WHERE vatID = ? AND position >= ? AND position < ?",
			c.vatID, at, span.StartPos)
		if err != nil {
			return err
		}
		if n := row.Int64(0); n > 0 {
			c.Add(store.Problem{Kind: store.KindItem, VatID: c.vatID, Place: "transcript." + c.vatID, What: fmt.Sprintf("%d items (%d to %d) lie in no span", n, row.Int64(1), row.Int64(2))})
		}
		at = span.EndPos
	}
	return nil
}
