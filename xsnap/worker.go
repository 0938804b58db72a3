package xsnap

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"vatworkerd/frames"
	"vatworkerd/internal/crashpoint"
	"vatworkerd/pipeproto"
)

// Worker is one xsnap process.
//
// It is owned by one goroutine, which should be locked to its OS thread: its
// commands block that thread in plain reads and writes. Kill, PID, Name and
// Exited may be called from any goroutine; Kill ends a command in progress.
type Worker struct {
	name       atomic.Pointer[string]
	proc       *process
	stderr     tailBuffer
	tape       *frames.Tape
	ownSpawner *Spawner // nil if the Spawner is shared
	closeGrace time.Duration
	heapLimit  int64 // bytes
	allCPU     unix.CPUSet
	pulse      pulse

	// Owned by the owner goroutine.
	wire    wire
	save    *os.File
	loading bool      // from a snapshot, until Ready
	load    *load     // nil once loaded, or if there was nothing to pump
	late    *lateHeap // nil for one that was no hull, or was filled
	area    *heapArea // nil for one that has none
	broken  error     // why no further command is possible
	closed  bool
	statm   *os.File // nil until MemoryBytes
}

// ErrClosed says that the Worker was closed by its owner.
var ErrClosed = errors.New("worker is closed")

// Name is the name given at the start, or the last one by Rename.
func (w *Worker) Name() string { return *w.name.Load() }

// Rename gives the worker another name for errors and alarms; ps goes on to
// show the first. Safe from any goroutine.
func (w *Worker) Rename(name string) {
	w.name.Store(&name)
	w.tape.Rename(name)
}

// Tape has the last frames that passed on the worker's pipe.
func (w *Worker) Tape() *frames.Tape { return w.tape }

// PID is the worker's process ID.
func (w *Worker) PID() int { return w.proc.pid }

// Exited is closed once the process has ended, was reaped, and all it wrote
// has reached the sink.
func (w *Worker) Exited() <-chan struct{} { return w.proc.exited }

// Ending says how the process ended, for people, once Exited is closed.
func (w *Worker) Ending() string {
	if status := w.proc.status; status.Signaled() {
		return signalText(status.Signal())
	}
	return codeText(w.proc.status.ExitStatus())
}

// Kill ends the process at once, whatever it does. A command in progress
// returns an *ExitError. The owner must still Close the Worker.
func (w *Worker) Kill() { w.proc.kill() }

// Ready waits until the worker answers. A worker that starts from a snapshot
// is ready when the snapshot was loaded and its source has ended well; else it
// is killed and the error is a *LoadError.
func (w *Worker) Ready() error {
	if !w.loading {
		_, _, err := w.command(opReady, nil, cmdReady)
		return err
	}
	_, _, err := w.command(opLoad, nil, cmdReady)
	if w.load != nil {
		err = w.loadResult(err)
	}
	if err != nil {
		return w.fail(&LoadError{Name: w.Name(), Err: err})
	}
	w.loading, w.load = false, nil
	crashpoint.Here(crashpoint.WorkerReady)
	return nil
}

// Fill gives a hull its heap, of which ReadShape has been read off and fits, and
// waits until the worker is ready, as Ready does: rest is used like
// StartOptions.From.
func (w *Worker) Fill(rest io.Reader) error {
	if w.late == nil {
		return fmt.Errorf("cannot give worker %s a heap: it waits for none", w.Name())
	}
	w.give(rest)
	return w.Ready()
}

func (w *Worker) give(rest io.Reader) {
	w.late.given <- rest
	w.late = nil
}

// loadResult prefers the source's error: it is why the worker was killed.
func (w *Worker) loadResult(err error) error {
	if err == nil {
		return w.load.finish()
	}
	<-w.load.done // a heap that is checked to its end may prove wrong now
	if cause := w.load.failure(); cause != nil {
		return cause
	}
	return err
}

// Evaluate runs code in the start compartment. Code that throws is a
// *ProtocolError, since only worker bundles are ever evaluated. h may be nil.
func (w *Worker) Evaluate(code []byte, h Handler) error {
	_, _, err := w.command(opEvaluate, h, cmdEvaluate, code)
	return err
}

// Ask evaluates code like Evaluate, and gives the bytes of the ArrayBuffer that it
// results in, or that is the property "result" of what it results in once
// nothing is left to do; empty if there is none. What it does stays in the heap, of
// which a transcript then tells nothing: it is for workers that are thrown away.
func (w *Worker) Ask(code []byte, h Handler) (result []byte, err error) {
	reply, _, err := w.command(opEvaluate, h, cmdEvaluate, code)
	return bytes.Clone(reply), err
}

// EvaluateImage makes a fresh machine of the image's engine able to serve a
// vat, by evaluating the image's lockdown and supervisor.
func (w *Worker) EvaluateImage(image Image, h Handler) error {
	if err := w.Evaluate(image.Lockdown.code, h); err != nil {
		return fmt.Errorf("cannot evaluate lockdown: %w", err)
	}
	if err := w.Evaluate(image.Supervisor.code, h); err != nil {
		return fmt.Errorf("cannot evaluate supervisor: %w", err)
	}
	return nil
}

