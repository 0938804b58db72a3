package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/datadriven"

	"vatworkerd/cmd/vatworkerd/internal/screen"
	"vatworkerd/replay"
)

// counted is a rig with a database "db" in which alice has counted to 3, and a
// copy "begin" of what was before.
func counted(t testing.TB) *rig {
	t.Helper()
	r := started(t)
	if err := os.CopyFS(filepath.Join(r.dir, "begin"), os.DirFS(filepath.Join(r.dir, "db"))); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		r.ok("send", "alice", "count", "--db", "db")
	}
	return r
}

// TestReplay has one database for all, in which alice has counted to 3, and which
// nothing may change.
func TestReplay(t *testing.T) {
	r := counted(t)
	r.linkProgram()
	before := r.contents("db")
	for name, test := range map[string]func(*rig){
		"Scripts": replayScripts, "KeepWorkers": replayKeepsItsWorker, "Console": replayConsoleOnATerminal, "Wrap": replayWrapHasTheTerminal, "Interrupt": replayIsInterrupted,
	} {
		t.Run(name, func(t *testing.T) { test(r.of(t)) })
	}
	if r.contents("db") != before {
		t.Error("the database was changed")
	}
}

// of is the rig for a part of its test.
func (r *rig) of(t testing.TB) *rig {
	part := *r
	part.t = t
	return &part
}

// replayScripts runs the command lines of testdata/replay.
func replayScripts(r *rig) {
	datadriven.Walk(r.t.(*testing.T), filepath.Join("testdata", "replay"), func(t *testing.T, path string) { r.of(t).runCommands(path) })
}

// TestTimings shows what is in testdata/timings: lines of position, kind, micros
// and computrons, or a count of deliveries that grow slower.
func TestTimings(t *testing.T) {
	datadriven.RunTest(t, filepath.Join("testdata", "timings"), func(t *testing.T, d *datadriven.TestData) string {
		var timings []replay.Timing
		for line := range strings.Lines(d.Input) {
			var one replay.Timing
			var computrons int64
			n, _ := fmt.Sscan(line, &one.Position, &one.Kind, &one.Micros, &computrons)
			if n == 4 {
				one.Computrons = &computrons
			}
			timings = append(timings, one)
		}
		grow := 0
		d.ScanArgs(t, "grow", &grow)
		for i := range grow {
			timings = append(timings, replay.Timing{Position: int64(i), Kind: "message", Micros: 1000 + 37*int64(i), Syscalls: i % 5})
		}
		var b strings.Builder
		if err := writeTimings(&b, screen.Palette{}, timings); err != nil {
			t.Fatal(err)
		}
		return b.String()
	})
}

var keptPID = regexp.MustCompile(`the worker is process ([0-9]+)`)

// A worker that is kept stands where the replay ended, or where it differs, and
// goes with Enter.
func replayKeepsItsWorker(r *rig) {
	t := r.t
	r.changeVats("altered", `UPDATE transcriptItems SET item = replace(item, '\"body\":\"#3\"', '\"body\":\"#4\"') WHERE vatID = 'v2' AND position = 12`)
	for _, c := range []struct {
		db, stands string
		code       int
	}{{"db", "it stands before position 14", exitDone}, {"altered", "it stands at the difference", exitFailed}} {
		cmd := r.command("replay", "alice", "--keep-workers", "--db", c.db)
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		var stdout, stderr lockedBuffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "word of the worker", func() bool { return strings.Contains(stderr.String(), "stays until Enter") })
		m := keptPID.FindStringSubmatch(stderr.String())
		if m == nil || !strings.Contains(stderr.String(), c.stands) {
			t.Fatalf("%q", stderr.String())
		}
		pid, err := strconv.Atoi(m[1])
		if err != nil || len(alive([]int{pid})) != 1 {
			t.Errorf("process %s is not there (%v)", m[1], err)
		}
		_, _ = io.WriteString(stdin, "\n")
		_ = cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != c.code || len(alive([]int{pid})) != 0 {
			t.Errorf("%s: exit code %d, still there: %v\n%s%s", c.db, code, alive([]int{pid}), stdout.String(), stderr.String())
		}
	}
}

