package supervisor

import (
	"encoding/json"
	"errors"
	"runtime"
	"time"

	"vatworkerd/pipeproto"
	"vatworkerd/transcripts"
	"vatworkerd/xsnap"
)

// rehearsal is one vat's restart in throw-away state.
type rehearsal struct {
	rec      *record
	setup    setup
	delivery json.RawMessage
}

// rehearse tries what restart-all would do to each vat: a new incarnation on
// the given worker image, up to the end of startVat, against a copy of its
// vatstore that is thrown away, and the host's judgement of it. Workers run in
// parallel; the host is asked by this goroutine alone.
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
	done := make(chan int)
	runs := make([]rehearsed, len(tries))
	slots := make(chan struct{}, runtime.NumCPU())
	go func() {
		for i, try := range tries {
			slots <- struct{}{}
			go func() {
				runs[i] = s.rehearseOne(try, image)
				<-slots
				done <- i
			}()
		}
	}()
	var failed error // of the host: the others are waited for all the same
	for finished := range tries {
		i := <-done
		if reply.Rehearsals[i], err = s.judgeRehearsal(tries[i], runs[i]); err != nil && failed == nil {
			failed = err
		}
		_ = s.host.Event(pipeproto.EventTick, pipeproto.ProgressEvent{
			What: "rehearse", Done: int64(finished + 1), Total: int64(len(tries)),
		})
		s.baton.lend()
	}
	return reply, failed
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
	try.setup.liveSlotsOptions = s.liveSlotsOptions(rec)
	try.setup.bundle, err = s.bundleOf(rec)
	return try, err
}

// rehearsed is a startVat that ran in throw-away state.
type rehearsed struct {
	run  ranDelivery
	err  error
	took time.Duration
}

func (s *Supervisor) rehearseOne(try rehearsal, image xsnap.Image) rehearsed {
	began := time.Now()
	run, err := s.tryStart(try, image)
	return rehearsed{run: run, err: err, took: time.Since(began)}
}

// judgeRehearsal asks the host about a startVat that ran, as a real start
// would, in a crank that is always undone.
func (s *Supervisor) judgeRehearsal(try rehearsal, tried rehearsed) (pipeproto.Rehearsal, error) {
	result := pipeproto.Rehearsal{VatID: try.rec.ID, Name: try.rec.Name, Duration: tried.took.Microseconds()}
	if tried.err != nil {
		result.Problem = tried.err.Error()
		return result, nil
	}
	tx, err := s.db.BeginCrank()
	if err != nil {
		return result, err
	}
	c := &crank{s: s, tx: tx}
	_, err = c.beginOnHost(try.rec, change{endReason: pipeproto.ReasonRestarted})
	if err == nil {
		var verdict pipeproto.Verdict
		verdict, err = c.report(try.rec, tried.run, pipeproto.PurposeStart)
		result.Problem = problemOf(tried.run, verdict)
	}
	result.OK = err == nil && result.Problem == ""
	return result, errors.Join(err, c.abort())
}

func (s *Supervisor) tryStart(try rehearsal, image xsnap.Image) (ranDelivery, error) {
	at := berth{spare: s.spares.take(image, limitOf(try.rec)), cpu: -1}
	if at.spare == nil {
		at.seat = s.census.take()
		defer at.seat.leave()
	}
	w, err := s.launchWith(try.rec, image, try.setup, at)
	if err != nil {
		return ranDelivery{}, err
	}
	defer s.reaper.end(w)
	calls := &rehearsalHandler{store: vatstoreOf(s.db.Draft(), try.rec.ID)}
	result, err := w.process.Deliver(try.delivery, calls)
	if err != nil {
		return ranDelivery{}, err
	}
	run := ranDelivery{status: result.Status, problem: result.Problem, batch: calls.collected.calls}
	if result.Meter != nil {
		run.computrons = result.Meter.Compute
	}
	if calls.illegal != "" {
		run.status, run.problem = pipeproto.StatusError, calls.illegal
	}
	return run, nil
}

// rehearsalHandler answers a rehearsing vat: storage from a draft, the
// rest acknowledged and collected for the host. There is no callNow: a device
// may not be asked for something that is then undone.
type rehearsalHandler struct {
	store     vatstore
	collected batch
	traffic   traffic
	illegal   string
}

func (h *rehearsalHandler) Syscall(vso json.RawMessage) (json.RawMessage, error) {
	if !h.traffic.admit(vso) {
		return h.refuse(overTraffic), nil
	}
	name, args, ok := parseSyscall(vso)
	if ok && isVatstore(name) {
		reply, ok := answerVatstore(h.store, name, args)
		if !ok {
			return h.refuse(illegalSyscall), h.store.draft.Err()
		}
		h.traffic.answered(reply)
		return reply, h.store.draft.Err()
	}
	switch {
	case ok && name == "callNow":
		return h.refuse("it calls a device, which a rehearsal cannot"), nil
	case !ok || !isForHost(name):
		return h.refuse(illegalSyscall), nil
	case !h.collected.add(vso):
		return h.refuse(overBatch), nil
	}
	return json.RawMessage(okNull), nil
}

func (h *rehearsalHandler) refuse(why string) json.RawMessage {
	h.illegal = why
	return resultOf("error", transcripts.JSString(why))
}

func (*rehearsalHandler) Console(string, string, []json.RawMessage) {}
func (*rehearsalHandler) TestLog([]json.RawMessage)                 {}
