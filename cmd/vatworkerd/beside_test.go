package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"vatworkerd/control"
	"vatworkerd/internal/testrig"
	"vatworkerd/kernelhost"
	"vatworkerd/pipeproto"
)

// hostileCall writes to a socket and hangs up.
func hostileCall(t *testing.T, path, bytes string) {
	t.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = conn.Write([]byte(bytes)) // the daemon may hang up first
	_ = conn.Close()
}

// viewing are the commands that work beside whoever has the vats.
var viewing = []string{"status", "vat list", "vat show %s", "vat pin %s", "vat unpin %s", "spans", "spans %s", "snapshot list", "snapshot verify", "doctor"}

// TestBesideARun looks at vats while a command of its own process has them, and
// the worker it delivers to is stopped.
func TestBesideARun(t *testing.T) {
	r := newRig(t)
	r.writeConfig("config.json", threeVats)
	r.ok("run", "config.json", "--db", "db")
	cmd, ended, resume := stopWorker(t, r, "send", "alice", "count", "--db", "db")
	// Each of the three waits for the end of the crank as long as it may.
	var told, shown, listed outcome
	var asked sync.WaitGroup
	asked.Go(func() { told = r.run("status", "--db", "db", "--json") })
	asked.Go(func() { shown = r.run("status", "--db", "db") })
	asked.Go(func() { listed = r.run("vat", "list", "--db", "db") })
	asked.Wait()
	var doc statusDoc
	if err := oneDocument(told.stdout, &doc); err != nil {
		t.Fatal(err)
	}
	if doc.Daemon == nil || doc.Daemon.Holder != nil || doc.Daemon.Busy == nil || doc.Daemon.Live.Doing == nil || doc.Daemon.Live.Doing.VatID != "v2" || len(doc.Vats) != 0 || !doc.More {
		t.Errorf("status beside a stopped worker: %+v", doc)
	}
	if shown.code != exitDone || !strings.Contains(shown.stdout, " of v2 alice for ") || !strings.Contains(shown.stdout, "the vats cannot be listed now: vatworkerd is busy") {
		t.Errorf("status: exit %d\n%s", shown.code, shown.stdout)
	}
	if listed.code != exitFailed || !strings.Contains(listed.stderr, "vatworkerd is busy: run for") {
		t.Errorf("vat list: exit %d, %s", listed.code, listed.stderr)
	}
	holder := fmt.Sprintf("process %d", cmd.Process.Pid)
	out := r.run("vat", "pause", "alice", "--db", "db")
	if out.code != exitFailed || !strings.Contains(out.stderr, holder) || !strings.Contains(out.stderr, "hint: "+besideHint) {
		t.Errorf("vat pause: exit %d, %s", out.code, out.stderr)
	}
	resume()
	if err := <-ended; err != nil {
		t.Errorf("the command beside which was looked: %v", err)
	}
}

// stopWorker starts a command and stops the worker that it delivers to. Where
// the delivery is over first the command is started again.
func stopWorker(t *testing.T, r *rig, args ...string) (cmd *exec.Cmd, ended <-chan error, resume func()) {
	t.Helper()
	eventually(t, "stopped worker", func() (ok bool) {
		cmd = r.command(args...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		end := make(chan error, 1)
		go func() { end <- cmd.Wait() }()
		ended = end
		resume, ok = stopItsWorker(t, r, cmd.Process.Pid, end)
		return ok
	})
	return cmd, ended, resume
}

// stopItsWorker is false if the process has ended before.
func stopItsWorker(t *testing.T, r *rig, pid int, ended <-chan error) (resume func(), ok bool) {
	t.Helper()
	stopped := map[int]bool{}
	resume = func() {
		for worker := range stopped {
			_ = unix.Kill(worker, unix.SIGCONT)
		}
	}
	for len(ended) == 0 {
		for _, child := range descendants(t, pid) {
			line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", child))
			program, name, _ := strings.Cut(string(line), "\x00")
			if err == nil && strings.HasPrefix(filepath.Base(program), "xsnap") && !strings.HasPrefix(name, "spare-") && !stopped[child] {
				_ = unix.Kill(child, unix.SIGSTOP)
				stopped[child] = true
			}
		}
		if len(stopped) > 0 && isDelivering(t, r) {
			return resume, true
		}
	}
	if err := <-ended; err != nil {
		t.Fatalf("the command that was to be stopped: %v", err)
	}
	return nil, false
}

// isDelivering asks the daemon of db.
func isDelivering(t *testing.T, r *rig) bool {
	t.Helper()
	client, err := control.Dial(t.Context(), filepath.Join(r.dir, "db", vatsSocket), pipeproto.AccessRead)
	if err != nil {
		return false
	}
	defer client.Close()
	var live pipeproto.Live
	err = client.Call(t.Context(), pipeproto.ReqLive, nil, &live, nil)
	return err == nil && live.Doing != nil && live.Doing.VatID != ""
}

// foreignHost is a kernel host that is not this program: a real daemon serves
// it over pipes.
type foreignHost struct {
	cmd    *exec.Cmd
	conn   *pipeproto.Conn
	in     *os.File
	stderr *lockedBuffer
}

func (r *rig) foreign(dir string, flags ...string) *foreignHost {
	r.t.Helper()
	toR, toW, err := os.Pipe()
	if err != nil {
		r.t.Fatal(err)
	}
	fromR, fromW, err := os.Pipe()
	if err != nil {
		r.t.Fatal(err)
	}
	paths := testrig.Engine(r.t)
	args := append([]string{"serve", "--db", dir, "--engine", paths.Engine}, flags...)
	h := &foreignHost{cmd: r.command(args...), in: toW, stderr: &lockedBuffer{}}
	h.cmd.ExtraFiles, h.cmd.Stderr = []*os.File{toR, fromW}, h.stderr
	if err := h.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	if err := errors.Join(toR.Close(), fromW.Close()); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { h.end(); _ = fromR.Close() })
	h.conn = pipeproto.NewConn(fromR, toW, 0)
	if _, err := pipeproto.DialHello(h.conn, pipeproto.Hello{Peer: "a chain"}, nil); err != nil {
		r.t.Fatal(err)
	}
	return h
}

