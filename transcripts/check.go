package transcripts

import (
	"errors"
	"fmt"
)

// Check verifies all transcripts: each vat's spans are contiguous, its last
// one and only that is current, incarnations never go down, the current span
// has all its items, the hash of every span whose items are all there is
// right, and no item lies outside of the spans.
func Check(r Reader) error {
	rows, err := r.Query("SELECT DISTINCT vatID FROM transcriptSpans UNION SELECT DISTINCT vatID FROM transcriptItems ORDER BY 1")
	if err != nil {
		return fmt.Errorf("cannot check the transcripts: %w", err)
	}
	var found []error
	for _, row := range rows {
		found = append(found, checkVat(r, row.Text(0)))
	}
	return errors.Join(found...)
}

func checkVat(r Reader, vatID string) error {
	spans, err := Spans(r, vatID)
	if err != nil {
		return err
	}
	if len(spans) == 0 {
		return fmt.Errorf("transcript of vat %s: it has items and no span", vatID)
	}
	var found []error
	for i, s := range spans {
		wrong := func(format string, args ...any) {
			place := fmt.Sprintf("transcript of vat %s, span %d to %d: ", vatID, s.StartPos, s.EndPos)
			found = append(found, fmt.Errorf(place+format, args...))
		}
		last := i == len(spans)-1
		if s.EndPos < s.StartPos || s.EndPos == s.StartPos && !last {
			wrong("it is empty and not the last")
		}
		if s.IsCurrent != last {
			wrong("current is %t, last is %t", s.IsCurrent, last)
		}
		if i > 0 && s.StartPos != spans[i-1].EndPos {
			wrong("it does not start where the one before ends, at %d", spans[i-1].EndPos)
		}
		if i > 0 && s.Incarnation < spans[i-1].Incarnation {
			wrong("its incarnation %d is below %d", s.Incarnation, spans[i-1].Incarnation)
		}
		if err := checkItems(r, s); err != nil {
			wrong("%w", err)
		}
	}
	return errors.Join(append(found, checkStray(r, vatID, spans))...)
}

func checkItems(r Reader, s Span) error {
	row, _, err := r.QueryRow("SELECT count(*), sum(incarnation <> ?) FROM transcriptItems WHERE vatID = ? AND position >= ? AND position < ?",
		s.Incarnation, s.VatID, s.StartPos, s.EndPos)
	if err != nil {
		return err
	}
	if n := row.Int64(1); n != 0 {
		return fmt.Errorf("%d items are of another incarnation", n)
	}
	if n := row.Int64(0); n != s.EndPos-s.StartPos {
		if s.IsCurrent {
			return fmt.Errorf("the current span has %d items", n)
		}
		return nil
	}
	hash := EmptySpanHash()
	err = Each(r, s.VatID, s.StartPos, s.EndPos, func(_ int64, item string) error {
		hash = NextSpanHash(hash, item)
		return nil
	})
	if err == nil && hash != s.Hash {
		err = fmt.Errorf("its hash is %s, its items give %s", s.Hash, hash)
	}
	return err
}

func checkStray(r Reader, vatID string, spans []Span) error {
	row, _, err := r.QueryRow("SELECT count(*) FROM transcriptItems WHERE vatID = ? AND (position < ? OR position >= ?)",
		vatID, spans[0].StartPos, spans[len(spans)-1].EndPos)
	if err != nil {
		return err
	}
	if n := row.Int64(0); n != 0 {
		return fmt.Errorf("transcript of vat %s: %d items lie outside of its spans", vatID, n)
	}
	return nil
}
