package supervisor

import (
	"encoding/json"
	"fmt"
	"runtime"
	"time"

	"vatworkerd/pipeproto"
	"vatworkerd/xsnap"
)

// rehearsal is one vat's restart in throw-away state.
type rehearsal struct {
	rec      *record
	bundle   []byte
	delivery json.RawMessage
}

// rehearse tries what restart-all would do to each vat: a new incarnation on
// the given worker image, up to the end of startVat, against a copy of its
// vatstore that is thrown away. Workers run in parallel; the store is read by
// this goroutine alone.
func (s *Supervisor) rehearse(req pipeproto.Rehearse) (pipeproto.RehearseReply, error) {
	reply := pipeproto.RehearseReply{Rehearsals: []pipeproto.Rehearsal{}}
	image, err := s.rehearsalImage(req)
	if err != nil {
		return reply, err
	}
	tries, err := s.rehearsals(req.VatIDs)
	if err != nil {
		return reply, err
	}
	reply.Rehearsals = make([]pipeproto.Rehearsal, len(tries))
	stage := &stage{reads: make(chan func()), done: make(chan struct{})}
	slots := make(chan struct{}, runtime.NumCPU())
	go func() {
		for i, try := range tries {
			slots <- struct{}{}
			go func() {
				reply.Rehearsals[i] = s.rehearseOne(stage, try, image)
				<-slots
				stage.done <- struct{}{}
			}()
		}
	}()
	for finished := 0; finished < len(tries); {
		select {
		case read := <-stage.reads:
			read()
		case <-stage.done:
			finished++
			_ = s.host.Event(pipeproto.EventTick, pipeproto.ProgressEvent{
				What: "rehearse", Done: int64(finished), Total: int64(len(tries)),
			})
		}
	}
	return reply, nil
}

func (s *Supervisor) rehearsalImage(req pipeproto.Rehearse) (xsnap.Image, error) {
	if req.EnginePath == "" && req.LockdownPath == "" && req.SupervisorPath == "" {
		return s.image, nil
	}
	image, err := xsnap.LoadImage(
		orElse(req.EnginePath, s.image.Engine.Path),
		orElse(req.LockdownPath, s.image.Lockdown.Path),
		orElse(req.SupervisorPath, s.image.Supervisor.Path))
	if err != nil {
		return image, badRequest("rehearse", err.Error())
	}
	return image, nil
}

// rehearsals prepares the vats: every one that is not terminated, or those
// named.
func (s *Supervisor) rehearsals(vatIDs []string) ([]rehearsal, error) {
	if len(vatIDs) == 0 {
		key, ok, err := s.db.NextKey(prefixVat, prefixVat)
		for ; ok && err == nil; key, ok, err = s.db.NextKey(key, prefixVat) {
			vatIDs = append(vatIDs, vatIDOfKey(key, prefixVat))
		}
		if err != nil {
			return nil, err
		}
	}
	var tries []rehearsal
	for _, vatID := range vatIDs {
		rec, err := s.recordOf(vatID)
		if err != nil {
			return nil, err
		}
		if rec.Terminated {
			continue
		}
		try, err := s.prepareRehearsal(rec)
		if err != nil {
			return nil, err
		}
		tries = append(tries, try)
	}
	return tries, nil
}

// prepareRehearsal asks the host for the startVat delivery in a crank that is
// always undone.
func (s *Supervisor) prepareRehearsal(rec *record) (rehearsal, error) {
	try := rehearsal{rec: rec}
	tx, err := s.db.BeginCrank()
	if err != nil {
		return try, err
	}
	c := &crank{s: s, tx: tx}
	var found error
	try.delivery, found = c.beginOnHost(rec, change{endReason: pipeproto.ReasonRestarted})
	if err := c.abort(); err != nil {
		return try, err
	}
	if found != nil {
		return try, found
	}
	try.bundle, err = s.bundleOf(rec)
	return try, err
}

func (s *Supervisor) rehearseOne(on *stage, try rehearsal, image xsnap.Image) pipeproto.Rehearsal {
	began := time.Now()
	result := pipeproto.Rehearsal{VatID: try.rec.ID, Name: try.rec.Name}
	err := s.tryStart(on, try, image)
	result.Duration = time.Since(began).Microseconds()
	result.OK = err == nil
	if err != nil {
		result.Problem = err.Error()
	}
	return result
}

func (s *Supervisor) tryStart(on *stage, try rehearsal, image xsnap.Image) error {
	w, err := s.launchWith(try.rec, image, try.bundle)
	if err != nil {
		return err
	}
	defer w.kill()
	state := &scratch{prefix: vatstorePrefix(try.rec.ID), changed: map[string]*string{}, read: func(f func()) { on.run(f) }, db: s.db}
	calls := &rehearsalHandler{scratch: state}
	result, err := w.process.Deliver(try.delivery, calls)
	switch {
	case err != nil:
		return err
	case calls.failed != nil:
		return calls.failed
	case result.Status != pipeproto.StatusOK:
		return fmt.Errorf("%s", orElse(result.Problem, "startVat failed"))
	}
	return nil
}

// stage lets rehearsing goroutines run reads on the one that owns the store.
type stage struct {
	reads chan func()
	done  chan struct{}
}

func (on *stage) run(f func()) {
	ran := make(chan struct{})
	on.reads <- func() { f(); close(ran) }
	<-ran
}

// rehearsalHandler answers a rehearsing vat: storage from the scratch copy,
// everything else acknowledged and forgotten.
type rehearsalHandler struct {
	scratch *scratch
	failed  error
}

func (h *rehearsalHandler) Syscall(vso json.RawMessage) (json.RawMessage, error) {
	name, args, ok := parseSyscall(vso)
	if !ok {
		return refusal(), nil
	}
	if !isVatstore(name) {
		return json.RawMessage(okNull), nil
	}
	reply, ok := answerVatstore(h.scratch, name, args)
	if !ok {
		return refusal(), nil
	}
	h.failed = h.scratch.failed
	return reply, h.failed
}

func (*rehearsalHandler) Console(string, string, []json.RawMessage) {}
func (*rehearsalHandler) TestLog([]json.RawMessage)                 {}
