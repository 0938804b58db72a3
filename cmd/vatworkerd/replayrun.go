package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"

	"vatworkerd/cmd/vatworkerd/internal/screen"
	"vatworkerd/pipeproto"
	"vatworkerd/replay"
	"vatworkerd/supervisor"
	"vatworkerd/xsnap"
)

// replayRun is a `replay` in progress.
type replayRun struct {
	app     *app
	ctx     context.Context
	flags   replayFlags
	say     *narrator
	session *replay.Session
	told    bool // the difference was shown already
}

func (r *replayRun) run(src *replay.Source, vatID string) (err error) {
	defer r.say.progress.Stop()
	opts, err := r.options(vatID)
	if err != nil {
		return err
	}
	if r.session, err = src.Begin(r.ctx, vatID, opts); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.session.Close()) }()
	until, err := r.until()
	if err != nil {
		return err
	}
	if err := r.session.RunTo(until); err != nil {
		return err
	}
	report := r.session.Report()
	if report.Difference == nil && r.flags.keepWorkers {
		r.keep("it stands before position " + screen.Count(r.session.Position()))
	}
	return r.tell(report)
}

// until is where the replay ends.
func (r *replayRun) until() (int64, error) {
	end := r.session.End()
	if !r.flags.hasUntil {
		return end, nil
	}
	if from := r.session.Position(); r.flags.until <= from {
		return 0, usageError("cannot replay until position %d: the span starts at %d", r.flags.until, from)
	}
	return min(end, r.flags.until), nil
}

func (r *replayRun) options(vatID string) (replay.Options, error) {
	a := r.app
	opts := replay.Options{
		Full: r.flags.full, Progress: func(done, total int64) { r.say.progress.Step("replay "+vatID, done, total) },
		Worker: xsnap.StartOptions{Sandbox: a.workers.policy(), Limits: a.workers.limits(), HugePages: a.workers.huge, Watch: a.workers.watch},
	}
	opts.Worker.Watch.Tell = func(alarm xsnap.Alarm) { a.note("%s", screen.Escape(alarm.String())) }
	if r.flags.hasFrom {
		opts.From = &r.flags.from
	}
	if r.flags.keepWorkers {
		opts.Hold = r.hold
	}
	if a.workerLog.replayConsole {
		opts.Console = func(_ int64, source, level string, args []json.RawMessage) {
			r.say.console(pipeproto.ConsoleEvent{VatID: vatID, Source: source, Level: level, Text: supervisor.ConsoleText(args), Replay: true})
		}
	}
	var err error
	if opts.CPU, err = parseCPU(a.cpu); err != nil || a.engine == "" {
		return opts, err
	}
	paths, err := a.findEngine()
	if err != nil {
		return opts, err
	}
	image, err := paths.load()
	opts.Image = &image
	return opts, err
}

// hold shows a difference while the worker is still there, and keeps it.
func (r *replayRun) hold(d replay.Difference) {
	r.say.progress.Stop()
	if !r.app.json {
		r.told = true
		r.app.writeDifference(r.session.Report(), d)
	}
	r.keep("it stands at the difference")
}

// keep keeps the worker until Enter, the end of stdin, or Ctrl-C.
func (r *replayRun) keep(where string) {
	r.app.note("the worker is process %d, %s, and stays until Enter or Ctrl-C", r.session.PID(), where)
	entered := make(chan struct{})
	go func() {
		defer close(entered)
		_, _ = bufio.NewReader(r.app.stdin).ReadString('\n') // its end is as good
	}()
	select {
	case <-entered:
	case <-r.ctx.Done():
	}
}
