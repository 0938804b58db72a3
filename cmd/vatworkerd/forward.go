package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"vatworkerd/control"
	"vatworkerd/pipeproto"
)

// forward lets the process that stays with the database run this command. ok
// tells whether there is one; err is then the command's outcome, forwarded{} if
// it has one.
func (a *app) forward(ctx context.Context) (ok bool, err error) {
	ctx, stop := interruptible(ctx)
	defer stop()
	client, err := control.Dial(ctx, filepath.Join(a.db, hostSocket), pipeproto.AccessAdmin)
	var nobody *control.NobodyError
	if errors.As(err, &nobody) {
		return false, nil
	}
	if err != nil {
		return true, err
	}
	defer client.Close()
	dir, err := os.Getwd()
	if err != nil {
		return true, fmt.Errorf("cannot find the present directory: %w", err)
	}
	req := pipeproto.Command{Args: a.args, Dir: dir, Stdout: a.streamOf(a.stdout), Stderr: a.streamOf(a.stderr)}
	out := &outputs{streams: map[string]io.Writer{streamStdout: a.stdout, streamStderr: a.stderr}}
	var reply pipeproto.CommandReply
	if err := client.Call(ctx, pipeproto.ReqCommand, req, &reply, out); err != nil {
		return true, a.lostHost(ctx, client, err)
	}
	if reply.Exit == exitDone && out.failed != nil {
		return true, out.failed
	}
	return true, forwarded{exit: reply.Exit}
}

// lostHost explains why a command has no outcome.
func (a *app) lostHost(ctx context.Context, client *control.Client, err error) error {
	if ctx.Err() != nil {
		return ctx.Err() // it ends there too
	}
	var closed *pipeproto.ClosedError
	if !errors.As(err, &closed) {
		return err
	}
	f := &failure{exit: exitFailed}
	f.told = *pipeproto.Errorf(pipeproto.CodeExited, "process %d, which ran this command, is gone; what it had not committed is undone", client.Hello.PID)
	return f.hint("`vatworkerd status` shows how things stand")
}

func (a *app) streamOf(w io.Writer) pipeproto.Stream {
	return pipeproto.Stream{Terminal: isTerminal(w), Color: a.colored(w)}
}

// outputs writes what a command writes elsewhere. It implements
// pipeproto.Handler.
type outputs struct {
	streams map[string]io.Writer
	failed  error // the first write that failed: the command's result did not arrive
}

// HandleEvent implements pipeproto.Handler.
func (o *outputs) HandleEvent(_ string, body pipeproto.Body) {
	var out pipeproto.Output
	err := body.Decode(&out)
	if w := o.streams[out.Stream]; err == nil && w != nil {
		_, err = w.Write(out.Data)
	}
	if err != nil && o.failed == nil {
		o.failed = fmt.Errorf("cannot write the result: %w", err)
	}
}

// HandleRequest implements pipeproto.Handler: daemons ask nothing.
func (*outputs) HandleRequest(msgType string, _ pipeproto.Body) (any, error) {
	return nil, pipeproto.UnknownType(msgType)
}
