package xsnap

import (
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Wrap has a worker's engine run inside another program, such as a debugger, a
// recorder or a profiler: the program is started in its place and given the
// engine's command line after its own arguments. It must hand on descriptors 3 to
// 8. It is not contained and has no limits, so Sandbox must be SandboxOff. It has
// the environment Env, and so has the engine, with TZ as every engine has it. The
// worker's PID is the program's.
type Wrap struct {
	Command []string // the program's path and its arguments
	Env     []string
	Dir     string // where it runs; empty is the caller's directory
	// Stdin, Stdout and Stderr are what it has; nil gives it no input, and its
	// output to the Sink. A terminal as Stdin is given to it: keys and signals of the
	// keyboard are its own until it ends.
	Stdin, Stdout, Stderr *os.File
}

func (w *Wrap) check(o StartOptions) error {
	switch {
	case w == nil:
		return nil
	case len(w.Command) == 0:
		return errors.New("the wrapper has no command")
	case o.Sandbox != SandboxOff:
		return errors.New("a wrapped worker cannot be contained")
	}
	return nil
}

// command is what comes before the engine's own command line.
func (w *Wrap) command() []string {
	if w == nil {
		return nil
	}
	return slices.Clone(w.Command)
}

// connect gives the program its own standard descriptors.
func (w *Wrap) connect(p *plumbing) {
	for fd, f := range map[int]*os.File{fdStdin: w.Stdin, fdStdout: w.Stdout, fdStderr: w.Stderr} {
		if f != nil {
			p.child[fd] = f.Fd()
		}
	}
}

// spawnWrapped starts the program.
func (s *Spawner) spawnWrapped(argv []string, w *Wrap, around surroundings, p *plumbing) (launched, error) {
	sys := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if w.Stdin != nil && isTerminal(w.Stdin) {
		sys.Foreground, sys.Ctty = true, int(w.Stdin.Fd())
	}
	return s.startProcess(argv, &syscall.ProcAttr{Dir: w.Dir, Env: w.environment(around), Files: p.child[:], Sys: sys})
}

// environment is Env, with what every engine's has.
func (w *Wrap) environment(around surroundings) []string {
	env := slices.Clone(around.env)
	for _, v := range w.Env {
		name, _, _ := strings.Cut(v, "=")
		isSet := func(other string) bool { return strings.HasPrefix(other, name+"=") }
		if !slices.ContainsFunc(around.env, isSet) {
			env = append(env, v)
		}
	}
	return env
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
