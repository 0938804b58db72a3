package xsnap

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// Handler answers what a vat asks for while it runs. It is called by the
// goroutine that runs the command, and owns the slices it is given.
type Handler interface {
	// Syscall answers one VatSyscallObject with a VatSyscallResult, both JSON
	// and both passed on byte for byte. vso is not validated. An error ends the
	// command, which returns it wrapped, and the worker, which cannot go on
	// without an answer.
	Syscall(vso json.RawMessage) (vres json.RawMessage, err error)
	// Console takes a line of the vat's console; source is "vat", "ls" or "xsnap".
	Console(source, level string, args []json.RawMessage)
	// TestLog takes a line of vatPowers.testLog.
	TestLog(args []json.RawMessage)
}

// ErrNoSyscall is a Handler's error about a vso that no engine would send; the
// command then fails with a *ProtocolError.
var ErrNoSyscall = errors.New("it is no syscall")

// Delivery results (VatDeliveryResult of the JavaScript system).
const (
	StatusOK    = "ok"
	StatusError = "error"
)

// DeliveryResult tells how a delivery ended.
type DeliveryResult struct {
	Status  string // StatusOK or StatusError
	Problem string // of StatusError
	Meter   *Meter // nil if the worker is gone
	// WorkerGone: the vat met a limit (memory, stack, computrons) and took its
	// process with it. Such a result is in consensus like any other.
	WorkerGone bool
	ExitCode   int // of the process, if WorkerGone
}

// Pieces of the messages, and the answers to upcalls that have no result; all
// are only read. The answers become ArrayBuffers in the vat's heap, so their
// length matters.
var (
	msgSetBundle  = []byte(`["setBundle",`)
	msgDeliver    = []byte(`["deliver",`)
	msgComma      = []byte(`,`)
	msgEnd        = []byte(`]`)
	msgNoOptions  = []byte(`{}`)
	replyOK       = []byte(`["ok",null,null]`)
	answerConsole = []byte(`["ok"]`)
	answerTestLog = []byte(`["OK"]`)
	syscallPrefix = []byte(`["syscall",`)
)

const (
	tagSyscall       = "syscall"
	tagConsole       = "sourcedConsole"
	tagTestLog       = "testLog"
	tagDispatchReady = "dispatchReady"
)

// SetBundle gives the worker its vat. bundleJSON is sent as it is, and so is
// liveSlotsOptions (nil: none); both must be what JSON.stringify would print
// for the heap to equal the JavaScript system's. A refusal is a *VatSetupError;
// an end of the process is an *ExitError, also for a vat fault.
func (w *Worker) SetBundle(vatID string, bundleJSON []byte, liveSlotsOptions json.RawMessage, h Handler) (Meter, error) {
	const op = opSetBundle
	id, err := json.Marshal(vatID)
	if err != nil {
		return Meter{}, fmt.Errorf("cannot encode vat ID %q: %w", vatID, err)
	}
	if len(liveSlotsOptions) == 0 {
		liveSlotsOptions = msgNoOptions
	}
	reply, meter, err := w.command(op, h, cmdHandle, msgSetBundle, id, msgComma, bytes.TrimSpace(bundleJSON), msgComma, liveSlotsOptions, msgEnd)
	if err != nil {
		return Meter{}, err
	}
	parts, tag, err := w.parseReply(op, reply, meter)
	if err != nil {
		return Meter{}, err
	}
	if tag != tagDispatchReady {
		return Meter{}, &VatSetupError{VatID: vatID, Name: text(parts, 1), Message: text(parts, 2)}
	}
	return *meter, nil
}

// Deliver runs one delivery (a VatDeliveryObject, sent as it is) to its end. A
// vat that fails is a result, not an error; see DeliveryResult. After an error
// the Worker is to be closed: its heap is not what a transcript says.
func (w *Worker) Deliver(delivery json.RawMessage, h Handler) (DeliveryResult, error) {
	const op = opDeliver
	reply, meter, err := w.command(op, h, cmdHandle, msgDeliver, delivery, msgEnd)
	if exit, ok := err.(*ExitError); ok && exit.VatFault() {
		return DeliveryResult{Status: StatusError, Problem: exit.VatFaultText(), WorkerGone: true, ExitCode: exit.Code}, nil
	}
	if err != nil {
		return DeliveryResult{}, err
	}
	if meter != nil && bytes.Equal(reply, replyOK) {
		return DeliveryResult{Status: StatusOK, Meter: meter}, nil
	}
	parts, tag, err := w.parseReply(op, reply, meter)
	if err != nil {
		return DeliveryResult{}, err
	}
	switch tag {
	case StatusOK:
		return DeliveryResult{Status: StatusOK, Meter: meter}, nil
	case StatusError:
		return DeliveryResult{Status: StatusError, Problem: text(parts, 1), Meter: meter}, nil
	case "err":
		return DeliveryResult{}, w.badReply(op, "its supervisor failed with "+text(parts, 1), []byte(text(parts, 2)), nil)
	}
	return DeliveryResult{}, w.badReply(op, "unexpected result", reply, nil)
}

