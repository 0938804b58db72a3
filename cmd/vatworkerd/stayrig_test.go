package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"time"

	"github.com/cockroachdb/datadriven"

	"vatworkerd/control"
	"vatworkerd/kernelhost"
	"vatworkerd/pipeproto"
)

// staying is a process `run --stay` on the database "db" of a rig.
type staying struct {
	rig    *rig
	cmd    *exec.Cmd
	stderr *lockedBuffer
}

// lockedBuffer is read while a process still writes to it.
type lockedBuffer struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// start starts the process on config.json and waits until it takes commands.
func (s *staying) start(flags ...string) {
	s.rig.t.Helper()
	s.stderr = &lockedBuffer{}
	s.cmd = s.rig.command(append([]string{"run", "config.json", "--db", "db", "--stay"}, flags...)...)
	s.cmd.Stderr = s.stderr
	if err := s.cmd.Start(); err != nil {
		s.rig.t.Fatal(err)
	}
	s.rig.t.Cleanup(s.stop)
	eventually(s.rig.t, "process that stays: "+s.stderr.String(), s.answers)
}

func (s *staying) answers() bool {
	client, err := control.Dial(s.rig.t.Context(), filepath.Join(s.rig.dir, "db", hostSocket), pipeproto.AccessRead)
	if err != nil {
		return false
	}
	return client.Close() == nil
}

// end tells the process to end and gives its exit code.
func (s *staying) end() int {
	s.rig.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.rig.t.Fatal(err)
	}
	hangs := time.AfterFunc(time.Minute, func() { _ = s.cmd.Process.Kill() })
	defer hangs.Stop()
	_ = s.cmd.Wait()
	code := s.cmd.ProcessState.ExitCode()
	s.cmd = nil
	return code
}

// stop ends the process, if there is one, which must leave nothing.
func (s *staying) stop() {
	s.rig.t.Helper()
	if s.cmd == nil {
		return
	}
	pids := descendants(s.rig.t, s.cmd.Process.Pid)
	if code := s.end(); code != exitDone {
		s.rig.t.Errorf("the process that stays ends with %d: %s", code, s.stderr)
	}
	eventually(s.rig.t, "end of all processes", func() bool { return len(alive(pids)) == 0 })
	if left, _ := filepath.Glob(filepath.Join(s.rig.dir, "db", "*.sock*")); len(left) > 0 {
		s.rig.t.Errorf("%v is left", left)
	}
}

// sh runs a line of a script. One with a `run`, or a `verify` or `backup`, which
// need no daemon, has the database for itself.
func (s *staying) sh(d *datadriven.TestData) string {
	s.rig.t.Helper()
	if aloneHere.MatchString(d.Input) {
		s.stop()
	} else if _, err := os.Stat(filepath.Join(s.rig.dir, "db", kernelhost.DatabaseFile)); err == nil && s.cmd == nil {
		s.start()
	}
	out := s.rig.normal(s.rig.shell(d.Input))
	if eitherWay(out) == eitherWay(d.Expected) {
		return d.Expected
	}
	return out
}

var aloneHere = regexp.MustCompile(`vatworkerd (run|verify|backup)\b`)

// What is not the same beside a daemon: what `status` says of it and of its
// workers, and who is online.
var (
	daemonLines = regexp.MustCompile(`(?m)^(daemon|host|doing|pages)  .*\n`)
	poolLines   = regexp.MustCompile(`(?m)^pool  .*\n`)
	poolJSON    = regexp.MustCompile(`(?s)\n  "pool": \{.*?\n  \},`)
	daemonJSON  = regexp.MustCompile(`(?s),\n  "daemon": (null|\{.*?\n  \})`)
	online      = regexp.MustCompile(`\b(online|offline)\b|"online": (true|false|[0-9]+)|\b[0-9]+ online`)
)

func eitherWay(text string) string {
	text = daemonLines.ReplaceAllString(text, "")
	text = poolLines.ReplaceAllString(text, "")
	text = poolJSON.ReplaceAllString(text, "")
	text = daemonJSON.ReplaceAllString(text, "")
	return online.ReplaceAllString(text, "ONLINE")
}
