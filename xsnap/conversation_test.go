package xsnap

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"vatworkerd/internal/mutate"
	"vatworkerd/pipeproto"
)

// deadWorker is a Worker whose process has ended, all that it ever said being at
// hand.
func deadWorker(t testing.TB, kind EngineKind, said []byte) *Worker {
	t.Helper()
	null, err := os.OpenFile("/dev/null", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { null.Close() })
	exited := make(chan struct{})
	close(exited)
	w := &Worker{proc: &process{reaped: true, exited: exited}, closeGrace: time.Hour}
	w.Rename("v1:dead")
	commands := frameWriter{fd: rawFD(null.Fd())}
	w.wire = &stockWire{commands: commands, replies: newFrameReader(bytes.NewReader(said), netstrings(), 1<<20)}
	if kind == EngineNative {
		wire := &nativeWire{commands: commands, replies: newFrameReader(bytes.NewReader(said), pipeFrames(), 1<<20)}
		_ = wire.finish(wire.hello(3, StartOptions{}))
		w.wire = wire
	}
	return w
}

// checkedHandler demands of each call what Handlers are promised.
type checkedHandler struct {
	t     *testing.T
	calls int
}

var errEnough = errors.New("enough")

func (h *checkedHandler) Syscall(vso json.RawMessage) (json.RawMessage, error) {
	h.calls++
	switch {
	case h.calls > 100:
		return nil, errEnough
	case !json.Valid(vso):
		return nil, ErrNoSyscall
	}
	return json.RawMessage(`["ok",null]`), nil
}

func (h *checkedHandler) Console(source, level string, args []json.RawMessage) { h.check(args) }
func (h *checkedHandler) TestLog(args []json.RawMessage)                       { h.check(args) }

func (h *checkedHandler) check(args []json.RawMessage) {
	for _, arg := range args {
		if !json.Valid(arg) {
			h.t.Fatalf("an argument is %q", arg)
		}
	}
}

// stockTalk are conversations of stock workers, good and bad.
func stockTalk() (seeds [][]byte) {
	ok, vatError := good(`["ok",null,null]`), good(`["error","Error: no",null]`)
	get := netstring(`?["syscall",["vatstoreGet","k"]]`)
	for _, seed := range []string{
		"", "0:,", netstring("."), netstring(".") + ok, netstring(".") + netstring("."), ok, ok + ok, vatError,
		get + ok, get + get + vatError, get, good(""), good(`["dispatchReady"]`), good(`["err","Error","no"]`), good(`["ok"]`), good(`[]`), good(`[7]`),
		good(`{"ok":1}`), good(strings.Repeat("[", 20000)), netstring("!Error: x"), netstring("x"), netstring(`?["testLog","a",1,{}]`) + ok,
		netstring(`?["sourcedConsole","vat","log",1,"two",[3]]`) + ok, netstring(`?["sourcedConsole"]`), netstring(`?{}`), netstring(`?`),
		netstring(`?["syscall",["send",}]]`), netstring("?[\"syscall\",[\"\xff\"]]") + ok, netstring(`?["syscall",` + strings.Repeat("[", 20000) + `]]`),
		netstring(".{\"currentHeapCount\":1,\"compute\":99999999999999999999,\"allocate\":3,\"timestamps\":[]}\x01x"), netstring(".\x01"),
		good("3"), good("-3"), good("99999999999999999999"), "1048577:", "1048576:x", "5:.", "01:.,", ok[:len(ok)-1],
	} {
		seeds = append(seeds, []byte(seed))
	}
	return seeds
}

