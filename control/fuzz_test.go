package control

import (
	"bytes"
	"encoding/binary"
	"path/filepath"
	"testing"

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

// FuzzServer gives a server arbitrary bytes. It must end the connection when the
// caller does, and go on serving others.
func FuzzServer(f *testing.F) {
	good := recorded(f, pipeproto.AccessAdmin, "echo", "change", "never", "nonsense", "echo")
	f.Add(good)
	f.Add(good[:len(good)-3])
	f.Add(recorded(f, pipeproto.AccessRead, "change", "hello"))
	f.Add(recorded(f, "everything"))
	f.Add(append(recorded(f, pipeproto.AccessRead), 0xff, 0xff, 0xff, 0xff))
	f.Add([]byte("\x00\x00\x00\x05hello"))
	f.Add([]byte{})
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
	f.Fuzz(func(t *testing.T, data []byte) {
		r := &rig{t: t, path: path, server: server}
		hostile := r.raw()
		_, _ = hostile.Write(data) // the server may hang up before it is all written
		_ = hostile.CloseWrite()
		ended(t, hostile)
		r.serves()
	})
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
