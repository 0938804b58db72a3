package supervisor

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"vatworkerd/pipeproto"
	"vatworkerd/store"
)

// work is a little of everything, used where the same work is done under
// different circumstances.
func (r *rig) work(create func(vatID string)) {
	create("v1")
	create("v2")
	for i := range 6 {
		r.send("v1", "increment")
		if i%2 == 0 {
			r.send("v2", "increment")
		}
	}
	r.run()
	r.commit()
	r.must(r.control(pipeproto.ReqPause, "v2", "test"))
	r.send("v2", "increment")
	r.send("v1", "increment")
	r.run()
	r.must(r.control(pipeproto.ReqResume, "v2", ""))
	r.run()
	r.commit()
}

// spanHashes lists every span of every vat.
func (r *rig) spanHashes() string {
	list, err := r.s.listSpans(pipeproto.VatRef{})
	r.must(err)
	var b bytes.Buffer
	for _, span := range list.Spans {
		fmt.Fprintln(&b, span)
	}
	return b.String()
}

func TestKilledWorkerIsRetriedAndDoesNotShow(t *testing.T) {
	r := newRig(t, nil)
	r.create("v1", "counter", pipeproto.VatOptions{})
	first := r.send("v1", "increment")
	r.run()
	r.want(first, "fulfilled #1")
	r.worker("v1").process.Kill()
	second := r.send("v1", "increment")
	r.run()
	r.want(second, "fulfilled #2")
	if len(r.host.warnings) == 0 {
		t.Error("nobody was told of the lost worker")
	}
	r.wantState("v1", running, 0)
}

func TestWorkerThatKeepsDyingPanicsAndChangesNothing(t *testing.T) {
	fake := &fakeStarter{}
	r := newFakeRig(t, fake, 10)
	r.createFake("v1", false, pipeproto.VatOptions{})
	r.run()
	r.send("v1", "incr")
	r.commit()
	hash := r.s.db.ActivityHash()
	fake.deaths = maxCrankTries
	_, err := r.s.run(pipeproto.Run{})
	var panicked *PanicError
	if !errors.As(err, &panicked) {
		t.Fatalf("error %v, want a panic", err)
	}
	if err := r.s.ready(pipeproto.ReqRun); !errors.As(err, &panicked) {
		t.Errorf("a panicked supervisor would run: %v", err)
	}
	if err := r.s.ready(pipeproto.ReqStatus); err != nil {
		t.Errorf("a panicked supervisor refuses status: %v", err)
	}
	if got := r.s.db.ActivityHash(); got != hash {
		t.Errorf("activity hash %s, was %s", got, hash)
	}
	r.s.panicked = nil // as a new process would find it
	r.run()
	if got := ranBy(r.host); len(got) != 1 {
		t.Errorf("ran %v, want the one delivery", got)
	}
}

func TestAlteredTranscriptIsFoundAndShown(t *testing.T) {
	r := newRig(t, nil)
	r.create("v1", "counter", pipeproto.VatOptions{})
	r.send("v1", "increment")
	r.run()
	r.commit()
	r.must(r.s.runCrank(func(c *crank) error {
		return c.tx.Exec(`UPDATE transcriptItems SET item = replace(item, 'vatstoreSet', 'vatstoreGet') WHERE vatID = 'v1' AND position = 1`)
	}))
	reply, err := r.s.replay(pipeproto.Replay{VatID: "v1", Full: true})
	r.must(err)
	if reply.Identical || !bytes.Contains([]byte(reply.Report), []byte("WRONG")) {
		t.Errorf("replay: %+v", reply)
	}
	r.must(r.s.db.Rollback())
}

