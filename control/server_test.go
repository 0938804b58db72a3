package control

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vatworkerd/pipeproto"
)

func TestAccess(t *testing.T) {
	r := newRig(t, nil)
	for _, c := range []struct{ access, msgType, code string }{
		{pipeproto.AccessRead, "echo", ""},
		{pipeproto.AccessRead, "change", pipeproto.CodeRefused},
		{pipeproto.AccessRead, "never", pipeproto.CodeRefused},
		{pipeproto.AccessRead, "nonsense", pipeproto.CodeUnknownType},
		{pipeproto.AccessAdmin, "echo", ""},
		{pipeproto.AccessAdmin, "change", ""},
		{pipeproto.AccessAdmin, "never", pipeproto.CodeRefused},
		{pipeproto.AccessAdmin, "hello", pipeproto.CodeUnknownType}, // nobody changes their access
	} {
		client := r.dial(c.access)
		err := client.Call(t.Context(), c.msgType, pipeproto.VatRef{VatID: "v1"}, nil, nil)
		if c.code == "" && err != nil {
			t.Errorf("%s with access %s: %v", c.msgType, c.access, err)
		}
		if c.code != "" {
			wantCode(t, err, c.code)
		}
		_ = client.Close()
	}
}

func TestHelloSaysWhoServes(t *testing.T) {
	r := newRig(t, nil)
	c := r.dial(pipeproto.AccessRead)
	if c.Hello.Serves != pipeproto.ServesVats || c.Hello.PID != os.Getpid() {
		t.Errorf("hello %+v", c.Hello)
	}
}

// child runs this test binary in another process.
func child(t *testing.T, task, path string, attr *syscall.SysProcAttr) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe") // reached without its directories, which another user may not search
	cmd.Env = append(os.Environ(), childEnv+"="+task, childEnv+"_PATH="+path)
	cmd.Dir, cmd.SysProcAttr, cmd.Stderr = "/", attr, os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd, bufio.NewReader(out)
}

// Another user does not get to the socket; and if somebody has opened the file's
// mode, the kernel's word on who asks still counts.
func TestOtherUserIsRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can be another user")
	}
	const nobody = 65534
	as := func(uid uint32) *syscall.SysProcAttr {
		return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	}
	r := newRig(t, nil)
	for _, dir := range []string{filepath.Dir(r.path), filepath.Dir(filepath.Dir(r.path))} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(uid uint32) string {
		_, out := child(t, "ask", r.path, as(uid))
		text, err := io.ReadAll(out)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if text := ask(nobody); !strings.Contains(text, "permission denied") {
		t.Errorf("a socket of mode 600: %q", text)
	}
	if err := os.Chmod(r.path, 0o666); err != nil {
		t.Fatal(err)
	}
	if text := ask(nobody); !strings.Contains(text, "user 65534 may not ask here") {
		t.Errorf("a socket of mode 666: %q", text)
	}
	if text := ask(0); text != "answered: <nil>\n" {
		t.Errorf("root: %q", text)
	}
}

// A client trusts no daemon of another user.
func TestOtherUsersDaemonIsNotTrusted(t *testing.T) {
	if (peer{uid: uint32(os.Geteuid()) + 1}).isTrusted() {
		t.Error("another user is trusted")
	}
	if !(peer{uid: uint32(os.Geteuid())}).isTrusted() || !(peer{uid: 0}).isTrusted() {
		t.Error("the own user or root is not trusted")
	}
}

func TestTooManyConnections(t *testing.T) {
	held, release := make(chan struct{}), make(chan struct{})
	r := newRig(t, func(o *Options) {
		o.Limits = Limits{Connections: 3, Idle: time.Nanosecond}
		o.Verbs["hold"] = Verb{Access: pipeproto.AccessRead, Serve: func(*Caller, pipeproto.Body) (any, error) {
			held <- struct{}{}
			<-release
			return pipeproto.Empty{}, nil
		}}
	})
	answers := make(chan error, 3)
	for range 3 {
		c := r.dial(pipeproto.AccessRead)
		go func() { answers <- c.Call(t.Context(), "hold", nil, nil, nil) }()
		<-held
	}
	_, err := Dial(t.Context(), r.path, pipeproto.AccessRead)
	if e := wantCode(t, err, pipeproto.CodeBusy); !strings.Contains(e.Message, "3 connections are open") {
		t.Errorf("message %q", e.Message)
	}
	for range 3 {
		release <- struct{}{}
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
	// All three are idle now: each new one takes the place of the idlest.
	for range 10 {
		r.serves()
	}
}

func TestNoHelloEnds(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Limits.Hello = 20 * time.Millisecond })
	silent, half := r.raw(), r.raw()
	if _, err := half.Write([]byte{0, 0, 1}); err != nil {
		t.Fatal(err)
	}
	ended(t, silent)
	ended(t, half)
	r.serves()
}

