package main

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vatworkerd/control"
	"vatworkerd/pipeproto"
)

// The names of the streams in pipeproto.Output.
const (
	streamStdout = "stdout"
	streamStderr = "stderr"
)

// verbs is what a process that stays answers.
func (s *stay) verbs() control.Verbs {
	return control.Verbs{
		pipeproto.ReqHolder:  {Access: pipeproto.AccessRead, Serve: control.Answer(s.holder)},
		pipeproto.ReqCommand: {Access: pipeproto.AccessAdmin, Serve: control.Answer(s.runCommand)},
	}
}

func (s *stay) holder(*control.Caller, pipeproto.Empty) (pipeproto.Holder, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := pipeproto.Holder{PID: os.Getpid(), Started: s.started.UnixMicro(), Command: s.command, Waiting: s.waiting}
	if s.command != "" {
		h.For = time.Since(s.began).Microseconds()
	}
	if s.panicked != nil {
		h.Panic = s.panicked.Error()
	}
	return h, nil
}

// runCommand runs a command line when its turn comes, as the caller's own
// process would. A caller that goes away interrupts it.
func (s *stay) runCommand(c *control.Caller, req pipeproto.Command) (pipeproto.CommandReply, error) {
	ctx, stop := c.Watch()
	defer stop()
	if !s.takeLine(ctx) {
		return pipeproto.CommandReply{}, pipeproto.Errorf(codeInterrupted, "interrupted before its turn came; nothing was changed")
	}
	defer s.leaveLine()
	s.begin(strings.Join(req.Args, " "))
	defer s.begin("")
	began := time.Now()
	a := &app{
		stdin:  strings.NewReader(""),
		stdout: &stream{caller: c, name: streamStdout, as: req.Stdout},
		stderr: &stream{caller: c, name: streamStderr, as: req.Stderr},
		dir:    req.Dir, stay: s,
	}
	exit := a.execute(ctx, req.Args)
	s.tidy()
	s.log.Info("command", "args", req.Args, "caller", c.PID(), "exit", exit, "took", time.Since(began))
	return pipeproto.CommandReply{Exit: exit}, nil
}

func (s *stay) takeLine(ctx context.Context) bool {
	s.wait(+1)
	defer s.wait(-1)
	select {
	case s.line <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s *stay) leaveLine() { <-s.line }

func (s *stay) wait(more int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting += more
}

// begin notes the command that runs; "" is none.
func (s *stay) begin(command string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.command, s.began = command, time.Now()
}

// stream is where a command writes that runs for a caller.
type stream struct {
	caller *control.Caller
	name   string
	as     pipeproto.Stream
}

// streamBytes bounds the data of one event.
const streamBytes = 256 << 10

// Write implements io.Writer.
func (w *stream) Write(p []byte) (int, error) {
	for sent := 0; sent < len(p); {
		part := p[sent:min(len(p), sent+streamBytes)]
		if err := w.caller.Event(pipeproto.EventOutput, pipeproto.Output{Stream: w.name, Data: part}); err != nil {
			return sent, &failure{told: *pipeproto.Errorf(pipeproto.CodeExited, "the caller does not read the result: %v", err), exit: exitFailed}
		}
		sent += len(part)
	}
	return len(p), nil
}

// servedCommands are the commands that a process that stays runs for others.
func (a *app) servedCommands() []*cobra.Command {
	return []*cobra.Command{
		a.sendCommand(), a.statusCommand(), a.vatCommand(), a.restartCommand(), a.spansCommand(), a.snapshotCommand(), a.doctorCommand(),
	}
}

// notFollowed tells of flags that a command cannot set for the process that
// runs it.
func (a *app) notFollowed(cmd *cobra.Command) {
	own := map[string]bool{"db": true, "engine": true, "json": true, "color": true}
	var kept []string
	cmd.Root().PersistentFlags().VisitAll(func(f *pflag.Flag) {
		if f.Changed && !own[f.Name] {
			kept = append(kept, "--"+f.Name)
		}
	})
	if len(kept) > 0 {
		a.note("process %d, which holds the database, keeps its own %s", os.Getpid(), strings.Join(kept, ", "))
	}
}
