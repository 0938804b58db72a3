package pipeproto

import (
	"errors"
	"strings"
	"testing"
)

func noAnswer(Hello) (HelloReply, error) {
	return HelloReply{}, errors.New("hello must not be answered")
}

// servingHello runs ServeHello in a goroutine; the result waits for its end.
func servingHello(c *Conn, answer func(Hello) (HelloReply, error)) (wait func() error) {
	done := make(chan error, 1)
	go func() { done <- ServeHello(c, answer) }()
	return func() error { return <-done }
}

func TestHello(t *testing.T) {
	host, daemon, _, _ := pair(t, 1<<20)
	host.limit, host.sendMax, host.sendLimit = 5000, 5000, 5000
	var heard Hello
	wait := servingHello(daemon, func(h Hello) (HelloReply, error) {
		heard = h
		return HelloReply{Peer: "vatworkerd", Height: 4}, nil
	})
	reply, err := DialHello(host, Hello{Peer: "a node", Height: 5}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := wait(); err != nil {
		t.Fatal(err)
	}
	if reply.Version != Version || reply.Height != 4 || reply.MaxFrameBytes != 1<<20 {
		t.Errorf("reply %+v", reply)
	}
	if heard.Version != Version || heard.Height != 5 || heard.MaxFrameBytes != 5000 {
		t.Errorf("hello %+v", heard)
	}
	if daemon.peerLimit() != 5000 || host.peerLimit() != 5000 {
		t.Errorf("frames may take %d and %d bytes, want the lesser limit, 5000", daemon.peerLimit(), host.peerLimit())
	}
}

func TestVersionMismatch(t *testing.T) {
	host, daemon, closeHost, _ := pair(t, 0)
	wait := servingHello(daemon, noAnswer)
	// What a host of another version sends may have other fields and types.
	err := host.Call(ReqHello, map[string]any{"version": Version + 6, "peer": "node 9", "height": "five"}, nil, nil)
	for side, err := range map[string]error{"host": err, "daemon": wait()} {
		var e *Error
		if !errors.As(err, &e) || e.Code != CodeVersion {
			t.Fatalf("%s: %v", side, err)
		}
		for _, part := range []string{"version 1", "version 7", `"node 9"`} {
			if !strings.Contains(e.Message, part) {
				t.Errorf("%s: %q does not name %s", side, e.Message, part)
			}
		}
		if !strings.Contains(e.Hint, "replace the one that speaks version 1") {
			t.Errorf("%s: hint %q", side, e.Hint)
		}
	}
	closeHost()
}

func TestVersionMismatchOfTheReply(t *testing.T) {
	host, daemon, closeHost, _ := pair(t, 0)
	wait := serving(daemon, funcs{request: func(string, Body) (any, error) {
		return &HelloReply{Version: 0, MaxFrameBytes: DefaultMaxFrameBytes}, nil
	}})
	_, err := DialHello(host, Hello{}, nil)
	var e *Error
	if !errors.As(err, &e) || e.Code != CodeVersion || !strings.Contains(e.Message, "version 0") {
		t.Errorf("got %v", err)
	}
	closeHost()
	if err := wait(); err != nil {
		t.Error(err)
	}
}

func TestBadHellos(t *testing.T) {
	for name, c := range map[string]struct {
		msgType string
		body    any
		code    string
	}{
		"another request first": {ReqRun, &Run{}, CodeRefused},
		"tiny frames":           {ReqHello, &Hello{Version: Version, MaxFrameBytes: 10}, CodeBadRequest},
		"no hello":              {ReqHello, map[string]any{"version": "one"}, CodeBadRequest},
		"refused":               {ReqHello, &Hello{Version: Version, MaxFrameBytes: 1 << 20}, CodeInternal},
	} {
		t.Run(name, func(t *testing.T) {
			host, daemon, _, _ := pair(t, 0)
			wait := servingHello(daemon, noAnswer)
			err := host.Call(c.msgType, c.body, nil, nil)
			if ErrorOf(err).Code != c.code {
				t.Errorf("host: %v, want code %s", err, c.code)
			}
			if err := wait(); ErrorOf(err).Code != c.code {
				t.Errorf("daemon: %v, want code %s", err, c.code)
			}
		})
	}
}

func TestNoHello(t *testing.T) {
	_, daemon, closeHost, _ := pair(t, 0)
	wait := servingHello(daemon, noAnswer)
	closeHost()
	var gone *ClosedError
	if err := wait(); !errors.As(err, &gone) {
		t.Errorf("got %v", err)
	}
}
