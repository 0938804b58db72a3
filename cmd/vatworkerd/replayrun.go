package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"vatworkerd/cmd/vatworkerd/internal/screen"
	"vatworkerd/pipeproto"
	"vatworkerd/replay"
	"vatworkerd/supervisor"
	"vatworkerd/xsnap"
)

// replayDoc is the document of `replay`.
type replayDoc struct {
	replay.Report
	Console []evaluated `json:"console,omitempty"`
	Heaps   []heapDoc   `json:"heaps,omitempty"`
}

// heapDoc is a heap that was written into a file.
type heapDoc struct {
	File string `json:"file"`
	replay.Heap
}

// replayRun is a `replay` in progress.
type replayRun struct {
	app     *app
	ctx     context.Context
	flags   replayFlags
	say     *narrator
	session *replay.Session
	doc     replayDoc

	told       bool // the difference was shown already
	evaluating bool // somebody at the console does
}

func (r *replayRun) run(src *replay.Source, vatID string) (err error) {
	defer r.say.progress.Stop()
	opts, err := r.options(vatID)
	if err != nil {
		return err
	}
	defer r.takeTerminalBack()()
	if r.session, err = src.Begin(r.ctx, vatID, opts); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.session.Close()) }()
	until, err := r.until()
	if err != nil {
		return err
	}
	if err := r.through(until); err != nil && !errors.Is(err, errQuit) {
		return err
	}
	r.say.progress.Stop()
	r.doc.Report = r.session.Report()
	if r.doc.Difference == nil && r.flags.keepWorkers {
		r.keep("it stands before position " + screen.Count(r.session.Position()))
	}
	return r.tell()
}

// until is where the replay ends.
func (r *replayRun) until() (int64, error) {
	from, end := r.session.Position(), r.session.End()
	if r.flags.hasUntil && r.flags.until <= from {
		return 0, usageError("cannot replay until position %d: the span starts at %d", r.flags.until, from)
	}
	if r.flags.hasUntil {
		end = min(end, r.flags.until)
	}
	if stop := r.flags.stopBefore; r.flags.hasStop && (stop < from || stop > end) {
		return 0, usageError("cannot stop before position %d: the replay goes from %d to %d", stop, from, end)
	}
	return end, nil
}

// through runs the replay to its end, with a stop on the way if that was asked
// for; errQuit if somebody ended it there.
func (r *replayRun) through(until int64) error {
	stop := until
	if r.flags.hasStop {
		stop = r.flags.stopBefore
	}
	if err := r.session.RunTo(stop); err != nil {
		return err
	}
	if r.session.Report().Difference != nil {
		return nil
	}
	if r.flags.snapshot != "" {
		if err := r.writeHeap(r.flags.snapshot); err != nil {
			return err
		}
	}
	if !r.flags.hasStop {
		return nil
	}
	if err := r.console(until); err != nil {
		return err
	}
	return r.session.RunTo(until)
}

func (r *replayRun) options(vatID string) (replay.Options, error) {
	a := r.app
	opts := replay.Options{
		Full: r.flags.full, Timings: r.flags.timings, Progress: func(done, total int64) { r.say.progress.Step("replay "+vatID, done, total) },
		Console: func(_ int64, source, level string, args []json.RawMessage) { r.heard(vatID, source, level, args) },
		Worker:  xsnap.StartOptions{Sandbox: a.workers.policy(), Limits: a.workers.limits(), HugePages: a.workers.huge, Watch: a.workers.watch},
	}
	opts.Worker.Watch.Tell = func(alarm xsnap.Alarm) { a.note("%s", screen.Escape(alarm.String())) }
	if r.flags.hasFrom {
		opts.From = &r.flags.from
	}
	if r.flags.keepWorkers {
		opts.Hold = r.hold
	}
	var err error
	if opts.CPU, err = parseCPU(a.cpu); err != nil {
		return opts, err
	}
	if r.flags.wrap != "" {
		if opts.Worker, err = r.wrapped(); err != nil {
			return opts, err
		}
		opts.CPU = -1 // what it is wrapped in may need more than one
	}
	if a.engine == "" {
		return opts, nil
	}
	paths, err := a.findEngine()
	if err != nil {
		return opts, err
	}
	image, err := paths.load()
	opts.Image = &image
	return opts, err
}

// heard shows what the worker prints: to whoever evaluates, or who asked for what
// was printed before.
func (r *replayRun) heard(vatID, source, level string, args []json.RawMessage) {
	if r.evaluating || r.app.workerLog.replayConsole {
		r.say.console(pipeproto.ConsoleEvent{VatID: vatID, Name: r.session.Report().Name, Source: source, Level: level, Text: supervisor.ConsoleText(args), Replay: !r.evaluating})
	}
}

// writeHeap writes the worker's heap into a new file.
func (r *replayRun) writeHeap(name string) error {
	r.say.progress.Stop()
	doc := heapDoc{File: r.app.path(name)}
	_, err := createWhole(doc.File, func(w io.Writer) (size int64, err error) {
		doc.Heap, err = r.session.WriteHeap(w, r.flags.plain)
		return doc.StoredSize, err
	})
	if err != nil {
		return err
	}
	r.doc.Heaps = append(r.doc.Heaps, doc)
	if r.app.json {
		return nil
	}
	_, err = fmt.Fprintf(r.app.stdout, "wrote the heap before position %s to %s: %s, stored %s, sha256 %s\n",
		screen.Count(doc.Position), screen.Escape(name), screen.Bytes(doc.UncompressedSize), screen.Bytes(doc.StoredSize), doc.Hash)
	return err
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
