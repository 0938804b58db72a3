package xsnap

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// wrapper writes a program that notes what it was given, and runs the engine as
// its child: it is no engine itself then.
func wrapper(t testing.TB) (path, noted string) {
	t.Helper()
	path, noted = filepath.Join(t.TempDir(), "wrapper"), filepath.Join(t.TempDir(), "noted")
	script := fmt.Sprintf("#!/bin/sh\nshift\necho \"$FOO $TZ $PWD $*\" >>%s\n\"$@\" &\nchild=$!\necho $child >>%[1]s\nwait $child\n", noted)
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return path, noted
}

// A wrapped worker does what another does, with the wrapper around it.
func TestWrap(t *testing.T) {
	r := newRig(t)
	path, noted := wrapper(t)
	dir := t.TempDir()
	run := func(wrap *Wrap) Meter {
		w := r.readyFromBase(StartOptions{MeterLimit: DefaultMeterLimit, Wrap: wrap})
		k := newFakeKernel()
		startVat(t, w, k, trialBundle(t))
		meter := mustDeliver(t, w, k, message("increment"))
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		return meter
	}
	plain := run(nil)
	wrapped := run(&Wrap{Command: []string{path, "mine"}, Env: []string{"FOO=1", "TZ=other"}, Dir: dir})
	if plain.Compute != wrapped.Compute {
		t.Errorf("%d computrons, wrapped %d", plain.Compute, wrapped.Compute)
	}
	text, err := os.ReadFile(noted)
	if want := fmt.Sprintf("1 UTC0 %s %s v1:trial", dir, r.image.Engine.Path); err != nil || !strings.HasPrefix(string(text), want) {
		t.Errorf("%v: the wrapper was given %q, want %q", err, text, want)
	}
}

// The end of a wrapper is the end of what it has started.
func TestWrapIsKilledWhole(t *testing.T) {
	r := newRig(t)
	path, noted := wrapper(t)
	w := r.readyFromBase(StartOptions{Wrap: &Wrap{Command: []string{path, "mine"}}})
	text, err := os.ReadFile(noted)
	if err != nil {
		t.Fatal(err)
	}
	var engine int
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if _, err := fmt.Sscan(lines[len(lines)-1], &engine); err != nil || engine == w.PID() {
		t.Fatalf("%v: %q", err, text)
	}
	pidfd, err := unix.PidfdOpen(engine, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pidfd)
	// A stopped engine does not notice that its pipes have ended.
	if err := unix.Kill(engine, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	w.Kill()
	_ = w.Close()
	waitForEnd(t, pidfd)
}

// What a wrapper cannot be is refused before anything starts.
func TestWrapRefuses(t *testing.T) {
	r := newRig(t)
	for want, o := range map[string]StartOptions{
		"has no command":       {Wrap: &Wrap{}},
		"cannot be contained":  {Wrap: &Wrap{Command: []string{"/bin/true"}}, Sandbox: SandboxAuto},
		"no such file or dire": {Wrap: &Wrap{Command: []string{"/no/such/program"}}},
	} {
		o.Name, o.CPU = "v1:trial", -1
		if w, err := r.spawner.Start(r.image.Engine, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
			if w != nil {
				_ = w.Close()
			}
		}
	}
	// A program that does not speak ends the worker.
	w := startWorker(t, r.spawner, r.image.Engine, StartOptions{Wrap: &Wrap{Command: []string{"/bin/true"}}})
	var exit *ExitError
	if err := w.Ready(); !errors.As(err, &exit) {
		t.Errorf("got %v", err)
	}
}
