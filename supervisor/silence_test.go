package supervisor

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vatworkerd/pipeproto"
	"vatworkerd/xsnap"
)

// handClock gives the watch the time as fast as it looks.
type handClock struct {
	ticks chan time.Time
	now   time.Time
}

func newHandClock() *handClock {
	return &handClock{ticks: make(chan time.Time), now: time.Unix(1e9, 0)}
}

func (c *handClock) tick() {
	c.ticks <- c.now
	c.now = c.now.Add(time.Second)
}

// passUntil lets time pass until done is closed.
func (c *handClock) passUntil(done <-chan struct{}) {
	for {
		select {
		case c.ticks <- c.now:
			c.now = c.now.Add(time.Second)
		case <-done:
			return
		}
	}
}

// TestStoppedWorkerIsReplaced stops a real worker: there are alarms, it is
// killed after the limit, and its work is done by another, as if nothing had
// been.
func TestStoppedWorkerIsReplaced(t *testing.T) {
	clock := newHandClock()
	r := newRig(t, func(o *Options) {
		o.clock = clock.ticks
		o.Watch = xsnap.Watch{AlarmAfter: xsnap.DefaultSilenceAlarm, SilenceLimit: xsnap.DefaultSilenceLimit}
	})
	r.create("v1", "counter", pipeproto.VatOptions{})
	first := r.send("v1", "increment")
	r.run()
	r.want(first, "fulfilled #1")
	stopped := r.worker("v1").process.(*xsnap.Worker)
	r.must(unix.Kill(stopped.PID(), syscall.SIGSTOP))
	second := r.send("v1", "increment")
	passed := make(chan struct{})
	go func() {
		defer close(passed)
		clock.passUntil(stopped.Exited())
	}()
	r.run()
	<-passed
	r.want(second, "fulfilled #2")
	r.wantState("v1", running, 0)
	told := func(what string) bool {
		return slices.ContainsFunc(r.host.warned(), func(text string) bool { return strings.Contains(text, what) })
	}
	for _, what := range []string{
		"worker v1:counter (pid ", "runs a delivery and has said nothing since", "for 15s now; it will be killed after 10m0s",
		"for 4m0s now", "said nothing for 10m0s while it runs a delivery, and was killed", "worker of v1 was lost", "(try 1 of 3)",
	} {
		if !told(what) {
			t.Errorf("nobody was told %q: %q", what, r.host.warned())
		}
	}
}

func (h *testHost) warned() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.warnings)
}
