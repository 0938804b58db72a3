package control

import (
	"bytes"
	"encoding/binary"
	"path/filepath"
	"testing"

	"vatworkerd/internal/mutate"
	"vatworkerd/pipeproto"
)

// recorded gives the bytes a client sends for a hello and some requests.
func recorded(tb testing.TB, access string, requests ...string) []byte {
	tb.Helper()
	var sent bytes.Buffer
	none := bytes.NewReader(nil)
	wire := pipeproto.NewConn(none, &sent, pipeproto.ControlReplyBytes)
	_, _ = pipeproto.DialControl(wire, pipeproto.ControlHello{Access: access})
	all := sent.Bytes()
	for i, msgType := range requests {
		// A connection that has lost its peer sends no more: the frame is made by
		// hand, ids 2 and up.
		body := append([]byte{0x94, 0x01, byte(i + 2), 0xa0 | byte(len(msgType))}, msgType...)
		body = append(body, 0x81, 0xa5, 'v', 'a', 't', 'I', 'D', 0xa2, 'v', '1')
		all = binary.BigEndian.AppendUint32(all, uint32(len(body)))
		all = append(all, body...)
	}
	return all
}

// callers are what clients send, well and badly.
func callers(tb testing.TB) [][]byte {
	good := recorded(tb, pipeproto.AccessAdmin, "echo", "change", "never", "nonsense", "echo")
	return [][]byte{
		good, good[:len(good)-3], recorded(tb, pipeproto.AccessRead, "change", "hello"), recorded(tb, "everything"),
		append(recorded(tb, pipeproto.AccessRead), 0xff, 0xff, 0xff, 0xff), []byte("\x00\x00\x00\x05hello"), {},
	}
}

// FuzzServer gives a server arbitrary bytes. It must end the connection when the
// caller does, and go on serving others.
func FuzzServer(f *testing.F) {
	for _, said := range callers(f) {
		f.Add(said)
	}
	path := filepath.Join(f.TempDir(), "s")
	server, err := Listen(Options{Path: path, Serves: pipeproto.ServesVats, Verbs: testVerbs()})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := server.Close(); err != nil {
			f.Error(err)
		}
	})
	f.Fuzz(func(t *testing.T, data []byte) { (&rig{t: t, path: path, server: server}).bear(data) })
}

// TestMutatedCallers is a bounded form of FuzzServer.
func TestMutatedCallers(t *testing.T) {
	r := newRig(t, nil)
	for data := range mutate.Bytes(1000, callers(t)) {
		r.bear(data)
	}
}

// bear has the server listen to a hostile caller and then serve another.
func (r *rig) bear(data []byte) {
	hostile := r.raw()
	defer hostile.Close()
	_, _ = hostile.Write(data) // the server may hang up before it is all written
	_ = hostile.CloseWrite()
	ended(r.t, hostile)
	r.serves()
}

// The seeds reach the verbs: the fuzzer begins where it matters.
func TestSeedIsServed(t *testing.T) {
	served := make(chan string, 8)
	r := newRig(t, func(o *Options) {
		o.Verbs["echo"] = Verb{Access: pipeproto.AccessRead, Serve: Answer(func(_ *Caller, ref pipeproto.VatRef) (pipeproto.Empty, error) {
			served <- ref.VatID
			return pipeproto.Empty{}, nil
		})}
	})
	conn := r.raw()
	if _, err := conn.Write(recorded(t, pipeproto.AccessRead, "echo", "nonsense", "echo")); err != nil {
		t.Fatal(err)
	}
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	ended(t, conn)
	if len(served) != 2 || <-served != "v1" {
		t.Errorf("%d requests were served, want 2 for v1", len(served))
	}
}
