package supervisor

import (
	"encoding/json"
	"errors"
	"fmt"

	"vatworkerd/internal/crashpoint"
	"vatworkerd/pipeproto"
	"vatworkerd/store"
)

// maxCrankTries bounds how often a crank is retried because a worker died for
// a reason outside the vat. After that the supervisor panics: it cannot go on
// and must not guess.
const maxCrankTries = 3

// crank is one undoable unit of work: the store's part (tx), the host's part
// (unitOpen), and the local effects that only a commit makes real.
type crank struct {
	s        *Supervisor
	tx       *store.Crank
	counts   *counts
	unitOpen bool   // the host keeps an open unit for this crank
	digest   []byte // the host's digests, one after the other, of its closed units
	ran      []string
	slog     *slog              // nil = none is wanted, or not of this crank
	kd       json.RawMessage    // the next delivery in the host's terms, for the slog
	started  map[string]*worker // workers of incarnations this crank starts
	coming   []*arrival         // workers that take over if this crank commits
	actions  []pipeproto.Action // of verdicts, to do before the crank ends
	onCommit []func()
	faults   map[fault]bool // seen in all tries of this crank
	failed   error          // found where nothing could be returned; forbids the commit
}

// Get reads a consensus key as the crank sees it; it makes a crank a keyReader.
func (c *crank) Get(key string) (string, bool, error) {
	value, ok := c.tx.Get(key)
	return value, ok, c.tx.Err()
}

// fail keeps the first error that must stop the commit.
func (c *crank) fail(err error) {
	if c.failed == nil {
		c.failed = err
	}
}

// lostError reports a worker that died for a reason outside its vat: the crank
// is undone and tried again.
type lostError struct {
	vatID string
	err   error
}

func (e *lostError) Error() string { return fmt.Sprintf("worker of %s was lost: %v", e.vatID, e.err) }
func (e *lostError) Unwrap() error { return e.err }

// runCrank runs body in a crank and commits it; an error from body undoes
// everything. A lost worker makes it run again, a bounded number of times, and
// so does one that met a limit, until a second one has met it too.
func (s *Supervisor) runCrank(body func(*crank) error) error {
	faults := map[fault]bool{}
	for deaths := 0; ; {
		err := s.tryCrank(body, faults)
		var doubt *doubtError
		var lost *lostError
		var strayed *strayedError
		switch {
		case errors.As(err, &strayed):
			s.log.Info("a crank runs again", "why", strayed)
			s.ranInVain()
		case errors.As(err, &doubt):
			s.log.Info("a crank runs again", "why", doubt)
			if len(faults) == maxCrankDoubts {
				return s.panic(fmt.Errorf("worker of %s met a limit %d times, each time in another way: %w", doubt.fault.vatID, len(faults), doubt))
			}
		case errors.As(err, &lost):
			deaths++
			s.warn("%v (try %d of %d)", lost, deaths, maxCrankTries)
			s.speech.note(lost.vatID, "error", lost.err.Error())
			s.emit(pipeproto.VatEvent{Kind: pipeproto.VatWorkerLost, VatID: lost.vatID, Name: s.speech.at(lost.vatID).name, Detail: lost.err.Error()})
			if deaths == maxCrankTries {
				return s.panic(fmt.Errorf("worker of %s died %d times for reasons outside the vat: %w", lost.vatID, deaths, lost.err))
			}
		default:
			return err
		}
	}
}

func (s *Supervisor) tryCrank(body func(*crank) error, faults map[fault]bool) error {
	tx, err := s.db.BeginCrank()
	if err != nil {
		err = fmt.Errorf("cannot begin a crank: %w", err)
		var lost *store.BlockLostError
		if errors.As(err, &lost) {
			return s.spoil(err)
		}
		return err
	}
	c := &crank{s: s, tx: tx, slog: s.slog, started: map[string]*worker{}, faults: faults}
	crashpoint.Here(crashpoint.SupervisorCrankBegun)
	c.slog.crankBegins(c.itemOfTurn())
	if err := body(c); err != nil {
		return errors.Join(err, c.abort())
	}
	return c.commit()
}

// itemOfTurn gives the host's item that has its turn, if the slog wants it.
func (c *crank) itemOfTurn() []byte {
	now := c.s.turn
	if c.slog == nil || now == nil {
		return nil
	}
	var item queued
	if text, ok := c.tx.Get(queueKey(now.vatID, now.order)); !ok || json.Unmarshal([]byte(text), &item) != nil {
		return nil
	}
	return item.Payload
}

