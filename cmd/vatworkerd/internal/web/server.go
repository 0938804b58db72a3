package web

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"vatworkerd/cmd/vatworkerd/internal/watch"
)

// Options say what is served where.
type Options struct {
	Address  string // host:port; port 0 takes a free one
	Anywhere bool   // also on an address that other machines reach
	Daemon   watch.Daemon
	Logger   hclog.Logger // nil = none
}

// What callers can take from a server.
const (
	maxConnections = 64
	maxHeaderBytes = 16 << 10
	headerTime     = 5 * time.Second
	requestTime    = 10 * time.Second
	replyTime      = 30 * time.Second
	idleTime       = 60 * time.Second
	closeTime      = 2 * time.Second
)

// Server serves until it is closed.
type Server struct {
	listener net.Listener
	http     *http.Server
	source   *source
	cancel   context.CancelFunc
	running  sync.WaitGroup
}

// NotLoopbackError says that an address can be reached from elsewhere.
type NotLoopbackError struct{ Address string }

func (e *NotLoopbackError) Error() string {
	return fmt.Sprintf("cannot listen on %s: it is not an address of this machine alone, such as 127.0.0.1:9090", e.Address)
}

// Listen serves. Errors: *NotLoopbackError; those of the address and of the
// network.
func Listen(o Options) (*Server, error) {
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	if err := checkAddress(o); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", o.Address)
	if err != nil {
		return nil, fmt.Errorf("cannot serve pages: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{listener: listener, source: newSource(o.Daemon), cancel: cancel}
	names := namesFor(listener.Addr().(*net.TCPAddr), o.Anywhere)
	s.http = &http.Server{
		Handler:           guarded(names, s.routes()),
		ReadHeaderTimeout: headerTime, ReadTimeout: requestTime, WriteTimeout: replyTime, IdleTimeout: idleTime,
		MaxHeaderBytes: maxHeaderBytes,
		ErrorLog:       o.Logger.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug}),
		BaseContext:    func(net.Listener) context.Context { return ctx },
	}
	s.running.Go(func() { s.source.record(ctx) })
	s.running.Go(func() {
		if err := s.http.Serve(limited(listener, maxConnections)); !errors.Is(err, http.ErrServerClosed) {
			o.Logger.Error("no more pages are served", "error", err)
		}
	})
	return s, nil
}

// URL is where the pages are.
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() + "/" }

// Close ends all connections: idle ones at once, others once they are answered,
// or after a while.
func (s *Server) Close() error {
	s.cancel()
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.http.Close()
	}
	s.running.Wait()
	return err
}

// checkAddress refuses what other machines could reach, unless that is wanted.
func checkAddress(o Options) error {
	host, _, err := net.SplitHostPort(o.Address)
	if err != nil {
		return fmt.Errorf("cannot listen on %q: %w", o.Address, err)
	}
	ip := net.ParseIP(host)
	if o.Anywhere || host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return &NotLoopbackError{Address: o.Address}
}

// limited is a listener of which at most n connections are open at a time; the
// next ones wait until one is closed.
func limited(l net.Listener, n int) net.Listener {
	return &limitedListener{Listener: l, places: make(chan struct{}, n), closed: make(chan struct{})}
}

type limitedListener struct {
	net.Listener
	places chan struct{}
	closed chan struct{}
	once   sync.Once
}

// Accept implements net.Listener.
func (l *limitedListener) Accept() (net.Conn, error) {
	select {
	case l.places <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.places
		return nil, err
	}
	return &limitedConn{Conn: conn, leave: func() { <-l.places }}, nil
}

// Close implements net.Listener.
func (l *limitedListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

type limitedConn struct {
	net.Conn
	leave func()
	once  sync.Once
}

// Close implements net.Conn.
func (c *limitedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.leave)
	return err
}
