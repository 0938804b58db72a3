package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"vatworkerd/pipeproto"
)

// childEnv makes this test binary another process: its value is what to do, and
// the socket's path.
const childEnv = "CONTROL_TEST_CHILD"

func TestMain(m *testing.M) {
	if task := os.Getenv(childEnv); task != "" {
		os.Exit(childMain(task, os.Getenv(childEnv+"_PATH")))
	}
	goleak.VerifyTestMain(m)
}

func childMain(task, path string) int {
	if task == "serve" {
		if _, err := Listen(Options{Path: path, Verbs: testVerbs()}); err != nil {
			fmt.Println(err)
			return 1
		}
		fmt.Println("up")
		select {}
	}
	c, err := Dial(context.Background(), path, pipeproto.AccessRead)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer c.Close()
	err = c.Call(context.Background(), "echo", pipeproto.VatRef{VatID: "v1"}, nil, nil)
	fmt.Println("answered:", err)
	return 0
}

// testVerbs are verbs of both classes: "echo" reads, "change" changes, "big"
// answers with much, "wait" waits for its caller's end, "never" is refused.
func testVerbs() Verbs {
	return Verbs{
		"echo":   {Access: pipeproto.AccessRead, Serve: Answer(func(_ *Caller, r pipeproto.VatRef) (pipeproto.VatRef, error) { return r, nil })},
		"change": {Access: pipeproto.AccessAdmin, Serve: Answer(func(_ *Caller, r pipeproto.VatRef) (pipeproto.Count, error) { return pipeproto.Count{Count: 1}, nil })},
		"big": {Access: pipeproto.AccessRead, Serve: Answer(func(*Caller, pipeproto.Empty) (pipeproto.Output, error) {
			return pipeproto.Output{Data: make([]byte, 8<<20)}, nil
		})},
		"never": {Refused: pipeproto.Errorf(pipeproto.CodeRefused, "not here")},
	}
}

type rig struct {
	t      *testing.T
	path   string
	server *Server
}

func newRig(t *testing.T, change func(*Options)) *rig {
	t.Helper()
	r := &rig{t: t, path: filepath.Join(t.TempDir(), "test.sock")}
	opts := Options{Path: r.path, Serves: pipeproto.ServesVats, Verbs: testVerbs()}
	if change != nil {
		change(&opts)
	}
	var err error
	if r.server, err = Listen(opts); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.server.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if left, _ := filepath.Glob(r.path + "*"); len(left) > 0 {
			t.Errorf("%v is left behind", left)
		}
	})
	return r
}

func (r *rig) dial(access string) *Client {
	r.t.Helper()
	c, err := Dial(r.t.Context(), r.path, access)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = c.Close() })
	return c
}

// raw is a connection that has said nothing.
func (r *rig) raw() *net.UnixConn {
	r.t.Helper()
	conn, err := net.Dial("unix", r.path)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	return conn.(*net.UnixConn)
}

// serves demands that a new caller is served, whatever others do.
func (r *rig) serves() {
	r.t.Helper()
	c := r.dial(pipeproto.AccessRead)
	defer c.Close()
	var reply pipeproto.VatRef
	if err := c.Call(r.t.Context(), "echo", pipeproto.VatRef{VatID: "v7"}, &reply, nil); err != nil || reply.VatID != "v7" {
		r.t.Errorf("another caller is answered %+v, %v", reply, err)
	}
}

// wantCode demands an error frame of a code.
func wantCode(t *testing.T, err error, code string) *pipeproto.Error {
	t.Helper()
	var e *pipeproto.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Fatalf("got %v, want an error of code %q", err, code)
	}
	return e
}

// ended waits for the end of a connection, which may come as an error.
func ended(t *testing.T, conn *net.UnixConn) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 64<<10)
	for {
		if _, err := conn.Read(buf); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the connection is left open")
			}
			return
		}
	}
}
