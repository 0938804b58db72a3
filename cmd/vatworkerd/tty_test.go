package main

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/creack/pty"
)

// onTerminal runs the program with a terminal for stdout and stderr.
func (r *rig) onTerminal(env []string, args ...string) string {
	r.t.Helper()
	cmd := r.command(args...)
	cmd.Env = append(cmd.Env, append([]string{"TERM=xterm"}, env...)...)
	master, err := pty.Start(cmd)
	if err != nil {
		r.t.Fatal(err)
	}
	defer master.Close()
	var out bytes.Buffer
	_, _ = io.Copy(&out, master) // ends with EIO when the program does
	_ = cmd.Wait()
	return out.String()
}

func TestColoursOnlyOnATerminal(t *testing.T) {
	r := started(t)
	const escape = "\x1b["
	if out := r.ok("vat", "list", "--db", "db"); strings.Contains(out.stdout+out.stderr, escape) {
		t.Errorf("colours in a pipe: %q", out.stdout)
	}
	if out := r.ok("vat", "list", "--db", "db", "--color", "always"); !strings.Contains(out.stdout, escape) {
		t.Errorf("--color always is ignored: %q", out.stdout)
	}
	if out := r.ok("vat", "list", "--db", "db", "--json", "--color", "always"); strings.Contains(out.stdout, escape) {
		t.Errorf("colours in JSON: %q", out.stdout)
	}
	if out := r.onTerminal(nil, "vat", "list", "--db", "db"); !strings.Contains(out, escape) {
		t.Errorf("no colours on a terminal: %q", out)
	}
	if out := r.onTerminal([]string{"NO_COLOR=1"}, "vat", "list", "--db", "db"); strings.Contains(out, escape) {
		t.Errorf("NO_COLOR is ignored: %q", out)
	}
	if out := r.onTerminal(nil, "vat", "list", "--db", "db", "--color", "never"); strings.Contains(out, escape) {
		t.Errorf("--color never is ignored: %q", out)
	}
}

// A terminal must not obey a vat: only this program's own colours and progress
// line may reach it.
func TestHostileConsoleText(t *testing.T) {
	r := started(t)
	hostile := `"\u001b]0;title\u0007\u001b[2J\r\nwarning    forged\u009b1mX\u202edlrow\u0000"`
	out := r.onTerminal(nil, "send", "bob", "print", `"log"`, hostile, "--db", "db")
	for _, own := range []string{"\x1b[0m", "\x1b[K"} {
		out = strings.ReplaceAll(out, own, "")
	}
	for _, bad := range []string{"\x1b]", "\x1b[2J", "\x07", "\u009b", "\u202e", "\x00", "\nwarning    forged"} {
		if strings.Contains(out, bad) {
			t.Errorf("%q reaches the terminal: %q", bad, out)
		}
	}
	if !strings.Contains(out, `\x1b]0;title\x07\x1b[2J\r\nwarning    forged\x9b1mX\u202edlrow\x00`) {
		t.Errorf("the text is not shown: %q", out)
	}
}

func TestProgressOnATerminal(t *testing.T) {
	r := started(t)
	if out := r.onTerminal(nil, "restart-all", "--rehearse", "--db", "db"); !strings.Contains(out, "━") || !strings.Contains(out, "3/3") {
		t.Errorf("no progress line: %q", out)
	}
	if out := r.ok("restart-all", "--rehearse", "--db", "db"); strings.ContainsAny(out.stderr, "\r\x1b━") {
		t.Errorf("a terminal's progress in a pipe: %q", out.stderr)
	}
}
