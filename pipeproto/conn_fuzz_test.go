package pipeproto

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"vatworkerd/internal/mutate"
)

// hostTalk is what hosts say to a daemon that asks one thing for each request,
// well and badly.
func hostTalk(t testing.TB) [][]byte {
	hello := framed(packed(t, 1, 1, ReqHello, Hello{Version: Version, Peer: "a host", MaxFrameBytes: MinFrameBytes}))
	request := func(id uint64) []byte { return framed(packed(t, 1, id, ReqRun, Run{MaxCranks: 3})) }
	reply := func(id uint64) []byte {
		return framed(packed(t, 2, id, ReqTurn, TurnReply{Delivery: []byte(`["bringOutYourDead"]`)}))
	}
	event := framed(packed(t, 4, 0, EventVat, VatEvent{Kind: "x"}))
	refusal := framed(packed(t, 3, 1, ReqTurn, Error{Code: CodeRefused, Message: "no"}))
	return [][]byte{
		{}, hello, slices.Concat(hello, request(2), reply(1), event, request(3), reply(2)),
		slices.Concat(hello, request(2), request(3), reply(2), reply(1)), slices.Concat(hello, request(2), refusal, request(3)),
		slices.Concat(hello, request(2), reply(7)), slices.Concat(hello, event, event, reply(1)), request(1),
		slices.Concat(hello, []byte{0, 0, 0, 9, 0x94}), slices.Concat(hello, []byte{0xff, 0xff, 0xff, 0xff}),
		slices.Concat(hello, framed([]byte{0x94, 1, 2, 0xa1, 'x', 0xdd, 0, 0, 0, 9})),
	}
}

// listen serves what a host says to its end: that must come, as the end of the
// stream or as an error of a kind that callers decide on.
func listen(t *testing.T, said []byte) {
	conn := NewConn(bytes.NewReader(said), io.Discard, 1<<20)
	err := ServeHello(conn, func(Hello) (HelloReply, error) { return HelloReply{}, nil })
	if err == nil {
		err = conn.Serve(funcs{request: func(_ string, body Body) (any, error) {
			var req Run
			if err := body.Decode(&req); err != nil {
				return nil, err
			}
			var turn TurnReply
			return RunReply{}, conn.Call(ReqTurn, Turn{VatID: "v1"}, &turn, funcs{})
		}})
	}
	var broken *FrameError
	var told *Error
	var closed *ClosedError
	if err != nil && !errors.As(err, &broken) && !errors.As(err, &told) && !errors.As(err, &closed) {
		t.Fatalf("%T: %v, after %q", err, err, said)
	}
}

func FuzzConn(f *testing.F) {
	for _, said := range hostTalk(f) {
		f.Add(said)
	}
	f.Fuzz(listen)
}

// TestMutatedHosts is a bounded form of FuzzConn.
func TestMutatedHosts(t *testing.T) {
	for said := range mutate.Bytes(20_000, hostTalk(t)) {
		listen(t, said)
	}
}
