package kernelhost

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"vatworkerd/pipeproto"
)

// link is a connection to vatworkerd, and the process behind it.
type link struct {
	conn *pipeproto.Conn
	// close ends the conversation and waits for the process; it may be called
	// from the owner of the link only.
	close func() error
	// kill ends the process at once; any goroutine may call it.
	kill func()
	// exited waits for the process, which is ending, and says how it ended and
	// the last it wrote to stderr.
	exited func() (status, stderr string)
	// gone is closed once the process has ended.
	gone <-chan struct{}
}

// closeWait is how long vatworkerd may take to end after its pipe is closed.
const closeWait = 10 * time.Second

// stderrTailBytes is how much of the child's stderr an error shows.
const stderrTailBytes = 4 << 10

// child is the process `vatworkerd serve`.
type child struct {
	cmd    *exec.Cmd
	stderr *tail
	pipes  []*os.File    // this process's ends
	done   chan struct{} // closed once the process is reaped
	err    error         // of Wait; read after done
}

// spawn starts argv with the pipe on its descriptors 3 (requests of the host)
// and 4 (to the host). What it writes to stdout or stderr goes to stderr.
func spawn(argv []string, stderr io.Writer) (*link, error) {
	if len(argv) == 0 {
		return nil, errors.New("cannot start vatworkerd: no command is given")
	}
	toChildR, toChildW, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("cannot start vatworkerd: %w", err)
	}
	fromChildR, fromChildW, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot start vatworkerd: %w", err), toChildR.Close(), toChildW.Close())
	}
	c := &child{
		cmd:    exec.Command(argv[0], argv[1:]...),
		stderr: &tail{to: stderr},
		pipes:  []*os.File{toChildW, fromChildR},
		done:   make(chan struct{}),
	}
	c.cmd.Stdout, c.cmd.Stderr = c.stderr, c.stderr
	c.cmd.ExtraFiles = []*os.File{toChildR, fromChildW}
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	// Workers that outlive the child for a moment may hold its stderr open.
	c.cmd.WaitDelay = time.Second
	err = c.start()
	err = errors.Join(err, toChildR.Close(), fromChildW.Close())
	if err != nil {
		return nil, errors.Join(err, c.closePipes())
	}
	return &link{
		conn:  pipeproto.NewConn(fromChildR, toChildW, pipeproto.DefaultMaxFrameBytes),
		close: c.close, kill: c.kill, exited: c.exited, gone: c.done,
	}, nil
}

// start starts the process from a thread that lives until the process ends:
// the kernel sends the parent-death signal when the starting thread ends.
func (c *child) start() error {
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := c.cmd.Start(); err != nil {
			started <- fmt.Errorf("cannot start vatworkerd: %w", err)
			return
		}
		started <- nil
		c.err = c.cmd.Wait()
		close(c.done)
	}()
	return <-started
}

func (c *child) kill() { _ = c.cmd.Process.Kill() }

func (c *child) closePipes() error {
	var errs []error
	for _, f := range c.pipes {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// close lets the child end by itself, which it does when its pipe ends.
func (c *child) close() error {
	err := c.closePipes()
	timer := time.NewTimer(closeWait)
	defer timer.Stop()
	select {
	case <-c.done:
	case <-timer.C:
		c.kill()
		<-c.done
		return errors.Join(err, fmt.Errorf("vatworkerd did not end within %v and was killed", closeWait))
	}
	return err
}

func (c *child) exited() (status, stderr string) {
	// It has closed its pipe or broken the protocol: either way it must end.
	timer := time.AfterFunc(closeWait, c.kill)
	defer timer.Stop()
	<-c.done
	return describe(c.cmd.ProcessState), c.stderr.String()
}

func describe(state *os.ProcessState) string {
	if state == nil {
		return ""
	}
	ws, ok := state.Sys().(syscall.WaitStatus)
	if ok && ws.Signaled() {
		return fmt.Sprintf("killed by signal %d, %s", ws.Signal(), ws.Signal())
	}
	return fmt.Sprintf("exit status %d", state.ExitCode())
}

// tail passes a stream on and remembers its end.
type tail struct {
	to io.Writer

	mu   sync.Mutex // guards last
	last []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	t.last = append(t.last, p...)
	if over := len(t.last) - stderrTailBytes; over > 0 {
		t.last = slices.Delete(t.last, 0, over)
	}
	t.mu.Unlock()
	return t.to.Write(p)
}

// String gives the last whole lines.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := bytes.TrimSpace(t.last)
	if len(t.last) == stderrTailBytes {
		if _, rest, ok := bytes.Cut(text, []byte("\n")); ok {
			text = rest
		}
	}
	return string(text)
}