// The console on a terminal: lines are edited, have a history, and leave the
// terminal as it was; Ctrl-D goes on, Ctrl-C ends.
func replayConsoleOnATerminal(r *rig) {
	t := r.t
	const up, left, controlC, controlD = "\x1b[A", "\x1b[D", "\x03", "\x04"
	s := r.onScreen(120, 40, nil, "replay", "alice", "--stop-before", "10", "--db", "db")
	s.shows("stands before position 10", "10>")
	s.press("6 * 8" + left + "7\r")
	s.shows("10> 6 * 78", "468")
	s.press("globalThis.n = (globalThis.n || 40) + 1\r")
	s.shows("\n41")
	s.press(up + "\r")
	s.shows("\n42")
	s.press(".next\r")
	s.shows("stands before position 11", "11>")
	s.press(controlD)
	s.shows("identical: 8 deliveries")
	if code := s.ends(); code != exitDone || !s.isPlain() {
		t.Errorf("exit code %d:\n%s", code, s.screen())
	}
	s = r.onScreen(120, 40, nil, "replay", "alice", "--stop-before", "10", "--db", "db")
	s.shows("10>")
	s.press("unfinished" + controlC)
	s.shows("positions 5 to 10")
	if code := s.ends(); code != exitDone {
		t.Errorf("exit code %d:\n%s", code, s.screen())
	}
	// What runs is interrupted by a signal: the terminal is no longer raw then.
	s = r.onScreen(120, 40, nil, "replay", "alice", "--stop-before", "10", "--db", "db")
	s.shows("10>")
	s.press("const end = Date.now(); for (;;);\r")
	s.press(controlC)
	if code := s.ends(); code != exitInterrupted && code != exitFailed {
		t.Errorf("exit code %d:\n%s", code, s.screen())
	}
}

// A debugger has the terminal while its worker lives, and the shell has it again
// afterwards.
func replayWrapHasTheTerminal(r *rig) {
	t := r.t
	r.write("asks", "#!/bin/sh\nprintf 'shall it run? '\nread answer\necho \"it was $answer\"\nexec \"$@\"\n")
	if err := os.Chmod(filepath.Join(r.dir, "asks"), 0o700); err != nil {
		t.Fatal(err)
	}
	s := r.onScreen(120, 40, nil, "replay", "alice", "--db", "db", "--wrap", "./asks")
	s.shows("shall it run?")
	s.press("yes\r")
	s.shows("it was yes", "identical: 8 deliveries")
	if code := s.ends(); code != exitDone {
		t.Errorf("exit code %d:\n%s", code, s.screen())
	}
	// Ctrl-C is the debugger's, whose end is then the replay's.
	s = r.onScreen(160, 40, nil, "replay", "alice", "--db", "db", "--wrap", "./asks")
	s.shows("shall it run?")
	s.press("\x03")
	s.shows("signal 2 (interrupt)")
	if code := s.ends(); code != exitFailed {
		t.Errorf("exit code %d:\n%s", code, s.screen())
	}
}

// Ctrl-C ends a replay whatever its worker does, and the worker with it.
func replayIsInterrupted(r *rig) {
	t := r.t
	r.write("waits", "#!/bin/sh\necho it waits >&2\nexec sleep 1000\n")
	if err := os.Chmod(filepath.Join(r.dir, "waits"), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := r.command("replay", "alice", "--db", "db", "--wrap", "./waits")
	var stderr lockedBuffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "worker that waits", func() bool { return strings.Contains(stderr.String(), "it waits") })
	pids := descendants(t, cmd.Process.Pid)
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted || !strings.Contains(stderr.String(), "interrupted; the database is only read") {
		t.Errorf("exit code %d: %s", code, stderr.String())
	}
	eventually(t, "end of all processes", func() bool { return len(alive(pids)) == 0 })
}
