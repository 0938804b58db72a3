package supervisor

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"vatworkerd/internal/mutate"
	"vatworkerd/pipeproto"
)

// hostTalk is what hosts say to a daemon from hello on, well and badly: whole
// conversations, the answers to the daemon's own requests among them.
func hostTalk() [][]byte {
	frame := func(kind pipeproto.Kind, id uint64, msgType string, body any) []byte {
		packed, err := msgpack.Marshal([]any{uint8(kind), id, msgType, body})
		if err != nil {
			panic(err)
		}
		return append(binary.BigEndian.AppendUint32(nil, uint32(len(packed))), packed...)
	}
	request := func(id uint64, msgType string, body any) []byte {
		return frame(pipeproto.KindRequest, id, msgType, body)
	}
	reply := func(id uint64, msgType string, body any) []byte {
		return frame(pipeproto.KindReply, id, msgType, body)
	}
	hello := request(1, pipeproto.ReqHello, pipeproto.Hello{Version: pipeproto.Version, Peer: "a host", MaxFrameBytes: pipeproto.DefaultMaxFrameBytes})
	create := slices.Concat(hello,
		request(2, pipeproto.ReqConfigure, pipeproto.Configure{SnapshotInitial: 3, SnapshotInterval: 5}),
		request(3, pipeproto.ReqAddBundle, pipeproto.AddBundle{ID: "b1-good", Data: []byte(`"b1-good"`)}),
		request(4, pipeproto.ReqCreateVat, pipeproto.CreateVat{VatID: "v1", Name: "v1", BundleID: "b1-good"}),
		request(5, pipeproto.ReqEnqueue, pipeproto.Enqueue{Items: []pipeproto.Item{
			{VatID: "v1", Priority: pipeproto.PriorityMessage, Start: true}, {VatID: "v1", Priority: pipeproto.PriorityReap, Payload: []byte("x")},
		}}))
	run := slices.Concat(create, request(6, pipeproto.ReqRun, pipeproto.Run{}),
		reply(1, pipeproto.ReqBeginIncarnation, pipeproto.TurnReply{Delivery: []byte(`["startVat",{"body":"#{}","slots":[]}]`)}),
		reply(2, pipeproto.ReqDelivered, pipeproto.Verdict{Commit: true}),
		reply(3, pipeproto.ReqVatState, pipeproto.Empty{}),
		reply(4, pipeproto.ReqCrankEnd, pipeproto.Verdict{Commit: true}),
		reply(5, pipeproto.ReqTurn, pipeproto.TurnReply{Delivery: []byte(`["bringOutYourDead"]`)}),
		reply(6, pipeproto.ReqDelivered, pipeproto.Verdict{Commit: true}),
		reply(7, pipeproto.ReqDelivered, pipeproto.Verdict{Commit: true}), // of the snapshot that is due
		reply(8, pipeproto.ReqCrankEnd, pipeproto.Verdict{Commit: true}))
	block := slices.Concat(run, request(7, pipeproto.ReqPrepare, pipeproto.Height{Height: 1}), request(8, pipeproto.ReqCommit, pipeproto.Height{Height: 1}),
		request(9, pipeproto.ReqStatus, pipeproto.Empty{}), request(10, pipeproto.ReqRollback, pipeproto.Empty{}), request(11, pipeproto.ReqShutdown, pipeproto.Empty{}))
	return [][]byte{{}, hello, create, run, block, slices.Concat(hello, request(2, pipeproto.ReqRestartAll, pipeproto.RestartAll{}), request(3, pipeproto.ReqSpans, pipeproto.VatRef{}))}
}

// serveHost serves what a host says, on fake workers: the end must come, for a
// reason that is told, and leave a sound database.
func serveHost(t *testing.T, said []byte) {
	opts := fakeOptions(t)
	opts.Control = "off"
	err := Serve(bytes.NewReader(said), io.Discard, opts)
	var broken *pipeproto.FrameError
	var told *pipeproto.Error
	var closed *pipeproto.ClosedError
	if err != nil && !errors.As(err, &broken) && !errors.As(err, &told) && !errors.As(err, &closed) {
		t.Fatalf("%T: %v, after %q", err, err, said)
	}
	for height := range int64(2) { // the host's word decides, and nobody has it any more
		s, openErr := Open(opts, &testHost{t: t}, height)
		if openErr != nil {
			err = openErr
			continue
		}
		if err := errors.Join(s.Check(), s.Close()); err != nil {
			t.Fatalf("%v, after %q", err, said)
		}
		return
	}
	t.Fatalf("the database does not open: %v, after %q", err, said)
}

func FuzzHost(f *testing.F) {
	for _, said := range hostTalk() {
		f.Add(said)
	}
	f.Fuzz(serveHost)
}

// TestMutatedHosts is a bounded form of FuzzHost.
func TestMutatedHosts(t *testing.T) {
	for said := range mutate.Bytes(600, hostTalk()) {
		t.Run("", func(t *testing.T) { serveHost(t, said) })
	}
}

// TestHostTalk: the seeds get to where vats run.
func TestHostTalk(t *testing.T) {
	talk := hostTalk()
	opts := fakeOptions(t)
	opts.Control = "off"
	if err := Serve(bytes.NewReader(talk[len(talk)-2]), io.Discard, opts); err != nil {
		t.Fatal(err)
	}
	s, err := Open(opts, &testHost{t: t}, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if st, err := s.vatStatus("v1"); err != nil || st.State != running.String() || st.Incarnation != 0 {
		t.Errorf("%+v, %v", st, err)
	}
}