func (h *foreignHost) end() {
	_ = h.in.Close()
	_ = h.cmd.Wait()
}

func (h *foreignHost) call(t *testing.T, msgType string, req any) {
	t.Helper()
	if err := h.conn.Call(msgType, req, nil, nil); err != nil {
		t.Fatal(err)
	}
}

// TestBesideAForeignHost: vats of another kernel host can be looked at, and
// nothing else.
func TestBesideAForeignHost(t *testing.T) {
	r := newRig(t)
	h := r.foreign("db")
	h.call(t, pipeproto.ReqAddBundle, pipeproto.AddBundle{ID: "b1-x", Data: testrig.ReadBundle(t, "counter")})
	for i, name := range []string{"alice", "twin", "twin"} {
		h.call(t, pipeproto.ReqCreateVat, pipeproto.CreateVat{VatID: fmt.Sprintf("w%d", i), Name: name, BundleID: "b1-x"})
	}
	for _, command := range viewing {
		if strings.Contains(command, "%s") {
			command = fmt.Sprintf(command, "alice")
		}
		r.ok(append(strings.Fields(command), "--db", "db")...)
	}
	if doc := r.status(); doc.Daemon == nil || doc.Daemon.Live.Host != "a chain" || len(doc.Vats) != 3 {
		t.Errorf("status %+v", doc)
	}
	for command, want := range map[string]string{
		"vat show twin": "several vats are named", "vat show nobody": "there is no vat \"nobody\"", "spans nobody": "there is no vat",
	} {
		if out := r.run(append(strings.Fields(command), "--db", "db")...); out.code != exitUsage || !strings.Contains(out.stderr, want) {
			t.Errorf("%s: exit %d, %s", command, out.code, out.stderr)
		}
	}
	for _, command := range []string{"send alice increment", "vat pause alice", "restart-all", "snapshot take alice", "run config.json", "backup copy", "verify"} {
		r.writeConfig("config.json", threeVats)
		out := r.run(append(strings.Fields(command), "--db", "db")...)
		want := fmt.Sprintf("the vats in db belong to another kernel host, whose vatworkerd is process %d\n", h.cmd.Process.Pid)
		if out.code != exitFailed || !strings.Contains(out.stderr, want) || !strings.Contains(out.stderr, "hint: "+foreignHint) {
			t.Errorf("%s: exit %d, %s", command, out.code, out.stderr)
		}
	}
	h.end()
	if out := r.run("status", "--db", "db"); out.code != exitFailed || !strings.Contains(out.stderr, "belong to another kernel host, which is not running") {
		t.Errorf("when it is gone: exit %d, %s", out.code, out.stderr)
	}
	if _, err := os.Stat(filepath.Join(r.dir, "db", kernelhost.DatabaseFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a database of our own was made there: %v", err)
	}
}

// A daemon that is stopped as a whole is told from one that is busy.
func TestBesideAStoppedDaemon(t *testing.T) {
	r := newRig(t)
	h := r.foreign("db")
	if err := h.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(h.cmd.Process.Pid, &status, unix.WUNTRACED, nil); err != nil {
		t.Fatal(err)
	}
	out := r.run("status", "--db", "db")
	if out.code != exitFailed || !strings.Contains(out.stderr, fmt.Sprintf("process %d, which listens at db/vats.sock, does not answer", h.cmd.Process.Pid)) {
		t.Errorf("exit %d: %s", out.code, out.stderr)
	}
	if err := h.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	r.ok("status", "--db", "db")
}