// parseReply takes apart the tagged array that answers setBundle and deliver.
func (w *Worker) parseReply(op op, reply []byte, meter *Meter) (parts []json.RawMessage, tag string, err error) {
	if len(reply) == 0 {
		return nil, "", w.badReply(op, "no result: the vat became idle before the promise of its dispatch settled", nil, nil)
	}
	if meter == nil {
		return nil, "", w.badReply(op, "the reply has no meter record", reply, nil)
	}
	parts, tag, err = parseTagged(reply)
	if err != nil {
		return nil, "", w.badReply(op, "the reply is no tagged array", reply, err)
	}
	return parts, tag, nil
}

// badReply is for a well-formed answer with a wrong content.
func (w *Worker) badReply(op op, reason string, reply []byte, cause error) error {
	return &ProtocolError{Name: w.Name(), Op: op.String(), Reason: reason, Detail: preview(reply), Err: cause}
}

// upcall answers one upcall of the worker.
func (w *Worker) upcall(op op, h Handler, body []byte) error {
	if h == nil {
		return w.protocolBroken(op, "an upcall where none can come", body, nil)
	}
	if vso, ok := cutSyscall(body); ok {
		return w.answerSyscall(op, h, vso)
	}
	// Handlers keep what they get; body is overwritten by the next message.
	parts, tag, err := parseTagged(bytes.Clone(body))
	if err != nil {
		return w.protocolBroken(op, "the upcall is no tagged array", body, err)
	}
	switch {
	case tag == tagSyscall && len(parts) == 2:
		return w.answerSyscall(op, h, parts[1])
	case tag == tagConsole && len(parts) >= 3:
		w.pulse.wait()
		h.Console(text(parts, 1), text(parts, 2), parts[3:])
		w.pulse.done()
		return w.answer(op, answerConsole)
	case tag == tagTestLog:
		w.pulse.wait()
		h.TestLog(parts[1:])
		w.pulse.done()
		return w.answer(op, answerTestLog)
	}
	return w.protocolBroken(op, "unrecognized upcall", body, nil)
}

func (w *Worker) answerSyscall(op op, h Handler, vso []byte) error {
	w.pulse.wait()
	vres, err := h.Syscall(bytes.Clone(vso))
	w.pulse.done()
	if errors.Is(err, ErrNoSyscall) {
		return w.protocolBroken(op, "a syscall that cannot be read", vso, err)
	}
	if err != nil {
		return w.fail(fmt.Errorf("cannot answer a syscall of worker %s: %w", w.Name(), err))
	}
	return w.answer(op, vres)
}

func (w *Worker) answer(op op, parts ...[]byte) error {
	if err := w.wire.answer(parts...); err != nil {
		return w.ioFailed(op, err)
	}
	return nil
}

// cutSyscall finds the vso in `["syscall",vso]` as the worker's JSON.stringify
// prints it, without decoding it.
func cutSyscall(body []byte) (vso []byte, ok bool) {
	rest, ok := bytes.CutPrefix(body, syscallPrefix)
	if !ok || len(rest) < 3 || rest[0] != '[' || rest[len(rest)-1] != ']' || rest[len(rest)-2] != ']' {
		return nil, false
	}
	return rest[:len(rest)-1], true
}

func parseTagged(b []byte) (parts []json.RawMessage, tag string, err error) {
	if err := json.Unmarshal(b, &parts); err != nil {
		return nil, "", err
	}
	if len(parts) == 0 {
		return nil, "", fmt.Errorf("the array is empty")
	}
	if err := json.Unmarshal(parts[0], &tag); err != nil {
		return nil, "", fmt.Errorf("the tag is no string: %w", err)
	}
	return parts, tag, nil
}

// text is the string at parts[i]; other JSON is given as it stands.
func text(parts []json.RawMessage, i int) string {
	if i >= len(parts) {
		return ""
	}
	var s string
	if json.Unmarshal(parts[i], &s) != nil {
		return string(parts[i])
	}
	return s
}
