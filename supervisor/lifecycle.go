package supervisor

import "fmt"

// state is where a vat is in its life. The two flags of the vat's record give
// all states but the last: suspended, paused, and (when both are set) whether
// the suspension is deliberate.
type state uint8

const (
	running         state = iota // suspended=no  paused=no : deliver as usual
	paused                       // suspended=no  paused=yes: hold; page-in is expected to work
	suspended                    // suspended=yes paused=no : start an incarnation on demand
	pausedSuspended              // suspended=yes paused=yes: hold; paused by hand while suspended
	deliberate                   // suspended=yes paused=yes: hold; only upgrade or unsuspend start it
	terminated                   // gone for the world; its data is deleted under a budget
	numStates
)

// event is something that happens to a vat.
type event uint8

const (
	evDeliver       event = iota // an item of its queue has its turn
	evPause                      // the admin node's holder stops deliveries
	evResume                     // … and lets them run again
	evSuspend                    // the admin node's holder ends its incarnation; the next item starts another
	evBar                        // … and lets nothing start it by itself: it is suspended deliberately
	evUnsuspend                  // a new incarnation is wanted, on demand or explicitly
	evStartFailed                // that incarnation's startVat failed; the crank is undone
	evUpgrade                    // a new incarnation on a new bundle
	evUpgradeFailed              // that failed; the crank is undone
	evOverrun                    // it used more computrons than its allowance
	evFatal                      // a vat-fatal error, and its policy says suspend
	evRestart                    // restart-all has reached it
	evTerminate                  // its admin node, or its policy, ends it
	numEvents
)

// effect is what the supervisor does on a transition, in the order written.
type effect uint8

const (
	doDeliver effect = iota // hand the item to the worker
	doHold                  // leave the item in the held queue
	doSplat                 // give the item back to the host: its sender gets an error
	doBOYD                  // a final bringOutYourDead
	doEnd                   // end the incarnation: shutdown-worker, truncate, drop the snapshot
	doEvict                 // the worker goes at once
	doStart                 // start an incarnation: worker, setBundle, startVat
	doPark                  // the queue becomes held
	doRelease               // the held queue becomes runnable, in its order
	doKeepErr               // the error goes into the record
	doDiscard               // all the vat's data is marked for deletion
)

// cell is one square of the table: where the vat goes and what is done on the
// way, or why the event is refused.
type cell struct {
	next   state
	does   []effect
	refuse string
}

func to(next state, does ...effect) cell { return cell{next: next, does: does} }
func no(why string) cell                 { return cell{refuse: why} }

const (
	gone   = "the vat is terminated"
	manual = "the vat is deliberately suspended: upgrade or unsuspend it"
	never  = "impossible in this state"
)

// lifecycle returns the machine: every state, every event. Nothing else in the
// program sets a vat's flags.
func lifecycle() [numEvents][numStates]cell {
	return [numEvents][numStates]cell{
		// columns: running, paused, suspended, pausedSuspended, deliberate, terminated
		evDeliver:       {to(running, doDeliver), to(paused, doHold), to(suspended, doStart), to(pausedSuspended, doHold), to(deliberate, doHold), to(terminated, doSplat)},
		evPause:         {to(paused, doPark, doEvict), to(paused), to(pausedSuspended, doPark), to(pausedSuspended), to(deliberate), no(gone)},
		evResume:        {to(running), to(running, doRelease), to(suspended), to(suspended, doRelease), no(manual), no(gone)},
		evSuspend:       {to(suspended, doBOYD, doEnd, doEvict), to(pausedSuspended, doBOYD, doEnd, doEvict), to(suspended), to(pausedSuspended), to(deliberate), no(gone)},
		evBar:           {to(deliberate, doBOYD, doEnd, doEvict, doPark), to(deliberate, doBOYD, doEnd, doEvict), to(deliberate, doPark), to(deliberate), to(deliberate), no(gone)},
		evUnsuspend:     {to(running), to(paused), to(running, doStart), to(paused, doStart, doEvict), to(running, doStart, doRelease), no(gone)},
		evStartFailed:   {no(never), no(never), to(deliberate, doPark, doKeepErr), to(deliberate, doKeepErr), to(deliberate, doKeepErr), no(gone)},
		evUpgrade:       {to(running, doBOYD, doEnd, doStart), to(running, doBOYD, doEnd, doStart, doRelease), to(running, doStart), to(running, doStart, doRelease), to(running, doStart, doRelease), no(gone)},
		evUpgradeFailed: {to(running, doEvict), to(paused, doEvict), to(deliberate, doPark, doKeepErr), to(deliberate, doKeepErr), to(deliberate, doKeepErr), no(gone)},
		evOverrun:       {to(paused, doPark, doEvict, doKeepErr), to(paused), no(never), no(never), no(never), no(gone)},
		evFatal:         {to(deliberate, doEnd, doEvict, doPark, doKeepErr), to(deliberate, doEnd, doEvict, doKeepErr), to(deliberate, doPark, doKeepErr), to(deliberate, doKeepErr), to(deliberate, doKeepErr), no(gone)},
		evRestart:       {to(suspended, doEnd, doEvict), to(pausedSuspended, doEnd, doEvict), to(suspended), to(pausedSuspended), to(deliberate), to(terminated)},
		evTerminate:     {to(terminated, doEnd, doEvict, doDiscard), to(terminated, doEnd, doEvict, doRelease, doDiscard), to(terminated, doDiscard), to(terminated, doRelease, doDiscard), to(terminated, doRelease, doDiscard), no(gone)},
	}
}

func (s state) String() string {
	return [...]string{"running", "paused", "suspended", "paused-suspended", "deliberately-suspended", "terminated"}[s]
}

func (e event) String() string {
	return [...]string{"deliver", "pause", "resume", "suspend", "suspend-deliberately", "unsuspend", "start-failed", "upgrade",
		"upgrade-failed", "overrun", "fatal", "restart", "terminate"}[e]
}

func (e effect) String() string {
	return [...]string{"deliver", "hold", "splat", "boyd", "end", "evict", "start", "park", "release",
		"keep-error", "discard"}[e]
}

// flags gives the two flags a state shows.
func (s state) flags() (isSuspended, isPaused bool) {
	switch s {
	case paused:
		return false, true
	case suspended:
		return true, false
	case pausedSuspended, deliberate:
		return true, true
	}
	return false, false
}

// holds tells whether items that arrive in this state wait in the held queue.
func (s state) holds() bool {
	_, isPaused := s.flags()
	return isPaused
}

// hasIncarnation tells whether the vat has a worker image, a transcript and
// maybe a snapshot in this state.
func (s state) hasIncarnation() bool { return s == running || s == paused }

// RefusedError reports an event that a vat's state does not allow.
type RefusedError struct {
	VatID string
	State string
	Event string
	Why   string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("cannot %s %s (%s): %s", e.Event, e.VatID, e.State, e.Why)
}
