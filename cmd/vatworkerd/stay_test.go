package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"vatworkerd/control"
	"vatworkerd/internal/testrig"
	"vatworkerd/pipeproto"
)

// stayed is a rig with a process that stays with its database of three vats.
func stayed(t *testing.T, flags ...string) (*rig, *staying) {
	t.Helper()
	r := newRig(t)
	r.writeConfig("config.json", `{
		"bootstrap": {"bundleName": "probe", "creationOptions": {"metered": false}},
		"alice": {"bundleName": "probe", "parameters": {"name": "alice"}},
		"ledger": {"bundleName": "probe", "creationOptions": {"critical": true}}
	}`)
	s := &staying{rig: r}
	s.start(flags...)
	return r, s
}

// spin gives the process that stays a command that never ends.
func (r *rig) spin() (*exec.Cmd, *bytes.Buffer) {
	r.t.Helper()
	var stderr bytes.Buffer
	cmd := r.command("send", "bootstrap", "spin", "--db", "db")
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	eventually(r.t, "delivery that spins", func() bool {
		d := r.status().Daemon
		return d != nil && d.Live.Doing != nil && d.Live.Doing.Step == "delivery" && d.Live.Doing.Name == "bootstrap"
	})
	return cmd, &stderr
}

func (r *rig) status() (doc statusDoc) {
	r.t.Helper()
	r.json(&doc, "status", "--db", "db")
	return doc
}

func TestStayingSockets(t *testing.T) {
	r, s := stayed(t)
	for _, name := range []string{vatsSocket, hostSocket} {
		info, err := os.Lstat(filepath.Join(r.dir, "db", name))
		if err != nil {
			t.Fatal(err)
		}
		if owner := info.Sys().(*syscall.Stat_t).Uid; info.Mode() != os.ModeSocket|0o600 || int(owner) != os.Geteuid() {
			t.Errorf("%s has mode %v and is user %d's", name, info.Mode(), owner)
		}
	}
	doc := r.status()
	if doc.Daemon == nil || doc.Daemon.Holder == nil || doc.Daemon.Holder.PID != s.cmd.Process.Pid || doc.Daemon.Live.Doing != nil || doc.Daemon.Busy != nil {
		t.Errorf("status tells of %+v", doc.Daemon)
	}
	if doc.Daemon.Live.ActivityHash != doc.ActivityHash || len(doc.Vats) != 3 {
		t.Errorf("status %+v", doc)
	}
	text := r.ok("status", "--db", "db").stdout
	if !strings.Contains(text, fmt.Sprintf("of kernel host (pid %d), at db/vats.sock", s.cmd.Process.Pid)) || !strings.Contains(text, "doing          nothing") {
		t.Errorf("status says\n%s", text)
	}
	// A read connection gives no commands.
	client, err := control.Dial(t.Context(), filepath.Join(r.dir, "db", hostSocket), pipeproto.AccessRead)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.Call(t.Context(), pipeproto.ReqCommand, pipeproto.Command{Args: []string{"status"}}, nil, nil); pipeproto.ErrorOf(err).Code != pipeproto.CodeRefused {
		t.Errorf("a command on a read connection: %v", err)
	}
}

// Commands go one after the other, in an order that all see.
func TestStayingSerialises(t *testing.T) {
	r, s := stayed(t)
	const commands = 8
	outcomes := make(chan outcome, commands)
	for range commands {
		go func() { outcomes <- r.run("send", "alice", "count", "--db", "db") }()
	}
	seen := map[string]bool{}
	for range commands {
		out := <-outcomes
		if out.code != exitDone || seen[out.stdout] {
			t.Errorf("exit %d: %s%s", out.code, out.stdout, out.stderr)
		}
		seen[out.stdout] = true
	}
	if !seen[fmt.Sprintf(`{"durable":%d,"sinceStart":%d}`+"\n", commands, commands)] {
		t.Errorf("counted to %v", seen)
	}
	s.stop()
	if out := r.ok("send", "alice", "count", "--db", "db"); !strings.Contains(out.stdout, fmt.Sprintf(`"durable":%d`, commands+1)) {
		t.Errorf("without the process that stayed: %s", out.stdout)
	}
}

