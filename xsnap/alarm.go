package xsnap

import (
	"fmt"
	"time"
)

// The defaults of the command line for Watch.
const (
	DefaultSilenceAlarm = 15 * time.Second
	DefaultSilenceLimit = 10 * time.Minute
)

// busyFactor is how many times longer than silence a command may take, while
// its worker goes on speaking, until there is an alarm, and until the worker is
// killed.
const busyFactor = 4

// Watch says what happens to a worker that says nothing while a command is
// open. It is local policy: the time is measured by this machine's clock, and
// its only effects are that somebody is told and that the worker is killed,
// which looks like any other death for a reason outside of the vat.
type Watch struct {
	// AlarmAfter is the silence after which Tell is called, and again whenever
	// it has lasted twice as long; 0 = never.
	AlarmAfter time.Duration
	// SilenceLimit is the silence after which the worker is killed, or after four
	// times that if it speaks but does not come to an end; 0 = never.
	SilenceLimit time.Duration
	// Tell takes the alarms; nil drops them. It is called by the watchdog's
	// goroutine, which watches nobody meanwhile, and must not call the worker.
	Tell func(Alarm)
}

// AlarmKind says what an Alarm tells.
type AlarmKind int

const (
	AlarmSilent AlarmKind = iota // it says nothing
	AlarmBusy                    // it speaks, but does not come to an end
	AlarmOver                    // what was told is over
	AlarmKilled                  // it was killed because it said nothing
	AlarmEnded                   // it was killed because it did not come to an end
)

// Alarm tells of a worker that makes its owner wait. For is the length of the
// silence, of the command under AlarmBusy; of AlarmOver, what it came to. Time
// in which the worker waited for this side, or this side was stopped as a
// whole, does not count.
type Alarm struct {
	Kind  AlarmKind
	Name  string // of the worker
	PID   int
	Doing string // e.g. "runs a delivery"
	Since time.Time
	For   time.Duration
	Limit time.Duration // Watch.SilenceLimit
}

func (a Alarm) String() string {
	who := fmt.Sprintf("worker %s (pid %d)", a.Name, a.PID)
	took, since := a.For.Round(time.Second), a.Since.Format(time.TimeOnly)
	switch a.Kind {
	case AlarmBusy:
		return fmt.Sprintf("%s %s since %s, for %v now, and is not silent", who, a.Doing, since, took)
	case AlarmOver:
		return fmt.Sprintf("%s goes on, after %v", who, took)
	case AlarmKilled:
		return fmt.Sprintf("%s said nothing for %v while it %s, and was killed", who, took, a.Doing)
	case AlarmEnded:
		return fmt.Sprintf("%s %s since %s, did not come to an end within %v, and was killed", who, a.Doing, since, took)
	}
	next := "it is left alone, as there is no limit"
	if a.Limit > 0 {
		next = fmt.Sprintf("it will be killed after %v", a.Limit)
	}
	return fmt.Sprintf("%s %s and has said nothing since %s, for %v now; %s", who, a.Doing, since, took, next)
}
