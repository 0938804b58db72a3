package transcripts

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Replayer compares what a worker does in one delivery with what the
// transcript says it did. It belongs to one goroutine.
type Replayer struct {
	vatID    string
	position int64
	entry    Entry
	calls    []Comparison
	diverged bool
}

// CallStatus says how a syscall of a replay compares.
type CallStatus string

// The statuses of a replayed syscall.
const (
	CallOK      CallStatus = "ok"
	CallWrong   CallStatus = "WRONG"   // another syscall was made in its place
	CallExtra   CallStatus = "EXTRA"   // the transcript has none there
	CallMissing CallStatus = "MISSING" // none was made where the transcript has one
)

// Comparison is one line of a report.
type Comparison struct {
	Status        CallStatus
	Expected, Got json.RawMessage // nil where there is none
}

// AnachrophobiaError says that a replay did not repeat the transcript. The
// worker's heap is wrong and the worker must not be used.
type AnachrophobiaError struct {
	VatID                             string
	Position                          int64 // of the transcript item
	Kind                              string
	Calls                             []Comparison
	Finished                          bool // the delivery ended, so Got… are known
	ExpectedStatus, GotStatus         string
	ExpectedComputrons, GotComputrons *int64
}

// NewReplayer compares with the entry at the given position of a vat's transcript.
func NewReplayer(vatID string, position int64, e Entry) *Replayer {
	return &Replayer{vatID: vatID, position: position, entry: e}
}

// Syscall compares a syscall with the next one of the transcript and gives the
// recorded answer. A wrong or extra one is an *AnachrophobiaError.
func (r *Replayer) Syscall(request json.RawMessage) (response json.RawMessage, err error) {
	i := len(r.calls)
	got := append(json.RawMessage(nil), request...)
	if i >= len(r.entry.Syscalls) {
		return nil, r.diverge(Comparison{Status: CallExtra, Got: got})
	}
	expected := r.entry.Syscalls[i]
	if !sameJSON(expected.Request, request) {
		return nil, r.diverge(Comparison{Status: CallWrong, Expected: expected.Request, Got: got})
	}
	r.calls = append(r.calls, Comparison{Status: CallOK, Expected: expected.Request, Got: got})
	return expected.Response, nil
}

func (r *Replayer) diverge(c Comparison) error {
	r.calls = append(r.calls, c)
	r.diverged = true
	return r.report()
}

// Finish compares the outcome of the delivery: missing syscalls, the status,
// and the computrons if the transcript has them. Any difference, also an earlier
// one, is an *AnachrophobiaError.
func (r *Replayer) Finish(status string, computrons *int64) error {
	for i := len(r.calls); i < len(r.entry.Syscalls); i++ {
		r.calls = append(r.calls, Comparison{Status: CallMissing, Expected: r.entry.Syscalls[i].Request})
		r.diverged = true
	}
	want := r.entry.Result
	if !r.diverged && status == want.Status && sameComputrons(want.Computrons, computrons) {
		return nil
	}
	e := r.report()
	e.Finished, e.GotStatus, e.GotComputrons = true, status, computrons
	return e
}

func (r *Replayer) report() *AnachrophobiaError {
	return &AnachrophobiaError{
		VatID: r.vatID, Position: r.position, Kind: r.entry.Kind(),
		Calls:          append([]Comparison(nil), r.calls...),
		ExpectedStatus: r.entry.Result.Status, ExpectedComputrons: r.entry.Result.Computrons,
	}
}

// sameComputrons compares only if the transcript has a figure.
func sameComputrons(want, got *int64) bool { return want == nil || got != nil && *want == *got }

func (e *AnachrophobiaError) Error() string {
	return fmt.Sprintf("anachrophobia: the replay of vat %s diverged at transcript position %d: %s; check that engine and worker bundles are those of the incarnation, then see the report of `vatworkerd replay %s`",
		e.VatID, e.Position, e.First(), e.VatID)
}

// First names the first difference, e.g. "wrong syscall sc3".
func (e *AnachrophobiaError) First() string {
	for i, c := range e.Calls {
		switch c.Status {
		case CallWrong:
			return fmt.Sprintf("wrong syscall sc%d", i)
		case CallExtra:
			return fmt.Sprintf("extra syscall sc%d", i)
		case CallMissing:
			return fmt.Sprintf("%d syscall(s) missing from sc%d on", len(e.Calls)-i, i)
		}
	}
	if e.GotStatus != e.ExpectedStatus {
		return fmt.Sprintf("status %q instead of %q", e.GotStatus, e.ExpectedStatus)
	}
	return fmt.Sprintf("%s computrons instead of %s", number(e.GotComputrons), number(e.ExpectedComputrons))
}

// Report lists every syscall and the outcome, expected and got side by side.
func (e *AnachrophobiaError) Report() string {
	var b strings.Builder
	fmt.Fprintf(&b, "vat %s, transcript position %d, %s\n", e.VatID, e.Position, e.Kind)
	for i, c := range e.Calls {
		switch c.Status {
		case CallWrong:
			fmt.Fprintf(&b, "sc%d: WRONG\n  expected: %s\n  got     : %s\n", i, shown(c.Expected), shown(c.Got))
		case CallMissing:
			fmt.Fprintf(&b, "sc%d: MISSING: %s\n", i, shown(c.Expected))
		default:
			fmt.Fprintf(&b, "sc%d: %s: %s\n", i, c.Status, shown(c.Got))
		}
	}
	if !e.Finished {
		return b.String()
	}
	outcome(&b, "status", e.ExpectedStatus, e.GotStatus, e.ExpectedStatus == e.GotStatus)
	outcome(&b, "computrons", number(e.ExpectedComputrons), number(e.GotComputrons),
		sameComputrons(e.ExpectedComputrons, e.GotComputrons))
	return b.String()
}

func outcome(b *strings.Builder, what, expected, got string, same bool) {
	if same {
		fmt.Fprintf(b, "%s: ok: %s\n", what, got)
		return
	}
	fmt.Fprintf(b, "%s: WRONG\n  expected: %s\n  got     : %s\n", what, expected, got)
}

// shown gives a syscall with sorted keys, so that equal ones look equal.
func shown(raw json.RawMessage) string {
	if text, err := sortedJSON(raw); err == nil {
		return string(text)
	}
	return fmt.Sprintf("%q", raw)
}

func number(n *int64) string {
	if n == nil {
		return "not metered"
	}
	return fmt.Sprint(*n)
}
