package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"vatworkerd/pipeproto"
	"vatworkerd/store"
	"vatworkerd/transcripts"
)

// Kinds of problems of a supervisor's records, besides those of package store.
const (
	KindVat    store.ProblemKind = "vat"    // a vat's record, and what goes with it
	KindQueue  store.ProblemKind = "queue"  // input queues and the run order
	KindCounts store.ProblemKind = "counts" // the kept totals
	KindKey    store.ProblemKind = "key"    // another key, or one that belongs to nothing
)

// Names under which an audit counts, besides those of package transcripts.
const (
	CountVats      = "vats"
	CountItems     = "queued items"
	CountSnapshots = "snapshots" // rows
	CountCleanups  = "deferred deletions"
)

// Audit checks what a supervisor keeps in its database: that records decode and
// fit the lifecycle, that transcripts, snapshot rows, queues, run order, totals,
// restart epoch and deferred deletions agree with them, and that nothing belongs
// to a vat that is not there. The file itself is store.CheckFile's, snapshot
// files are AuditFiles'. A problem does not stop it. Errors: that of the audit's
// context, those of the disk.
func Audit(a *store.Audit, src store.Source) error {
	c := &auditor{Audit: a, src: src, table: lifecycle(), live: map[string]bool{}}
	for _, check := range []func() error{c.globals, c.vats, c.runOrder, c.cleanups, c.belongings, c.foreignKeys, c.totals} {
		if err := c.Survive("", DatabaseFile, check()); err != nil {
			return err
		}
	}
	return nil
}

// Check is Audit, the store's own check included, as one error. It changes
// nothing.
func (s *Supervisor) Check() error {
	a := store.NewAudit(context.Background(), nil)
	return errors.Join(s.db.Check(), Audit(a, s.db), a.Err())
}

type auditor struct {
	*store.Audit
	src      store.Source
	table    [numEvents][numStates]cell
	epoch    int64
	sequence int64
	live     map[string]bool // vats by ID; false = terminated
	counted  counts
}

func (c *auditor) wrong(kind store.ProblemKind, vatID, key, what, expected, got string) {
	c.Add(store.Problem{Kind: kind, VatID: vatID, Place: DatabaseFile + " kv." + key, What: what, Expected: expected, Got: got})
}

// decode reads a JSON value; one that is none is a problem.
func (c *auditor) decode(kind store.ProblemKind, vatID, key, text string, value any) bool {
	if err := json.Unmarshal([]byte(text), value); err != nil {
		c.wrong(kind, vatID, key, fmt.Sprintf("it cannot be decoded: %v", err), "", "")
		return false
	}
	return true
}

