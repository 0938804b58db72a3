package transcripts

import (
	"fmt"
	"unicode/utf8"
)

// Difference is the first place where what was expected of a transcript item and
// what came instead part.
type Difference struct {
	Position int64  `json:"position"` // of the item
	Kind     string `json:"kind"`     // of its delivery
	Delivery string `json:"delivery"` // JSON
	Place    string `json:"place"`    // in the item, for people: "syscall sc3", "computrons"
	What     string `json:"what"`     // is different, in one line
	// Expected and Got are what stands there, JSON with sorted keys where it is
	// JSON; empty where there is nothing.
	Expected string `json:"expected"`
	Got      string `json:"got"`
	// At is the first character in which they differ, from 0.
	At int `json:"at"`
	// Syscalls are those of the item up to there, and the next ones expected.
	Syscalls []Traced `json:"syscalls"`
}

// Traced is a syscall of an item that differs.
type Traced struct {
	Index  int        `json:"index"`
	Status CallStatus `json:"status"`
	Call   string     `json:"call"` // JSON; of a wrong one, what was expected
}

// CallNext is the status of a syscall that was to come after the difference.
const CallNext CallStatus = "next"

// nextCalls is how many syscalls after a difference are shown.
const nextCalls = 2

// Passed is an item that agreed.
type Passed struct {
	Position   int64  `json:"position"`
	Kind       string `json:"kind"`
	Delivery   string `json:"delivery"` // JSON
	Syscalls   int    `json:"syscalls"`
	Status     string `json:"status"`
	Computrons *int64 `json:"computrons,omitempty"` // nil if it was not metered
}

// Pass makes a Passed of the entry at a position.
func Pass(position int64, e Entry) Passed {
	return Passed{
		Position: position, Kind: e.Kind(), Delivery: shown(e.Delivery), Syscalls: len(e.Syscalls),
		Status: e.Result.Status, Computrons: e.Result.Computrons,
	}
}

// Difference tells of the error with the entry that was replayed.
func (e *AnachrophobiaError) Difference(entry Entry) Difference {
	d := Difference{Position: e.Position, Kind: e.Kind, Delivery: shown(entry.Delivery), What: e.First(), Syscalls: []Traced{}}
	for i, c := range e.Calls {
		if c.Status == CallOK {
			d.Syscalls = append(d.Syscalls, Traced{i, CallOK, shown(c.Got)})
			continue
		}
		d.Syscalls = append(d.Syscalls, Traced{i, c.Status, shownIf(orElse(c.Expected, c.Got))})
		d.expect(entry.Syscalls, i+1)
		return d.at(fmt.Sprintf("syscall sc%d", i), shownIf(c.Expected), shownIf(c.Got))
	}
	if e.GotStatus != e.ExpectedStatus {
		return d.at("status", e.ExpectedStatus, e.GotStatus)
	}
	return d.at("computrons", number(e.ExpectedComputrons), number(e.GotComputrons))
}

// HeapDifference tells of a heap snapshot with another hash than the
// save-snapshot at a position has.
func HeapDifference(position int64, want, got string) Difference {
	d := Difference{Position: position, Kind: KindSaveSnapshot, Delivery: `["` + KindSaveSnapshot + `"]`, What: "the heap snapshot has another hash", Syscalls: []Traced{}}
	return d.at("heap snapshot", want, got)
}

// Compare gives the first difference between two tellings of the same item, or
// nil. Texts that differ only in the order of keys differ in their spelling.
func Compare(position int64, a, b string) *Difference {
	if a == b {
		return nil
	}
	d := Difference{Position: position, Syscalls: []Traced{}}
	want, err := Decode(a)
	if err != nil {
		d.What = "the first is no transcript entry"
		d = d.at("item", a, b)
		return &d
	}
	d.Kind, d.Delivery = want.Kind(), shown(want.Delivery)
	got, err := Decode(b)
	if err != nil {
		d.What = "the second is no transcript entry"
		d = d.at("item", a, b)
		return &d
	}
	d = d.entries(want, got, a, b)
	return &d
}

