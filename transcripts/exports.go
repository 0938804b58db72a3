package transcripts

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"vatworkerd/store"
)

// maxItemBytes bounds a line of a span's artifact: what JavaScript may hold in one
// string.
const maxItemBytes = 512 << 20

// HashError says that a span's items are not those that its hash is of.
type HashError struct {
	Place     string // the span's artifact
	Want, Got string
}

func (e *HashError) Error() string {
	return fmt.Sprintf("%s: the hash of its items is not the recorded one: %s is recorded, they have %s", e.Place, e.Want, e.Got)
}

// WriteItems writes the span's artifact as the JavaScript store exports it: an item
// a line. Errors: *MissingItemsError, *HashError, w's.
func (s Span) WriteItems(r Reader, w io.Writer) error {
	hash := EmptySpanHash()
	err := Each(r, s.VatID, s.StartPos, s.EndPos, func(_ int64, item string) error {
		hash = NextSpanHash(hash, item)
		if _, err := io.WriteString(w, item); err != nil {
			return err
		}
		_, err := io.WriteString(w, "\n")
		return err
	})
	if err == nil && hash != s.Hash {
		err = &HashError{Place: s.Place(), Want: s.Hash, Got: hash}
	}
	return err
}

// spanJSON is a span's export record (transcriptStore.js, spanRec).
type spanJSON struct {
	VatID       *string      `json:"vatID"`
	StartPos    *int64       `json:"startPos"`
	EndPos      *int64       `json:"endPos"`
	Hash        *string      `json:"hash"`
	IsCurrent   *json.Number `json:"isCurrent"`
	Incarnation *int64       `json:"incarnation"`
}

// ParseExportRecord is the inverse of ExportKey and ExportRecord.
func ParseExportRecord(key, record string) (Span, error) {
	var j spanJSON
	if err := json.Unmarshal([]byte(record), &j); err != nil {
		return Span{}, fmt.Errorf("it is no record of a span: %w", err)
	}
	if j.VatID == nil || j.StartPos == nil || j.EndPos == nil || j.Hash == nil || j.IsCurrent == nil || j.Incarnation == nil {
		return Span{}, errors.New("it is no record of a span: something is missing")
	}
	s := Span{VatID: *j.VatID, StartPos: *j.StartPos, EndPos: *j.EndPos, Hash: *j.Hash, IsCurrent: *j.IsCurrent == "1", Incarnation: *j.Incarnation}
	switch {
	case s.VatID == "" || strings.Contains(s.VatID, "."):
		return s, fmt.Errorf("its vat cannot be meant: %.40q", s.VatID)
	case s.StartPos < 0 || s.EndPos < s.StartPos || s.Incarnation < 0:
		return s, errors.New("its positions cannot be meant")
	case key != s.ExportKey():
		return s, fmt.Errorf("it says that its key is %s", s.ExportKey())
	}
	return s, nil
}

// Restore writes the record of a span of another store.
func Restore(c *store.Crank, s Span) error {
	var current any
	if s.IsCurrent {
		current = 1
	}
	err := c.Exec("INSERT INTO transcriptSpans (vatID, startPos, endPos, hash, isCurrent, incarnation) VALUES (?, ?, ?, ?, ?, ?)",
		s.VatID, s.StartPos, s.EndPos, s.Hash, current, s.Incarnation)
	if err != nil {
		return fmt.Errorf("cannot restore the span %s: %w", s.Place(), err)
	}
	c.Note("restored-span", s.ExportKey(), s.ExportRecord())
	return nil
}

// ReadItems calls f for each item in the span's artifact, with its position, and
// tells at the end whether they were the right ones. Errors: *HashError,
// *ItemCountError; f's; those of the reader.
func (s Span) ReadItems(artifact io.Reader, f func(position int64, item string) error) error {
	lines := bufio.NewScanner(artifact)
	lines.Buffer(make([]byte, 64<<10), maxItemBytes)
	sum := newItemSum(s)
	for lines.Scan() {
		if err := sum.add(lines.Text(), f); err != nil {
			return err
		}
	}
	if lines.Err() != nil {
		return fmt.Errorf("cannot read %s: %w", s.Place(), lines.Err())
	}
	return sum.end()
}

// RestoreItems writes the items of a span from its artifact. Errors: those of
// ReadItems.
func RestoreItems(c *store.Crank, s Span, artifact io.Reader) error {
	return s.ReadItems(artifact, itemWriter(c, s))
}

// CopyItems writes the items of a span as another store has them. Errors:
// *MissingItemsError, *HashError.
func CopyItems(c *store.Crank, s Span, from Reader) error {
	sum, write := newItemSum(s), itemWriter(c, s)
	err := Each(from, s.VatID, s.StartPos, s.EndPos, func(_ int64, item string) error { return sum.add(item, write) })
	if err != nil {
		return err
	}
	return sum.end()
}

func itemWriter(c *store.Crank, s Span) func(position int64, item string) error {
	return func(position int64, item string) error {
		err := c.Exec("INSERT INTO transcriptItems (vatID, position, item, incarnation) VALUES (?, ?, ?, ?)", s.VatID, position, item, s.Incarnation)
		if err != nil {
			return fmt.Errorf("cannot restore the span %s: %w", s.Place(), err)
		}
		return nil
	}
}

// itemSum compares items that come one by one with their span.
type itemSum struct {
	span Span
	at   int64
	hash string
}

func newItemSum(s Span) *itemSum { return &itemSum{span: s, at: s.StartPos, hash: EmptySpanHash()} }

func (m *itemSum) add(item string, f func(position int64, item string) error) error {
	if m.at == m.span.EndPos {
		return &ItemCountError{Place: m.span.Place(), Want: m.span.EndPos - m.span.StartPos}
	}
	m.hash = NextSpanHash(m.hash, item)
	m.at++
	return f(m.at-1, item)
}

func (m *itemSum) end() error {
	s := m.span
	switch {
	case m.at != s.EndPos:
		return &ItemCountError{Place: s.Place(), Want: s.EndPos - s.StartPos}
	case m.hash != s.Hash:
		return &HashError{Place: s.Place(), Want: s.Hash, Got: m.hash}
	}
	return nil
}

// ItemCountError says that a span's artifact has more or fewer items than the span.
type ItemCountError struct {
	Place string
	Want  int64
}

func (e *ItemCountError) Error() string {
	return fmt.Sprintf("%s: it must have %d items, one a line", e.Place, e.Want)
}
