package supervisor

import (
	"encoding/json"
	"fmt"
	"io"

	"vatworkerd/transcripts"
	"vatworkerd/xsnap"
)

// meterLimit is the computrons one delivery to a metered vat may use; the
// JavaScript system's DEFAULT_CRANK_METERING_LIMIT.
const meterLimit = 100_000_000

// limitOf is the meter limit of a vat's worker; 0 is none.
func limitOf(rec *record) int64 {
	if rec.Options.Unmetered {
		return 0
	}
	return meterLimit
}

// setup is what setBundle tells a worker.
type setup struct {
	bundle           []byte
	liveSlotsOptions json.RawMessage
}

func (s *Supervisor) liveSlotsOptions(rec *record) json.RawMessage {
	return s.config.liveSlotsOptions(rec)
}

// liveSlotsOptions are the options setBundle passes on, in the order the
// JavaScript kernel writes them.
func (c config) liveSlotsOptions(rec *record) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"enableDisavow":%t,"relaxDurabilityRules":%t}`,
		rec.Options.EnableDisavow, c.RelaxDurabilityRules))
}

// bundleOf reads a vat's bundle.
func (k *kit) bundleOf(rec *record) ([]byte, error) {
	bundle, ok, err := k.db.Bundle(rec.BundleID)
	if err == nil && !ok {
		err = fmt.Errorf("cannot find bundle %s of %s: add it first", rec.BundleID, rec.ID)
	}
	return bundle, err
}

// berth is what a worker is started in.
type berth struct {
	seat  *seat  // its place in the census, which stays the caller's until there is a worker
	spare *spare // one that runs already, with a seat of its own; nil: a process is started
	cpu   int    // the one CPU it runs on at first; -1 = any
	leash *leash // nil: nobody ends it before it is ready
}

// launchWith gives a worker at the begin of an incarnation: from the base
// snapshot of the image, then setBundle.
func (k *kit) launchWith(rec *record, image xsnap.Image, with setup, at berth) (*worker, error) {
	w, err := k.blank(rec, image, at)
	if err != nil {
		return nil, err
	}
	if _, err := w.process.SetBundle(rec.ID, with.bundle, with.liveSlotsOptions, setupHandler{}); err != nil {
		k.reaper.end(w)
		return nil, err
	}
	return w, nil
}

// blank gives a worker that has no bundle yet.
func (k *kit) blank(rec *record, image xsnap.Image, at berth) (*worker, error) {
	k.slog.introduce(rec)
	o := k.startOptions(rec, at)
	if sp := at.spare; sp != nil {
		sp.assign(o)
		k.slog.assigned(rec, sp.process.PID())
		return k.workerOf(rec, sp.process, sp.seat), nil
	}
	started, err := k.starter.fresh(image, o)
	if err != nil {
		return nil, err
	}
	return k.workerOf(rec, started, at.seat), nil
}

// launchFrom starts a worker from a heap snapshot's uncompressed bytes.
func (k *kit) launchFrom(rec *record, image xsnap.Image, heap io.Reader, at berth) (*worker, error) {
	o := k.startOptions(rec, at)
	started, ok, err := k.hulls.load(rec, image, &heap, o)
	if !ok {
		started, err = k.starter.fromHeap(image, o, heap)
	}
	if err != nil {
		return nil, err
	}
	return k.workerOf(rec, started, at.seat), nil
}

// workerOf makes a process a vat's, in a recording too if there is one of the vat.
func (k *kit) workerOf(rec *record, p process, at *seat) *worker {
	p.Tape().RecordTo(k.recorders.of(rec.ID))
	return &worker{vatID: rec.ID, name: rec.Name, process: p, seat: at}
}

func (k *kit) startOptions(rec *record, at berth) xsnap.StartOptions {
	o := xsnap.StartOptions{
		Name: rec.ID + ":" + rec.Name, MeterLimit: limitOf(rec), Sink: k.speech.sink(rec),
		Limits: k.limits, Sandbox: k.sandbox, HugePages: k.hugePages, CPU: at.cpu,
	}
	if at.leash != nil {
		o.Started = at.leash.hold
	}
	return o
}

// setupHandler serves a worker that has no reason to call up: during setBundle
// a vat runs no code of its own.
type setupHandler struct{}

func (setupHandler) Syscall(json.RawMessage) (json.RawMessage, error) {
	return nil, fmt.Errorf("%w: none can come during setBundle", xsnap.ErrNoSyscall)
}
func (setupHandler) Console(string, string, []json.RawMessage) {}
func (setupHandler) TestLog([]json.RawMessage)                 {}

// replayHandler answers syscalls from the transcript.
type replayHandler struct {
	replayer *transcripts.Replayer
	rec      *record
	speech   *speech
	slogged  *slogged
}

// Syscall tells a syscall that differs from bytes that are none: the first is
// a divergence, the other only says that this worker is broken.
func (h replayHandler) Syscall(vso json.RawMessage) (json.RawMessage, error) {
	answered := h.slogged.syscall(vso)
	reply, err := h.replayer.Syscall(vso)
	if err == nil {
		answered(reply)
		return reply, nil
	}
	if _, unreadable := transcripts.JSRestringify(vso); unreadable != nil {
		return nil, fmt.Errorf("%w: %w", xsnap.ErrNoSyscall, unreadable)
	}
	return nil, err
}
func (h replayHandler) Console(source, level string, args []json.RawMessage) {
	h.speech.console(h.rec, source, level, args)
}
func (replayHandler) TestLog([]json.RawMessage) {}
