package supervisor

import (
	"encoding/json"
	"fmt"

	"vatworkerd/pipeproto"
	"vatworkerd/transcripts"
	"vatworkerd/xsnap"
)

// syscalls answers the syscalls of one delivery. Storage is answered from the
// crank; what the host has to act on is acknowledged at once and collected;
// only callNow asks the host while the worker waits.
type syscalls struct {
	c       *crank
	rec     *record
	slogged *slogged
	log     []transcripts.Syscall
	batch   batch
	traffic traffic
	testLog []string
	illegal string
	failed  error // the supervisor's own trouble: the crank must not commit
}

// Syscall implements xsnap.Handler.
func (h *syscalls) Syscall(vso json.RawMessage) (json.RawMessage, error) {
	normal, err := transcripts.JSRestringify(vso)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", xsnap.ErrNoSyscall, err)
	}
	if !h.traffic.admit(normal) {
		h.illegal = overTraffic
		return resultOf("error", transcripts.JSString(overTraffic)), nil
	}
	answered := h.slogged.syscall(normal)
	reply := h.answer(normal)
	if h.failed != nil {
		return nil, h.failed
	}
	answered(reply)
	h.traffic.answered(reply)
	h.log = append(h.log, transcripts.Syscall{Request: normal, Response: reply})
	return reply, nil
}

func (h *syscalls) answer(vso json.RawMessage) json.RawMessage {
	name, args, ok := parseSyscall(vso)
	switch {
	case !ok:
		return h.refuse()
	case isVatstore(name):
		return h.vatstore(name, args)
	case name == "callNow":
		return h.callNow(args)
	}
	if !isForHost(name) {
		return h.refuse()
	}
	if !h.batch.add(vso) {
		h.illegal = overBatch
		return resultOf("error", transcripts.JSString(overBatch))
	}
	return json.RawMessage(okNull)
}

func (h *syscalls) refuse() json.RawMessage {
	h.illegal = illegalSyscall
	return refusal()
}

func (h *syscalls) vatstore(name string, args []json.RawMessage) json.RawMessage {
	reply, ok := answerVatstore(vatstoreOf(&h.c.tx.Draft, h.rec.ID), name, args)
	h.failed = h.c.tx.Err()
	if !ok {
		return h.refuse()
	}
	return reply
}

// callNow is the one syscall whose answer only the host has.
func (h *syscalls) callNow(args []json.RawMessage) json.RawMessage {
	if len(args) != 3 {
		return h.refuse()
	}
	words, ok := stringsOf(args[:2])
	if !ok {
		return h.refuse()
	}
	req := pipeproto.CallNow{VatID: h.rec.ID, Target: words[0], Method: words[1], Args: args[2], Syscalls: h.batch.calls}
	h.batch.calls = nil
	var reply pipeproto.CallNowReply
	if err := h.c.ask(pipeproto.ReqCallNow, req, &reply); err != nil {
		h.failed = err
		return nil
	}
	if reply.Problem != "" {
		return resultOf("error", transcripts.JSString(reply.Problem))
	}
	return resultOf("ok", reply.Result)
}

// Console implements xsnap.Handler: what a vat prints goes out at once.
func (h *syscalls) Console(source, level string, args []json.RawMessage) {
	h.c.s.speech.console(h.rec, source, level, args)
}

// TestLog implements xsnap.Handler: the lines travel with the delivery, so that
// a delivery that is run again does not log twice.
func (h *syscalls) TestLog(args []json.RawMessage) {
	line := joinArgs(args, "")
	if !h.batch.admit(len(line)) {
		h.illegal = overBatch
		return
	}
	h.testLog = append(h.testLog, line)
}