// entries finds the difference of two entries, whose texts are a and b.
func (d Difference) entries(want, got Entry, a, b string) Difference {
	if !sameJSON(want.Delivery, got.Delivery) {
		d.What = "another delivery"
		return d.at("delivery", shown(want.Delivery), shown(got.Delivery))
	}
	for i, call := range want.Syscalls {
		if i >= len(got.Syscalls) {
			d.What = fmt.Sprintf("%d syscall(s) missing from sc%d on", len(want.Syscalls)-i, i)
			d.Syscalls = append(d.Syscalls, Traced{i, CallMissing, shown(call.Request)})
			d.expect(want.Syscalls, i+1)
			return d.at(fmt.Sprintf("syscall sc%d", i), shown(call.Request), "")
		}
		other := got.Syscalls[i]
		if !sameJSON(call.Request, other.Request) {
			d.What = fmt.Sprintf("another syscall sc%d", i)
			d.Syscalls = append(d.Syscalls, Traced{i, CallWrong, shown(call.Request)})
			d.expect(want.Syscalls, i+1)
			return d.at(fmt.Sprintf("syscall sc%d", i), shown(call.Request), shown(other.Request))
		}
		d.Syscalls = append(d.Syscalls, Traced{i, CallOK, shown(call.Request)})
		if !sameJSON(call.Response, other.Response) {
			d.What = fmt.Sprintf("another answer to syscall sc%d", i)
			return d.at(fmt.Sprintf("answer to sc%d", i), shown(call.Response), shown(other.Response))
		}
	}
	if i := len(want.Syscalls); i < len(got.Syscalls) {
		d.What = fmt.Sprintf("%d extra syscall(s) from sc%d on", len(got.Syscalls)-i, i)
		d.Syscalls = append(d.Syscalls, Traced{i, CallExtra, shown(got.Syscalls[i].Request)})
		return d.at(fmt.Sprintf("syscall sc%d", i), "", shown(got.Syscalls[i].Request))
	}
	return d.results(want.Result, got.Result, a, b)
}

func (d Difference) results(want, got Result, a, b string) Difference {
	switch {
	case want.Status != got.Status:
		d.What = fmt.Sprintf("status %q instead of %q", got.Status, want.Status)
		return d.at("status", want.Status, got.Status)
	case number(want.Computrons) != number(got.Computrons):
		d.What = fmt.Sprintf("%s computrons instead of %s", number(got.Computrons), number(want.Computrons))
		return d.at("computrons", number(want.Computrons), number(got.Computrons))
	case want.SnapshotID != got.SnapshotID:
		d.What = "the heap snapshot has another hash"
		return d.at("heap snapshot", want.SnapshotID, got.SnapshotID)
	}
	d.What = "the same, spelled in another way"
	return d.at("spelling", a, b)
}

// expect adds the syscalls that were to come from index i on.
func (d *Difference) expect(calls []Syscall, i int) {
	for end := min(i+nextCalls, len(calls)); i < end; i++ {
		d.Syscalls = append(d.Syscalls, Traced{i, CallNext, shown(calls[i].Request)})
	}
}

func (d Difference) at(place, expected, got string) Difference {
	d.Place, d.Expected, d.Got, d.At = place, expected, got, FirstDifferent(expected, got)
	return d
}

// FirstDifferent counts the characters that two texts begin with alike.
func FirstDifferent(a, b string) (n int) {
	for a != "" && b != "" {
		one, size := utf8.DecodeRuneInString(a)
		if other, otherSize := utf8.DecodeRuneInString(b); one != other || size != otherSize || a[:size] != b[:size] {
			break
		}
		a, b, n = a[size:], b[size:], n+1
	}
	return n
}

func orElse(a, b []byte) []byte {
	if a != nil {
		return a
	}
	return b
}

// shownIf is shown, or empty for nothing.
func shownIf(raw []byte) string {
	if raw == nil {
		return ""
	}
	return shown(raw)
}