// TestStoreFaults fails every operation of the store in turn. After each
// failure the supervisor, rolled back, is where it was after the last commit,
// and the same work then gives the same hash as without faults.
func TestStoreFaults(t *testing.T) {
	fakes := func(r *rig) func(string) {
		return func(vatID string) { r.createFake(vatID, false, pipeproto.VatOptions{}) }
	}
	clean := newFakeRig(t, &fakeStarter{}, 2)
	clean.work(fakes(clean))
	want := clean.s.db.ActivityHash()

	injected := errors.New("injected")
	for i := 0; ; i++ {
		n := -1 // armed after opening
		r := newRig(t, func(o *Options) {
			o.Image, o.MaxOnline, o.starter, o.Dir = fakeImage("engine0"), 2, &fakeStarter{}, fastDir(t)
			o.StoreFault = func(string) error {
				if n < 0 {
					return nil
				}
				n++
				if n == i+1 {
					return injected
				}
				return nil
			}
		})
		n = 0
		err := r.tryOneBlock()
		failed := err != nil
		n, r.broken = -1, failed
		if failed && !errors.Is(err, injected) {
			t.Fatalf("operation %d: %v", i, err)
		}
		r.close()
		r.broken = false
		r.open()
		if r.s.db.Height() == 0 {
			r.height = 0
			if got := r.s.db.ActivityHash(); got != "" {
				t.Fatalf("operation %d: activity hash %q of a store at height 0", i, got)
			}
			r.host.log = nil
			r.must(r.tryOneBlock())
		}
		if got := ranBy(r.host); len(got) != 3 {
			t.Fatalf("operation %d: ran %v", i, got)
		}
		r.close()
		if !failed {
			t.Logf("%d operations failed in turn", i)
			break
		}
	}
	again := newFakeRig(t, &fakeStarter{}, 2)
	again.work(fakes(again))
	if got := again.s.db.ActivityHash(); got != want {
		t.Errorf("activity hash %s, want %s", got, want)
	}
}

// tryOneBlock is one small block, its errors returned.
func (r *rig) tryOneBlock() error {
	if err := r.s.addBundle(pipeproto.AddBundle{ID: "b1-good", Data: []byte(`"good"`)}); err != nil {
		return err
	}
	reply, err := r.s.createVat(pipeproto.CreateVat{VatID: "v1", Name: "v1", BundleID: "b1-good"})
	if err != nil {
		return err
	}
	r.admins["v1"] = reply.Admin
	item := pipeproto.Item{VatID: "v1", Priority: pipeproto.PriorityMessage, Payload: []byte(`["message","o+0",{"methargs":{"body":"#[\"incr\",[]]","slots":[]},"result":"p-60"}]`)}
	if err := r.s.enqueue(pipeproto.Enqueue{Items: []pipeproto.Item{item, item, item}}); err != nil {
		return err
	}
	if _, err := r.s.run(pipeproto.Run{}); err != nil {
		return err
	}
	if err := r.s.prepare(pipeproto.Height{Height: 1}); err != nil {
		return err
	}
	r.height = 1
	return r.s.commitBlock(pipeproto.Height{Height: 1})
}

// TestBlockLostBeforeACrank fills the disk when what is pending goes into the
// block's transaction, between two cranks.
func TestBlockLostBeforeACrank(t *testing.T) {
	var full atomic.Bool
	r := newRig(t, func(o *Options) {
		o.Image, o.starter = fakeImage("engine0"), &fakeStarter{}
		o.StoreFault = func(op string) error {
			if full.Load() && op == "exec" {
				return syscall.ENOSPC
			}
			return nil
		}
	})
	much := func(c *crank) error {
		c.tx.Set("much", strings.Repeat("x", 9<<20))
		return nil
	}
	r.must(r.s.runCrank(much))
	full.Store(true)
	nothing := func(*crank) error { return nil }
	if err := r.s.runCrank(nothing); !errors.Is(err, store.ErrDiskFull) {
		t.Fatalf("got %v, want a full disk", err)
	}
	full.Store(false)
	if err := r.s.ready(pipeproto.ReqRun); err == nil {
		t.Error("a run is allowed in a lost block")
	}
	r.must(r.s.rollback(pipeproto.Empty{}))
	r.must(r.s.runCrank(nothing))
}
