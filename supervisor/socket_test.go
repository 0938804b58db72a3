package supervisor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"vatworkerd/control"
	"vatworkerd/pipeproto"
	"vatworkerd/xsnap"
)

// offer opens the rig's control socket.
func (r *rig) offer() {
	r.t.Helper()
	server, err := r.s.listen(r.opts)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		if err := server.Close(); err != nil {
			r.t.Errorf("close of the socket: %v", err)
		}
	})
}

func (r *rig) socketPath() string { return filepath.Join(r.opts.Dir, ControlFile) }

func (r *rig) dial(access string) *control.Client {
	r.t.Helper()
	c, err := control.Dial(r.t.Context(), r.socketPath(), access)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = c.Close() })
	return c
}

// look asks the control socket and demands an answer.
func look[Reply any](r *rig, msgType string, req any) (reply Reply) {
	r.t.Helper()
	c := r.dial(pipeproto.AccessRead)
	defer c.Close()
	if err := c.Call(r.t.Context(), msgType, req, &reply, nil); err != nil {
		r.t.Fatalf("%s: %v", msgType, err)
	}
	return reply
}

// asHost does what the host asks for as the pipe's goroutine would.
func (r *rig) asHost(msgType string, f func()) {
	r.s.baton.take()
	defer r.s.baton.give()
	r.s.live.begin(msgType)
	defer r.s.live.end()
	f()
}

func TestLivePicture(t *testing.T) {
	r := newRig(t, nil)
	r.offer()
	before := look[pipeproto.Live](r, pipeproto.ReqLive, pipeproto.Empty{})
	if before.PID != os.Getpid() || before.MaxOnline != 10 || before.Doing != nil || before.OpenBlock || len(before.Workers) != 0 || before.ImageID != r.s.image.ID() {
		t.Errorf("at the start %+v", before)
	}
	r.asHost(pipeproto.ReqRun, func() {
		r.create("v1", "counter", pipeproto.VatOptions{})
		r.create("v2", "counter", pipeproto.VatOptions{})
		r.send("v1", "increment")
		r.run()
		r.settled()
	})
	p := look[pipeproto.Live](r, pipeproto.ReqLive, pipeproto.Empty{})
	if !p.OpenBlock || p.Height != 0 || p.ActivityHash != r.s.db.ActivityHash() || p.Counts.Vats != 2 || p.Counts.Online != 2 {
		t.Errorf("in an open block %+v", p)
	}
	for _, w := range p.Workers {
		if w.PID == 0 || w.RSSBytes < 1<<20 || w.Name != "counter" || w.Busy {
			t.Errorf("worker %+v", w)
		}
	}
	if p.Workers[0].VatID != "v1" {
		t.Errorf("the worker that was used last is that of %s", p.Workers[0].VatID)
	}
	if p.Totals.Deliveries != 4 || p.Totals.Computrons == 0 || p.Totals.Cranks == 0 || p.Deliveries.Sum == 0 { // two startVat, the message, a BOYD
		t.Errorf("totals %+v", p.Totals)
	}
	var counted int64
	for _, n := range p.Snapshots.Counts {
		counted += n
	}
	if counted != 1 || p.Totals.SnapshotBytes == 0 {
		t.Errorf("snapshots %+v, %d bytes", p.Snapshots, p.Totals.SnapshotBytes)
	}
	r.asHost(pipeproto.ReqCommit, r.commit)
	if p = look[pipeproto.Live](r, pipeproto.ReqLive, pipeproto.Empty{}); p.Height != 1 || p.OpenBlock || p.Totals.Blocks != 1 {
		t.Errorf("after the commit %+v", p)
	}
}

func TestLiveAlarms(t *testing.T) {
	r := newFakeRig(t, &fakeStarter{}, 10)
	r.offer()
	alarms := func() (kinds []string) {
		for _, a := range look[pipeproto.Live](r, pipeproto.ReqLive, pipeproto.Empty{}).Alarms {
			kinds = append(kinds, a.Kind+" "+a.VatID+" "+a.Message)
		}
		return kinds
	}
	silent := xsnap.Alarm{Kind: xsnap.AlarmSilent, Name: "v7:na:me", PID: 12, Doing: "runs a delivery", For: time.Minute}
	r.s.alarm(silent)
	r.s.alarm(silent)
	_ = r.s.spoil(errors.New("the disk is full"))
	if got := alarms(); len(got) != 2 || got[0] != "block  the disk is full" || !strings.HasPrefix(got[1], "worker v7 worker v7:na:me (pid 12) runs a delivery") {
		t.Errorf("alarms %q", got)
	}
	silent.Kind = xsnap.AlarmOver
	r.s.alarm(silent)
	r.asHost(pipeproto.ReqRollback, func() { r.must(r.s.rollback(pipeproto.Empty{})) })
	if got := alarms(); len(got) != 0 {
		t.Errorf("alarms that are over: %q", got)
	}
	for i := range maxLiveWarnings + 5 {
		r.s.warn("warning %d", i)
	}
	p := look[pipeproto.Live](r, pipeproto.ReqLive, pipeproto.Empty{})
	if len(p.Warnings) != maxLiveWarnings || p.Warnings[maxLiveWarnings-1].Message != fmt.Sprintf("warning %d", maxLiveWarnings+4) {
		t.Errorf("warnings %+v", p.Warnings)
	}
	_ = r.s.panic(errors.New("no way on"))
	if p = look[pipeproto.Live](r, pipeproto.ReqLive, pipeproto.Empty{}); p.Panic != "no way on" {
		t.Errorf("panic %q", p.Panic)
	}
	if st := look[pipeproto.Status](r, pipeproto.ReqStatus, pipeproto.StatusRequest{}); st.Panic != "no way on" {
		t.Errorf("status of a panic %+v", st)
	}
	c := r.dial(pipeproto.AccessAdmin)
	var e *pipeproto.Error
	if err := c.Call(t.Context(), pipeproto.ReqPageOut, pipeproto.VatRef{VatID: "v1"}, nil, nil); !errors.As(err, &e) || e.Code != pipeproto.CodePanic {
		t.Errorf("pageOut after a panic: %v", err)
	}
}

