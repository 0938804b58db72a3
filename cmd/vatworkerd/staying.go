package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"vatworkerd/cmd/vatworkerd/internal/screen"
	"vatworkerd/control"
	"vatworkerd/pipeproto"
)

// reopenEvery is how long a process that stays waits before it tries again to
// open a database whose daemon has ended by itself.
const reopenEvery = 2 * time.Second

// openAndStay is openKernel for `run --stay`: after f it takes commands until
// it is told to end. After a panic only looking is left, and the process stays
// for that.
func (a *app) openAndStay(ctx context.Context, dir string, say *narrator, f func(*session) error) (err error) {
	s, err := newStay(a, dir)
	if err != nil {
		return err
	}
	flags, err := a.daemonFlags(s.dir)
	if err != nil {
		return err
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	if err := s.ensure(ctx, flags); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.shut()) }()
	pages, err := s.servePages()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pages.Close()) }()
	if err := s.with(ctx, a, say, f); err != nil {
		if s.panic() == nil {
			return err
		}
		a.report(err, a.args)
	}
	a.engine = "" // the database remembers it, until a restart-all on another
	s.tidy()
	return s.serve(ctx)
}

// servePages serves pages for browsers, if that is wanted.
func (s *stay) servePages() (io.Closer, error) {
	pages, url, err := s.app.pages.listen(s.app.watcher(), s.log.Named("http"))
	if url != "" {
		s.app.note("%s shows what goes on", url)
	}
	return pages, err
}

// serve takes commands until ctx ends.
func (s *stay) serve(ctx context.Context) error {
	path := filepath.Join(s.dir, hostSocket)
	server, err := control.Listen(control.Options{
		Path: path, Replace: true, // the database's lock says that nobody else is alive
		Serves: pipeproto.ServesHost, Verbs: s.verbs(), Logger: s.log.Named("control"),
	})
	if err != nil {
		return err
	}
	s.app.note("process %d stays with %s; commands on it are run here until SIGTERM or Ctrl-C", os.Getpid(), screen.Escape(s.app.db))
	if err := tellManager("READY=1"); err != nil {
		s.log.Warn("the service manager cannot be told", "error", err)
	}
	s.watch(ctx)
	err = server.Close()
	if s.panic() != nil {
		return errors.Join(err, failed{exit: exitPanic})
	}
	return err
}

// watch opens the database again whenever its daemon has ended by itself.
func (s *stay) watch(ctx context.Context) {
	for {
		s.mu.Lock()
		gone := s.gone
		s.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-s.opened:
		case <-gone:
			s.mend(ctx)
		}
	}
}

func (s *stay) mend(ctx context.Context) {
	select {
	case s.line <- struct{}{}:
		defer func() { <-s.line }()
	case <-ctx.Done():
		return
	}
	if s.panic() != nil || s.kernel == nil {
		s.setGone(nil)
		return
	}
	if s.isGood() {
		return // a command has opened another meanwhile
	}
	s.log.Warn("vatworkerd has ended by itself; opening the database again")
	err := errors.Join(s.shut(), s.reopen(ctx))
	if err == nil {
		return
	}
	s.log.Error("cannot open the database again; the next command will try", "error", err)
	select {
	case <-time.After(reopenEvery):
	case <-ctx.Done():
	}
}