func TestGarbageEnds(t *testing.T) {
	r := newRig(t, nil)
	for _, garbage := range []string{"GET / HTTP/1.1\r\n\r\n", "\xff\xff\xff\xff", "\x00\x00\x00\x00", "\x00\x00\x00\x01\xc1", strings.Repeat("\x93", 5000)} {
		conn := r.raw()
		_, _ = conn.Write([]byte(garbage))
		if err := conn.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		ended(t, conn)
	}
	r.serves()
}

// A caller that does not read its reply loses the connection, and nobody else
// waits for that.
func TestSlowReaderLosesItsConnection(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Limits.Write = 200 * time.Millisecond })
	slow := &slowReader{conn: r.raw(), entered: make(chan struct{}), leave: make(chan struct{})}
	wire := pipeproto.NewConn(slow, slow.conn, pipeproto.ControlReplyBytes)
	if _, err := pipeproto.DialControl(wire, pipeproto.ControlHello{Access: pipeproto.AccessRead}); err != nil {
		t.Fatal(err)
	}
	slow.stopped = true
	done := make(chan error, 1)
	go func() { done <- wire.Call("big", nil, nil, nil) }()
	<-slow.entered
	r.serves()
	r.server.awaitLeave(t)
	close(slow.leave)
	var cut *pipeproto.FrameError
	if err := <-done; !errors.As(err, &cut) || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the slow reader gets %v, want half a frame", err)
	}
}

// slowReader reads until it is stopped, and then not until it may leave.
type slowReader struct {
	conn           *net.UnixConn
	stopped        bool
	entered, leave chan struct{}
}

func (r *slowReader) Read(p []byte) (int, error) {
	if r.stopped {
		r.stopped = false
		close(r.entered)
		<-r.leave
	}
	return r.conn.Read(p)
}

func callersOf(s *Server) (callers []*Caller) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.callers {
		callers = append(callers, c)
	}
	return callers
}

// awaitLeave polls for the end of a connection, of which nobody is told.
func (s *Server) awaitLeave(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); len(callersOf(s)) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a connection is left open")
		}
	}
}

// watching is a rig with a verb that waits for the end of its context.
func watching(t *testing.T) (r *rig, entered chan struct{}, ended chan error) {
	entered, ended = make(chan struct{}, 1), make(chan error, 1)
	r = newRig(t, func(o *Options) {
		o.Verbs["watch"] = Verb{Access: pipeproto.AccessRead, Serve: func(c *Caller, _ pipeproto.Body) (any, error) {
			ctx, stop := c.Watch()
			defer stop()
			entered <- struct{}{}
			<-ctx.Done()
			ended <- ctx.Err()
			return pipeproto.Count{Count: 3}, nil
		}}
	})
	return r, entered, ended
}

func TestCallerThatGoesAwayIsNoticed(t *testing.T) {
	r, entered, ended := watching(t)
	ctx, cancel := context.WithCancel(t.Context())
	c := r.dial(pipeproto.AccessRead)
	done := make(chan error, 1)
	go func() { done <- c.Call(ctx, "watch", nil, nil, nil) }()
	<-entered
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("the caller gets %v", err)
	}
	<-ended
	r.serves()
}

func TestKilledCallerIsNoticed(t *testing.T) {
	r, entered, ended := watching(t)
	conn := r.raw()
	wire := pipeproto.NewConn(conn, conn, pipeproto.ControlReplyBytes)
	if _, err := pipeproto.DialControl(wire, pipeproto.ControlHello{Access: pipeproto.AccessRead}); err != nil {
		t.Fatal(err)
	}
	go func() { _ = wire.Call("watch", nil, nil, nil) }()
	<-entered
	_ = conn.Close() // what the kernel does for a killed process
	<-ended
	r.serves()
}

