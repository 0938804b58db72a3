package xsnap

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"vatworkerd/pipeproto"
)

// nativeRequest is a request with one field.
func nativeRequest(id uint64, msgType string, appendField func([]byte) []byte) []byte {
	fields := 0
	if appendField != nil {
		fields = 1
	}
	frame := pipeproto.BeginFrame(nil, pipeproto.KindRequest, id, msgType, fields)
	if appendField != nil {
		frame = appendField(frame)
	}
	pipeproto.EndFrame(frame, 0)
	return frame
}

func asText(field string) func([]byte) []byte {
	return func(frame []byte) []byte { return pipeproto.AppendText(frame, field, "text") }
}

// nativeFrame is any frame around a body of msgpack.
func nativeFrame(kind byte, id byte, msgType string, body ...byte) []byte {
	frame := append([]byte{0, 0, 0, 0, 0x94, kind, id, 0xa0 | byte(len(msgType))}, msgType...)
	frame = append(frame, body...)
	pipeproto.EndFrame(frame, 0)
	return frame
}

// TestWrongRequests sends a native worker what no vatworkerd sends. It refuses
// a frame that it does not serve and goes on; what is no frame, or comes out of
// turn, ends it, in its own words.
func TestWrongRequests(t *testing.T) {
	const (
		goesOn = false
		ends   = true
	)
	ready := nativeRequest(200, "ready", nil)
	for _, tc := range []struct {
		name string
		sent []byte
		want string
		end  bool
	}{
		{"garbage", []byte("hello there"), "longer than this end accepts", ends},
		{"zeros", make([]byte, 64), "length 0", ends},
		{"a byte too much", append(nativeFrame(1, 99, "ready", 0xc0), 0, 0, 0, 2, 0xc0, 0xc0), "bytes after the end", ends},
		{"no msgpack", []byte{0, 0, 0, 2, 0xc1, 0xc1}, "begins no value", ends},
		{"no envelope", []byte{0, 0, 0, 1, 0xc0}, "array of 4 elements", ends},
		{"too deep", nativeFrame(1, 99, "ready", append(bytes.Repeat([]byte{0x91}, 20), 0xc0)...), "nested too deep", ends},
		{"claims too much", nativeFrame(1, 99, "deliver", 0x81, 0xa7, 'c', 'o', 'm', 'm', 'a', 'n', 'd', 0xc6, 0xff, 0xff, 0xff, 0xff), "claims more", ends},
		{"an endless type", nativeRequest(99, strings.Repeat("x", 1000), nil), "at most 64 bytes", ends},
		{"a reply", nativeFrame(2, 99, "ready", 0x80), "only a request can come", ends},
		{"an error", nativeFrame(3, 99, "ready", 0x80), "only a request can come", ends},
		{"an event", nativeFrame(4, 0, "ready", 0x80), "only a request can come", ends},
		{"an old id", nativeFrame(1, 1, "ready", 0x80), "ids of requests must rise", ends},
		{"no id", nativeFrame(1, 0, "ready", 0x80), "needs an id", ends},
		{"half a frame", ready[:len(ready)-1], "in the middle of a frame", ends},
		{"half a header", ready[:3], "in the middle of a frame", ends},
		{"an unknown type", nativeRequest(99, "frobnicate", nil), "no such request", goesOn},
		{"a fork", nativeRequest(99, "fork", nil), "no such request", goesOn},
		{"a second hello", nativeRequest(99, "hello", nil), "no such request", goesOn},
		{"a command that is text", nativeRequest(99, "deliver", asText("command")), "needs a binary", goesOn},
		{"code that is text", nativeRequest(99, "evaluate", asText("code")), "needs a binary", goesOn},
		{"a body that is no map", nativeFrame(1, 99, "evaluate", 0x90), "needs a binary", goesOn},
	} {
		t.Run(tc.name, func(t *testing.T) { wrongRequest(t, tc.sent, tc.want, tc.end) })
	}
}

func wrongRequest(t *testing.T, sent []byte, want string, end bool) {
	w := readyNative(t)
	wire := w.wire.(*nativeWire)
	if err := wire.commands.fd.writeAll(sent); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(want, "in the middle") {
		wire.closeCommands()
	}
	said := wire.listen(t)
	if !strings.Contains(said, want) {
		t.Fatalf("it said %q, want …%s…", said, want)
	}
	if !end {
		wire.asked = 199
		if err := w.Ready(); err != nil {
			t.Errorf("it does not go on: %v", err)
		}
		return
	}
	if <-w.Exited(); w.proc.status.ExitStatus() != ExitIOError {
		t.Errorf("it ended with %v", w.proc.status)
	}
}

// readyNative is a fresh machine: of the release build, or within TestSanitized
// of that.
func readyNative(t *testing.T) *Worker {
	t.Helper()
	var r *rig
	if strings.HasPrefix(t.Name(), "TestSanitized/") {
		r = newRig(t)
	} else {
		r = nativeRig(t).contained(SandboxAuto)
	}
	w := r.start(StartOptions{})
	if err := w.Ready(); err != nil {
		t.Fatal(err)
	}
	return w
}

// listen gives the message of the worker's next refusal.
func (w *nativeWire) listen(t *testing.T) string {
	t.Helper()
	for {
		frame, err := w.replies.next()
		if err != nil {
			t.Fatal(err)
		}
		m, err := pipeproto.ParseMessage(frame)
		if err != nil {
			t.Fatal(err)
		}
		if m.Kind != pipeproto.KindError {
			continue
		}
		text, err := m.Text("message")
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
}

// TestWrongAnswers answers an upcall with what is no answer.
func TestWrongAnswers(t *testing.T) {
	for _, tc := range []struct {
		name string
		sent []byte
		want string
	}{
		{"garbage", []byte("hello there"), "longer than this end accepts"},
		{"a request", nativeRequest(99, "ready", nil), "no reply to issueCommand"},
		{"another reply", nativeFrame(2, 1, "deliver", 0x80), "no reply to issueCommand"},
		{"another's id", nativeFrame(2, 77, "issueCommand", 0x80), "no reply to issueCommand"},
		{"an error", nativeFrame(3, 1, "issueCommand", 0x80), "no reply to issueCommand"},
		{"an answer that is text", nativeFrame(2, 1, "issueCommand", 0x81, 0xa6, 'r', 'e', 's', 'u', 'l', 't', 0xa1, 'x'), "needs a binary result"},
		{"an answer that is no map", nativeFrame(2, 1, "issueCommand", 0x93, 1, 2, 3), "needs a binary result"},
	} {
		t.Run(tc.name, func(t *testing.T) { wrongAnswer(t, tc.sent, tc.want) })
	}
}

func wrongAnswer(t *testing.T, sent []byte, want string) {
	w := readyNative(t)
	wire := w.wire.(*nativeWire)
	if err := wire.send(cmdEvaluate, []byte("issueCommand(new ArrayBuffer(3))")); err != nil {
		t.Fatal(err)
	}
	if msg, err := wire.receive(); err != nil || msg.kind != msgUpcall {
		t.Fatalf("got %+v, %v", msg, err)
	}
	if err := wire.commands.fd.writeAll(sent); err != nil {
		t.Fatal(err)
	}
	_, err := wire.receive()
	var refused *wireError
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), want) {
		t.Errorf("it said %v, want …%s…", err, want)
	}
	if <-w.Exited(); w.proc.status.ExitStatus() != ExitIOError {
		t.Errorf("it ended with %v", w.proc.status)
	}
}