// While a worker is stopped in a delivery, what goes on is told, and everything
// else is refused with it.
func TestControlWhileAWorkerIsStopped(t *testing.T) {
	r := newRig(t, func(o *Options) { o.patience = 20 * time.Millisecond })
	r.create("v1", "counter", pipeproto.VatOptions{})
	r.run()
	r.commit()
	r.offer()
	pid := r.worker("v1").process.PID()
	r.must(syscall.Kill(pid, syscall.SIGSTOP))
	result := r.send("v1", "increment")
	ran := make(chan struct{})
	go func() {
		defer close(ran)
		r.asHost(pipeproto.ReqRun, func() { r.run() })
	}()
	var doing *pipeproto.Doing
	for doing == nil || doing.Step == "" {
		doing = look[pipeproto.Live](r, pipeproto.ReqLive, pipeproto.Empty{}).Doing
	}
	if doing.Request != "run" || doing.Step != stepDelivery || doing.VatID != "v1" || doing.Name != "counter" || doing.Position == 0 {
		t.Errorf("doing %+v", doing)
	}
	c := r.dial(pipeproto.AccessRead)
	for _, msgType := range []string{pipeproto.ReqStatus, pipeproto.ReqVat, pipeproto.ReqSpans, pipeproto.ReqSnapshotList, pipeproto.ReqSnapshotVerify, pipeproto.ReqFind} {
		err := c.Call(t.Context(), msgType, pipeproto.VatRef{VatID: "v1"}, nil, nil)
		var e *pipeproto.Error
		if !errors.As(err, &e) || e.Code != pipeproto.CodeBusy || !strings.Contains(e.Message, "delivery of v1 counter for") || !strings.Contains(e.Message, "at position") {
			t.Errorf("%s: %v", msgType, err)
		}
	}
	r.must(syscall.Kill(pid, syscall.SIGCONT))
	<-ran
	r.want(result, "fulfilled #1")
	if st := look[pipeproto.Status](r, pipeproto.ReqStatus, pipeproto.StatusRequest{Limit: 5}); len(st.Vats) != 1 || st.Vats[0].Deliveries == 0 {
		t.Errorf("status afterwards %+v", st)
	}
}

// Every request of the host is served on the control socket, or known there and
// refused.
func TestHostsRequestsAreRefused(t *testing.T) {
	r := newFakeRig(t, &fakeStarter{}, 10)
	r.offer()
	served := map[string]bool{}
	for _, msgType := range []string{
		pipeproto.ReqStatus, pipeproto.ReqVat, pipeproto.ReqSpans, pipeproto.ReqSnapshotList, pipeproto.ReqSnapshotVerify, pipeproto.ReqPin,
	} {
		served[msgType] = true
	}
	for msgType := range r.s.verbs() {
		if served[msgType] {
			continue
		}
		c := r.dial(pipeproto.AccessAdmin)
		var e *pipeproto.Error
		err := c.Call(t.Context(), msgType, pipeproto.Empty{}, nil, nil)
		if !errors.As(err, &e) || e.Code != pipeproto.CodeRefused || !strings.Contains(e.Message, "kernel host's") || e.Hint == "" {
			t.Errorf("%s: %v", msgType, err)
		}
		_ = c.Close()
	}
}

// countingWork makes the same vats do the same things, in several blocks, and
// gives the activity hash.
func countingWork(r *rig) string {
	r.t.Helper()
	for _, vatID := range []string{"v1", "v2", "v3"} {
		r.asHost(pipeproto.ReqCreateVat, func() { r.create(vatID, "counter", pipeproto.VatOptions{}) })
	}
	for range 4 {
		for range 2 {
			for _, vatID := range []string{"v1", "v2", "v3"} {
				r.asHost(pipeproto.ReqEnqueue, func() { r.send(vatID, "increment") })
			}
		}
		r.asHost(pipeproto.ReqRun, func() { r.run() })
		r.asHost(pipeproto.ReqCommit, r.commit)
	}
	return r.s.db.ActivityHash()
}

