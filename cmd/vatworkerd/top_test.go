package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"vatworkerd/internal/testrig"
	"vatworkerd/pipeproto"
)

// watched is a rig whose vats a process stays with.
func watched(t *testing.T) *rig {
	t.Helper()
	r := newRig(t)
	r.writeConfig("config.json", threeVats)
	r.staying = &staying{rig: r}
	r.staying.start()
	return r
}

// Keys of a terminal.
const (
	keyDown  = "\x1b[B"
	keyEnter = "\r"
	keyEsc   = "\x1b"
)

// restored demands that the terminal is as it was before the program.
func (t *terminal) restored() {
	t.t.Helper()
	eventually(t.t, "screen as before", t.isPlain)
	settings := exec.Command("stty", "-a")
	settings.Stdin = t.master
	out, err := settings.Output()
	if err != nil {
		t.t.Fatal(err)
	}
	for _, cooked := range []string{"icanon", "echo", "isig"} {
		if !slices.Contains(strings.Fields(string(out)), cooked) {
			t.t.Errorf("the terminal has no %s: %s", cooked, out)
		}
	}
}

func TestTopOnATerminal(t *testing.T) {
	r := watched(t)
	term := r.onScreen(80, 24, nil, "top", "--db", "db", "--interval", "100ms")
	term.shows("3 vats: 3 online", "doing     nothing", "▶ v1      bootstrap", "v3      bob", "q end")

	term.press("/ali" + keyEnter)
	term.shows("1 vat, named ali", "▶ v2      alice")
	term.press("p")
	term.shows("pause v2 alice? y = yes")
	term.press("y")
	term.shows("pause v2 alice: done", "1 paused", "paused       offline")
	term.press(keyEnter)
	term.shows("v2  alice  paused", "worker    offline", "history   incarnation 0", "── log ──", "nothing was said")
	term.press("r")
	term.shows("resume v2 alice? y = yes")
	term.press("x")
	term.shows("esc back")
	term.press("ry")
	term.shows("resume v2 alice: done", "v2  alice  running")
	term.press(keyEsc)
	term.shows("1 vat, named ali")
	term.press(keyEsc)
	term.shows("3 vats, by vat")

	term.press("f" + keyDown)
	term.shows("online", "▶ v")
	term.resize(120, 30)
	term.shows("DELIVERIES  HELD   INC")
	term.press("?")
	term.shows("sort by the column to the left")
	term.press("q") // any key goes back
	term.shows("DELIVERIES  HELD   INC")
	term.press("q")
	if code := term.ends(); code != exitDone {
		t.Errorf("q ends with %d", code)
	}
	term.restored()
}

func TestTopBesideADaemonThatDies(t *testing.T) {
	r := watched(t)
	term := r.onScreen(80, 24, nil, "top", "--db", "db", "--interval", "100ms")
	term.shows("3 vats: 3 online")
	if code := r.staying.end(); code != exitDone {
		t.Fatalf("the process that stays ends with %d", code)
	}
	term.shows("the daemon is gone since", "v1      bootstrap")
	r.staying.start()
	term.shows("vatworkerd  process", "3 vats: 0 online", "offline")
	if err := term.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := term.ends(); code != exitDone {
		t.Errorf("SIGTERM ends it with %d", code)
	}
	term.restored()
}

// Only this program's own colours and cursor movements may reach a terminal.
func TestTopTellsNoTerminalWhatVatsSay(t *testing.T) {
	r := watched(t)
	hostile := `"\u001b]0;title\u0007\u001b[31mred\u202e"`
	r.ok("send", "bob", "print", `"log"`, hostile, "--db", "db")
	for _, env := range [][]string{nil, {"NO_COLOR=1"}} {
		term := r.onScreen(120, 30, env, "top", "--db", "db", "--interval", "100ms")
		term.shows("v3      bob")
		term.press("/bob" + keyEnter + keyEnter)
		term.shows(`\x1b]0;title\x07\x1b[31mred\u202e`)
		term.press("q")
		term.ends()
		out := term.written()
		for _, bad := range []string{"\x1b]0;title", "\x07", "\u202e"} {
			if strings.Contains(out, bad) {
				t.Errorf("%q reaches the terminal", bad)
			}
		}
		hasColours := strings.Contains(out, "\x1b[32m")
		if hasColours == (env != nil) {
			t.Errorf("with %q: colours: %t", env, hasColours)
		}
	}
}

