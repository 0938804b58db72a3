package xsnap

import (
	"fmt"
	"sync"
	"time"
)

// watchInterval is how often workers are looked at.
const watchInterval = time.Second

// maxWatchStep is the most that one look counts for. A clock that jumped, or a
// machine that stood still, is no worker's silence.
const maxWatchStep = 2 * watchInterval

// watchdog looks at all workers of a Spawner, in one goroutine.
type watchdog struct {
	stop    chan struct{}
	stopped chan struct{}

	mu      sync.Mutex // guards watched
	watched map[*watched]struct{}
}

// startWatchdog looks whenever clock gives a time.
func startWatchdog(clock <-chan time.Time) *watchdog {
	d := &watchdog{stop: make(chan struct{}), stopped: make(chan struct{}), watched: map[*watched]struct{}{}}
	go d.run(clock)
	return d
}

func (d *watchdog) run(clock <-chan time.Time) {
	defer close(d.stopped)
	var last time.Time
	for {
		select {
		case <-d.stop:
			return
		case now := <-clock:
			step := min(max(now.Sub(last), 0), maxWatchStep)
			last = now
			for _, v := range d.all() {
				v.look(now, step)
			}
		}
	}
}

// close may be called once.
func (d *watchdog) close() {
	close(d.stop)
	<-d.stopped
}

func (d *watchdog) all() []*watched {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make([]*watched, 0, len(d.watched))
	for v := range d.watched {
		all = append(all, v)
	}
	return all
}

// watch looks after a worker until forget is called.
func (d *watchdog) watch(w *Worker, policy Watch) (forget func()) {
	if policy.AlarmAfter <= 0 && policy.SilenceLimit <= 0 {
		return func() {}
	}
	v := &watched{name: w.Name, proc: w.proc, pulse: &w.pulse, policy: policy}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.watched[v] = struct{}{}
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.watched, v)
	}
}

// watched is what the watchdog's goroutine knows of one worker.
type watched struct {
	name   func() string
	proc   *process
	pulse  *pulse
	policy Watch

	command uint64 // as of the last look
	beats   uint64
	doing   op
	silent  time.Duration // since it was heard
	busy    time.Duration // since the command began

	silentAlarm time.Duration // the silence of the last alarm, 0 if there is none to be ended
	busyAlarm   time.Duration
	killed      bool
}

// look adds one step of time to what the worker was seen to do.
func (v *watched) look(now time.Time, step time.Duration) {
	doing, command := v.pulse.doing()
	beats := v.pulse.beats.Load()
	switch {
	case v.killed:
		return
	case command != v.command || doing != v.doing:
		v.ended(now)
		v.command, v.doing, v.beats = command, doing, beats
		return
	case doing == opNone || v.pulse.ours.Load() > 0:
		return
	}
	v.busy += step
	if beats == v.beats {
		v.silent += step
		v.checkSilence(now)
		return
	}
	v.spoke(now)
	v.beats = beats
	if limit := busyFactor * v.policy.SilenceLimit; limit > 0 && v.busy >= limit {
		v.kill(AlarmEnded, now, v.busy, fmt.Sprintf("it did not come to an end within %v and was killed", v.busy))
		return
	}
	if due(v.busy, v.busyAlarm, busyFactor*v.policy.AlarmAfter) {
		v.busyAlarm = v.busy
		v.tell(AlarmBusy, now, v.busy)
	}
}

func (v *watched) checkSilence(now time.Time) {
	if limit := v.policy.SilenceLimit; limit > 0 && v.silent >= limit {
		v.kill(AlarmKilled, now, v.silent, fmt.Sprintf("it said nothing for %v and was killed", v.silent))
		return
	}
	if due(v.silent, v.silentAlarm, v.policy.AlarmAfter) {
		v.silentAlarm = v.silent
		v.tell(AlarmSilent, now, v.silent)
	}
}

func (v *watched) kill(kind AlarmKind, now time.Time, took time.Duration, why string) {
	v.killed = true
	v.proc.killBecause(why)
	v.tell(kind, now, took)
}

// due tells whether an alarm is to be given after took, when the last one was
// given after last: the first time, and whenever it has doubled since.
func due(took, last, first time.Duration) bool {
	return first > 0 && took >= first && took >= 2*last
}

// spoke ends a silence.
func (v *watched) spoke(now time.Time) {
	if v.silentAlarm > 0 {
		v.tell(AlarmOver, now, v.silent)
	}
	v.silent, v.silentAlarm = 0, 0
}

// ended ends everything that was told about the command.
func (v *watched) ended(now time.Time) {
	if v.busyAlarm > 0 {
		v.tell(AlarmOver, now, v.busy)
	} else {
		v.spoke(now)
	}
	v.silent, v.silentAlarm, v.busy, v.busyAlarm = 0, 0, 0, 0
}

func (v *watched) tell(kind AlarmKind, now time.Time, took time.Duration) {
	if v.policy.Tell != nil {
		v.policy.Tell(Alarm{
			Kind: kind, Name: v.name(), PID: v.proc.pid, Doing: opTexts[v.doing],
			Since: now.Add(-took), For: took, Limit: v.policy.SilenceLimit,
		})
	}
}