// TestStormChangesNothing runs the same work alone, and while many ask the
// control socket for everything it has and page vats out at any moment.
func TestStormChangesNothing(t *testing.T) {
	calm := newRig(t, func(o *Options) { o.MaxOnline = 2 })
	want := countingWork(calm)

	r := newRig(t, func(o *Options) { o.MaxOnline = 2 })
	r.offer()
	stop := make(chan struct{})
	var storm sync.WaitGroup
	answered := make(chan int, 5)
	for i := range 4 {
		c := r.dial(pipeproto.AccessRead)
		storm.Go(func() { answered <- r.ask1(c, i, stop) })
	}
	admin := r.dial(pipeproto.AccessAdmin)
	storm.Go(func() { answered <- r.pageOutAll(admin, stop) })
	got := countingWork(r)
	close(stop)
	storm.Wait()
	if got != want {
		t.Errorf("activity hash %s in a storm, %s alone", got, want)
	}
	total := 0
	for range cap(answered) {
		total += <-answered
	}
	t.Logf("%d control requests answered", total)
	if total == 0 {
		t.Error("no control request was answered")
	}
}

// ask1 asks for everything that can be read, again and again.
func (r *rig) ask1(c *control.Client, from int, stop chan struct{}) (answered int) {
	asked := []struct {
		msgType string
		body    any
	}{
		{pipeproto.ReqStatus, pipeproto.StatusRequest{Limit: 10}}, {pipeproto.ReqVat, pipeproto.VatRef{VatID: "v1"}},
		{pipeproto.ReqSpans, pipeproto.Page{}}, {pipeproto.ReqSnapshotList, pipeproto.Page{}},
		{pipeproto.ReqSnapshotVerify, pipeproto.VatRef{VatID: "v1"}}, {pipeproto.ReqFind, pipeproto.VatName{Name: "counter"}},
		{pipeproto.ReqLive, pipeproto.Empty{}},
	}
	for i := from; ; i++ {
		select {
		case <-stop:
			return answered
		default:
		}
		ask := asked[i%len(asked)]
		var checks pipeproto.SnapshotVerifyReply
		var reply any
		if ask.msgType == pipeproto.ReqSnapshotVerify {
			reply = &checks
		}
		if r.mayFail(c.Call(r.t.Context(), ask.msgType, ask.body, reply, nil)) {
			answered++
		}
		for _, check := range checks.Checks {
			if check.Problem != "" {
				r.t.Errorf("a snapshot is damaged: %s", check.Problem)
			}
		}
	}
}

func (r *rig) pageOutAll(c *control.Client, stop chan struct{}) (answered int) {
	for i := 0; ; i++ {
		select {
		case <-stop:
			return answered
		default:
		}
		if r.mayFail(c.Call(r.t.Context(), pipeproto.ReqPageOut, pipeproto.VatRef{VatID: fmt.Sprintf("v%d", 1+i%3)}, nil, nil)) {
			answered++
		}
	}
}

// mayFail excuses a control request that did not have its turn, or came before
// its vat.
func (r *rig) mayFail(err error) (answered bool) {
	var e *pipeproto.Error
	if errors.As(err, &e) && (e.Code == pipeproto.CodeBusy || e.Code == pipeproto.CodeNotFound) {
		return false
	}
	if err != nil {
		r.t.Errorf("a control request failed: %v", err)
	}
	return err == nil
}

func TestPageOut(t *testing.T) {
	r := newFakeRig(t, &fakeStarter{}, 10)
	r.createFake("v1", false, pipeproto.VatOptions{})
	r.run()
	r.offer()
	hash := r.s.db.ActivityHash()
	c := r.dial(pipeproto.AccessAdmin)
	for want := int64(1); want >= 0; want-- {
		var n pipeproto.Count
		r.must(c.Call(t.Context(), pipeproto.ReqPageOut, pipeproto.VatRef{VatID: "v1"}, &n, nil))
		if n.Count != want {
			t.Errorf("%d workers were paged out, want %d", n.Count, want)
		}
	}
	var e *pipeproto.Error
	if err := c.Call(t.Context(), pipeproto.ReqPageOut, pipeproto.VatRef{VatID: "v9"}, nil, nil); !errors.As(err, &e) || e.Code != pipeproto.CodeNotFound {
		t.Errorf("a vat that is not there: %v", err)
	}
	p := look[pipeproto.Live](r, pipeproto.ReqLive, pipeproto.Empty{})
	if len(p.Workers) != 0 || p.Totals.PageOuts != 1 || r.s.db.ActivityHash() != hash {
		t.Errorf("after a page-out %+v", p)
	}
}
