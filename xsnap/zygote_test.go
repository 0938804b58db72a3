package xsnap

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"vatworkerd/pipeproto"
)

// TestForked has workers that a zygote forks pass the tests of all others. Their
// faults are compared in TestConformanceOfFaults.
func TestForked(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"BaseSnapshotChangesNothing": TestBaseSnapshotChangesNothing,
		"SnapshotAndGoOn":            TestSnapshotAndGoOn,
		"ReplacementWhileStreaming":  TestReplacementWhileSnapshotStreams,
		"SnapshotDestinationFails":   TestSnapshotDestinationFails,
		"SignalInMidDelivery":        TestSignalInMidDelivery,
		"KillOfStoppedWorker":        TestKillOfStoppedWorker,
		"HandlerErrorEndsTheWorker":  TestHandlerErrorEndsTheWorker,
		"ConsoleAndTestLog":          TestConsoleAndTestLog,
		"LargeSyscall":               TestLargeSyscall,
		"SetBundleFailures":          TestSetBundleFailures,
		"ManyWorkers":                TestManyWorkers,
		"NothingIsInherited":         TestNothingIsInherited,
		"NoDescriptorsLeft":          TestNoDescriptorsLeft,
		"ContainmentChangesNothing":  TestContainmentChangesNothing,
		"Degraded":                   TestDegraded,
	} {
		t.Run(name, test)
	}
}

// forkingRig has a zygote that runs.
func forkingRig(t *testing.T) *rig {
	r := nativeRig(t).contained(SandboxAuto).forking()
	r.fromBase()
	return r
}

