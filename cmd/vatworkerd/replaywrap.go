package main

import (
	"os"
	"os/exec"
	"os/signal"
	"strings"

	"golang.org/x/sys/unix"

	"vatworkerd/cmd/vatworkerd/internal/screen"
	"vatworkerd/xsnap"
)

// wrapped says how to start a worker inside the program of --wrap: without
// containment, limits and watch, and with this process's own streams.
func (r *replayRun) wrapped() (xsnap.StartOptions, error) {
	a := r.app
	if a.workers.policy() == xsnap.SandboxRequire {
		return xsnap.StartOptions{}, usageError("cannot use --wrap together with --sandbox require: a wrapped worker is not contained")
	}
	words := strings.Fields(r.flags.wrap)
	if len(words) == 0 {
		return xsnap.StartOptions{}, usageError("cannot use --wrap %q: it names no program", r.flags.wrap)
	}
	path, err := exec.LookPath(words[0])
	if err != nil {
		return xsnap.StartOptions{}, usageError("cannot use --wrap %q: %v", r.flags.wrap, err)
	}
	words[0] = path
	wrap := &xsnap.Wrap{Command: words, Env: os.Environ(), Stderr: fileOf(a.stderr), Stdout: fileOf(a.stderr)}
	if !r.needsStdin() {
		wrap.Stdin = fileOf(a.stdin)
	}
	a.note("the worker runs inside %s: it is not contained, and nothing limits it", screen.Escape(r.flags.wrap))
	return xsnap.StartOptions{Wrap: wrap}, nil
}

// needsStdin tells whether this process reads its stdin itself.
func (r *replayRun) needsStdin() bool { return r.flags.hasStop || r.flags.keepWorkers }

// takeTerminalBack lets a wrapper have the terminal; the function it gives takes
// it back.
func (r *replayRun) takeTerminalBack() func() {
	terminal := fileOf(r.app.stdin)
	if r.flags.wrap == "" || r.needsStdin() || terminal == nil || !isTerminal(terminal) {
		return func() {}
	}
	// Without that a process is stopped that takes back what another one has.
	signal.Ignore(unix.SIGTTOU)
	return func() {
		_ = unix.IoctlSetPointerInt(int(terminal.Fd()), unix.TIOCSPGRP, unix.Getpgrp()) // there may be no terminal any more
		signal.Reset(unix.SIGTTOU)
	}
}

// fileOf gives the file that a stream is, or nil.
func fileOf(stream any) *os.File {
	f, _ := stream.(*os.File)
	return f
}