func TestTopOfAForeignHost(t *testing.T) {
	r := newRig(t)
	h := r.foreign("db")
	defer h.end()
	h.call(t, pipeproto.ReqAddBundle, pipeproto.AddBundle{ID: "b1-x", Data: testrig.ReadBundle(t, "counter")})
	h.call(t, pipeproto.ReqCreateVat, pipeproto.CreateVat{VatID: "v1", Name: "alice", BundleID: "b1-x"})
	term := r.onScreen(80, 24, nil, "top", "--db", "db", "--interval", "100ms")
	term.shows("▶ v1")
	term.press("s")
	term.shows("cannot suspend v1", "only their kernel host")
	term.press("\x03")
	if code := term.ends(); code != exitDone {
		t.Errorf("ctrl+c ends with %d", code)
	}
}

func TestTopWithoutATerminal(t *testing.T) {
	r := watched(t)
	if out := r.ok("status", "--db", "db"); !regexp.MustCompile(`(?m)^pages +\d+ in.*, \d+ out`).MatchString(out.stdout) {
		t.Errorf("status tells nothing of pages: %s", out.stdout)
	}
	once := r.ok("top", "--db", "db", "--once", "--interval", "100ms", "--sort", "name")
	for _, want := range []string{"3 vats: 3 online", "3 vats, by name", "v2      alice"} {
		if !strings.Contains(once.stdout, want) {
			t.Errorf("no %q in\n%s", want, once.stdout)
		}
	}
	if out := r.run("top", "--db", "db"); out.code != exitUsage || !strings.Contains(out.stderr, "top needs a terminal") {
		t.Errorf("exit %d, %s", out.code, out.stderr)
	}
	var doc topDoc
	r.json(&doc, "top", "--db", "db", "--once", "--interval", "100ms", "--state", "online")
	if len(doc.Vats) != 3 || doc.Holder == nil || doc.Vats[0].Worker == nil || doc.Memory == 0 || doc.Live.Counts.Vats != 3 {
		t.Errorf("%+v", doc)
	}
	if code := r.staying.end(); code != exitDone {
		t.Fatal(code)
	}
	if out := r.run("top", "--db", "db", "--once"); out.code != exitFailed || !strings.Contains(out.stderr, "no daemon holds the database in db") || !strings.Contains(out.stderr, "--stay") {
		t.Errorf("exit %d, %s", out.code, out.stderr)
	}
}

// The documents go on, one a line, until the daemon ends.
func TestTopDocuments(t *testing.T) {
	r := watched(t)
	cmd := r.command("top", "--db", "db", "--json", "--interval", "100ms")
	out, err := os.Create(r.dir + "/top.json")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout = out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := func() [][]byte {
		text, err := os.ReadFile(out.Name())
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
	}
	eventually(t, "third document", func() bool { return len(lines()) >= 3 })
	r.ok("send", "alice", "count", "--db", "db")
	eventually(t, "delivery in a document", func() bool {
		for _, line := range lines() {
			var doc topDoc
			if json.Unmarshal(line, &doc) == nil && doc.Rates.Deliveries > 0 && doc.Rates.Computrons > 0 {
				return true
			}
		}
		return false
	})
	r.staying.end()
	_ = cmd.Wait()
	if text, _ := os.ReadFile(out.Name()); cmd.ProcessState.ExitCode() != exitFailed || !strings.Contains(string(text), `"error"`) {
		t.Errorf("exit %d: %s", cmd.ProcessState.ExitCode(), text[max(0, len(text)-300):])
	}
}

func TestTopFlags(t *testing.T) {
	r := newRig(t)
	for flags, want := range map[string]string{
		"--interval 1ms": "at least 100ms", "--limit 0": "from 1 to", "--sort size": "it is one of vat, name", "--state odd": "it is one of all, online",
		"--once": "there is no database in db",
	} {
		out := r.run(append([]string{"top", "--db", "db"}, strings.Fields(flags)...)...)
		if out.code != exitUsage || !strings.Contains(out.stderr, want) {
			t.Errorf("%s: exit %d, %s", flags, out.code, out.stderr)
		}
	}
}
