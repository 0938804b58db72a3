package pipeproto

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv("PIPEPROTO_TEST_CHILD") != "" {
		os.Exit(childMain())
	}
	goleak.VerifyTestMain(m)
}

// childMain is the daemon's end in another process: run calls back twice a crank.
func childMain() int {
	conn := NewConn(os.NewFile(3, "in"), os.NewFile(4, "out"), 0)
	err := ServeHello(conn, func(h Hello) (HelloReply, error) { return HelloReply{Peer: "child", Height: h.Height}, nil })
	if err == nil {
		err = conn.Serve(funcs{request: func(msgType string, body Body) (any, error) { return childRun(conn, msgType, body) }})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func childRun(conn *Conn, msgType string, body Body) (any, error) {
	if msgType != ReqRun {
		return nil, UnknownType(msgType)
	}
	var run Run
	if err := body.Decode(&run); err != nil {
		return nil, err
	}
	var reply RunReply
	for range run.MaxCranks {
		var turn TurnReply
		if err := conn.Call(ReqTurn, &Turn{VatID: "v1"}, &turn, nil); err != nil {
			return nil, err
		}
		var verdict Verdict
		if err := conn.Call(ReqDelivered, &Delivered{Last: true, Syscalls: [][]byte{turn.Delivery}}, &verdict, nil); err != nil {
			return nil, err
		}
		if err := conn.Event(EventTick, &ProgressEvent{Done: reply.Cranks}); err != nil {
			return nil, err
		}
		reply.Cranks++
	}
	return &reply, nil
}

func TestTwoProcesses(t *testing.T) {
	hostReads, childWrites := pipe(t)
	childReads, hostWrites := pipe(t)
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), "PIPEPROTO_TEST_CHILD=1")
	child.ExtraFiles = []*os.File{childReads, childWrites}
	child.Stderr = os.Stderr
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	childReads.Close()
	childWrites.Close()
	defer hostReads.Close()
	conn := NewConn(hostReads, hostWrites, 0)
	turns, verdicts, ticks := 0, 0, 0
	host := funcs{
		request: func(msgType string, body Body) (any, error) {
			if msgType == ReqTurn {
				turns++
				return &TurnReply{Delivery: bytes.Repeat([]byte{7}, 100_000)}, nil
			}
			var d Delivered
			if err := body.Decode(&d); err != nil || len(d.Syscalls) != 1 || len(d.Syscalls[0]) != 100_000 {
				return nil, fmt.Errorf("%d syscalls, %w", len(d.Syscalls), err)
			}
			verdicts++
			return &Verdict{Commit: true}, nil
		},
		event: func(string, Body) { ticks++ },
	}
	if reply, err := DialHello(conn, Hello{Height: 8}, host); err != nil || reply.Height != 8 {
		t.Fatalf("hello: %+v, %v", reply, err)
	}
	var reply RunReply
	if err := conn.Call(ReqRun, &Run{MaxCranks: 20}, &reply, host); err != nil {
		t.Fatal(err)
	}
	if reply.Cranks != 20 || turns != 20 || verdicts != 20 || ticks != 20 {
		t.Errorf("%d cranks, %d turns, %d verdicts, %d ticks; want 20 of each", reply.Cranks, turns, verdicts, ticks)
	}
	hostWrites.Close()
	if err := child.Wait(); err != nil {
		t.Errorf("the child did not end well: %v", err)
	}
	var gone *ClosedError
	if err := conn.Call(ReqStatus, nil, nil, nil); !errors.As(err, &gone) {
		t.Errorf("calling a child that is gone: %v", err)
	}
}
