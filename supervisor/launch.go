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

// liveSlotsOptions are the options setBundle passes on, in the order the
// JavaScript kernel writes them.
func (s *Supervisor) liveSlotsOptions(rec *record) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"enableDisavow":%t,"relaxDurabilityRules":%t}`,
		rec.Options.EnableDisavow, s.config.RelaxDurabilityRules))
}

// launchFresh starts a worker for a new incarnation: base snapshot of the
// image, then setBundle.
func (s *Supervisor) launchFresh(rec *record, image xsnap.Image) (*worker, error) {
	bundle, err := s.bundleOf(rec)
	if err != nil {
		return nil, err
	}
	return s.launchWith(rec, image, bundle)
}

func (s *Supervisor) bundleOf(rec *record) ([]byte, error) {
	bundle, ok, err := s.db.Bundle(rec.BundleID)
	if err == nil && !ok {
		err = fmt.Errorf("cannot find bundle %s of %s: add it first", rec.BundleID, rec.ID)
	}
	return bundle, err
}

// launchWith is launchFresh with the bundle at hand; it does not touch the
// store and may run beside the supervisor's goroutine.
func (s *Supervisor) launchWith(rec *record, image xsnap.Image, bundle []byte) (*worker, error) {
	seat := s.census.take()
	started, err := s.starter.fresh(image, s.startOptions(rec))
	if err != nil {
		seat.leave()
		return nil, err
	}
	if _, err := started.SetBundle(rec.ID, bundle, s.liveSlotsOptions(rec), setupHandler{}); err != nil {
		started.Kill()
		_ = started.Close()
		seat.leave()
		return nil, err
	}
	return &worker{vatID: rec.ID, name: rec.Name, process: started, seat: seat}, nil
}

// launchFrom starts a worker from a heap snapshot's uncompressed bytes; like
// launchWith it may run beside the supervisor's goroutine.
func (s *Supervisor) launchFrom(rec *record, image xsnap.Image, heap io.Reader) (*worker, error) {
	seat := s.census.take()
	started, err := s.starter.fromHeap(image, s.startOptions(rec), heap)
	if err != nil {
		seat.leave()
		return nil, err
	}
	return &worker{vatID: rec.ID, name: rec.Name, process: started, seat: seat}, nil
}

func (s *Supervisor) startOptions(rec *record) xsnap.StartOptions {
	o := xsnap.StartOptions{
		Name: rec.ID + ":" + rec.Name, Sink: s.speech.sink(rec), Limits: s.limits, Sandbox: s.sandbox, HugePages: s.hugePages, CPU: -1,
	}
	if !rec.Options.Unmetered {
		o.MeterLimit = meterLimit
	}
	return o
}

// setupHandler serves a worker that has no reason to call up: during setBundle
// a vat runs no code of its own.
type setupHandler struct{}

func (setupHandler) Syscall(json.RawMessage) (json.RawMessage, error) {
	return nil, fmt.Errorf("cannot answer a syscall during setBundle")
}
func (setupHandler) Console(string, string, []json.RawMessage) {}
func (setupHandler) TestLog([]json.RawMessage)                 {}

// replayHandler answers syscalls from the transcript.
type replayHandler struct {
	replayer *transcripts.Replayer
	rec      *record
	speech   *speech
}

func (h replayHandler) Syscall(vso json.RawMessage) (json.RawMessage, error) {
	return h.replayer.Syscall(vso)
}
func (h replayHandler) Console(source, level string, args []json.RawMessage) {
	h.speech.console(h.rec, source, level, args)
}
func (replayHandler) TestLog([]json.RawMessage) {}
