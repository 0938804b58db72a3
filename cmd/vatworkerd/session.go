package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"vatworkerd/cmd/vatworkerd/internal/screen"
	"vatworkerd/dbdir"
	"vatworkerd/kernelhost"
	"vatworkerd/pipeproto"
)

// session is what a command works on: an open kernel, or for those that only
// look the daemon that has the vats.
type session struct {
	app      *app
	ctx      context.Context
	see      viewer
	kernel   *kernelhost.Kernel // nil where daemon is set
	daemon   *daemonView
	narrator *narrator
}

// withKernel runs f on the database of --db, which must exist. If a process
// stays with it the whole command is run there, and this one only passes on
// what it prints; else the database is opened, and closed again. Ctrl-C ends f;
// nothing since the last commit is kept then.
func (a *app) withKernel(ctx context.Context, f func(*session) error) error {
	if a.stay != nil {
		return a.stay.use(ctx, a, f)
	}
	if a.isForeign() {
		return a.foreignError()
	}
	if err := a.needDatabase(); err != nil {
		return err
	}
	if err := a.checkFlags(); err != nil {
		return err
	}
	if ok, err := a.forward(ctx); ok || err != nil {
		return err
	}
	return a.openKernel(ctx, a.db, a.briefNarrator(), f)
}

func (a *app) openKernel(ctx context.Context, dir string, say *narrator, f func(*session) error) (err error) {
	log, err := a.logger("host", logOff)
	if err != nil {
		return err
	}
	flags, err := a.daemonFlags(dir)
	if err != nil {
		return err
	}
	opts, err := a.kernelOptions(dir, flags)
	if err != nil {
		return err
	}
	opts.Logger, opts.Events = log, say.sink()
	ctx, stop := interruptible(ctx)
	defer stop()
	k, err := kernelhost.Open(ctx, opts)
	if err != nil {
		return err
	}
	defer func() {
		say.progress.Stop()
		err = errors.Join(err, k.Close())
	}()
	s := &session{app: a, ctx: ctx, see: k, kernel: k, narrator: say}
	if _, isDone, err := k.Initialized(); err == nil && isDone {
		s.tellUnknownPins()
	}
	return f(s)
}

// tellUnknownPins warns of a --pin that pins nobody. It is no error: a vat may be
// made later under that name.
func (s *session) tellUnknownPins() {
	for _, pin := range s.app.pool.pins {
		var unknown *kernelhost.UnknownVatError
		if _, err := s.kernel.Vat(s.ctx, pin); errors.As(err, &unknown) {
			s.narrator.warning(fmt.Sprintf("--pin %s pins no vat: there is none of that name", pin))
		}
	}
}

func (a *app) kernelOptions(dir string, flags []string) (kernelhost.Options, error) {
	exe, err := os.Executable()
	if err != nil {
		return kernelhost.Options{}, fmt.Errorf("cannot find this program's own file: %w", err)
	}
	return kernelhost.Options{
		DBDir: dir, Daemon: []string{exe, "serve"}, EngineFlags: flags, Stderr: a.stderr, VatAdminBundle: vatAdminBundle(),
	}, nil
}

// vatAdminBundle finds the bundle of the vat-admin vat, which `make bundles`
// makes; only configs that need that vat need it.
func vatAdminBundle() string {
	var path string
	for _, home := range homes() {
		path = filepath.Join(home, "build", "bundles", "vat-admin.json")
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return path
}

// interruptible gives a context that Ctrl-C and the like end.
func interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
}

// daemonFlags pass on to the daemon what is its business.
func (a *app) daemonFlags(dir string) ([]string, error) {
	engine, err := a.engineFor(dir)
	if err != nil {
		return nil, err
	}
	if err := a.checkFlags(); err != nil {
		return nil, err
	}
	flags := []string{
		"--engine", engine.Engine, "--lockdown", engine.Lockdown, "--supervisor", engine.Supervisor,
		"--cpu", a.cpu,
		"--log-level", a.level(logOff), "--color", a.daemonColor(),
	}
	flags = append(flags, a.pool.arguments()...)
	flags = append(flags, a.snapshots.arguments()...)
	flags = append(flags, a.workers.arguments()...)
	flags = append(flags, a.workerLog.arguments()...)
	if a.logJSON {
		flags = append(flags, "--log-json")
	}
	if a.cache != "" {
		flags = append(flags, "--cache", a.cache)
	}
	return flags, nil
}