// number reads a number that must lie in a range; an absent one is 0.
func (c *auditor) number(kind store.ProblemKind, vatID, key string, least, most int64) (int64, error) {
	text, ok, err := c.src.Get(key)
	if err != nil || !ok {
		return 0, err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < least || n > most {
		c.wrong(kind, vatID, key, "it is no such number", "", text)
	}
	return n, nil
}

const anyNumber = 1<<63 - 1

// globals reads what there is one of.
func (c *auditor) globals() (err error) {
	if c.epoch, err = c.number(KindKey, "", keyEpoch, 1, anyNumber); err != nil {
		return err
	}
	if c.sequence, err = c.number(KindQueue, "", keySequence, 1, anyNumber); err != nil {
		return err
	}
	if text, ok, err := c.src.Get(keyConfig); err != nil {
		return err
	} else if ok {
		var cfg config
		if c.decode(KindKey, "", keyConfig, text, &cfg) && (cfg.SnapshotInitial < 1 || cfg.SnapshotInterval < 1) {
			c.wrong(KindKey, "", keyConfig, "its snapshot schedule has a number below 1", "", text)
		}
	}
	if text, ok, err := c.src.Get(keyCursor); err != nil {
		return err
	} else if ok && !strings.HasPrefix(text, prefixVat) {
		c.wrong(KindKey, "", keyCursor, "it is no place among the vats", "", text)
	}
	return store.EachKey(c.src, prefixToken, func(key, _ string) error {
		_, err := c.number(KindKey, "", key, 1, c.epoch)
		return err
	})
}

// vats checks every record with what belongs to its vat.
func (c *auditor) vats() error {
	return store.EachKey(c.src, prefixVat, func(key, text string) error {
		c.counted.Vats++
		c.Count(CountVats, 1)
		if len(key) <= len(vatKey("")) || vatKey(vatIDOfKey(key, prefixVat)) != key {
			c.wrong(KindVat, "", key, "it is the key of no vat", "", "")
			return nil
		}
		vatID := vatIDOfKey(key, prefixVat)
		c.live[vatID] = true
		rec := &record{ID: vatID}
		if !c.decode(KindVat, vatID, key, text, rec) {
			return nil
		}
		return c.vat(rec)
	})
}

func (c *auditor) vat(rec *record) error {
	c.live[rec.ID] = !rec.Terminated
	now := settledIn(c.table, rec, c.epoch)
	c.counted.add(now, +1)
	for _, problem := range rec.contradictions(c.epoch) {
		c.wrong(KindVat, rec.ID, vatKey(rec.ID), problem, "", "")
	}
	for _, check := range []func(*record) error{c.bundleOf, c.usageOf, c.immediateOf, c.transcriptOf, c.snapshotsOf} {
		if err := check(rec); err != nil {
			return err
		}
	}
	return c.queueOf(rec, now)
}

// contradictions tells what in a record no transition can have made.
func (r *record) contradictions(epoch int64) (found []string) {
	isSuspended, isPaused := r.state().flags()
	says := func(wrong bool, what string) {
		if wrong {
			found = append(found, what)
		}
	}
	says(isSet(r.Suspended) != isSuspended || isSet(r.Paused) != isPaused, "its flags do not fit its state, "+r.state().String())
	says(r.Deliberate != (r.state() == deliberate), "it is deliberate without being suspended and paused")
	says(r.SuspendReason != "" && !isSuspended, "it has a reason to be suspended and is not")
	says(r.PauseReason != "" && !isPaused, "it has a reason to be paused and is not")
	says(r.Incarnation < noIncarnation, fmt.Sprintf("its incarnation is %d", r.Incarnation))
	says(r.Incarnation == noIncarnation && r.state().hasIncarnation(), "it runs and was never started")
	says((r.Incarnation == noIncarnation) != (r.ImageID == ""), "it has a worker image exactly if it was ever started, but not this one")
	says(r.Epoch < 0 || r.Epoch > epoch, fmt.Sprintf("its restart epoch is %d, the present one %d", r.Epoch, epoch))
	says(r.AdminKey == "", "it has no admin key")
	says(!slices.Contains([]string{"", pipeproto.PolicySuspend, pipeproto.PolicyTerminate}, r.Options.FatalPolicy), "its fatal policy is unknown: "+r.Options.FatalPolicy)
	says(!slices.Contains([]string{"", pipeproto.PolicyHold, pipeproto.PolicyCommit}, r.Options.OverrunPolicy), "its overrun policy is unknown: "+r.Options.OverrunPolicy)
	return found
}

func (c *auditor) bundleOf(rec *record) error {
	if rec.Terminated {
		return nil
	}
	_, ok, err := c.src.QueryRow("SELECT 1 FROM bundles WHERE id = ?", rec.BundleID)
	if err == nil && !ok {
		c.Add(store.Problem{Kind: store.KindBundle, VatID: rec.ID, Place: "bundle." + rec.BundleID, What: "the vat needs it and the database does not hold it"})
	}
	return err
}

func (c *auditor) usageOf(rec *record) error {
	key := usageKey(rec.ID)
	text, ok, err := c.src.Get(key)
	if err != nil {
		return err
	}
	var u usage
	if ok && !c.decode(KindVat, rec.ID, key, text, &u) {
		return nil
	}
	if u.Deliveries < 0 || u.Computrons < 0 || u.Allowance != nil && *u.Allowance < 0 {
		c.wrong(KindVat, rec.ID, key, "it has a number below 0", "", text)
	}
	if (u.Allowance == nil) != (rec.Options.Allowance == nil) {
		c.wrong(KindVat, rec.ID, key, "there is an allowance exactly if the vat was made with one, but not this one", "", text)
	}
	return nil
}

func (c *auditor) immediateOf(rec *record) error {
	key := immediateKey(rec.ID)
	_, has, err := c.src.Get(key)
	want := !rec.Terminated && (rec.Options.Static || rec.Options.Critical || rec.Options.RestartCritical)
	if err == nil && has != want {
		c.wrong(KindVat, rec.ID, key, "whether a restart-all starts the vat at once", fmt.Sprint(want), fmt.Sprint(has))
	}
	return err
}

// transcriptOf: the transcript's own rules, and its incarnation is the record's,
// or the next where there is none.
func (c *auditor) transcriptOf(rec *record) error {
	err := transcripts.Audit(c.Audit, c.src, rec.ID, transcripts.Rules{Terminated: rec.Terminated, OldestFirst: true})
	if err != nil {
		return err
	}
	span, ok, err := transcripts.Current(c.src, rec.ID)
	if err != nil || !ok {
		return err
	}
	want, empty := rec.Incarnation, span.EndPos == span.StartPos
	if !rec.state().hasIncarnation() {
		want++
	}
	wrong := func(what, expected, got string) {
		c.Add(store.Problem{Kind: store.KindSpan, VatID: rec.ID, Place: span.Place(), What: what, Expected: expected, Got: got})
	}
	if span.Incarnation != want {
		wrong("the incarnation of the current span", strconv.FormatInt(want, 10), strconv.FormatInt(span.Incarnation, 10))
	}
	if empty == rec.state().hasIncarnation() {
		wrong("whether the current span is empty, as the vat is "+rec.state().String(), fmt.Sprint(!empty), fmt.Sprint(empty))
	}
	return nil
}

// totals compares the kept counts.
func (c *auditor) totals() error {
	text, ok, err := c.src.Get(keyCounts)
	if err != nil {
		return err
	}
	var kept counts
	if ok && !c.decode(KindCounts, "", keyCounts, text, &kept) {
		return nil
	}
	if kept != c.counted {
		c.wrong(KindCounts, "", keyCounts, "the kept totals", fmt.Sprintf("%+v", c.counted), fmt.Sprintf("%+v", kept))
	}
	return nil
}

var cleanupKey = regexp.MustCompile(`^` + regexp.QuoteMeta(prefixCleanup) + `[0-9a-f]{16}$`)

// cleanups: deferred deletions are of vats that are there, and a terminated vat
// without one is gone for good.
func (c *auditor) cleanups() error {
	waiting := map[string]bool{}
	err := store.EachKey(c.src, prefixCleanup, func(key, text string) error {
		c.Count(CountCleanups, 1)
		var task cleanup
		if !c.decode(KindKey, "", key, text, &task) {
			return nil
		}
		live, known := c.live[task.VatID]
		switch {
		case !cleanupKey.MatchString(key) || task.Kind != cleanupTruncate && task.Kind != cleanupTerminate || !known:
			c.wrong(KindKey, task.VatID, key, "it is no deferred deletion", "", text)
		case task.Kind == cleanupTerminate && live:
			c.wrong(KindKey, task.VatID, key, "it deletes a vat that is not terminated", "", text)
		case task.Kind == cleanupTerminate:
			waiting[task.VatID] = true
		}
		return nil
	})
	if err != nil {
		return err
	}
	for vatID, live := range c.live {
		if !live && !waiting[vatID] {
			if err := c.leftOf(vatID); err != nil {
				return err
			}
		}
	}
	return nil
}

// leftOf: nothing is left of a terminated vat whose deletion is done but its
// record, its usage and its queue.
func (c *auditor) leftOf(vatID string) error {
	prefix := vatstorePrefix(vatID)
	_, inStore, err := c.src.NextKey(prefix, prefix)
	if err != nil {
		return err
	}
	_, inRows, err := c.src.QueryRow("SELECT 1 FROM transcriptSpans WHERE vatID = ?1 UNION ALL SELECT 1 FROM snapshots WHERE vatID = ?1 LIMIT 1", vatID)
	if err == nil && (inStore || inRows) {
		c.wrong(KindVat, vatID, vatKey(vatID), "it is terminated and its deletion done, but there is more of it than its record", "", "")
	}
	return err
}
