package swingstore

import (
	"errors"
	"fmt"

	"vatworkerd/store"
	"vatworkerd/transcripts"
)

// spanPlace is the name of the span's artifact.
func spanPlace(s transcripts.Span) string {
	return fmt.Sprintf("transcript.%s.%d.%d", s.VatID, s.StartPos, s.EndPos)
}

func (v *verifier) wrongSpan(s transcripts.Span, what, expected, got string) {
	v.add(store.Problem{Kind: store.KindSpan, VatID: s.VatID, Place: spanPlace(s), What: what, Expected: expected, Got: got})
}

func (v *verifier) wrongItem(s transcripts.Span, position int64, what, expected, got string) {
	v.add(store.Problem{Kind: store.KindItem, VatID: s.VatID, Place: spanPlace(s), Position: &position, What: what, Expected: expected, Got: got})
}

// transcript checks the spans of a vat and their items.
func (v *verifier) transcript(vat Vat) error {
	spans, err := transcripts.Spans(v.s.db, vat.VatID)
	if err != nil {
		return err
	}
	if len(spans) == 0 {
		if !vat.Terminated {
			v.add(store.Problem{Kind: store.KindSpan, VatID: vat.VatID, Place: "transcript." + vat.VatID, What: "the vat has no transcript span"})
		}
		return v.stray(vat.VatID, nil)
	}
	v.currentSpan(vat, spans)
	for i, span := range spans {
		v.sequence(spans, i)
		if err := v.step(spanPlace(span)); err != nil {
			return err
		}
		if err := v.survive(vat.VatID, spanPlace(span), v.items(span)); err != nil {
			return err
		}
	}
	return v.stray(vat.VatID, spans)
}

// currentSpan: a live vat has exactly one current span, a terminated one none.
func (v *verifier) currentSpan(vat Vat, spans []transcripts.Span) {
	var current int
	for _, span := range spans {
		if span.IsCurrent {
			current++
		}
	}
	last := spans[len(spans)-1]
	switch {
	case vat.Terminated && current > 0:
		v.wrongSpan(last, "a terminated vat has a current span", "0", fmt.Sprint(current))
	case !vat.Terminated && current != 1:
		v.wrongSpan(last, "the number of the vat's current spans", "1", fmt.Sprint(current))
	case !vat.Terminated && !last.IsCurrent:
		v.wrongSpan(last, "the last span is not the current one", "", "")
	}
}

// sequence checks how span i follows the one before it.
func (v *verifier) sequence(spans []transcripts.Span, i int) {
	span := spans[i]
	var start, incarnation int64
	if i > 0 {
		start, incarnation = spans[i-1].EndPos, spans[i-1].Incarnation
	}
	if span.StartPos != start {
		v.wrongSpan(span, "where it starts", fmt.Sprint(start), fmt.Sprint(span.StartPos))
	}
	if d := span.Incarnation - incarnation; d < 0 || d > 1 || i == 0 && d != 0 {
		v.wrongSpan(span, fmt.Sprintf("its incarnation does not follow %d", incarnation), "", fmt.Sprint(span.Incarnation))
	}
	if span.EndPos < span.StartPos || span.EndPos == span.StartPos && i < len(spans)-1 {
		v.wrongSpan(span, "it is empty and not the last", "", "")
	}
}

// items checks the items of a span, each by itself and all by the hash.
func (v *verifier) items(span transcripts.Span) error {
	row, _, err := v.s.db.QueryRow("SELECT count(*) FROM transcriptItems WHERE vatID = ? AND position >= ? AND position < ?",
		span.VatID, span.StartPos, span.EndPos)
	if err != nil {
		return err
	}
	if row.Int64(0) == 0 && !span.IsCurrent && span.EndPos > span.StartPos {
		v.report.PrunedSpans++
		return nil
	}
	hash := transcripts.EmptySpanHash()
	err = transcripts.Each(v.s.db, span.VatID, span.StartPos, span.EndPos, func(position int64, item string) error {
		hash = transcripts.NextSpanHash(hash, item)
		v.report.Items++
		v.item(span, position, item)
		return v.ctx.Err()
	})
	var missing *transcripts.MissingItemsError
	if errors.As(err, &missing) {
		return v.missingItems(span)
	}
	if err != nil {
		return err
	}
	v.report.Spans++
	if hash != span.Hash {
		v.wrongSpan(span, "its recorded hash is not that of its items: an item or the record was altered", hash, span.Hash)
	}
	return v.incarnations(span)
}

// missingItems names every item that is not there.
func (v *verifier) missingItems(span transcripts.Span) error {
	rows, err := v.s.db.Query("SELECT position FROM transcriptItems WHERE vatID = ? AND position >= ? AND position < ? ORDER BY position",
		span.VatID, span.StartPos, span.EndPos)
	if err != nil {
		return err
	}
	at := span.StartPos
	gap := func(end int64) {
		switch end - at {
		case 0:
		case 1:
			v.wrongItem(span, at, "it is missing", "", "")
		default:
			v.wrongItem(span, at, fmt.Sprintf("it and all up to item %d are missing", end-1), "", "")
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
func (v *verifier) item(span transcripts.Span, position int64, item string) {
	entry, err := transcripts.Decode(item)
	if err != nil {
		v.wrongItem(span, position, err.Error(), "", "")
		return
	}
	if text, err := entry.Marshal(); err != nil {
		v.wrongItem(span, position, err.Error(), "", "")
	} else if text != item {
		v.wrongItem(span, position, "it is not spelled as the JavaScript kernel spells it", "", "")
	}
	first, last := position == span.StartPos, position == span.EndPos-1
	switch kind := entry.Kind(); kind {
	case transcripts.KindInitializeWorker, transcripts.KindLoadSnapshot:
		if !first {
			v.wrongItem(span, position, kind+" stands only at the start of a span", "", "")
		}
	case transcripts.KindSaveSnapshot, transcripts.KindShutdownWorker:
		if !last || span.IsCurrent {
			v.wrongItem(span, position, kind+" stands only at the end of a closed span", "", "")
		}
	default:
		if first {
			v.wrongItem(span, position, "a span starts with initialize-worker or load-snapshot", "", kind)
		}
	}
}

func (v *verifier) incarnations(span transcripts.Span) error {
	rows, err := v.s.db.Query("SELECT position, incarnation FROM transcriptItems WHERE vatID = ? AND position >= ? AND position < ? AND incarnation IS NOT ? ORDER BY position",
		span.VatID, span.StartPos, span.EndPos, span.Incarnation)
	for _, row := range rows {
		v.wrongItem(span, row.Int64(0), "its incarnation", fmt.Sprint(span.Incarnation), fmt.Sprint(row.Int64(1)))
	}
	return err
}

// stray reports items that lie in no span.
func (v *verifier) stray(vatID string, spans []transcripts.Span) error {
	at := int64(-1 << 62)
	for _, span := range append(spans, transcripts.Span{VatID: vatID, StartPos: 1 << 62}) {
		row, _, err := v.s.db.QueryRow("SELECT count(*), min(position), max(position) FROM transcriptItems WHERE vatID = ? AND position >= ? AND position < ?",
			vatID, at, span.StartPos)
		if err != nil {
			return err
		}
		if n := row.Int64(0); n > 0 {
			v.add(store.Problem{Kind: store.KindItem, VatID: vatID, Place: "transcript." + vatID, What: fmt.Sprintf("%d items (%d to %d) lie in no span", n, row.Int64(1), row.Int64(2))})
		}
		at = span.EndPos
	}
	return nil
}