// A run on a database that a process stays with is refused, and so is another
// that wants to stay.
func TestStayingIsAlone(t *testing.T) {
	r, s := stayed(t)
	holder := fmt.Sprintf("process %d", s.cmd.Process.Pid)
	for _, flags := range [][]string{{}, {"--stay"}} {
		out := r.run(append([]string{"run", "config.json", "--db", "db"}, flags...)...)
		if out.code != exitFailed || !strings.Contains(out.stderr, holder) || !strings.Contains(out.stderr, "hint: ") {
			t.Errorf("exit %d: %s", out.code, out.stderr)
		}
	}
	if out := r.run("run", "config.json", "--stay"); out.code != exitUsage || !strings.Contains(out.stderr, "cannot stay without --db") {
		t.Errorf("exit %d: %s", out.code, out.stderr)
	}
}

// Ctrl-C ends a command where it runs, and the next one finds all in order.
func TestStayingInterrupted(t *testing.T) {
	r, _ := stayed(t)
	before := r.status()
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
		cmd, stderr := r.spin()
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		if signal == syscall.SIGINT {
			if want := "vatworkerd: interrupted; the state is as of the last committed block\n"; stderr.String() != want || cmd.ProcessState.ExitCode() != exitInterrupted {
				t.Errorf("exit %d: %q", cmd.ProcessState.ExitCode(), stderr)
			}
		}
		r.ok("restart-all", "--rehearse", "alice", "--db", "db") // waits for its turn
		if after := r.status(); after.ActivityHash != before.ActivityHash || after.Height != before.Height || after.Daemon == nil {
			t.Errorf("after %v: height %d, activity hash %s; before %d, %s", signal, after.Height, after.ActivityHash, before.Height, before.ActivityHash)
		}
	}
	r.ok("send", "alice", "count", "--db", "db")
}

// A command that waits for its turn can be given up.
func TestStayingInLine(t *testing.T) {
	r, s := stayed(t)
	spinner, _ := r.spin()
	waiter := r.command("send", "alice", "count", "--db", "db")
	if err := waiter.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "command in line", func() bool { return r.status().Daemon.Holder.Waiting == 1 })
	h := r.status().Daemon.Holder
	if h.Command != "send bootstrap spin --db db" || h.For == 0 {
		t.Errorf("the holder tells of %+v", h)
	}
	if err := waiter.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = waiter.Wait()
	if code := waiter.ProcessState.ExitCode(); code != exitInterrupted {
		t.Errorf("given up in line: exit %d", code)
	}
	// Ending the process ends the command that runs, as Ctrl-C would.
	if code := s.end(); code != exitDone {
		t.Errorf("the process that stays ends with %d", code)
	}
	_ = spinner.Wait()
	if code := spinner.ProcessState.ExitCode(); code != exitInterrupted {
		t.Errorf("the command that was running: exit %d", code)
	}
	if out := r.ok("send", "alice", "count", "--db", "db"); out.stdout != `{"durable":1,"sinceStart":1}`+"\n" {
		t.Errorf("the command that was given up has counted: %s", out.stdout)
	}
}

// When the process is killed, whoever waits for it is told, and nothing is lost.
func TestStayingKilled(t *testing.T) {
	r, s := stayed(t)
	r.ok("send", "alice", "count", "--db", "db")
	cmd, stderr := r.spin()
	pid := s.cmd.Process.Pid
	pids := append(descendants(t, pid), pid)
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = s.cmd.Wait()
	s.cmd = nil
	_ = cmd.Wait()
	if want := fmt.Sprintf("vatworkerd: process %d, which ran this command, is gone; what it had not committed is undone\n", pid); cmd.ProcessState.ExitCode() != exitFailed || !strings.HasPrefix(stderr.String(), want) {
		t.Errorf("exit %d: %q", cmd.ProcessState.ExitCode(), stderr)
	}
	eventually(t, "end of all processes", func() bool { return len(alive(pids)) == 0 })
	if out := r.ok("send", "alice", "count", "--db", "db"); out.stdout != `{"durable":2,"sinceStart":2}`+"\n" {
		t.Errorf("after a kill: %s", out.stdout)
	}
	s.start() // over the sockets that are left
	r.ok("send", "alice", "count", "--db", "db")
}

