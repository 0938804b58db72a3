package xsnap

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// TestWrongReplies drives every command against a worker that answers it with
// one scripted sequence of bytes.
func TestWrongReplies(t *testing.T) {
	deliver := func(w *Worker) error {
		_, err := w.Deliver(json.RawMessage(boydDelivery), newFakeKernel())
		return err
	}
	setBundle := func(w *Worker) error {
		_, err := w.SetBundle("v1", []byte(`{}`), nil, newFakeKernel())
		return err
	}
	evaluate := func(w *Worker) error { return w.Evaluate([]byte("1"), nil) }
	for _, tc := range []struct {
		name  string
		reply string
		run   func(*Worker) error
		want  string
		gone  bool // the worker can not be used any more
	}{
		{"too long", "12000001:", deliver, "longer than the limit of 12000000 bytes", true},
		{"far too long", "999999999999999999999999:", deliver, "longer than the limit", true},
		{"no netstring", "hello", deliver, `the length begins with "hello"`, true},
		{"no length", ":,", deliver, "the length begins with", true},
		{"leading zero", "01:.,", deliver, "leading zero", true},
		{"no comma", "1:.x", deliver, "not by", true},
		{"empty message", "0:,", deliver, "empty message", true},
		{"unknown message", netstring("Zap"), deliver, "unknown message: \"Zap\"", true},
		{"meter is no record", netstring(".{}\x01[]"), deliver, "malformed meter", true},
		{"meter is cut", netstring(`.{"currentHeapCount":1,"compute":` + "\x01[]"), deliver, "malformed meter", true},
		{"no meter", netstring(`.["ok",null,null]`), deliver, "no meter record", false},
		{"never settled", good(""), deliver, "became idle before the promise of its dispatch settled", false},
		{"no JSON", good("exception from handleItem"), deliver, "no tagged array", false},
		{"no array", good(`"ok"`), deliver, "no tagged array", false},
		{"empty array", good(`[]`), deliver, "no tagged array", false},
		{"tag is a number", good(`[1]`), deliver, "no tagged array", false},
		{"unknown status", good(`["maybe",null,null]`), deliver, "unexpected result", false},
		{"supervisor failed", good(`["err","TypeError","no such thing"]`), deliver, `failed with TypeError: "no such thing"`, false},
		{"uncaught in deliver", netstring("!SyntaxError: x"), deliver, `uncaught exception: "SyntaxError: x"`, false},
		{"uncaught in evaluate", netstring("!Error: y"), evaluate, `in evaluate: uncaught exception: "Error: y"`, false},
		{"setBundle refused", good(`["err","Error","cannot setBundle again"]`), setBundle, "cannot set up vat v1: setBundle failed: Error: cannot setBundle again", false},
		{"setBundle idle", good(""), setBundle, "became idle", false},
		{"upcall without handler", netstring(`?["testLog"]`), evaluate, "an upcall where none can come", true},
		{"upcall is no JSON", netstring(`?hm`), deliver, "the upcall is no tagged array", true},
		{"unknown upcall", netstring(`?["frobnicate",1]`), deliver, "unrecognized upcall", true},
		{"syscall without vso", netstring(`?["syscall"]`), deliver, "unrecognized upcall", true},
		{"console without level", netstring(`?["sourcedConsole","vat"]`), deliver, "unrecognized upcall", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := startFake(t, fakeReply(tc.reply), 0)
			err := tc.run(w)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v, want …%s…", err, tc.want)
			}
			if (w.broken != nil) != tc.gone {
				t.Errorf("broken is %v, want gone=%v", w.broken, tc.gone)
			}
			var protocol *ProtocolError
			var setup *VatSetupError
			if !errors.As(err, &protocol) && !errors.As(err, &setup) {
				t.Errorf("%T is none of the typed errors", err)
			}
			if err := w.Close(); err != nil {
				t.Error(err)
			}
			if err := tc.run(w); !errors.Is(err, ErrClosed) {
				t.Errorf("after Close: got %v, want ErrClosed", err)
			}
		})
	}
}

