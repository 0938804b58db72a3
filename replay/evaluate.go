package replay

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"

	"vatworkerd/transcripts"
)

//go:embed evaluate.js
var evaluateSource string

// ValueKind says what came of an evaluation.
type ValueKind string

// The kinds of values.
const (
	KindValue   ValueKind = "value"
	KindError   ValueKind = "error"   // it threw, or its promise was rejected
	KindPending ValueKind = "pending" // its promise is not settled, and nothing is left to do
)

// Value is what came of an evaluation.
type Value struct {
	Kind ValueKind `json:"kind"`
	Text string    `json:"text"` // the value or the error as the worker shows it
}

// Evaluate runs JavaScript in the worker's start compartment: a script, whose
// last value is shown; of a promise, what it settles to. It counts to the vat's
// meter limit as a delivery does, and changes the worker, so that what is
// replayed after it may differ. Console takes what it prints. Errors: ctx's, and
// those of xsnap, after which the worker is gone.
func (r *Session) Evaluate(code string) (Value, error) {
	defer r.killOnCancel()()
	quoted, err := json.Marshal(code)
	if err != nil {
		return Value{}, fmt.Errorf("cannot encode what is to be evaluated: %w", err)
	}
	source := strings.Replace(evaluateSource, "(SOURCE)", "("+string(quoted)+")", 1)
	result, err := r.worker.Ask([]byte(source), visitor{r})
	if err != nil {
		return Value{}, r.orCancelled(err)
	}
	r.visited()
	if len(result) == 0 {
		return Value{Kind: KindPending}, nil
	}
	var shown [2]string
	if err := json.Unmarshal(result, &shown); err != nil {
		return Value{}, fmt.Errorf("cannot read what came of an evaluation: %w", err)
	}
	return Value{Kind: ValueKind(shown[0]), Text: shown[1]}, nil
}

// visited notes that the worker is no longer what the transcript made it.
func (r *Session) visited() {
	if !r.isVisited {
		r.note("something was evaluated in the worker before position %d: what differs from there on may come of that", r.next)
	}
	r.isVisited = true
}

// visitor serves a worker in which somebody evaluates: the vat has no business
// with the kernel meanwhile.
type visitor struct{ session *Session }

func (visitor) Syscall(json.RawMessage) (json.RawMessage, error) {
	return json.RawMessage(`["error","there is no kernel here: this is the console of a replay"]`), nil
}

func (v visitor) Console(source, level string, args []json.RawMessage) {
	if say := v.session.opts.Console; say != nil {
		say(v.session.next, source, level, args)
	}
}

func (v visitor) TestLog(args []json.RawMessage) { v.Console("vat", "testLog", args) }

// Next describes the next item to run; ok is false at the end of the incarnation.
func (r *Session) Next() (item transcripts.Passed, ok bool, err error) {
	if r.next >= r.End() {
		return item, false, nil
	}
	entry, err := r.entry(r.next + 1)
	if err != nil {
		return item, false, r.src.settle(err)
	}
	return transcripts.Pass(r.next, entry), true, nil
}
