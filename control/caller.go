package control

import (
	"context"
	"net"
	"time"

	"golang.org/x/sys/unix"

	"vatworkerd/pipeproto"
)

// Caller is a connection as the verbs see it. It belongs to the connection's
// goroutine; Event may be called from any.
type Caller struct {
	server *Server
	conn   *net.UnixConn
	wire   *pipeproto.Conn
	peer   peer
	hello  pipeproto.ControlHello

	// Guarded by the server's mu:
	since time.Time // when it became busy, or idle
	busy  bool      // a verb runs
}

func newCaller(s *Server, conn *net.UnixConn) *Caller {
	c := &Caller{server: s, conn: conn, since: time.Now()}
	c.wire = pipeproto.NewControlConn(conn, timedWriter{conn: conn, limit: s.opts.Limits.Write})
	return c
}

// timedWriter gives up on a reader that does not take a frame in time.
type timedWriter struct {
	conn  *net.UnixConn
	limit time.Duration
}

func (w timedWriter) Write(p []byte) (int, error) {
	if err := w.conn.SetWriteDeadline(time.Now().Add(w.limit)); err != nil {
		return 0, err
	}
	return w.conn.Write(p)
}

// Peer is the caller's name for itself, for people.
func (c *Caller) Peer() string { return c.hello.Peer }

// PID is the caller's process.
func (c *Caller) PID() int { return c.peer.pid }

// Context ends when the server is closed.
func (c *Caller) Context() context.Context { return c.server.ctx }

// Event tells the caller something before it is answered.
func (c *Caller) Event(msgType string, body any) error { return c.wire.Event(msgType, body) }

func (c *Caller) refuse(why *pipeproto.Error) {
	_ = c.wire.Refuse(why)
	_ = c.conn.Close()
}

// serve answers a connection from its hello to its end.
func (c *Caller) serve() {
	s := c.server
	c.readUntil(time.Now().Add(s.opts.Limits.Hello))
	var err error
	c.hello, err = pipeproto.ServeControlHello(c.wire, s.helloReply())
	if err != nil {
		s.log.Debug("a control connection did not say hello", "pid", c.peer.pid, "error", err)
		return
	}
	s.log.Debug("control connection", "peer", c.hello.Peer, "pid", c.peer.pid, "access", c.hello.Access)
	c.readUntil(time.Time{})
	if err := c.wire.Serve(c); err != nil && s.ctx.Err() == nil {
		s.log.Debug("a control connection broke", "peer", c.hello.Peer, "pid", c.peer.pid, "error", err)
	}
}

// readUntil bounds the wait for the caller; a server that closes waits no more.
func (c *Caller) readUntil(deadline time.Time) {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	if !c.server.closing {
		_ = c.conn.SetReadDeadline(deadline) // fails on a closed connection only, which a read finds too
	}
}

// hangUp ends the wait for the caller's next request. The server's mu is held.
func (c *Caller) hangUp() { _ = c.conn.SetReadDeadline(time.Unix(1, 0)) }

// HandleEvent implements pipeproto.Handler: callers tell nothing.
func (c *Caller) HandleEvent(string, pipeproto.Body) {}

// HandleRequest implements pipeproto.Handler.
func (c *Caller) HandleRequest(msgType string, body pipeproto.Body) (any, error) {
	c.setBusy(true)
	defer c.setBusy(false)
	return c.server.opts.Verbs.serve(c, msgType, body)
}

func (c *Caller) setBusy(busy bool) {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	c.busy, c.since = busy, time.Now()
}

// Watch gives a context that also ends when the caller goes away. The verb must
// call stop before it returns.
func (c *Caller) Watch() (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(c.server.ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if c.awaitEnd() {
			cancel()
		}
	}()
	return ctx, func() {
		c.readUntil(time.Unix(1, 0))
		<-done
		c.readUntil(time.Time{})
		cancel()
	}
}

// awaitEnd waits, without taking anything from the stream, until the caller is
// gone (true), sends something, or the read deadline passes. Nobody reads while
// a verb runs.
func (c *Caller) awaitEnd() bool {
	raw, err := c.conn.SyscallConn()
	if err != nil {
		return true
	}
	gone := false
	err = raw.Read(func(fd uintptr) bool {
		var next [1]byte
		n, _, err := unix.Recvfrom(int(fd), next[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		if err == unix.EAGAIN || err == unix.EINTR {
			return false
		}
		gone = err != nil || n == 0
		return true
	})
	return gone && err == nil
}