func TestVatErrorIsAResult(t *testing.T) {
	w := startFake(t, fakeReply(good(`["error","Error: no","x"]`)), 0)
	res, err := w.Deliver(json.RawMessage(boydDelivery), newFakeKernel())
	if err != nil || res.Status != StatusError || res.Problem != "Error: no" || res.WorkerGone {
		t.Fatalf("got %+v, %v", res, err)
	}
	if *res.Meter != (Meter{Compute: 2, Allocate: 3, CurrentHeapCount: 1}) {
		t.Errorf("meter is %+v", *res.Meter)
	}
}

func TestLargestUpcall(t *testing.T) {
	w := startFake(t, fakePrefix+"huge", 0)
	k := newFakeKernel()
	_, err := w.Deliver(json.RawMessage(boydDelivery), k)
	var frame *FrameError
	if !errors.As(err, &frame) {
		t.Fatalf("got %v, want a *FrameError for one byte too many", err)
	}
	if len(k.syscalls) != 1 || len(k.store["k"]) < MaxFromWorker-100 {
		t.Fatalf("the upcall of exactly the limit did not arrive: %d syscalls", len(k.syscalls))
	}
}

// TestExits: a worker that ends by itself, with every code it can have.
func TestExits(t *testing.T) {
	for code, problem := range map[int]string{
		0: "", 1: "", 2: "", 11: "Allocate meter exceeded", 12: "Stack meter exceeded",
		15: "", 16: "", 17: "Compute meter exceeded", 255: "",
	} {
		name := fakePrefix + "die:" + hex.EncodeToString([]byte{byte(code)})
		w := startFake(t, name, 0)
		_, err := w.SetBundle("v1", []byte(`{}`), nil, newFakeKernel())
		var exit *ExitError
		if !errors.As(err, &exit) {
			t.Fatalf("code %d: got %v, want an *ExitError", code, err)
		}
		if exit.Code != code || exit.Signal != 0 || exit.VatFault() != (problem != "") {
			t.Errorf("code %d: got %#v", code, exit)
		}
		if len(exit.Stderr) != stderrTailBytes || !strings.HasSuffix(exit.Stderr, "\nlast words") {
			t.Errorf("code %d: stderr tail has %d bytes and ends %q", code, len(exit.Stderr), exit.Stderr[max(0, len(exit.Stderr)-20):])
		}

		w = startFake(t, name, 0)
		res, err := w.Deliver(json.RawMessage(boydDelivery), newFakeKernel())
		switch {
		case problem == "" && !errors.As(err, &exit):
			t.Errorf("code %d: delivery gave %+v, %v", code, res, err)
		case problem != "" && (err != nil || res != DeliveryResult{Status: StatusError, Problem: problem, WorkerGone: true, ExitCode: code}):
			t.Errorf("code %d: delivery gave %+v, %v", code, res, err)
		}
	}
}

func TestEarlyEnd(t *testing.T) {
	t.Run("inside a message", func(t *testing.T) {
		w := startFake(t, fakePrefix+"truncated", 0)
		var exit *ExitError
		if err := w.Ready(); !errors.As(err, &exit) || exit.Code != 0 {
			t.Fatalf("got %v", err)
		}
	})
	t.Run("pipe closed, process alive", func(t *testing.T) {
		w := startFake(t, fakePrefix+"closepipe", time.Millisecond)
		var protocol *ProtocolError
		if err := w.Ready(); !errors.As(err, &protocol) || !strings.Contains(err.Error(), "goes on running") {
			t.Fatalf("got %v", err)
		}
	})
}

func TestCloseKillsStubbornWorker(t *testing.T) {
	w := startFake(t, fakePrefix+"stubborn", time.Millisecond)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	<-w.Exited()
}

// TestKillFreesBlockedWriter: a worker that does not read blocks its owner in
// a write; Kill from another goroutine ends that.
func TestKillFreesBlockedWriter(t *testing.T) {
	for _, size := range []int{gatherWriteBytes / 2, 8 << 20} {
		w := startFake(t, fakePrefix+"deaf", 0)
		done := make(chan error)
		go func() {
			code := bytes.Repeat([]byte{' '}, size)
			for {
				if err := w.wire.answer(code); err != nil {
					done <- err
					return
				}
			}
		}()
		w.Kill()
		if err := <-done; err == nil {
			t.Fatal("the write succeeded")
		}
		wantSignal(t, w.Ready(), 9)
	}
}

func TestHostileSnapshots(t *testing.T) {
	for _, tc := range []struct{ script, want string }{
		{"abc|5", "announced 5 bytes but wrote 3"},
		{"abcde|3", "announced 3 bytes but wrote 5"},
		{"abc|", "no length"},
		{"abc|-3", "no length"},
		{"abc|3x", "no length"},
	} {
		w := startFake(t, fakePrefix+"snapshot:"+hex.EncodeToString([]byte(tc.script)), 0)
		n, err := w.Snapshot(io.Discard)
		if err == nil || !strings.Contains(err.Error(), tc.want) || n != 0 {
			t.Errorf("%s: got %d, %v, want …%s…", tc.script, n, err, tc.want)
		}
	}
}

// TestSnapshotWithoutEnd: what a worker writes is bounded, before it has said
// how much it was and after.
func TestSnapshotWithoutEnd(t *testing.T) {
	for mode, want := range map[string]string{"endless": "it wrote more than 1048576 bytes", "more": "announced 3 bytes"} {
		w := startWorker(t, newSpawner(t), selfEngine(t), StartOptions{Name: fakePrefix + mode, Limits: Limits{HeapBytes: 1 << 20}})
		var protocol *ProtocolError
		if n, err := w.Snapshot(io.Discard); !errors.As(err, &protocol) || !strings.Contains(err.Error(), want) || n != 0 {
			t.Errorf("%s: got %d, %v, want …%s…", mode, n, err, want)
		}
		<-w.Exited()
	}
}

// TestMessagesOutOfTurn: what came with a reply and belongs to no command ends
// the worker before the next one.
func TestMessagesOutOfTurn(t *testing.T) {
	for _, more := range []string{netstring("."), netstring(`?["syscall",["vatstoreGet","x"]]`), "12"} {
		w := startFake(t, fakeReply(netstring(".")+more), 0)
		if err := w.Ready(); err != nil {
			t.Fatal(err)
		}
		var protocol *ProtocolError
		if _, err := w.Deliver(json.RawMessage(boydDelivery), newFakeKernel()); !errors.As(err, &protocol) || !strings.Contains(err.Error(), "nobody asked for") {
			t.Errorf("after %q: got %v", more, err)
		}
		<-w.Exited()
	}
}

// TestOutputWithoutEnd: a worker that writes for ever to stdout neither blocks
// nor floods the sink.
func TestOutputWithoutEnd(t *testing.T) {
	var out lines
	w := startWorker(t, newSpawner(t), selfEngine(t), StartOptions{Name: fakePrefix + "babble", Sink: out.take})
	if err := w.Ready(); err != nil {
		t.Fatal(err)
	}
	w.Kill()
	<-w.Exited()
	text := out.text()
	if !strings.HasSuffix(text, "the rest is dropped)") || len(text) > maxOutputBytes+maxLineBytes+100 {
		t.Errorf("%d bytes reached the sink, the last are %q", len(text), text[max(0, len(text)-100):])
	}
}

func TestSnapshotsInARow(t *testing.T) {
	w := startFake(t, fakePrefix+"snapshot:"+hex.EncodeToString([]byte("abc|3")), 0)
	for range 20 {
		var b bytes.Buffer
		if n, err := w.Snapshot(&b); err != nil || n != 3 || b.String() != "abc" {
			t.Fatalf("got %d %q, %v", n, b.String(), err)
		}
	}
}
