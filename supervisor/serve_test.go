package supervisor

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vatworkerd/control"
	"vatworkerd/pipeproto"
)

// served is a supervisor that serves a host over real pipes.
type served struct {
	conn *pipeproto.Conn
	end  func() error // closes the host's end and waits for Serve
}

func serveRig(t *testing.T, opts Options) (served, error) {
	t.Helper()
	toR, toW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	fromR, fromW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		done <- errors.Join(Serve(toR, fromW, opts), toR.Close(), fromW.Close())
	}()
	s := served{conn: pipeproto.NewConn(fromR, toW, 0)}
	s.end = func() error {
		_ = toW.Close()
		defer fromR.Close()
		return <-done
	}
	_, err = pipeproto.DialHello(s.conn, pipeproto.Hello{Peer: "a host"}, nil)
	return s, err
}

func fakeOptions(t *testing.T) Options {
	return Options{Dir: fastDir(t), Image: fakeImage("engine0"), MaxOnline: 3, CPU: -1, starter: &fakeStarter{}}
}

// A daemon offers its socket from its hello to its end.
func TestServeOffersTheSocket(t *testing.T) {
	opts := fakeOptions(t)
	s, err := serveRig(t, opts)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(opts.Dir, ControlFile)
	c, err := control.Dial(t.Context(), path, pipeproto.AccessRead)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var live pipeproto.Live
	if err := c.Call(t.Context(), pipeproto.ReqLive, nil, &live, nil); err != nil || live.Host != "a host" || live.MaxOnline != 3 {
		t.Errorf("%+v, %v", live, err)
	}
	if err := s.conn.Call(pipeproto.ReqShutdown, pipeproto.Empty{}, nil, nil); err != nil {
		t.Error(err)
	}
	if err := s.end(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
}

// The socket of a daemon that was killed is taken over: the lock of the database
// says who lives.
func TestServeTakesOverTheSocket(t *testing.T) {
	opts := fakeOptions(t)
	other, err := control.Listen(control.Options{Path: filepath.Join(opts.Dir, ControlFile)})
	if err != nil {
		t.Fatal(err)
	}
	s, err := serveRig(t, opts)
	if err != nil {
		t.Fatal(err)
	}
	c, err := control.Dial(t.Context(), filepath.Join(opts.Dir, ControlFile), pipeproto.AccessRead)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Call(t.Context(), pipeproto.ReqLive, nil, nil, nil); err != nil {
		t.Error(err)
	}
	if err := errors.Join(c.Close(), s.end(), other.Close()); err != nil {
		t.Error(err)
	}
}

func TestServeSocketElsewhere(t *testing.T) {
	opts := fakeOptions(t)
	opts.Control = ControlOff
	s, err := serveRig(t, opts)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(filepath.Join(opts.Dir, ControlFile)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a socket that nobody wants: %v", err)
	}
	if err := s.end(); err != nil {
		t.Error(err)
	}
	opts.Control = filepath.Join(t.TempDir(), "elsewhere")
	if s, err = serveRig(t, opts); err != nil {
		t.Fatal(err)
	}
	taken := fakeOptions(t)
	taken.Control = opts.Control
	second, err := serveRig(t, taken)
	var e *pipeproto.Error
	if !errors.As(err, &e) || e.Code != pipeproto.CodeRefused || !strings.Contains(e.Message, "another daemon does") {
		t.Errorf("a path that is taken: %v", err)
	}
	_ = second.end()
	if err := s.end(); err != nil {
		t.Error(err)
	}
}

// Vats are served also where no socket can be made.
func TestServeWithoutSocket(t *testing.T) {
	opts := fakeOptions(t)
	if err := os.Mkdir(filepath.Join(opts.Dir, ControlFile), 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := serveRig(t, opts)
	if err != nil {
		t.Fatal(err)
	}
	var warned []string
	h := events{func(body pipeproto.Body) {
		var ev pipeproto.WarningEvent
		if body.Decode(&ev) == nil {
			warned = append(warned, ev.Message)
		}
	}}
	if err := s.conn.Call(pipeproto.ReqStatus, pipeproto.StatusRequest{}, nil, h); err != nil {
		t.Error(err)
	}
	if err := s.end(); err != nil {
		t.Error(err)
	}
	opts.Control = filepath.Join(opts.Dir, ControlFile)
	refused, err := serveRig(t, opts)
	if err == nil || !strings.Contains(err.Error(), "is no socket") {
		t.Errorf("a socket that was asked for: %v", err)
	}
	_ = refused.end()
}

type events struct{ warning func(pipeproto.Body) }

func (e events) HandleEvent(msgType string, body pipeproto.Body) {
	if msgType == pipeproto.EventWarning {
		e.warning(body)
	}
}
func (events) HandleRequest(msgType string, _ pipeproto.Body) (any, error) {
	return nil, pipeproto.UnknownType(msgType)
}
