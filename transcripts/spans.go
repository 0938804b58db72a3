package transcripts

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"vatworkerd/store"
)

// Reader is what the reads need: a *store.DB or a *store.Crank.
type Reader = store.Reader

// Unlimited is the budget of a removal that shall do everything at once.
const Unlimited = int(^uint(0) >> 1)

// Span is a run of transcript items between two snapshots (or the ends of an
// incarnation): items StartPos ≤ position < EndPos, with their cumulative hash.
type Span struct {
	VatID            string
	StartPos, EndPos int64
	Hash             string // hex
	IsCurrent        bool   // the span that takes new items
	Incarnation      int64
}

// NoTranscriptError says that a vat has no current span.
type NoTranscriptError struct{ VatID string }

func (e *NoTranscriptError) Error() string {
	return fmt.Sprintf("vat %s has no transcript", e.VatID)
}

// EmptySpanHash is the hash of a span without items, in hex.
func EmptySpanHash() string { return sha256Hex("start of transcript span") }

// NextSpanHash is the cumulative hash after one more item: both hashes enter as hex text.
func NextSpanHash(prior, item string) string { return sha256Hex(prior + sha256Hex(item)) }

// HashItems gives the hash that the items of a span have now. A missing one is a
// *MissingItemsError.
func HashItems(r Reader, span Span) (string, error) {
	hash := EmptySpanHash()
	err := Each(r, span.VatID, span.StartPos, span.EndPos, func(_ int64, item string) error {
		hash = NextSpanHash(hash, item)
		return nil
	})
	return hash, err
}