// command sends one command and answers upcalls until its reply comes. The
// reply is valid until the next command; meter is nil if it had none.
func (w *Worker) command(op op, h Handler, c command, parts ...[]byte) (reply []byte, meter *Meter, err error) {
	if w.broken != nil {
		return nil, nil, w.broken
	}
	w.pulse.begin(op)
	defer w.pulse.end()
	if err := w.wire.send(c, parts...); err != nil {
		return nil, nil, w.ioFailed(op, err)
	}
	for {
		m, err := w.wire.receive()
		if err != nil {
			return nil, nil, w.ioFailed(op, err)
		}
		w.pulse.beat()
		switch m.kind {
		case msgUpcall:
			if err := w.upcall(op, h, m.body); err != nil {
				return nil, nil, err
			}
		case msgUncaught:
			return nil, nil, &ProtocolError{Name: w.Name(), Op: op.String(), Reason: "uncaught exception", Detail: preview(m.body)}
		default:
			return m.body, m.meter, nil
		}
	}
}

// fail ends the process and makes err the answer to every further command.
func (w *Worker) fail(err error) error {
	w.Kill()
	w.broken = err
	return err
}

func (w *Worker) protocolBroken(op op, reason string, frame []byte, cause error) error {
	return w.fail(&ProtocolError{Name: w.Name(), Op: op.String(), Reason: reason, Detail: preview(frame), Err: cause})
}

// ioFailed turns a failed read or write into what happened to the worker.
func (w *Worker) ioFailed(op op, err error) error {
	var frame *FrameError
	var piped *pipeproto.FrameError
	var wrong *wireError
	var refused *pipeproto.Error
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, unix.EPIPE), errors.Is(err, unix.ECONNRESET):
		if !w.waitExit() {
			return w.protocolBroken(op, "it closed its pipe but goes on running", nil, nil)
		}
		if why := w.proc.killedBecause(); why != "" {
			return w.protocolBroken(op, why, nil, nil)
		}
		exit := w.exitError()
		exit.Outside = w.outsideCause(op, exit)
		// Not wrapped: a later command never ran, so it must not look as if
		// the vat had failed in it.
		w.broken = fmt.Errorf("worker is gone since an earlier command: %v", exit)
		return exit
	case errors.As(err, &frame), errors.As(err, &piped):
		return w.protocolBroken(op, "malformed message", nil, err)
	case errors.As(err, &wrong):
		return w.protocolBroken(op, wrong.reason, wrong.frame, nil)
	case errors.As(err, &refused):
		return w.protocolBroken(op, "it refused what it was asked", []byte(refused.Code), refused)
	}
	return w.fail(fmt.Errorf("cannot talk to worker %s: %w", w.Name(), err))
}

// waitExit reports whether the process ended by itself within the grace.
func (w *Worker) waitExit() bool {
	timer := time.NewTimer(w.closeGrace)
	defer timer.Stop()
	select {
	case <-w.proc.exited:
		return true
	case <-timer.C:
		return false
	}
}

// exitError describes the end of a process that has exited.
func (w *Worker) exitError() *ExitError {
	e := &ExitError{Name: w.Name(), Code: -1, Reason: w.wire.lastWords(), Stderr: w.stderr.text()}
	if status := w.proc.status; status.Signaled() {
		e.Signal = status.Signal()
	} else {
		e.Code = status.ExitStatus()
	}
	return e
}

// outsideCause tells why an exit in op that looks like a vat's fault is none.
func (w *Worker) outsideCause(op op, exit *ExitError) string {
	if exit.faultText() == "" {
		return ""
	}
	if op != opSetBundle && op != opDeliver {
		return "no code of the vat was running"
	}
	if why := w.proc.limits.why(exit.Code); why != "" || exit.Code != ExitNotEnoughMemory {
		return why
	}
	return readHostMemory("/proc").why()
}

// Close asks the worker to end, waits for the grace, kills it if it still
// runs, and frees everything. It reports a worker that, asked to end, ended
// otherwise; one that was already gone, failed or was killed is no error.
// It waits for a Read of StartOptions.From that is in progress.
func (w *Worker) Close() error {
	if w.closed {
		return nil
	}
	w.closed = true
	asked := w.askToQuit()
	if !asked || !w.waitExit() {
		w.Kill()
	}
	<-w.proc.exited
	w.wire.close()
	_ = w.save.Close()
	if w.statm != nil {
		_ = w.statm.Close()
	}
	if w.late != nil {
		w.late.giveUp()
	}
	if w.load != nil {
		w.load.abandon()
	}
	w.area.wait()
	if w.ownSpawner != nil {
		w.ownSpawner.Close()
	}
	w.broken = ErrClosed
	return w.closeError(asked)
}

// askToQuit does not write to a worker that may not read: it would block.
func (w *Worker) askToQuit() bool {
	select {
	case <-w.proc.exited:
		return false
	default:
	}
	return w.broken == nil && w.load == nil && w.wire.send(cmdQuit) == nil
}

func (w *Worker) closeError(asked bool) error {
	status := w.proc.status
	if !asked || status.Exited() && status.ExitStatus() == ExitSuccess || status.Signal() == syscall.SIGKILL {
		return nil
	}
	return fmt.Errorf("cannot close worker cleanly: %w", w.exitError())
}