// TestZygoteDies: its workers go on, and no more come.
func TestZygoteDies(t *testing.T) {
	r := forkingRig(t)
	k := newFakeKernel()
	w := r.vat(k)
	if err := syscall.Kill(r.zygote.process.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_, err := r.zygote.Start(StartOptions{Name: "late", CPU: -1})
	wantSignal(t, err, syscall.SIGKILL)
	if _, err := r.zygote.Start(StartOptions{Name: "later", CPU: -1}); err == nil || !strings.Contains(err.Error(), "gone") {
		t.Errorf("got %v", err)
	}
	mustDeliver(t, w, k, message("increment"))
	snapshotOf(t, w)
}

// TestForkedDieWithSpawner: they are the thread's children, not the zygote's.
func TestForkedDieWithSpawner(t *testing.T) {
	r := nativeRig(t)
	base, err := r.base.Open(r.image)
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	s, err := NewSpawner()
	if err != nil {
		t.Fatal(err)
	}
	z, err := s.StartZygote(r.image.Engine, base, ZygoteOptions{Sandbox: SandboxAuto})
	if err != nil {
		t.Fatal(err)
	}
	w := toBeClosed(t, StartOptions{}, z.Start)
	if err := w.Ready(); err != nil {
		t.Fatal(err)
	}
	s.Close()
	<-w.Exited()
	<-z.process.Exited()
	if w.proc.status.Signal() != syscall.SIGKILL {
		t.Errorf("it ended with %v", w.proc.status)
	}
	if _, err := z.Start(StartOptions{Name: "late", CPU: -1}); err == nil {
		t.Error("a worker came from a dead zygote")
	}
	if err := z.Close(); err != nil {
		t.Error(err)
	}
}

// TestForkAndKill kills workers in every stage of their beginning, from many
// goroutines, and leaves nothing behind.
func TestForkAndKill(t *testing.T) {
	r := forkingRig(t)
	before := openDescriptors(t)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 5 {
				w, err := r.zygote.Start(StartOptions{Name: "x", CPU: -1})
				if err != nil {
					t.Error(err)
					return
				}
				if i%2 == 0 {
					w.Kill()
				}
				// One that was killed may have answered before.
				if err := w.Ready(); err != nil && i%2 == 1 {
					t.Errorf("goroutine %d: ready says %v", i, err)
				}
				if err := w.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if after := openDescriptors(t); after != before {
		t.Errorf("%d descriptors are open, %d were before", after, before)
	}
}

func TestZygoteRefusals(t *testing.T) {
	r := forkingRig(t)
	for name, o := range map[string]StartOptions{
		"no name": {}, "a flag": {Name: "-x"}, "a limit": {Name: "x", MeterLimit: -1}, "a heap": {Name: "x", From: strings.NewReader("")},
	} {
		if w, err := r.zygote.Start(o); err == nil {
			t.Errorf("%s: started %d", name, w.PID())
		}
	}
	stock := newRig(t)
	base, err := stock.base.Open(stock.image)
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	if _, err := r.spawner.StartZygote(stock.image.Engine, base, ZygoteOptions{}); err == nil || !strings.Contains(err.Error(), "only native engines fork") {
		t.Errorf("a stock zygote: got %v", err)
	}
	noHeap, err := os.Open("testdata/trial.js")
	if err != nil {
		t.Fatal(err)
	}
	defer noHeap.Close()
	var load *LoadError
	if _, err := r.spawner.StartZygote(r.image.Engine, noHeap, ZygoteOptions{}); !errors.As(err, &load) {
		t.Errorf("a zygote of no heap: got %v", err)
	}
	r.fromBase() // and the zygote is as good as before
}

// TestWrongForkRequests sends a zygote packets that are no requests.
func TestWrongForkRequests(t *testing.T) {
	frame := func(k pipeproto.Kind, id uint64, msgType string) []byte {
		b := pipeproto.AppendInt(pipeproto.BeginFrame(nil, k, id, msgType, 1), "parent", 1)
		pipeproto.EndFrame(b, 0)
		return b
	}
	good := frame(pipeproto.KindRequest, 100, "fork")
	null, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	fd := int(null.Fd())
	for name, tc := range map[string]struct {
		packet []byte
		fds    []int
		want   string
	}{
		"garbage":            {[]byte("garbage"), nil, "exactly one frame"},
		"one byte":           {[]byte{0}, nil, "exactly one frame"},
		"two frames":         {append(bytes.Clone(good), good...), nil, "exactly one frame"},
		"too long":           {append(bytes.Clone(good), make([]byte, 5000)...), nil, "exactly one frame"},
		"no msgpack":         {[]byte{0, 0, 0, 2, 0xc1, 0xc1}, nil, "begins no value"},
		"a reply":            {frame(pipeproto.KindReply, 100, "fork"), nil, "only a request can come"},
		"an old id":          {frame(pipeproto.KindRequest, 1, "fork"), nil, "ids of requests must rise"},
		"no descriptors":     {good, nil, "descriptors do not fit"},
		"one descriptor":     {good, []int{fd}, "descriptors do not fit"},
		"too many":           {good, []int{fd, fd, fd, fd, fd, fd, fd}, "descriptors do not fit"},
		"many too many":      {good, slices.Repeat([]int{fd}, 40), "descriptors do not fit"},
		"an unknown request": {frame(pipeproto.KindRequest, 100, "deliver"), []int{fd}, "no such request"},
	} {
		t.Run(name, func(t *testing.T) {
			r := forkingRig(t)
			wire := r.zygote.wire
			wire.asked, wire.askedFor = 100, "fork"
			if name == "an unknown request" {
				wire.askedFor = "deliver"
			}
			var rights []byte
			if tc.fds != nil {
				rights = unix.UnixRights(tc.fds...)
			}
			if err := unix.Sendmsg(int(wire.commands.fd), tc.packet, rights, nil, 0); err != nil {
				t.Fatal(err)
			}
			_, err := wire.receive()
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v, want …%s…", err, tc.want)
			}
			var refused *pipeproto.Error
			if errors.As(err, &refused) {
				r.fromBase() // it goes on
			} else if <-r.zygote.process.Exited(); r.zygote.process.proc.status.ExitStatus() != ExitIOError {
				t.Errorf("it ended with %v", r.zygote.process.proc.status)
			}
		})
	}
}