// The daemon of a process that stays may die at any time.
func TestStayingDaemonDies(t *testing.T) {
	r, s := stayed(t)
	for range 2 {
		daemon := r.status().Daemon.Live.PID
		if err := syscall.Kill(daemon, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		eventually(t, "another daemon", func() bool {
			doc := r.status()
			return doc.Daemon != nil && doc.Daemon.Live.PID != daemon
		})
	}
	cmd, stderr := r.spin()
	if err := syscall.Kill(r.status().Daemon.Live.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitFailed || !strings.Contains(stderr.String(), "vatworkerd is gone during") {
		t.Errorf("a command whose daemon dies: exit %d, %q", code, stderr)
	}
	r.ok("send", "alice", "count", "--db", "db")
	if s.cmd.ProcessState != nil {
		t.Error("the process that stays has ended")
	}
}

// After a panic the process stays to be looked at, and refuses all else.
func TestStayingPanic(t *testing.T) {
	r, s := stayed(t)
	before := r.status()
	for range 2 {
		out := r.run("send", "ledger", "spin", "--db", "db", "--json")
		var doc errorDoc
		if err := oneDocument(out.stdout, &doc); err != nil || out.code != exitPanic || doc.Error.Code != pipeproto.CodePanic || !strings.Contains(doc.Error.Message, "ledger") {
			t.Errorf("exit %d, %v: %s%s", out.code, err, out.stdout, out.stderr)
		}
	}
	for _, command := range []string{"vat pause alice", "restart-all --rehearse"} {
		if out := r.run(append(strings.Fields(command), "--db", "db")...); out.code != exitPanic || !strings.Contains(out.stderr, "panic: ") {
			t.Errorf("%s: exit %d, %s", command, out.code, out.stderr)
		}
	}
	for _, command := range []string{"status", "vat list", "vat show alice", "spans", "snapshot list", "snapshot verify", "replay alice"} {
		r.ok(append(strings.Fields(command), "--db", "db")...)
	}
	after := r.status()
	if after.Panic == nil || !strings.Contains(*after.Panic, "ledger") || after.ActivityHash != before.ActivityHash || after.Daemon.Holder.Panic == "" {
		t.Errorf("status after the panic: %+v", after)
	}
	if code := s.end(); code != exitPanic {
		t.Errorf("the process ends with %d, want %d", code, exitPanic)
	}
	r.ok("send", "alice", "count", "--db", "db")
}

// A restart on another engine, named as the caller sees it, is where the
// process goes on.
func TestStayingRestart(t *testing.T) {
	r, s := stayed(t)
	if err := os.CopyFS(filepath.Join(r.dir, "elsewhere", "engine"), os.DirFS(filepath.Join(testrig.BuildDir(t), "engine-debug"))); err != nil {
		t.Fatal(err)
	}
	from := func(dir string, args ...string) outcome {
		var stdout, stderr bytes.Buffer
		cmd := r.command(args...)
		cmd.Dir = filepath.Join(r.dir, dir)
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		_ = cmd.Run()
		return outcome{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
	}
	before := r.status()
	if out := from("elsewhere", "restart-all", "--rehearse", "--engine", "engine", "--db", "../db"); out.code != exitDone {
		t.Fatalf("exit %d: %s%s", out.code, out.stdout, out.stderr)
	}
	if tried := r.status(); tried.ImageID != before.ImageID || tried.ActivityHash != before.ActivityHash {
		t.Errorf("a rehearsal leaves engine %s, activity hash %s", tried.ImageID, tried.ActivityHash)
	}
	if out := from("elsewhere", "restart-all", "--engine", "engine", "--db", "../db"); out.code != exitDone || strings.Count(out.stderr, "token image-") != 1 {
		t.Fatalf("exit %d: %s%s", out.code, out.stdout, out.stderr)
	}
	r.ok("send", "alice", "count", "--db", "db")
	after := r.status()
	if after.ImageID == before.ImageID || after.Epoch != 1 {
		t.Errorf("after the restart image %s, epoch %d", after.ImageID, after.Epoch)
	}
	for _, v := range after.Vats {
		if v.Online && (v.ImageID == nil || *v.ImageID != after.ImageID) {
			t.Errorf("%s runs on image %v, want %s", v.Name, v.ImageID, after.ImageID)
		}
	}
	if out := from("elsewhere", "vat", "upgrade", "alice", "--bundle", "missing.js", "--db", "../db"); out.code != exitUsage || !strings.Contains(out.stderr, `"missing.js"`) {
		t.Errorf("exit %d: %s", out.code, out.stderr)
	}
	if out := r.ok("send", "alice", "count", "--db", "db", "--max-online", "7"); !strings.Contains(out.stderr, "keeps its own --max-online") {
		t.Errorf("a flag that is not followed: %q", out.stderr)
	}
	if s.cmd.ProcessState != nil {
		t.Error("the process that stays has ended")
	}
}

// What is shown on a terminal is the caller's.
func TestStayingTerminal(t *testing.T) {
	r, _ := stayed(t)
	const escape = "\x1b["
	if out := r.onTerminal(nil, "vat", "pause", "alice", "--db", "db"); !strings.Contains(out, escape) {
		t.Errorf("no colours on a terminal: %q", out)
	}
	if out := r.onTerminal([]string{"NO_COLOR=1"}, "vat", "resume", "alice", "--db", "db"); strings.Contains(out, escape) {
		t.Errorf("NO_COLOR is ignored: %q", out)
	}
	if out := r.ok("vat", "pause", "alice", "--db", "db"); strings.Contains(out.stdout+out.stderr, escape) {
		t.Errorf("colours in a pipe: %q", out.stdout)
	}
	if out := r.onTerminal(nil, "restart-all", "--rehearse", "--db", "db"); !strings.Contains(out, "━") {
		t.Errorf("no progress line: %q", out)
	}
}

// A reader that goes away undoes nothing, here as elsewhere.
func TestStayingReaderGoesAway(t *testing.T) {
	r, _ := stayed(t)
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	reader.Close()
	defer writer.Close()
	cmd := r.command("vat", "pause", "alice", "--db", "db")
	cmd.Stdout, cmd.Stderr = writer, writer
	if err := cmd.Run(); err == nil {
		t.Error("a command whose result nobody reads says that it is done")
	}
	var vat vatDoc
	r.json(&vat, "vat", "show", "alice", "--db", "db")
	if !vat.Paused {
		t.Errorf("the vat is not paused: %+v", vat)
	}
}

// Whatever comes in on the sockets, commands go on.
func TestStayingHostileCallers(t *testing.T) {
	r, _ := stayed(t)
	for _, name := range []string{vatsSocket, hostSocket} {
		path := filepath.Join(r.dir, "db", name)
		for _, bytes := range []string{"", "\x00\x00", "GET / HTTP/1.1\r\n\r\n", "\x00\x00\x00\x05hello", "\xff\xff\xff\xff\xff", strings.Repeat("\x94", 1<<16)} {
			hostileCall(t, path, bytes)
		}
	}
	// A command that no command line could give.
	client, err := control.Dial(t.Context(), filepath.Join(r.dir, "db", hostSocket), pipeproto.AccessAdmin)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, args := range [][]string{nil, {"serve"}, {"run", "config.json"}, {"completion", "bash"}, {"status", "--no-such-flag"}, {"\x00\x1b[2J"}} {
		var reply pipeproto.CommandReply
		if err := client.Call(t.Context(), pipeproto.ReqCommand, pipeproto.Command{Args: args, Dir: "/nonexistent"}, &reply, nil); err != nil || args != nil && reply.Exit != exitUsage {
			t.Errorf("%q: exit %d, %v", args, reply.Exit, err)
		}
	}
	r.ok("send", "alice", "count", "--db", "db")
}
