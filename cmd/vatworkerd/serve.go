package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"vatworkerd/pipeproto"
	"vatworkerd/supervisor"
)

// The descriptors on which a kernel host speaks with its child.
const (
	fdRequests = 3
	fdReplies  = 4
)

func (a *app) serveCommand() *cobra.Command {
	var lockdown, supervisorBundle, socket, profileDir string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve a kernel host over pipes on descriptors 3 and 4",
		Long: "serve is what a kernel host starts as its child. It reads requests from descriptor 3 and\n" +
			"writes replies and its own requests to descriptor 4 (docs/protocol.md). It ends when the\n" +
			"host closes the pipe, and every worker ends with it. Meanwhile it answers on a control socket\n" +
			"(docs/operating.md).",
		Args: noArguments,
	}
	cmd.Flags().StringVar(&lockdown, "lockdown", "", "lockdown bundle (default: lockdown.bundle beside the engine)")
	cmd.Flags().StringVar(&supervisorBundle, "supervisor", "", "supervisor bundle (default: supervisor.bundle beside the engine)")
	cmd.Flags().StringVar(&socket, "control", "", "the control socket: a path, or off (default: vats.sock in the database)")
	cmd.Flags().StringVar(&profileDir, "profile", "", "directory for profiles of this process, for `go tool pprof`; written when it ends")
	a.pages.register(cmd.Flags())
	cmd.RunE = func(*cobra.Command, []string) error {
		if err := a.pages.check(socket); err != nil {
			return err
		}
		finish, err := profile(profileDir)
		if err != nil {
			return err
		}
		saveMemory()
		return errors.Join(a.serve(lockdown, supervisorBundle, socket), finish())
	}
	return cmd
}

// collectPercent is how much a daemon's memory grows before it is collected.
const collectPercent = 50

// saveMemory has memory collected earlier than Go does unless it is told: most of
// it are heaps on their way, without pointers, which costs little to look through.
func saveMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectPercent)
	}
}

func (a *app) serve(lockdown, supervisorBundle, socket string) error {
	requests, replies, err := hostPipes()
	if err != nil {
		return err
	}
	opts, err := a.supervisorOptions(lockdown, supervisorBundle)
	if err != nil {
		return tellHost(requests, replies, err)
	}
	opts.Control = socket
	// Ctrl-C reaches the whole process group; it is the host that decides.
	// Notify, not Ignore: workers would inherit an ignored signal.
	signal.Notify(make(chan os.Signal, 1), unix.SIGINT, unix.SIGHUP)
	pages, err := a.servePages(socket, opts.Logger)
	if err != nil {
		return tellHost(requests, replies, err)
	}
	err = errors.Join(supervisor.Serve(requests, replies, opts), pages.Close())
	var told *pipeproto.Error
	var broken *pipeproto.FrameError
	if errors.As(err, &told) && !errors.As(err, &broken) {
		return failed{} // the host has it and tells its user
	}
	return err
}

// servePages serves pages for browsers about this very process, if that is wanted.
func (a *app) servePages(socket string, log hclog.Logger) (io.Closer, error) {
	w := a.watcher()
	if socket != "" {
		w.socket = socket
	}
	pages, url, err := a.pages.listen(w, log.Named("http"))
	if url != "" {
		log.Info("pages for browsers", "url", url)
	}
	return pages, err
}

func (a *app) supervisorOptions(lockdown, supervisorBundle string) (supervisor.Options, error) {
	var opts supervisor.Options
	if a.db == "" {
		return opts, usageError("cannot serve: --db is needed")
	}
	paths, err := a.servedEngine(lockdown, supervisorBundle)
	if err != nil {
		return opts, err
	}
	if opts.Image, err = paths.load(); err != nil {
		return opts, err
	}
	if opts.CPU, err = parseCPU(a.cpu); err != nil {
		return opts, err
	}
	if err := a.pool.check(); err != nil {
		return opts, err
	}
	if err := a.snapshots.check(); err != nil {
		return opts, err
	}
	if err := a.workers.check(); err != nil {
		return opts, err
	}
	if err := a.workerLog.check(); err != nil {
		return opts, err
	}
	if err := a.pool.apply(&opts, runtime.NumCPU()); err != nil {
		return opts, err
	}
	a.snapshots.apply(&opts)
	a.workers.apply(&opts)
	a.workerLog.apply(&opts)
	opts.Dir, opts.CacheDir = a.db, a.cache
	if opts.Logger, err = a.logger("vatworkerd", logWarn); err != nil {
		return opts, err
	}
	return opts, a.workers.checkMachine(func(line string) { opts.Logger.Warn(line) })
}

// servedEngine takes the bundles named apart, so that they need not lie beside
// the engine.
func (a *app) servedEngine(lockdown, supervisorBundle string) (enginePaths, error) {
	if a.engineIsPath() && lockdown != "" && supervisorBundle != "" {
		p := enginePaths{Engine: a.engine, Lockdown: lockdown, Supervisor: supervisorBundle}
		return p, p.check()
	}
	p, err := a.findEngine()
	if err != nil {
		return p, err
	}
	if lockdown != "" {
		p.Lockdown = lockdown
	}
	if supervisorBundle != "" {
		p.Supervisor = supervisorBundle
	}
	return p, p.check()
}

// hostPipes takes the two inherited descriptors, which must be pipes of the
// right direction.
func hostPipes() (requests, replies *os.File, err error) {
	if err := checkPipe(fdRequests, unix.O_WRONLY); err != nil {
		return nil, nil, err
	}
	if err := checkPipe(fdReplies, unix.O_RDONLY); err != nil {
		return nil, nil, err
	}
	return os.NewFile(fdRequests, "requests of the host"), os.NewFile(fdReplies, "replies to the host"), nil
}

// checkPipe refuses a descriptor that is no pipe or socket, or is only open
// the wrong way.
func checkPipe(fd int, wrongWay int) error {
	var stat unix.Stat_t
	refuse := func(why string) error {
		return usageError("cannot serve: descriptor %d %s", fd, why).
			hint("serve is started by a kernel host with pipes on descriptors 3 (requests) and 4 (replies); to run vats yourself use `vatworkerd run CONFIG`")
	}
	if err := unix.Fstat(fd, &stat); err != nil {
		return refuse("is not open")
	}
	if kind := stat.Mode & unix.S_IFMT; kind != unix.S_IFIFO && kind != unix.S_IFSOCK {
		return refuse("is no pipe")
	}
	mode, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return refuse(fmt.Sprintf("cannot be examined: %v", err))
	}
	if mode&unix.O_ACCMODE == wrongWay {
		return refuse("is the wrong end of a pipe")
	}
	unix.CloseOnExec(fd)
	return nil
}

// tellHost answers the host's hello with the error that keeps this process
// from serving, so that it reaches the user at the host's end as well.
func tellHost(requests, replies *os.File, why error) error {
	conn := pipeproto.NewConn(requests, replies, pipeproto.DefaultMaxFrameBytes)
	refused := failureOf(why)
	told := false
	_ = pipeproto.ServeHello(conn, func(pipeproto.Hello) (pipeproto.HelloReply, error) {
		told = true
		return pipeproto.HelloReply{}, &refused.told
	})
	if told {
		return failed{exit: refused.exit}
	}
	return why
}

func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError("%s takes no arguments, but was given %q", nameOf(cmd), args[0])
	}
	return nil
}