// commit closes the host's unit, makes the crank part of the block and then
// runs the local effects.
func (c *crank) commit() error {
	if err := c.closeUnit(); err != nil {
		return errors.Join(err, c.abort())
	}
	for len(c.actions) > 0 {
		if err := c.actNow(); err != nil {
			return errors.Join(err, c.abort())
		}
	}
	if err := errors.Join(c.failed, c.saveCounts()); err != nil {
		return errors.Join(err, c.abort())
	}
	crashpoint.Here(crashpoint.SupervisorCrankEnding)
	if _, err := c.tx.Commit(c.digest); err != nil {
		c.slog.crankEnds("")
		c.discardWorkers()
		return c.s.spoil(fmt.Errorf("cannot commit a crank: %w", err))
	}
	crashpoint.Here(crashpoint.SupervisorCrankKept)
	c.s.live.kept(c.s.db.ActivityHash(), c.counts)
	c.slog.crankEnds(c.s.db.ActivityHash())
	for _, effect := range c.onCommit {
		effect()
	}
	crashpoint.Here(crashpoint.SupervisorCrankEffects)
	c.s.weigh(c.ran, c.started)
	return nil
}

// closeUnit ends the host's unit with a commit and takes what it enqueues.
func (c *crank) closeUnit() error {
	if !c.unitOpen {
		return nil
	}
	var verdict pipeproto.Verdict
	if err := c.s.call(pipeproto.ReqCrankEnd, pipeproto.Empty{}, &verdict); err != nil {
		return err
	}
	c.slog.noted(verdict.Slog)
	c.unitOpen = false
	c.digest = append(c.digest, verdict.Digest...)
	c.actions = append(c.actions, verdict.Actions...)
	return c.enqueue(verdict.Enqueue)
}

// abort undoes the crank on both sides. Workers that ran in it are ahead of
// the store and go.
func (c *crank) abort() error {
	c.tx.Abort()
	c.slog.crankEnds("")
	c.discardWorkers()
	if !c.unitOpen {
		return nil
	}
	c.unitOpen = false
	crashpoint.Here(crashpoint.SupervisorCrankUndone)
	return c.s.call(pipeproto.ReqCrankAbort, pipeproto.Empty{}, &pipeproto.Empty{})
}

func (c *crank) discardWorkers() {
	for _, vatID := range c.ran {
		c.s.pool.discard(vatID)
	}
	for _, w := range c.started {
		c.s.reaper.end(w)
	}
	for _, a := range c.coming {
		c.s.reaper.abandon(a)
	}
}

// ask sends the host a request that opens or continues its unit. A unit that
// the host has opened for a guess is not this crank's.
func (c *crank) ask(msgType string, req, reply any) error {
	if err := c.s.dropAhead(); err != nil {
		return err
	}
	c.unitOpen = true
	return c.s.call(msgType, req, reply)
}

// load reads a vat's record; a missing vat is an error.
func (c *crank) load(vatID string) (*record, error) {
	text, ok := c.tx.Get(vatKey(vatID))
	if err := c.tx.Err(); err != nil {
		return nil, err
	}
	if !ok {
		return nil, &UnknownVatError{VatID: vatID}
	}
	return c.s.records.decode(vatID, text)
}

func (c *crank) save(rec *record) error {
	text, err := rec.encode()
	if err != nil {
		return err
	}
	c.tx.Set(vatKey(rec.ID), text)
	return c.tx.Err()
}

// usage reads a vat's usage; a vat without one has used nothing.
func (c *crank) usage(vatID string) (usage, error) {
	return readUsage(c, vatID)
}

func (c *crank) saveUsage(vatID string, u usage) error {
	return c.setJSON(usageKey(vatID), u)
}

func (c *crank) setJSON(key string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("cannot encode %s: %w", key, err)
	}
	c.tx.Set(key, string(text))
	return c.tx.Err()
}

// after runs effect once the crank is committed; an undone crank never does.
func (c *crank) after(effect func()) { c.onCommit = append(c.onCommit, effect) }

// UnknownVatError reports a vat ID that no record has.
type UnknownVatError struct{ VatID string }

func (e *UnknownVatError) Error() string { return fmt.Sprintf("there is no vat %s", e.VatID) }
