package kernelhost

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"vatworkerd/kernelhost/capdata"
	"vatworkerd/kernelhost/config"
	"vatworkerd/store"
)

func never() config.ReapInterval { return config.ReapInterval{Never: true} }

func noArgs() capdata.CapData { return capdata.CapData{Body: "#[]", Slots: []string{}} }

func TestInterrupt(t *testing.T) {
	r := newRig(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if _, err := r.k.Initialize(ctx, testConfig("", "a", never())); err != nil {
		t.Fatal(err)
	}
	promise, err := r.k.QueueToVat(ctx, "a", "m", noArgs())
	if err != nil {
		t.Fatal(err)
	}
	r.scripts["a/m"] = []fakeOutcome{{hook: func(d *fakeDaemon) { cancel(); <-d.killed }}}
	_, err = r.k.Run(ctx, Budget{})
	var interrupted *InterruptedError
	if !errors.As(err, &interrupted) || !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	r.reopen()
	if r.k.Height() != 1 {
		t.Fatalf("height %d", r.k.Height())
	}
	if _, _, err := r.k.PromiseResult(promise); err == nil {
		t.Fatal("the open block was kept")
	}
}

// TestFaults lets every operation of the host's database fail in turn, in the
// middle of work. Whatever comes of it, a kernel that is opened again stands
// where both sides agree, and goes on to the same end.
func TestFaults(t *testing.T) {
	want := faultedRun(t, -1)
	for n := 0; ; n++ {
		got := faultedRun(t, n)
		if !strings.HasPrefix(got, "fault") {
			if got != want {
				t.Fatalf("without a fault:\n%s\nwant\n%s", got, want)
			}
			return
		}
		if got = strings.TrimPrefix(got, "fault"); got != want {
			t.Fatalf("fault %d:\n%s\nwant\n%s", n, got, want)
		}
	}
}

// faultedRun does a piece of work with a fault at operation n, repeats it if
// that cost it, on a kernel opened again if need be, and gives the tables at
// its end, after "fault" if there was one.
func faultedRun(t *testing.T, n int) string {
	r := newRig(t)
	if _, err := r.k.Initialize(context.Background(), testConfig("a", "a\nb", never())); err != nil {
		t.Fatal(err)
	}
	count, hit := 0, false
	r.fault = func(op string) error {
		count++
		if n < 0 || count != n+1 {
			return nil
		}
		hit = true
		return &store.IOError{Op: op, Err: fmt.Errorf("fault %d", n)}
	}
	work := func() error {
		if r.k.Height() >= 2 {
			return nil
		}
		r.scripts = map[string][]fakeOutcome{}
		r.script("a/go", `["send","o-50",{"methargs":{"body":"#[\"x\",[]]","slots":["p+1"]},"result":"p+5"}]
			["subscribe","p+5"]
			["resolve",[["p-61",false,{"body":"#1","slots":[]}]]]`)
		r.script("b/x", `["resolve",[["p-60",false,{"body":"#2","slots":[]}]]]`)
		root, _, err := r.k.db.Get("v2.c.o+0")
		if err != nil {
			return err
		}
		if _, err := r.k.QueueToVat(context.Background(), "a", "go", capdata.CapData{Body: `#["$0"]`, Slots: []string{root}}); err != nil {
			return err
		}
		_, err = r.k.Run(context.Background(), Budget{})
		return err
	}
	err := work()
	if err != nil && !hit {
		t.Fatalf("without a fault: %v", err)
	}
	if err != nil {
		err = work()
	}
	if err != nil { // not even rolling back has helped
		r.reopen()
		err = work()
	}
	if err != nil {
		t.Fatalf("after fault %d: %v", n, err)
	}
	r.fault = nil
	r.out.Reset()
	r.dump("")
	if hit {
		return "fault" + r.out.String()
	}
	return r.out.String()
}

// TestDeterminism: however the same work is cut into blocks, the kernel makes
// the same tables and the same activity hash of it.
func TestDeterminism(t *testing.T) {
	run := func(blockCranks int64) (string, string) {
		r := newRig(t)
		if _, err := r.k.Initialize(context.Background(), testConfig("a", "a\nb\nc pipelining", config.ReapInterval{Deliveries: 2})); err != nil {
			t.Fatal(err)
		}
		r.script("a/go", `["send","o-50",{"methargs":{"body":"#[\"x\",[]]","slots":["o+9"]},"result":"p+5"}]
			["send","p+5",{"methargs":{"body":"#[\"y\",[]]","slots":[]},"result":"p+6"}]
			["subscribe","p+6"]`)
		r.script("b/x", `["resolve",[["p-60",false,{"body":"#\"$0.Alleged: q\"","slots":["o-50"]}]]]`)
		root, _, err := r.k.db.Get("v2.c.o+0")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.k.QueueToVat(context.Background(), "a", "go", capdata.CapData{Body: `#["$0"]`, Slots: []string{root}}); err != nil {
			t.Fatal(err)
		}
		if _, err := r.k.Run(context.Background(), Budget{BlockCranks: blockCranks}); err != nil {
			t.Fatal(err)
		}
		r.out.Reset()
		r.dump("")
		status, err := r.k.Status(context.Background(), "", 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(status.Vats) != 3 || status.Vats[0].Name != "a" {
			t.Fatalf("status %+v", status)
		}
		return r.out.String(), r.k.db.ActivityHash() + status.ActivityHash + r.k.db.StateHash()
	}
	tables, hash := run(0)
	for _, blockCranks := range []int64{1, 2, 3} {
		if gotTables, gotHash := run(blockCranks); gotTables != tables || gotHash != hash {
			t.Errorf("blocks of %d cranks differ:\n%s\nwant\n%s", blockCranks, gotTables, tables)
		}
	}
}

// TestRoot: a vat's root object can be told to another vat while the vat lives.
func TestRoot(t *testing.T) {
	r := newRealRig(t)
	r.init(`{"vats": {"a": {"bundleSpec": "BUNDLES/echo.json"}, "b": {"bundleSpec": "BUNDLES/counter.json"}}}`)
	root, err := r.k.Root(r.ctx, "b")
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.call("a", "ask", capdata.Ref{Kref: root}, "increment")
	if err != nil || got != 1.0 {
		t.Errorf("got %v, %v", got, err)
	}
	again, err := r.k.Root(r.ctx, "v2")
	if err != nil || again != root {
		t.Errorf("the root is %s, then %s (%v)", root, again, err)
	}
	r.audit()
	if _, err := r.k.Terminate(r.ctx, "b", "by the test"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.k.Root(r.ctx, "b"); err == nil || !strings.Contains(err.Error(), "terminated") {
		t.Errorf("the root of a terminated vat: %v", err)
	}
	var unknown *UnknownVatError
	if _, err := r.k.Root(r.ctx, "c"); !errors.As(err, &unknown) {
		t.Errorf("the root of no vat: %v", err)
	}
	r.audit()
}