// A verb that watches leaves the connection usable.
func TestWatchEnds(t *testing.T) {
	r := newRig(t, func(o *Options) {
		o.Verbs["watch"] = Verb{Access: pipeproto.AccessRead, Serve: func(c *Caller, _ pipeproto.Body) (any, error) {
			_, stop := c.Watch()
			stop()
			return pipeproto.Empty{}, nil
		}}
	})
	c := r.dial(pipeproto.AccessRead)
	for range 50 {
		if err := c.Call(t.Context(), "watch", nil, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// Closing answers those who are being served, ends the idle, and waits.
func TestCloseAnswersTheBusy(t *testing.T) {
	r, entered, ended := watching(t)
	idle, busy := r.dial(pipeproto.AccessRead), r.dial(pipeproto.AccessRead)
	var reply pipeproto.Count
	done := make(chan error, 1)
	go func() { done <- busy.Call(t.Context(), "watch", nil, &reply, nil) }()
	<-entered
	if err := r.server.Close(); err != nil {
		t.Error(err)
	}
	<-ended
	if err := <-done; err != nil || reply.Count != 3 {
		t.Errorf("the busy caller gets %+v, %v", reply, err)
	}
	var gone *pipeproto.ClosedError
	if err := idle.Call(t.Context(), "echo", nil, nil, nil); !errors.As(err, &gone) {
		t.Errorf("the idle caller gets %v", err)
	}
	var nobody *NobodyError
	if _, err := Dial(t.Context(), r.path, pipeproto.AccessRead); !errors.As(err, &nobody) {
		t.Errorf("after the end: %v", err)
	}
}

func TestNobody(t *testing.T) {
	path := t.TempDir() + "/s"
	var nobody *NobodyError
	if _, err := Dial(t.Context(), path, pipeproto.AccessRead); !errors.As(err, &nobody) || !strings.Contains(err.Error(), path) {
		t.Errorf("no socket: %v", err)
	}
	dead(t, path)
	if _, err := Dial(t.Context(), path, pipeproto.AccessRead); !errors.As(err, &nobody) {
		t.Errorf("a dead socket: %v", err)
	}
	if _, err := Dial(t.Context(), path+"/missing/s", pipeproto.AccessRead); !errors.As(err, &nobody) {
		t.Errorf("no directory: %v", err)
	}
}

func TestStoppedDaemon(t *testing.T) {
	path := t.TempDir() + "/s"
	daemon, out := child(t, "serve", path, nil)
	if line, err := out.ReadString('\n'); err != nil || line != "up\n" {
		t.Fatalf("%q, %v", line, err)
	}
	if err := daemon.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(daemon.Process.Pid, &status, unix.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("%v, %v", status, err)
	}
	_, err := dial(t.Context(), path, pipeproto.AccessRead, 50*time.Millisecond)
	var silent *SilentError
	if !errors.As(err, &silent) || silent.PID != daemon.Process.Pid || silent.ErrorHint() == "" {
		t.Errorf("got %v, want *SilentError of process %d", err, daemon.Process.Pid)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Dial(ctx, path, pipeproto.AccessRead); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
}

// A daemon that dies is gone, whatever its end does to the socket.
func TestKilledDaemonIsGone(t *testing.T) {
	path := t.TempDir() + "/s"
	daemon, out := child(t, "serve", path, nil)
	if line, err := out.ReadString('\n'); err != nil || line != "up\n" {
		t.Fatalf("%q, %v", line, err)
	}
	idle, err := Dial(t.Context(), path, pipeproto.AccessRead)
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	asking, err := Dial(t.Context(), path, pipeproto.AccessRead)
	if err != nil {
		t.Fatal(err)
	}
	defer asking.Close()
	if err := daemon.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(daemon.Process.Pid, &status, unix.WUNTRACED, nil); err != nil {
		t.Fatal(err)
	}
	asked := make(chan error, 1)
	go func() { asked <- asking.Call(t.Context(), "echo", pipeproto.VatRef{VatID: "v1"}, nil, nil) }()
	for !sent(t, asking.conn) {
		time.Sleep(time.Millisecond) // a poll of what the kernel holds for a process that is stopped
	}
	if err := daemon.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	var gone *pipeproto.ClosedError
	if err := <-asked; !errors.As(err, &gone) { // reset, as its request was not read
		t.Errorf("while it was asked: %v", err)
	}
	if err := idle.Call(t.Context(), "echo", nil, nil, nil); !errors.As(err, &gone) {
		t.Errorf("afterwards: %v", err)
	}
}

// sent tells whether something that was sent waits to be read.
func sent(t *testing.T, conn *net.UnixConn) bool {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	if err := raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) }); err != nil {
		t.Fatal(err)
	}
	return err == nil && n > 0
}
