package pipeproto

import (
	"errors"
	"io"
	"os"
	"testing"
)

// pair is two connections over real pipes.
func pair(t testing.TB, limit int) (host, daemon *Conn, closeHost, closeDaemon func()) {
	t.Helper()
	hostReads, daemonWrites := pipe(t)
	daemonReads, hostWrites := pipe(t)
	host = NewConn(hostReads, hostWrites, limit)
	daemon = NewConn(daemonReads, daemonWrites, limit)
	closeHost = func() { hostReads.Close(); hostWrites.Close() }
	closeDaemon = func() { daemonReads.Close(); daemonWrites.Close() }
	t.Cleanup(func() { closeHost(); closeDaemon() })
	return host, daemon, closeHost, closeDaemon
}

func pipe(t testing.TB) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	return r, w
}

// funcs makes a Handler of functions.
type funcs struct {
	request func(msgType string, body Body) (any, error)
	event   func(msgType string, body Body)
}

func (f funcs) HandleRequest(msgType string, body Body) (any, error) {
	if f.request == nil {
		return nil, UnknownType(msgType)
	}
	return f.request(msgType, body)
}

func (f funcs) HandleEvent(msgType string, body Body) {
	if f.event != nil {
		f.event(msgType, body)
	}
}

// serving runs Serve in a goroutine; the result waits for its end.
func serving(c *Conn, h Handler) (wait func() error) {
	done := make(chan error, 1)
	go func() { done <- c.Serve(h) }()
	return func() error { return <-done }
}

func TestNestedCalls(t *testing.T) {
	host, daemon, closeHost, _ := pair(t, 0)
	var order []string
	wait := serving(daemon, funcs{request: func(msgType string, body Body) (any, error) {
		var run Run
		var verdict Verdict
		turn := TurnReply{}
		if err := daemon.Call(ReqTurn, &Turn{VatID: "v1", Payload: []byte("p")}, &turn, nil); err != nil {
			return nil, err
		}
		if err := daemon.Call(ReqDelivered, &Delivered{VatID: "v1", Syscalls: [][]byte{turn.Delivery}, Last: true}, &verdict, nil); err != nil {
			return nil, err
		}
		if err := body.Decode(&run); err != nil { // the outer body outlives nested frames
			return nil, err
		}
		return &RunReply{Cranks: run.MaxCranks, Idle: verdict.Commit}, nil
	}})
	var reply RunReply
	err := host.Call(ReqRun, &Run{MaxCranks: 7}, &reply, funcs{request: func(msgType string, body Body) (any, error) {
		order = append(order, msgType)
		if msgType == ReqTurn {
			return &TurnReply{Delivery: []byte("d")}, nil
		}
		var d Delivered
		if err := body.Decode(&d); err != nil {
			return nil, err
		}
		return &Verdict{Commit: string(d.Syscalls[0]) == "d"}, nil
	}})
	if err != nil || reply.Cranks != 7 || !reply.Idle {
		t.Fatalf("run: %+v, %v", reply, err)
	}
	if len(order) != 2 || order[0] != ReqTurn || order[1] != ReqDelivered {
		t.Errorf("callbacks in order %v", order)
	}
	closeHost()
	if err := wait(); err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestErrorsAsData(t *testing.T) {
	host, daemon, closeHost, _ := pair(t, 0)
	sent := &Error{Code: CodeNotFound, Message: "no vat v9", Hint: "list the vats", Place: "vat v9"}
	wait := serving(daemon, funcs{request: func(msgType string, _ Body) (any, error) {
		if msgType == ReqVat {
			return nil, sent
		}
		return nil, UnknownType(msgType)
	}})
	var got *Error
	if err := host.Call(ReqVat, &VatRef{VatID: "v9"}, &VatStatus{}, nil); !errors.As(err, &got) || *got != *sent {
		t.Errorf("got %#v, want %#v", got, sent)
	}
	if err := host.Call("nonsense", nil, nil, nil); !errors.As(err, &got) || got.Code != CodeUnknownType {
		t.Errorf("unknown type: %v", err)
	}
	if err := host.Call(ReqVat, nil, nil, nil); !errors.As(err, &got) || got.Code != CodeNotFound {
		t.Errorf("the connection does not go on after an error: %v", err)
	}
	closeHost()
	if err := wait(); err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestPeerGone(t *testing.T) {
	host, daemon, _, closeDaemon := pair(t, 0)
	go func() {
		_, _ = daemon.receive()
		closeDaemon()
	}()
	err := host.Call(ReqRun, &Run{}, nil, nil)
	var gone *ClosedError
	if !errors.As(err, &gone) || !errors.Is(err, io.EOF) || ErrorOf(err).Code != CodeExited {
		t.Fatalf("got %v, want *ClosedError over EOF", err)
	}
	if err := host.Call(ReqRun, &Run{}, nil, nil); !errors.As(err, &gone) {
		t.Errorf("a second call: %v", err)
	}
}
