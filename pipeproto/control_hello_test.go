package pipeproto

import (
	"errors"
	"strings"
	"testing"
)

// controlPair is a connection over real pipes, its daemon's end greeting.
func controlPair(t *testing.T, limit int) (client, daemon *Conn, wait func() (ControlHello, error)) {
	t.Helper()
	clientReads, daemonWrites := pipe(t)
	daemonReads, clientWrites := pipe(t)
	client, daemon = NewConn(clientReads, clientWrites, limit), NewControlConn(daemonReads, daemonWrites)
	t.Cleanup(func() {
		for _, f := range []interface{ Close() error }{clientReads, clientWrites, daemonReads, daemonWrites} {
			f.Close()
		}
	})
	type greeted struct {
		hello ControlHello
		err   error
	}
	done := make(chan greeted, 1)
	go func() {
		hello, err := ServeControlHello(daemon, ControlHelloReply{Peer: "daemon", Serves: ServesVats, PID: 7})
		done <- greeted{hello, err}
	}()
	return client, daemon, func() (ControlHello, error) {
		g := <-done
		return g.hello, g.err
	}
}

func TestControlHello(t *testing.T) {
	client, daemon, wait := controlPair(t, ControlReplyBytes)
	reply, err := DialControl(client, ControlHello{Peer: "test", Access: AccessRead})
	if err != nil {
		t.Fatal(err)
	}
	hello, err := wait()
	if err != nil || hello.Access != AccessRead || hello.Peer != "test" {
		t.Errorf("hello %+v, %v", hello, err)
	}
	if reply.Serves != ServesVats || reply.PID != 7 || reply.Version != ControlVersion {
		t.Errorf("reply %+v", reply)
	}
	if client.peerLimit() != ControlRequestBytes || daemon.peerLimit() != ControlReplyBytes {
		t.Errorf("requests of %d bytes and replies of %d, want %d and %d",
			client.peerLimit(), daemon.peerLimit(), ControlRequestBytes, ControlReplyBytes)
	}
}

func TestControlHelloRefusals(t *testing.T) {
	for _, c := range []struct {
		name, msgType string
		body          any
		code, part    string
	}{
		{"another version", ReqHello, map[string]any{"version": 9, "peer": "p"}, CodeVersion, `("p") speaks version 9`},
		{"no access", ReqHello, map[string]any{"version": ControlVersion, "maxFrameBytes": MinFrameBytes}, CodeBadRequest, "read"},
		{"a kernel host", ReqHello, Hello{Version: Version, MaxFrameBytes: 1 << 20}, CodeBadRequest, "access"},
		{"too small frames", ReqHello, ControlHello{Version: ControlVersion, Access: AccessRead, MaxFrameBytes: 12}, CodeBadRequest, "12 bytes"},
		{"no hello", ReqLive, Empty{}, CodeRefused, "the first request must be"},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, _, wait := controlPair(t, 0)
			err := client.Call(c.msgType, c.body, nil, nil)
			_, heard := wait()
			for end, err := range map[string]error{"client": err, "daemon": heard} {
				var e *Error
				if !errors.As(err, &e) || e.Code != c.code || !strings.Contains(e.Error(), c.part) {
					t.Errorf("%s: %v, want code %s with %q", end, err, c.code, c.part)
				}
			}
		})
	}
}

func TestControlHelloReplyOfAnotherVersion(t *testing.T) {
	host, daemon, closeHost, _ := pair(t, 0)
	wait := serving(daemon, funcs{request: func(string, Body) (any, error) {
		return &ControlHelloReply{Version: 3, MaxFrameBytes: MinFrameBytes}, nil
	}})
	_, err := DialControl(host, ControlHello{Access: AccessRead})
	var e *Error
	if !errors.As(err, &e) || e.Code != CodeVersion || !strings.Contains(e.Message, "control protocol") {
		t.Errorf("got %v", err)
	}
	closeHost()
	if err := wait(); err != nil {
		t.Error(err)
	}
}
