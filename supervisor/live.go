package supervisor

import (
	"strings"
	"sync"
	"time"

	"vatworkerd/pipeproto"
	"vatworkerd/xsnap"
)

// maxLiveWarnings is how many warnings are kept to be looked at.
const maxLiveWarnings = 20

// Steps of a request, in pipeproto.Doing.
const (
	stepDelivery = "delivery"
	stepPageIn   = "page-in"
	stepSnapshot = "snapshot"
)

// Kinds of alarms.
const (
	alarmWorker = "worker" // a worker keeps its vat waiting
	alarmBlock  = "block"  // the open block is lost
	alarmFiles  = "files"  // snapshots that are no longer used cannot be removed
	alarmLogs   = "logs"   // worker logs cannot be written
	alarmSlog   = "slog"   // the slog cannot be written
)

// live is the picture of a supervisor for whoever looks on: noted down as the
// work goes on, so that looking never waits for the work. Nothing is ever
// decided by it.
type live struct {
	started time.Time

	mu       sync.Mutex     // guards the rest; held for moments only
	now      pipeproto.Live // without what picture computes
	request  string         // of the host, that is being served
	asked    time.Time      // when it came
	step     liveStep
	workers  map[string]*liveWorker
	next     map[string]int64 // by vat: the position of its next delivery, of vats that ran one
	alarms   map[alarmKey]raised
	warnings []pipeproto.Warned

	deliveries, pageIns, workerEnds, snapshots histogram
}

// liveStep is what is being done for the host's request at the moment.
type liveStep struct {
	what        string
	vatID, name string
	position    int64
	since       time.Time
}

type liveWorker struct {
	worker *worker
	since  time.Time
	used   time.Time
}

type alarmKey struct{ kind, vatID string }

type raised struct {
	message string
	since   time.Time
}

func newLive() *live {
	return &live{started: time.Now(), workers: map[string]*liveWorker{}, next: map[string]int64{}, alarms: map[alarmKey]raised{}}
}

// note changes the picture.
func (l *live) note(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
}

// begin and end are about a request of the host.
func (l *live) begin(request string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.request, l.asked = request, time.Now()
}

func (l *live) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.request, l.step = "", liveStep{}
}

// enter begins a step and gives the one around it, to which leave goes back.
func (l *live) enter(what string, rec *record) (outer liveStep) {
	l.mu.Lock()
	defer l.mu.Unlock()
	outer = l.step
	l.step = liveStep{what: what, vatID: rec.ID, name: rec.Name, position: l.next[rec.ID], since: time.Now()}
	return outer
}

func (l *live) leave(outer liveStep) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	took := now.Sub(l.step.since)
	switch l.step.what {
	case stepDelivery:
		l.deliveries.add(took)
	case stepPageIn:
		l.pageIns.add(took)
	case stepSnapshot:
		l.snapshots.add(took)
	}
	if w := l.workers[l.step.vatID]; w != nil {
		w.used = now
	}
	l.step = outer
}

// at notes the position of a vat's next delivery.
func (l *live) at(vatID string, position int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next[vatID] = position
}

// positionOf gives the position of a vat's next delivery, if the vat is online.
func (l *live) positionOf(vatID string) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next[vatID]
}

// recorded notes a delivery at a position of the vat's transcript.
func (l *live) recorded(vatID string, position, computrons int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next[vatID] = position + 1
	l.now.Totals.Deliveries++
	l.now.Totals.Computrons += computrons
}

// ranEarly notes a delivery that its crank found done, or under way.
func (l *live) ranEarly() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now.Totals.EarlyRuns++
}

// ranInVain notes one whose worker had to go.
func (l *live) ranInVain() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now.Totals.EarlyInVain++
}

// happened notes what is also told to the host.
func (l *live) happened(ev pipeproto.VatEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	total := &l.now.Totals
	switch ev.Kind {
	case pipeproto.VatPagedIn:
		total.Replayed += ev.Deliveries
	case pipeproto.VatPagedOut:
		total.PageOuts++
	case pipeproto.VatSnapshotted:
		total.SnapshotBytes += ev.Bytes
	case pipeproto.VatWorkerLost:
		total.WorkerDeaths++
	}
}

// kept notes a crank that was committed.
func (l *live) kept(activityHash string, n *counts) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now.ActivityHash, l.now.OpenBlock = activityHash, true
	l.now.Totals.Cranks++
	if n != nil {
		l.count(*n)
	}
}

// stands notes where the store is after a block has ended, or was dropped.
func (l *live) stands(height int64, activityHash string, epoch int64, n counts) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now.Height, l.now.ActivityHash, l.now.OpenBlock, l.now.Epoch = height, activityHash, false, epoch
	l.count(n)
}

func (l *live) count(n counts) {
	l.now.Counts = pipeproto.Counts{
		Vats: n.Vats, Suspended: n.Suspended, Paused: n.Paused, Terminated: n.Terminated, Queued: n.Queued, Held: n.Held,
	}
}

// workerUp notes a vat that came online, or got another worker.
func (l *live) workerUp(w *worker) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.workers[w.vatID] = &liveWorker{worker: w, since: now, used: now}
}

func (l *live) workerGone(vatID string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.workers, vatID)
	delete(l.next, vatID)
}

// warned notes a warning.
func (l *live) warned(message string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now.Totals.Warnings++
	if len(l.warnings) == maxLiveWarnings {
		l.warnings = append(l.warnings[:0], l.warnings[1:]...)
	}
	l.warnings = append(l.warnings, pipeproto.Warned{At: time.Now().UnixMicro(), Message: message})
}

// alarm notes what the watch over workers says.
func (l *live) alarm(a xsnap.Alarm) {
	vatID, _, _ := strings.Cut(a.Name, ":")
	if a.Kind == xsnap.AlarmOver || a.Kind == xsnap.AlarmKilled {
		l.clear(alarmWorker, vatID)
		return
	}
	l.raise(alarmWorker, vatID, a.String())
}

// raise notes something wrong that lasts until it is cleared.
func (l *live) raise(kind, vatID, message string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := alarmKey{kind, vatID}
	since := time.Now()
	if before, ok := l.alarms[key]; ok {
		since = before.since
	}
	l.alarms[key] = raised{message, since}
}

func (l *live) clear(kind, vatID string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.alarms, alarmKey{kind, vatID})
}
