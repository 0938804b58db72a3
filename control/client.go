package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"vatworkerd/pipeproto"
)

// helloTime is how long a daemon may take to say hello: it does so beside its
// work, so only a stopped process does not.
const helloTime = 5 * time.Second

// Client is a connection to a daemon's control socket. It belongs to one
// goroutine.
type Client struct {
	// Hello is what the daemon said of itself.
	Hello pipeproto.ControlHelloReply

	conn *net.UnixConn
	wire *pipeproto.Conn
}

// NobodyError says that no daemon listens at a path.
type NobodyError struct {
	Path string
	Err  error
}

func (e *NobodyError) Error() string {
	return fmt.Sprintf("no daemon listens at %s: %v", e.Path, e.Err)
}

// Unwrap gives the error of the file system.
func (e *NobodyError) Unwrap() error { return e.Err }

// SilentError says that a daemon does not answer, although it is there.
type SilentError struct {
	Path string
	PID  int // of the daemon
}

func (e *SilentError) Error() string {
	return fmt.Sprintf("process %d, which listens at %s, does not answer", e.PID, e.Path)
}

// ErrorCode gives "busy".
func (e *SilentError) ErrorCode() string { return pipeproto.CodeBusy }

// ErrorHint says what may be the matter.
func (e *SilentError) ErrorHint() string {
	return fmt.Sprintf("look whether it is stopped: grep State /proc/%d/status", e.PID)
}

// Dial connects to the socket at path, for pipeproto.AccessRead or AccessAdmin.
// Errors: *NobodyError; *SilentError; *pipeproto.Error, for instance when the
// daemon serves other users only.
func Dial(ctx context.Context, path, access string) (*Client, error) {
	return dial(ctx, path, access, helloTime)
}

func dial(ctx context.Context, path, access string, patience time.Duration) (*Client, error) {
	conn, err := connect(ctx, path)
	if err != nil {
		return nil, err
	}
	daemon, err := peerOf(conn)
	if err == nil && !daemon.isTrusted() && os.Geteuid() != 0 {
		err = fmt.Errorf("cannot trust the daemon at %s: it is of another user (%d)", path, daemon.uid)
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	c := &Client{conn: conn, wire: pipeproto.NewConn(conn, conn, pipeproto.ControlReplyBytes)}
	if err := c.sayHello(ctx, access, patience); err != nil {
		switch {
		case ctx.Err() != nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			err = &SilentError{Path: path, PID: daemon.pid}
		case isGone(err):
			err = &NobodyError{Path: path, Err: err}
		}
		return nil, errors.Join(err, conn.Close())
	}
	return c, nil
}

func (c *Client) sayHello(ctx context.Context, access string, patience time.Duration) error {
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	hello := pipeproto.ControlHello{Peer: fmt.Sprintf("%s (pid %d)", filepath.Base(os.Args[0]), os.Getpid()), Access: access}
	var err error
	if c.Hello, err = pipeproto.DialControl(c.wire, hello); err != nil {
		return plain(err)
	}
	return c.conn.SetDeadline(time.Time{})
}

// isGone tells whether the daemon has ended, or hung up, whatever that does to a
// socket that somebody reads or writes.
func isGone(err error) bool {
	var closed *pipeproto.ClosedError
	return errors.As(err, &closed) || errors.Is(err, unix.ECONNRESET) || errors.Is(err, unix.EPIPE) || errors.Is(err, io.ErrUnexpectedEOF)
}

// plain gives the daemon's own words where it refused the connection.
func plain(err error) error {
	var frame *pipeproto.FrameError
	var told *pipeproto.Error
	if errors.As(err, &frame) && frame.FromPeer && errors.As(frame.Err, &told) {
		return told
	}
	return err
}

func connect(ctx context.Context, path string) (*net.UnixConn, error) {
	p, err := openPlace(path, unix.O_PATH)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return nil, &NobodyError{Path: path, Err: err}
	}
	if err != nil {
		return nil, fmt.Errorf("cannot connect to %s: %w", path, err)
	}
	defer p.dir.Close()
	address, err := p.address(p.name)
	if err != nil {
		return nil, err
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", address)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ECONNREFUSED) {
		return nil, &NobodyError{Path: path, Err: unwrapped(err)}
	}
	if err != nil {
		return nil, fmt.Errorf("cannot connect to %s: %w", path, unwrapped(err))
	}
	return conn.(*net.UnixConn), nil
}

// unwrapped drops the address from an error of package net: it may be spelt by a
// descriptor.
func unwrapped(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// Call asks the daemon and waits for its answer; events that come meanwhile go to
// h, which may be nil. When ctx ends the connection is closed, which tells the
// daemon, and the error is that of ctx. Other errors are those of
// pipeproto.Conn.Call; a daemon that has ended is always a *ClosedError.
func (c *Client) Call(ctx context.Context, msgType string, req, reply any, h pipeproto.Handler) error {
	stop := context.AfterFunc(ctx, func() { _ = c.conn.Close() })
	defer stop()
	err := c.wire.Call(msgType, req, reply, h)
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	if err = plain(err); isGone(err) {
		return &pipeproto.ClosedError{During: msgType, Err: err}
	}
	return err
}

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }
