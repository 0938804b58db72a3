package transcripts

import (
	"errors"
	"fmt"
	"slices"
)

// Parting is how the transcripts of a vat in two databases, A and B, compare.
type Parting struct {
	// SameSpans is how many spans were found to be the same by their records alone.
	SameSpans int `json:"sameSpans"`
	// What says what differs, in one line; empty if nothing does.
	What string `json:"what,omitempty"`
	// Position is the first that differs.
	Position   int64       `json:"position"`
	Difference *Difference `json:"difference,omitempty"` // if both have an item there; A is what was expected
	Before     []Passed    `json:"before,omitempty"`     // the items just before it, which are the same
}

// Same tells whether nothing differs.
func (p Parting) Same() bool { return p.What == "" }

// beforeParting is how many items before a difference are shown.
const beforeParting = 3

// Part finds where the transcripts of a vat in two databases part. Spans that
// both have are compared by their records, and items are read only from the first
// span on that differs. Old spans that only one of them still has are left out.
func Part(a, b Reader, vatID string) (Parting, error) {
	one, err := Spans(a, vatID)
	if err != nil {
		return Parting{}, err
	}
	other, err := Spans(b, vatID)
	if err != nil {
		return Parting{}, err
	}
	p := &parting{a: a, b: b, vatID: vatID}
	if len(one) > 0 && len(other) > 0 {
		one, other = since(one, other[0].StartPos), since(other, one[0].StartPos)
	}
	err = p.spans(one, other)
	return p.Parting, err
}

// since leaves out the spans that end before a position.
func since(spans []Span, position int64) []Span {
	return slices.DeleteFunc(spans, func(s Span) bool { return s.StartPos < position && s.EndPos <= position })
}

type parting struct {
	Parting
	a, b  Reader
	vatID string
}

func (p *parting) spans(one, other []Span) error {
	for len(one) > 0 && len(other) > 0 && one[0] == other[0] {
		p.SameSpans++
		p.Position = one[0].EndPos
		one, other = one[1:], other[1:]
	}
	switch {
	case len(one) == 0 && len(other) == 0:
		return nil
	case len(one) == 0:
		p.longer("B", p.Position, other[len(other)-1].EndPos)
		return nil
	case len(other) == 0:
		p.longer("A", p.Position, one[len(one)-1].EndPos)
		return nil
	case one[0].StartPos != other[0].StartPos:
		p.Position = min(one[0].StartPos, other[0].StartPos)
		p.What = fmt.Sprintf("a span of A starts at position %d where one of B starts at %d", one[0].StartPos, other[0].StartPos)
		return nil
	}
	endA, endB := one[len(one)-1].EndPos, other[len(other)-1].EndPos
	if err := p.items(one[0].StartPos, min(endA, endB)); err != nil || !p.Same() {
		return err
	}
	switch {
	case endA > endB:
		p.longer("A", endB, endA)
	case endB > endA:
		p.longer("B", endA, endB)
	default:
		p.records(one, other)
	}
	return nil
}

// longer tells of a transcript that goes on where the other has ended.
func (p *parting) longer(which string, from, until int64) {
	p.Position = from
	p.What = fmt.Sprintf("the same up to position %d, where %s goes on to %d", from, which, until)
}

// records tells of spans whose items are the same, and whose records are not.
func (p *parting) records(one, other []Span) {
	for i := range min(len(one), len(other)) {
		if one[i] != other[i] {
			p.Position = one[i].StartPos
			p.What = fmt.Sprintf("the same items, but the record of the span at position %d is %s in A and %s in B", p.Position, one[i].ExportRecord(), other[i].ExportRecord())
			return
		}
	}
	p.What = fmt.Sprintf("the same items, in %d spans of A and %d of B", len(one), len(other))
}

// itemsOfParting bounds how many items of each are in memory.
const itemsOfParting = 64

// items compares the items from ≤ position < until.
func (p *parting) items(from, until int64) error {
	for at := from; at < until; at += itemsOfParting {
		end := min(at+itemsOfParting, until)
		one, err := p.read(p.a, "A", at, end)
		if err != nil || !p.Same() {
			return err
		}
		other, err := p.read(p.b, "B", at, end)
		if err != nil || !p.Same() {
			return err
		}
		for i := range one {
			if p.item(at+int64(i), one[i], other[i]); !p.Same() {
				return nil
			}
		}
	}
	return nil
}

// read gives items, and tells of missing ones.
func (p *parting) read(r Reader, which string, at, end int64) ([]string, error) {
	items, err := Items(r, p.vatID, at, end)
	var missing *MissingItemsError
	if errors.As(err, &missing) {
		p.Position = at
		p.What = fmt.Sprintf("the records of spans differ from position %d on, and item %d of %s is not there any more", at, missing.Missing, which)
		return nil, nil
	}
	return items, err
}

func (p *parting) item(position int64, one, other string) {
	p.Difference = Compare(position, one, other)
	if p.Difference != nil {
		p.Position, p.What = position, p.Difference.What
		return
	}
	if entry, err := Decode(one); err == nil {
		p.Before = append(p.Before, Pass(position, entry))
		p.Before = p.Before[max(0, len(p.Before)-beforeParting):]
	}
}