// checkFlags refuses flags for a daemon that cannot be meant, also where none is
// started.
func (a *app) checkFlags() error {
	if _, err := parseCPU(a.cpu); err != nil {
		return err
	}
	if err := a.pool.check(); err != nil {
		return err
	}
	if err := a.snapshots.check(); err != nil {
		return err
	}
	if _, err := a.logger("", logOff); err != nil {
		return err
	}
	if a.engine != "" {
		if _, err := a.findEngine(); err != nil {
			return err
		}
	}
	if err := a.workerLog.check(); err != nil {
		return err
	}
	return a.workers.check()
}

// daemonColor decides for the daemon, whose stderr may be no terminal.
func (a *app) daemonColor() string {
	if a.colored(a.stderr) {
		return "always"
	}
	return "never"
}

// needDatabase refuses a --db that is missing, so that only `run` creates one.
func (a *app) needDatabase() error {
	if a.db == "" {
		return usageError("--db is needed: the directory of the database").hint("or set VATWORKERD_DB; `vatworkerd run CONFIG --db DIR` creates one")
	}
	if dbdir.IsUnfinished(a.db) {
		return &dbdir.UnfinishedError{Dir: a.db}
	}
	_, err := os.Stat(filepath.Join(a.db, kernelhost.DatabaseFile))
	if err == nil {
		return nil
	}
	if errors.Is(err, os.ErrNotExist) {
		return usageError("there is no database in %s", screen.Escape(a.db)).hint("`vatworkerd run CONFIG --db %s` creates one", screen.Escape(a.db))
	}
	return usageError("cannot use the database in %s: %v", screen.Escape(a.db), err)
}

// cleanupsPerBlock bounds the deferred deletion of a block, so that what a
// terminated vat leaves behind never holds up the others.
const cleanupsPerBlock = 1000

// wholeRun is the budget of a run until idle, in blocks of so many cranks (0 =
// one block).
func wholeRun(blockCranks int64) kernelhost.Budget {
	return kernelhost.Budget{BlockCranks: blockCranks, Cleanups: cleanupsPerBlock}
}

// firstOf gives the first argument, or "".
func firstOf(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

func (a *app) palette() screen.Palette { return screen.Palette{On: a.colored(a.stdout)} }

// note tells people something beside the result.
func (a *app) note(format string, args ...any) {
	fmt.Fprintf(a.stderr, "vatworkerd: "+format+"\n", args...)
}

// document prints the one document of a --json command.
func (a *app) document(v any) error {
	if err := screen.WriteJSON(a.stdout, v); err != nil {
		return fmt.Errorf("cannot write the result: %w", err)
	}
	return nil
}

// briefNarrator tells on stderr what vats print and what changes their state.
func (a *app) briefNarrator() *narrator { return a.narratorTo(a.stderr, true) }

func (a *app) narratorTo(w io.Writer, brief bool) *narrator {
	return &narrator{
		out: w, brief: brief, palette: screen.Palette{On: a.colored(w)},
		progress: &screen.Progress{
			Out: a.stderr, Terminal: isTerminal(a.stderr), Palette: screen.Palette{On: a.colored(a.stderr)},
		},
	}
}

func (n *narrator) sink() kernelhost.EventSink {
	return kernelhost.EventSink{
		Vat:      n.event,
		Console:  n.console,
		Warning:  func(ev pipeproto.WarningEvent) { n.warning(ev.Message) },
		Progress: func(ev pipeproto.ProgressEvent) { n.progress.Step(ev.What, ev.Done, ev.Total) },
	}
}

// escapeLines escapes a report of several lines, line by line.
func escapeLines(text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, line := range lines {
		lines[i] = screen.Escape(line)
	}
	return strings.Join(lines, "\n")
}