func sha256Hex(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// ExportKey and ExportRecord give the span as the JavaScript store exports it.
func (s Span) ExportKey() string {
	if s.IsCurrent {
		return "transcript." + s.VatID + ".current"
	}
	return fmt.Sprintf("transcript.%s.%d", s.VatID, s.StartPos)
}

// ExportRecord gives the JSON text stored under ExportKey.
func (s Span) ExportRecord() string {
	current := 0
	if s.IsCurrent {
		current = 1
	}
	return fmt.Sprintf(`{"vatID":"%s","startPos":%d,"endPos":%d,"hash":"%s","isCurrent":%d,"incarnation":%d}`,
		s.VatID, s.StartPos, s.EndPos, s.Hash, current, s.Incarnation)
}

// Init starts the transcript of a new vat: an empty span at position 0 of
// incarnation 0.
func Init(c *store.Crank, vatID string) error {
	if _, exists, err := Current(c, vatID); err != nil {
		return err
	} else if exists {
		return fmt.Errorf("cannot start the transcript of vat %s: it has one", vatID)
	}
	_, err := writeSpan(c, Span{VatID: vatID, Hash: EmptySpanHash(), IsCurrent: true})
	return err
}

// Append adds an item to the current span and gives its position.
func Append(c *store.Crank, vatID, item string) (position int64, err error) {
	if !strings.HasPrefix(item, `{"d":[`) {
		return 0, fmt.Errorf("cannot append to the transcript of vat %s: the item is no transcript entry", vatID)
	}
	span, err := mustCurrent(c, vatID)
	if err != nil {
		return 0, err
	}
	hash := NextSpanHash(span.Hash, item)
	err = c.Exec("INSERT INTO transcriptItems (vatID, position, item, incarnation) VALUES (?, ?, ?, ?)",
		vatID, span.EndPos, item, span.Incarnation)
	if err != nil {
		return 0, fmt.Errorf("cannot append to the transcript of vat %s: %w", vatID, err)
	}
	err = c.Exec("UPDATE transcriptSpans SET endPos = ?, hash = ? WHERE vatID = ? AND isCurrent = 1",
		span.EndPos+1, hash, vatID)
	if err != nil {
		return 0, fmt.Errorf("cannot append to the transcript of vat %s: %w", vatID, err)
	}
	c.Note("transcript", vatID, strconv.FormatInt(span.EndPos, 10), hash)
	return span.EndPos, nil
}

// Current gives the span that takes new items; ok is false for a vat without transcript.
func Current(r Reader, vatID string) (span Span, ok bool, err error) {
	row, ok, err := r.QueryRow(
		"SELECT vatID, startPos, endPos, hash, isCurrent, incarnation FROM transcriptSpans WHERE vatID = ? AND isCurrent = 1", vatID)
	if err != nil {
		return Span{}, false, fmt.Errorf("cannot read the current span of vat %s: %w", vatID, err)
	}
	if !ok {
		return Span{}, false, nil
	}
	return spanOf(row), true, nil
}

// Spans gives all spans of a vat, oldest first.
func Spans(r Reader, vatID string) ([]Span, error) {
	rows, err := r.Query(
		"SELECT vatID, startPos, endPos, hash, isCurrent, incarnation FROM transcriptSpans WHERE vatID = ? ORDER BY startPos", vatID)
	if err != nil {
		return nil, fmt.Errorf("cannot read the spans of vat %s: %w", vatID, err)
	}
	spans := make([]Span, len(rows))
	for i, row := range rows {
		spans[i] = spanOf(row)
	}
	return spans, nil
}

// RolloverSpan closes the current span and starts the next one of the same
// incarnation, which it gives.
func RolloverSpan(c *store.Crank, vatID string) (Span, error) { return rollover(c, vatID, 0) }

// RolloverIncarnation closes the current span and starts the first one of the
// next incarnation, which it gives.
func RolloverIncarnation(c *store.Crank, vatID string) (Span, error) { return rollover(c, vatID, 1) }

func rollover(c *store.Crank, vatID string, incarnations int64) (Span, error) {
	old, err := mustCurrent(c, vatID)
	if err != nil {
		return Span{}, err
	}
	if old.StartPos == old.EndPos {
		return Span{}, fmt.Errorf("cannot close the span of vat %s at position %d: it is empty", vatID, old.StartPos)
	}
	if err := c.Exec("UPDATE transcriptSpans SET isCurrent = NULL WHERE vatID = ? AND isCurrent = 1", vatID); err != nil {
		return Span{}, fmt.Errorf("cannot close the span of vat %s: %w", vatID, err)
	}
	return writeSpan(c, Span{VatID: vatID, StartPos: old.EndPos, EndPos: old.EndPos,
		Hash: EmptySpanHash(), IsCurrent: true, Incarnation: old.Incarnation + incarnations})
}

// writeSpan adds a new, empty, current span.
func writeSpan(c *store.Crank, s Span) (Span, error) {
	err := c.Exec("INSERT INTO transcriptSpans (vatID, startPos, endPos, hash, isCurrent, incarnation) VALUES (?, ?, ?, ?, 1, ?)",
		s.VatID, s.StartPos, s.EndPos, s.Hash, s.Incarnation)
	if err != nil {
		return Span{}, fmt.Errorf("cannot start a span of vat %s: %w", s.VatID, err)
	}
	c.Note("span", s.VatID, strconv.FormatInt(s.StartPos, 10), strconv.FormatInt(s.Incarnation, 10))
	return s, nil
}

func mustCurrent(r Reader, vatID string) (Span, error) {
	span, ok, err := Current(r, vatID)
	if err == nil && !ok {
		err = &NoTranscriptError{vatID}
	}
	return span, err
}

func spanOf(row store.Row) Span {
	return Span{
		VatID: row.Text(0), StartPos: row.Int64(1), EndPos: row.Int64(2), Hash: row.Text(3),
		IsCurrent: !row.IsNull(4), Incarnation: row.Int64(5),
	}
}

// TruncateItems removes at most budget items before a position, oldest first;
// span records and hashes stay. How much history a machine keeps is its own
// affair, so this enters no hash. The current span is never touched.
func TruncateItems(c *store.Crank, vatID string, before int64, budget int) (removed int, done bool, err error) {
	if budget < 1 {
		return 0, false, errors.New("cannot truncate a transcript: the budget must be positive")
	}
	span, ok, err := Current(c, vatID)
	if err != nil {
		return 0, false, err
	}
	if ok {
		before = min(before, span.StartPos)
	}
	n, err := c.ExecCount(`DELETE FROM transcriptItems WHERE vatID = ?1 AND position IN
		(SELECT position FROM transcriptItems WHERE vatID = ?1 AND position < ?2 ORDER BY position LIMIT ?3)`,
		vatID, before, budget)
	if err != nil {
		return 0, false, fmt.Errorf("cannot truncate the transcript of vat %s: %w", vatID, err)
	}
	_, more, err := c.QueryRow("SELECT 1 FROM transcriptItems WHERE vatID = ? AND position < ? LIMIT 1", vatID, before)
	if err != nil {
		return 0, false, fmt.Errorf("cannot truncate the transcript of vat %s: %w", vatID, err)
	}
	return int(n), !more, nil
}

// Delete removes at most budget spans of a terminated vat with their items,
// oldest first, so that the current span goes last. removed counts spans.
func Delete(c *store.Crank, vatID string, budget int) (removed int, done bool, err error) {
	if budget < 1 {
		return 0, false, errors.New("cannot delete a transcript: the budget must be positive")
	}
	rows, err := c.Query("SELECT startPos, endPos FROM transcriptSpans WHERE vatID = ? ORDER BY startPos LIMIT ?", vatID, budget)
	if err != nil {
		return 0, false, fmt.Errorf("cannot delete the transcript of vat %s: %w", vatID, err)
	}
	for _, row := range rows {
		if err := deleteSpan(c, vatID, row.Int64(0), row.Int64(1)); err != nil {
			return 0, false, fmt.Errorf("cannot delete the transcript of vat %s: %w", vatID, err)
		}
	}
	_, more, err := c.QueryRow("SELECT 1 FROM transcriptSpans WHERE vatID = ? LIMIT 1", vatID)
	if err != nil {
		return 0, false, fmt.Errorf("cannot delete the transcript of vat %s: %w", vatID, err)
	}
	return len(rows), !more, nil
}

func deleteSpan(c *store.Crank, vatID string, start, end int64) error {
	if err := c.Exec("DELETE FROM transcriptItems WHERE vatID = ? AND position >= ? AND position < ?", vatID, start, end); err != nil {
		return err
	}
	if err := c.Exec("DELETE FROM transcriptSpans WHERE vatID = ? AND startPos = ?", vatID, start); err != nil {
		return err
	}
	c.Note("spanDelete", vatID, strconv.FormatInt(start, 10))
	return nil
}
