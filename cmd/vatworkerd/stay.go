package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"vatworkerd/kernelhost"
	"vatworkerd/pipeproto"
)

// stay is a process that keeps its kernel open between commands: `run --stay`.
// Whoever has its line runs a command; the others wait.
type stay struct {
	app     *app // of the process itself: its flags and streams
	dir     string
	log     hclog.Logger
	started time.Time
	line    chan struct{} // is full while somebody has it
	opened  chan struct{} // is told when there is another kernel

	// Of whoever has the line:
	kernel   *kernelhost.Kernel
	flags    []string  // that its daemon runs with
	narrator *narrator // of the command; nil between commands
	doubt    bool      // the command has left the database in an unknown state

	mu       sync.Mutex // guards the rest, for who only looks
	command  string
	began    time.Time
	waiting  int
	panicked *failure
	gone     <-chan struct{} // closed when the kernel's daemon has ended
}

func newStay(a *app, dir string) (*stay, error) {
	log, err := a.logger("host", logOff)
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, fmt.Errorf("cannot find the directory of the database: %w", err)
	}
	// This one does not end soon.
	a.pool.preload, a.pool.hulls = cmp.Or(a.pool.preload, "all"), cmp.Or(a.pool.hulls, "1")
	return &stay{
		app: a, dir: dir, log: log, started: time.Now(),
		line: make(chan struct{}, 1), opened: make(chan struct{}, 1),
	}, nil
}

// flagsFor gives the daemon flags of a command: the engine as the command says,
// or else as the database remembers; all else is the process's own.
func (s *stay) flagsFor(a *app) ([]string, error) {
	own := *s.app
	own.engine, own.dir = a.engine, a.dir
	return own.daemonFlags(s.dir)
}

// ensure has the database open with these daemon flags.
func (s *stay) ensure(ctx context.Context, flags []string) error {
	if s.isGood() && slices.Equal(flags, s.flags) {
		return nil
	}
	s.closeLogged()
	opts, err := s.app.kernelOptions(s.dir, flags)
	if err != nil {
		return err
	}
	opts.Logger, opts.Events = s.log, s.sink()
	k, err := kernelhost.Open(ctx, opts)
	if err != nil {
		return err
	}
	s.kernel, s.flags = k, flags
	s.setGone(k.Gone())
	return nil
}

// isGood tells whether the kernel can be used, as far as is known.
func (s *stay) isGood() bool {
	if s.kernel == nil || s.kernel.Dead() != nil {
		return false
	}
	select {
	case <-s.kernel.Gone():
		return false
	default:
		return true
	}
}

// shut closes the kernel, if there is one.
func (s *stay) shut() error {
	if s.kernel == nil {
		return nil
	}
	k := s.kernel
	s.kernel = nil
	s.setGone(nil)
	return k.Close()
}

func (s *stay) setGone(gone <-chan struct{}) {
	s.mu.Lock()
	s.gone = gone
	s.mu.Unlock()
	select {
	case s.opened <- struct{}{}:
	default:
	}
}

// sink passes events on to the command that runs.
func (s *stay) sink() kernelhost.EventSink {
	return kernelhost.EventSink{
		Vat:     func(ev pipeproto.VatEvent) { s.tell(func(n *narrator) { n.event(ev) }) },
		Console: func(ev pipeproto.ConsoleEvent) { s.tell(func(n *narrator) { n.console(ev) }) },
		Warning: func(ev pipeproto.WarningEvent) { s.tell(func(n *narrator) { n.warning(ev.Message) }) },
		Progress: func(ev pipeproto.ProgressEvent) {
			s.tell(func(n *narrator) { n.progress.Step(ev.What, ev.Done, ev.Total) })
		},
	}
}

func (s *stay) tell(what func(*narrator)) {
	if s.narrator != nil {
		what(s.narrator)
	}
}

// use runs f, a part of a command, on the open kernel. The caller has the line.
func (s *stay) use(ctx context.Context, a *app, f func(*session) error) error {
	if p := s.panic(); p != nil {
		return p
	}
	flags, err := s.flagsFor(a)
	if err != nil {
		return err
	}
	if err := s.ensure(ctx, flags); err != nil {
		return err
	}
	return s.with(ctx, a, a.briefNarrator(), f)
}

func (s *stay) with(ctx context.Context, a *app, say *narrator, f func(*session) error) error {
	s.narrator = say
	defer func() {
		say.progress.Stop()
		s.narrator = nil
	}()
	err := f(&session{app: a, ctx: ctx, kernel: s.kernel, see: s.kernel, narrator: say})
	if kernelhost.IsPanic(err) {
		s.setPanic(failureOf(err))
	}
	s.doubt = doubtful(err)
	return err
}

// doubtful tells errors after which a process of its own would have closed a
// database in an unknown state.
func doubtful(err error) bool {
	var silent failed
	var own *failure
	if err == nil || errors.As(err, &silent) || errors.As(err, &own) {
		return false
	}
	switch pipeproto.ErrorOf(err).Code {
	case pipeproto.CodeIO, pipeproto.CodeNoSpace, pipeproto.CodeCorrupt, pipeproto.CodeWorkerLost, pipeproto.CodeInternal, pipeproto.CodeExited:
		return true
	}
	return false
}

// tidy leaves the database to the next command as a process of its own would:
// nothing of an open block, and the engine that is remembered.
func (s *stay) tidy() {
	if s.panic() != nil {
		return // only looking is left, and the supervisor tells why
	}
	ctx := context.Background()
	if s.isGood() {
		s.kernel.ForgetTestLog()
		if s.kernel.Changed() {
			s.doubt = s.kernel.Rollback(ctx) != nil || s.doubt
		}
	}
	if s.doubt {
		s.doubt = false
		s.closeLogged()
	}
	if err := s.reopen(ctx); err != nil {
		s.log.Error("cannot open the database again; the next command will try", "error", err)
	}
}

func (s *stay) closeLogged() {
	if err := s.shut(); err != nil {
		s.log.Warn("closing the database", "error", err)
	}
}

// reopen has the database open as it is between commands.
func (s *stay) reopen(ctx context.Context) error {
	flags, err := s.flagsFor(&app{})
	if err != nil {
		return err
	}
	return s.ensure(ctx, flags)
}

func (s *stay) panic() *failure {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.panicked
}

func (s *stay) setPanic(f *failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.panicked = f
}
