package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"vatworkerd/pipeproto"
)

// Limits bound what callers can take from a server. A zero takes the default.
type Limits struct {
	Connections int           // at a time; 32
	Hello       time.Duration // from connecting to a hello; 5 s
	Write       time.Duration // for one frame to be read by the caller; 10 s
	// Idle is how long a connection may ask nothing before it has to make room
	// for another, if there are too many; 5 s.
	Idle time.Duration
}

func (l Limits) orDefault() Limits {
	if l.Connections == 0 {
		l.Connections = 32
	}
	for _, d := range []struct {
		value     *time.Duration
		otherwise time.Duration
	}{{&l.Hello, 5 * time.Second}, {&l.Write, 10 * time.Second}, {&l.Idle, 5 * time.Second}} {
		if *d.value == 0 {
			*d.value = d.otherwise
		}
	}
	return l
}

// Options say what a server serves.
type Options struct {
	// Path is where the socket is made. Its directory must exist.
	Path string
	// Replace takes the path from whoever listens there: the caller knows, by a
	// lock it holds, that no other daemon is alive. Else a living one is left
	// alone.
	Replace bool
	// Serves is pipeproto.ServesVats or pipeproto.ServesHost.
	Serves string
	Verbs  Verbs
	Limits Limits
	Logger hclog.Logger // nil = none
}

// Server answers on a socket until it is closed. Each connection has a goroutine
// of its own, in which the verbs run.
type Server struct {
	opts     Options
	log      hclog.Logger
	place    *place
	own      inode
	listener *net.UnixListener
	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	running  sync.WaitGroup

	mu      sync.Mutex // guards the rest
	callers map[*Caller]bool
	closing bool
}

// Listen makes the socket and serves it. Errors: *TakenError; those of the file
// system.
func Listen(opts Options) (*Server, error) {
	place, err := openPlace(opts.Path, unix.O_RDONLY)
	if err != nil {
		return nil, fmt.Errorf("cannot listen at %s: %w", opts.Path, err)
	}
	s := &Server{opts: opts, log: opts.Logger, place: place, callers: map[*Caller]bool{}}
	s.opts.Limits = opts.Limits.orDefault()
	if s.log == nil {
		s.log = hclog.NewNullLogger()
	}
	if s.listener, s.own, err = place.publish(opts.Replace); err != nil {
		return nil, errors.Join(err, place.dir.Close())
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.running.Go(s.accept)
	return s, nil
}

// Path is where the socket is.
func (s *Server) Path() string { return s.opts.Path }

// Close takes the socket away and ends every connection: idle ones at once,
// others once they are answered. Verbs that wait are told by their context.
func (s *Server) Close() error {
	s.mu.Lock()
	wasClosing := s.closing
	s.closing = true
	s.mu.Unlock()
	if wasClosing {
		return nil
	}
	s.cancel()
	err := errors.Join(s.place.remove(s.own), s.listener.Close())
	s.mu.Lock()
	for c := range s.callers {
		c.hangUp()
	}
	s.mu.Unlock()
	s.running.Wait()
	return errors.Join(err, s.place.dir.Close())
}

// acceptPause keeps a server that is out of descriptors from spinning.
const acceptPause = 100 * time.Millisecond

func (s *Server) accept() {
	for {
		conn, err := s.listener.AcceptUnix()
		if err == nil {
			s.admit(conn)
			continue
		}
		if s.ctx.Err() != nil {
			return
		}
		s.log.Warn("cannot accept a control connection", "error", err)
		select {
		case <-s.ctx.Done():
			return
		case <-time.After(acceptPause):
		}
	}
}

// admit serves a connection if its process may ask and there is room for it.
func (s *Server) admit(conn *net.UnixConn) {
	c := newCaller(s, conn)
	var err error
	if c.peer, err = peerOf(conn); err != nil {
		s.log.Warn("a control connection is refused", "error", err)
		_ = conn.Close()
		return
	}
	if !c.peer.isTrusted() {
		s.log.Warn("a control connection of another user is refused", "pid", c.peer.pid, "uid", c.peer.uid)
		c.refuse(&pipeproto.Error{
			Code:    pipeproto.CodeRefused,
			Message: fmt.Sprintf("user %d may not ask here: only user %d, whose daemon this is, and root may", c.peer.uid, os.Geteuid()),
		})
		return
	}
	if !s.enter(c) {
		s.log.Debug("a control connection is one too many", "pid", c.peer.pid)
		c.refuse(&pipeproto.Error{
			Code:    pipeproto.CodeBusy,
			Message: fmt.Sprintf("%d connections are open, and no more are served", s.opts.Limits.Connections),
			Hint:    "close one of them, or try again in a moment",
		})
		return
	}
	s.running.Go(func() {
		defer s.leave(c)
		c.serve()
	})
}

// enter gives a connection a place. If there is none, the one that has asked
// nothing for the longest time makes room.
func (s *Server) enter(c *Caller) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	if len(s.callers) >= s.opts.Limits.Connections {
		idlest := s.idlest()
		if idlest == nil {
			return false
		}
		delete(s.callers, idlest)
		_ = idlest.conn.Close()
	}
	s.callers[c] = true
	return true
}

func (s *Server) idlest() *Caller {
	var found *Caller
	for c := range s.callers {
		if !c.busy && time.Since(c.since) >= s.opts.Limits.Idle && (found == nil || c.since.Before(found.since)) {
			found = c
		}
	}
	return found
}

func (s *Server) leave(c *Caller) {
	_ = c.conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.callers, c)
}
