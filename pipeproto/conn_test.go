package pipeproto

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
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

func TestEventsFromOtherGoroutines(t *testing.T) {
	host, daemon, closeHost, _ := pair(t, 0)
	const goroutines, each = 4, 200
	var all sync.WaitGroup
	wait := serving(daemon, funcs{request: func(string, Body) (any, error) {
		for g := range goroutines {
			all.Go(func() {
				for i := range each {
					if err := daemon.Event(EventTick, &ProgressEvent{What: fmt.Sprint(g), Done: int64(i)}); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		for range 50 {
			if err := daemon.Call(ReqTurn, &Turn{}, &TurnReply{}, nil); err != nil {
				return nil, err
			}
		}
		all.Wait()
		return &RunReply{}, nil
	}})
	next := map[string]int64{}
	err := host.Call(ReqRun, &Run{}, nil, funcs{
		request: func(string, Body) (any, error) { return &TurnReply{}, nil },
		event: func(_ string, body Body) {
			var e ProgressEvent
			if err := body.Decode(&e); err != nil || e.Done != next[e.What] {
				t.Errorf("event %+v, want number %d (%v)", e, next[e.What], err)
			}
			next[e.What]++
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for g, n := range next {
		if n != each {
			t.Errorf("%d events of goroutine %s, want %d", n, g, each)
		}
	}
	closeHost()
	if err := wait(); err != nil {
		t.Error(err)
	}
}

// What breaks the rules is told to the peer, which gets it as its own fault.
func TestBrokenFramesAreAnswered(t *testing.T) {
	reply := func(id int) []byte { return framed(packed(t, 2, id, "run", nil)) }
	for name, c := range map[string]struct {
		stream []byte
		want   string
	}{
		"oversize":          {[]byte{0x7f, 0, 0, 0}, "over the limit"},
		"no msgpack":        {framed([]byte{0xc1}), "begins no value"},
		"reply to nothing":  {reply(1), "no request is open"},
		"request id repeat": {append(framed(packed(t, 1, 3, "x", nil)), framed(packed(t, 1, 3, "x", nil))...), "ids must rise"},
	} {
		t.Run(name, func(t *testing.T) {
			hostReads, daemonWrites := pipe(t)
			daemonReads, hostWrites := pipe(t)
			defer hostReads.Close()
			defer daemonReads.Close()
			daemon := NewConn(daemonReads, daemonWrites, 0)
			if _, err := hostWrites.Write(c.stream); err != nil {
				t.Fatal(err)
			}
			hostWrites.Close()
			err := daemon.Serve(funcs{})
			daemonWrites.Close()
			var broken *FrameError
			if !errors.As(err, &broken) || broken.FromPeer || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Serve: %v", err)
			}
			if err := daemon.Call(ReqTurn, nil, nil, nil); !errors.As(err, &broken) {
				t.Errorf("a broken connection goes on: %v", err)
			}
			told := NewConn(hostReads, io.Discard, 0)
			var last error
			for last == nil {
				var env envelope
				if env, last = told.receive(); last == nil && env.id == 0 {
					last = told.answer(env, 0, "", nil)
				}
			}
			if !errors.As(last, &broken) || !broken.FromPeer || !strings.Contains(last.Error(), c.want) {
				t.Errorf("the peer hears: %v", last)
			}
		})
	}
}

// A Call holds what it gets to the rules too.
func TestWrongAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		frames [][]byte
		want   string
	}{
		"unknown id":    {[][]byte{packed(t, 2, 9, "run", nil)}, "innermost open request is 1"},
		"unknown error": {[][]byte{packed(t, 3, 9, "run", Error{})}, "innermost open request is 1"},
		"other type":    {[][]byte{packed(t, 2, 1, "status", nil)}, `type "run"`},
		"no error":      {[][]byte{packed(t, 3, 1, "run", 5)}, "no error"},
		"cut short":     {nil, "middle of a frame"},
		"closes":        {[][]byte{packed(t, 3, 0, "", Error{Code: CodeBadRequest, Message: "odd bytes"})}, "odd bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			stream := []byte{0, 0}
			if c.frames != nil {
				stream = nil
			}
			for _, f := range c.frames {
				stream = append(stream, framed(f)...)
			}
			conn := NewConn(bytes.NewReader(stream), io.Discard, 0)
			err := conn.Call(ReqRun, nil, nil, nil)
			var broken *FrameError
			if !errors.As(err, &broken) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want a *FrameError with %q", err, c.want)
			}
		})
	}
}

// A reply out of order — to the outer request while the inner is open — is refused.
func TestRepliesAreLastInFirstOut(t *testing.T) {
	stream := append(framed(packed(t, 1, 1, "turn", nil)), framed(packed(t, 2, 1, "run", nil))...)
	conn := NewConn(bytes.NewReader(stream), io.Discard, 0)
	var inner error
	err := conn.Call(ReqRun, nil, nil, funcs{request: func(string, Body) (any, error) {
		inner = conn.Call(ReqStatus, nil, nil, nil)
		return nil, inner
	}})
	var broken *FrameError
	if !errors.As(inner, &broken) || !errors.As(err, &broken) || !strings.Contains(err.Error(), "innermost open request is 2") {
		t.Errorf("inner %v, outer %v", inner, err)
	}
}

func TestTooLargeToSend(t *testing.T) {
	host, daemon, closeHost, _ := pair(t, MinFrameBytes)
	wait := serving(daemon, funcs{request: func(msgType string, _ Body) (any, error) {
		if msgType == ReqStatus {
			return &Status{Panic: strings.Repeat("x", MinFrameBytes)}, nil
		}
		if msgType == ReqVat {
			return nil, &Error{Code: CodeIO, Message: strings.Repeat("é", MinFrameBytes), Hint: strings.Repeat("h", MinFrameBytes)}
		}
		return &Empty{}, nil
	}})
	var broken *FrameError
	if err := host.Call(ReqAddBundle, &AddBundle{Data: make([]byte, MinFrameBytes)}, nil, nil); !errors.As(err, &broken) {
		t.Errorf("too large a request: %v", err)
	}
	var e *Error
	if err := host.Call(ReqStatus, nil, nil, nil); !errors.As(err, &e) || !strings.Contains(e.Message, "over the limit") {
		t.Errorf("too large a reply: %v", err)
	}
	if err := host.Call(ReqVat, nil, nil, nil); !errors.As(err, &e) || e.Code != CodeIO || !strings.HasSuffix(e.Message, "é …") {
		t.Errorf("too large an error: %v", err)
	}
	if err := host.Call(ReqRun, nil, nil, nil); err != nil {
		t.Errorf("the connection does not go on: %v", err)
	}
	closeHost()
	if err := wait(); err != nil {
		t.Error(err)
	}
}

// Two ends that call each other without end are stopped, and recover.
func TestDepthIsBounded(t *testing.T) {
	host, daemon, closeHost, _ := pair(t, 0)
	deepest := 0
	var ping func(c *Conn, depth int) Handler
	ping = func(c *Conn, depth int) Handler {
		return funcs{request: func(string, Body) (any, error) {
			deepest = max(deepest, depth)
			return nil, c.Call("ping", nil, nil, ping(c, depth+1))
		}}
	}
	wait := serving(daemon, ping(daemon, 1))
	for range 2 {
		err := host.Call("ping", nil, nil, ping(host, 1))
		var e *Error
		if !errors.As(err, &e) || e.Code != CodeRefused {
			t.Errorf("got %v, want code %s", err, CodeRefused)
		}
	}
	if deepest > MaxDepth {
		t.Errorf("%d deep, the bound is %d", deepest, MaxDepth)
	}
	closeHost()
	if err := wait(); err != nil {
		t.Error(err)
	}
}

// A peer that refuses a frame and closes says why, even to who is still writing.
func TestReasonOfAClosedPipe(t *testing.T) {
	hostReads, daemonWrites := pipe(t)
	daemonReads, hostWrites := pipe(t)
	defer hostReads.Close()
	defer hostWrites.Close()
	daemon := NewConn(daemonReads, daemonWrites, 5000)
	host := NewConn(hostReads, hostWrites, 0)
	done := make(chan error, 1)
	go func() {
		done <- daemon.Serve(funcs{})
		daemonReads.Close()
		daemonWrites.Close()
	}()
	err := host.Call(ReqAddBundle, &AddBundle{Data: make([]byte, 10<<20)}, nil, nil)
	var broken *FrameError
	if !errors.As(err, &broken) || !broken.FromPeer || !strings.Contains(err.Error(), "over the limit of 5000") {
		t.Errorf("got %v", err)
	}
	if err := <-done; !errors.As(err, &broken) {
		t.Errorf("Serve: %v", err)
	}
}

func TestErrorOf(t *testing.T) {
	if ErrorOf(nil) != nil {
		t.Error("nil is an error")
	}
	inner := &Error{Code: CodeHeld, Message: "m", Hint: "h", Place: "p"}
	for _, c := range []struct {
		err        error
		code, hint string
	}{
		{inner, CodeHeld, "h"},
		{fmt.Errorf("cannot send: %w", inner), CodeHeld, "h"},
		{&os.PathError{Op: "write", Path: "/x", Err: syscall.ENOSPC}, CodeNoSpace, ""},
		{&os.PathError{Op: "write", Path: "/x", Err: syscall.EIO}, CodeIO, ""},
		{frameErrorf("odd"), CodeBadRequest, ""},
		{&ClosedError{During: "run", Err: io.EOF}, CodeExited, ""},
		{errors.New("what"), CodeInternal, ""},
	} {
		got := ErrorOf(c.err)
		if got.Code != c.code || got.Hint != c.hint || got.Error() != c.err.Error() {
			t.Errorf("ErrorOf(%v) = %+v", c.err, got)
		}
	}
}