// nativeTalk are conversations of native workers, good and bad.
func nativeTalk() (seeds [][]byte) {
	frame := func(kind pipeproto.Kind, id uint64, msgType string, body any) []byte {
		packed, err := msgpack.Marshal([]any{uint8(kind), id, msgType, body})
		if err != nil {
			panic(err)
		}
		return append(binary.BigEndian.AppendUint32(nil, uint32(len(packed))), packed...)
	}
	hello := frame(pipeproto.KindReply, 1, pipeproto.ReqWorkerHello, pipeproto.WorkerHelloReply{Version: pipeproto.WorkerVersion, MaxFrameBytes: 1 << 24, Engine: "x"})
	done := func(id uint64, msgType, result string) []byte {
		return frame(pipeproto.KindReply, id, msgType, pipeproto.WorkerOutcome{Compute: 1, Allocate: 2, HeapCount: 3, Result: []byte(result)})
	}
	ask := func(id uint64, what string) []byte {
		return frame(pipeproto.KindRequest, id, pipeproto.ReqWorkerCommand, pipeproto.WorkerCommand{Command: []byte(what)})
	}
	failed := func(id uint64, code string) []byte {
		return frame(pipeproto.KindError, id, pipeproto.ReqWorkerDeliver, pipeproto.Error{Code: code, Message: "Error: no"})
	}
	deliver, get, ok := pipeproto.ReqWorkerDeliver, `["syscall",["vatstoreGet","k"]]`, `["ok",null,null]`
	for _, parts := range [][][]byte{
		{}, {hello}, {hello, done(2, deliver, ok)}, {hello, ask(1, get), ask(2, get), done(2, deliver, `["error","Error: no",null]`), done(3, deliver, ok)},
		{hello, done(2, deliver, `["dispatchReady"]`)}, {hello, done(2, pipeproto.ReqWorkerEvaluate, "")}, {hello, done(2, deliver, "")}, {hello, done(7, deliver, ok)},
		{hello, ask(2, get), ask(1, get)}, {hello, ask(1, `["testLog","a"]`), ask(2, `["sourcedConsole","vat","log",1]`), done(2, deliver, ok)},
		{hello, failed(2, pipeproto.CodeUncaught)}, {hello, failed(2, pipeproto.CodeBadRequest)}, {hello, failed(0, pipeproto.CodeBadRequest)},
		{hello, frame(pipeproto.KindEvent, 0, pipeproto.EventWorkerExit, pipeproto.WorkerExit{Code: 11, Reason: "memory"})},
		{hello, frame(pipeproto.KindEvent, 0, pipeproto.EventWorkerHeap, pipeproto.WorkerHeap{Bytes: -1}), done(2, deliver, ok)},
		{hello, frame(pipeproto.KindReply, 2, deliver, pipeproto.Empty{})}, {frame(pipeproto.KindReply, 1, pipeproto.ReqWorkerHello, pipeproto.WorkerHelloReply{})},
		{hello, {0, 0x10, 0, 1}}, {hello, {0, 0, 0, 9, 0x94}},
	} {
		seeds = append(seeds, bytes.Join(parts, nil))
	}
	return seeds
}

// converse has every command meet what a worker says: each must end, with a
// result that has all it must have or with an error of a kind that callers decide on.
func converse(t *testing.T, kind EngineKind, said []byte) {
	h := &checkedHandler{t: t}
	checkKind(t, deadWorker(t, kind, said).Ready())
	checkKind(t, deadWorker(t, kind, said).Evaluate([]byte("1"), h))
	_, err := deadWorker(t, kind, said).SetBundle("v1", []byte("{}"), nil, h)
	checkKind(t, err)
	w := deadWorker(t, kind, said)
	for range 3 { // one after the other, as long as there is something to be had
		res, err := w.Deliver(json.RawMessage(boydDelivery), h)
		checkKind(t, err)
		if err == nil && (res.Meter == nil || res.WorkerGone || res.Status != StatusOK && res.Status != StatusError) {
			t.Fatalf("a delivery ended with %+v", res)
		}
	}
}

func FuzzConversation(f *testing.F) { fuzzTalk(f, EngineStock, stockTalk()) }

func FuzzNativeConversation(f *testing.F) { fuzzTalk(f, EngineNative, nativeTalk()) }

func fuzzTalk(f *testing.F, kind EngineKind, seeds [][]byte) {
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, said []byte) { converse(t, kind, said) })
}

// TestMutatedConversations is a bounded form of the two.
func TestMutatedConversations(t *testing.T) {
	const mutants = 2000
	for kind, seeds := range map[EngineKind][][]byte{EngineStock: stockTalk(), EngineNative: nativeTalk()} {
		for said := range mutate.Bytes(mutants, seeds) {
			t.Run("", func(t *testing.T) {
				converse(t, kind, said)
				if t.Failed() {
					t.Logf("the worker said %q", said)
				}
			})
		}
	}
}

// checkKind demands a typed error.
func checkKind(t *testing.T, err error) {
	t.Helper()
	var protocol *ProtocolError
	var exit *ExitError
	var setup *VatSetupError
	switch {
	case err == nil, errors.As(err, &protocol), errors.As(err, &exit), errors.As(err, &setup), errors.Is(err, errEnough):
	case strings.Contains(err.Error(), "worker is gone since an earlier command"):
	case strings.HasSuffix(err.Error(), "run `make native`"): // no other worker of this engine would do better
	default:
		t.Fatalf("%T: %v", err, err)
	}
}
