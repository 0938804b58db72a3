package supervisor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync/atomic"

	"vatworkerd/store"
	"vatworkerd/transcripts"
	"vatworkerd/xsnap"
)

// What a vat does in a delivery depends on its heap, on the delivery and on the
// answers to its syscalls, and on nothing else. So the delivery of an item that
// waits can run before its crank, on another CPU, while vats before it run: the
// host tells what it would come to by now, and storage is answered from a draft.
// Its crank then asks for everything again, and takes what has run if every byte
// is the same. If one is not, the worker has run ahead of its vat and goes; the vat
// is paged in, as after a crank that was undone. Cranks stay one after the other.

// earlyRun is a delivery that runs, or has run, before its crank.
type earlyRun struct {
	delivery json.RawMessage
	begun    atomic.Bool // by whoever drives the worker
	said     []*said     // by the worker, in order; the driver's until it asks or is done
	bytes    int         // of said
	asks     chan *said  // what waits for the crank, and the worker with it
	done     chan struct{}
	result   xsnap.DeliveryResult // this and what follows: once done
	err      error
}

// said is what a worker said during a delivery.
type said struct {
	syscall json.RawMessage
	answer  json.RawMessage     // what it was told
	tell    func(xsnap.Handler) // nil for a syscall; says it to the crank's handler
	crank   chan answered       // has the answer to what was asked
}

// answered is a handler's answer.
type answered struct {
	reply json.RawMessage
	err   error
}

// strayedError reports an early run that was told something else than its crank
// says. The worker knows it now, and must go.
type strayedError struct{ vatID, syscall string }

func (e *strayedError) Error() string {
	return fmt.Sprintf("%s ran a delivery before its turn, and the answer to its syscall %.80s has changed since", e.vatID, e.syscall)
}

// Bounds of what an early run says before its crank must listen.
const (
	maxEarlySaid  = 4096
	maxEarlyBytes = 1 << 20
)

// run drives the worker, unless its crank has come first and does so itself.
func (r *earlyRun) run(w *worker, draft *store.Draft, cpu int) {
	if !r.begun.CompareAndSwap(false, true) {
		return
	}
	w.pinTo(cpu)
	h := &earlyHandler{run: r, store: vatstoreOf(draft, w.vatID), exited: w.process.Exited()}
	r.result, r.err = w.process.Deliver(r.delivery, h)
	close(r.done)
}

// stop returns when nobody drives the worker any more, which has been killed.
func (r *earlyRun) stop() {
	if r != nil && !r.begun.CompareAndSwap(false, true) {
		<-r.done
	}
}

// deliver runs a delivery on the vat's worker, with this thread on a CPU, or takes
// the early run of the same delivery. Errors: *strayedError, and those of
// xsnap.Worker.Deliver.
func (w *worker) deliver(delivery json.RawMessage, h xsnap.Handler, cpu int) (result xsnap.DeliveryResult, early bool, err error) {
	run := w.early
	w.early = nil
	if run == nil || run.begun.CompareAndSwap(false, true) {
		w.pinTo(cpu)
		result, err = w.process.Deliver(delivery, h)
		return result, false, err
	}
	result, err = run.take(h, w)
	return result, true, err
}

// take lets the crank's handler hear what was said, and all that is said from now
// on. A worker that must go is killed: it may be far from its end.
func (r *earlyRun) take(h xsnap.Handler, w *worker) (xsnap.DeliveryResult, error) {
	for {
		select {
		case one := <-r.asks:
			if err := r.heardBy(h, w.vatID); err != nil {
				w.process.Kill()
				one.crank <- answered{err: err}
				<-r.done
				return xsnap.DeliveryResult{}, err
			}
			one.crank <- one.saidTo(h)
		case <-r.done:
			if err := r.heardBy(h, w.vatID); err != nil {
				return xsnap.DeliveryResult{}, err
			}
			return r.result, r.err
		}
	}
}

// heardBy lets a handler hear what was said, and compares its answers.
func (r *earlyRun) heardBy(h xsnap.Handler, vatID string) error {
	for _, one := range r.said {
		got := one.saidTo(h)
		if got.err != nil {
			return got.err
		}
		if !bytes.Equal(got.reply, one.answer) {
			return &strayedError{vatID: vatID, syscall: string(one.syscall)}
		}
	}
	r.said, r.bytes = nil, 0
	return nil
}

func (s *said) saidTo(h xsnap.Handler) (a answered) {
	if s.tell != nil {
		s.tell(h)
		return answered{}
	}
	a.reply, a.err = h.Syscall(s.syscall)
	return a
}

// earlyHandler answers a worker that runs early.
type earlyHandler struct {
	run    *earlyRun
	store  vatstore
	exited <-chan struct{}
}

// Syscall implements xsnap.Handler.
func (h *earlyHandler) Syscall(vso json.RawMessage) (json.RawMessage, error) {
	one := &said{syscall: vso}
	answer, ok := h.answer(vso)
	if !ok {
		return h.ask(one)
	}
	one.answer = answer
	return h.keep(one, len(vso)+len(answer))
}

// answer gives what can be known before the crank.
func (h *earlyHandler) answer(vso json.RawMessage) (answer json.RawMessage, ok bool) {
	normal, err := transcripts.JSRestringify(vso)
	if err != nil {
		return nil, false
	}
	name, args, ok := parseSyscall(normal)
	if !ok || !isVatstore(name) {
		return json.RawMessage(okNull), ok && isForHost(name)
	}
	answer, ok = answerVatstore(h.store, name, args)
	return answer, ok && h.store.draft.Err() == nil
}

// keep notes what the crank shall hear.
func (h *earlyHandler) keep(one *said, bytes int) (json.RawMessage, error) {
	if len(h.run.said) >= maxEarlySaid || h.run.bytes+bytes > maxEarlyBytes {
		return h.ask(one)
	}
	h.run.said = append(h.run.said, one)
	h.run.bytes += bytes
	return one.answer, nil
}

// ask waits for the crank, which hears all that was said before.
func (h *earlyHandler) ask(one *said) (json.RawMessage, error) {
	one.crank = make(chan answered, 1)
	select {
	case h.run.asks <- one:
		a := <-one.crank
		return a.reply, a.err
	case <-h.exited:
		return one.answer, nil // which nobody reads
	}
}

// Console implements xsnap.Handler.
func (h *earlyHandler) Console(source, level string, args []json.RawMessage) {
	h.tell(args, func(to xsnap.Handler) { to.Console(source, level, args) })
}

// TestLog implements xsnap.Handler.
func (h *earlyHandler) TestLog(args []json.RawMessage) {
	h.tell(args, func(to xsnap.Handler) { to.TestLog(args) })
}

func (h *earlyHandler) tell(args []json.RawMessage, tell func(xsnap.Handler)) {
	bytes := 0
	for _, arg := range args {
		bytes += len(arg)
	}
	_, _ = h.keep(&said{tell: tell}, bytes) // there is no answer
}
