package main

import (
	"bufio"
	"encoding/json"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"vatworkerd/supervisor"
	"vatworkerd/workerlogs"
)

func TestSince(t *testing.T) {
	zone := time.FixedZone("test", 3600)
	now := time.Date(2026, 5, 6, 12, 0, 0, 0, zone)
	for _, c := range []struct{ text, want string }{
		{"0s", "2026-05-06T12:00:00+01:00"},
		{"90m", "2026-05-06T10:30:00+01:00"},
		{"11:15", "2026-05-06T11:15:00+01:00"},
		{"11:15:16", "2026-05-06T11:15:16+01:00"},
		{"2026-05-01", "2026-05-01T00:00:00+01:00"},
		{"2026-05-01 11:15", "2026-05-01T11:15:00+01:00"},
		{"2026-05-01 11:15:16", "2026-05-01T11:15:16+01:00"},
		{"2026-05-01T11:15:16", "2026-05-01T11:15:16+01:00"},
		{"2026-05-01T11:15:16Z", "2026-05-01T11:15:16Z"},
		{"2026-05-01T11:15:16-07:00", "2026-05-01T11:15:16-07:00"},
	} {
		at, err := parseSince(c.text, now)
		if got := at.Format(time.RFC3339); err != nil || got != c.want {
			t.Errorf("%s is %s, %v; want %s", c.text, got, err, c.want)
		}
	}
	for _, text := range []string{"", "-5m", "5", "25:00", "2026-02-30", "now"} {
		if at, err := parseSince(text, now); err == nil {
			t.Errorf("%q was read as %v", text, at)
		}
	}
}

// A terminal must not obey what vats print, nor may they forge a line.
func TestHostileLogs(t *testing.T) {
	r := started(t)
	hostile := `"\u001b]0;title\u0007\u001b[2J\r\n2026-01-01 00:00:00.000  v1  bootstrap  forged\u009b1mX\u202edlrow\u0000"`
	r.ok("send", "bob", "print", `"log"`, hostile, "--db", "db")
	shown := `\x1b]0;title\x07\x1b[2J\r\n2026-01-01 00:00:00.000  v1  bootstrap  forged\x9b1mX\u202edlrow\x00`
	for _, args := range [][]string{{"logs", "bob", "--db", "db"}, {"logs", "bob", "--db", "db", "--json"}} {
		out := r.onTerminal(nil, args...)
		for _, own := range []string{"\x1b[0m", "\x1b[1m", "\x1b[2m", "\r\n"} {
			out = strings.ReplaceAll(out, own, "")
		}
		for _, bad := range []string{"\x1b]", "\x1b[2J", "\x07", "\u009b", "\u202e", "\x00", "\n"} {
			if strings.Contains(out, bad) {
				t.Errorf("%q reaches the terminal: %q", bad, out)
			}
		}
		if args[len(args)-1] != "--json" && !strings.Contains(out, shown) {
			t.Errorf("the text is not shown: %q", out)
		}
	}
	if out := r.ok("logs", "--db", "db").stdout; strings.Contains(out, "\x1b") {
		t.Errorf("colours in a pipe: %q", out)
	}
}

// following is `logs -f` with its lines as they come.
type following struct {
	t     *testing.T
	lines chan string
	stop  func() int // gives the exit code
}

func (r *rig) follow(t *testing.T, args ...string) *following {
	t.Helper()
	cmd := r.command(append([]string{"logs", "-f", "--db", "db"}, args...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	f := &following{t: t, lines: make(chan string, 1000)}
	go func() {
		defer close(f.lines)
		for scan := bufio.NewScanner(out); scan.Scan(); {
			f.lines <- scan.Text()
		}
	}()
	f.stop = func() int {
		_ = cmd.Process.Signal(syscall.SIGINT)
		for range f.lines {
		}
		_ = cmd.Wait()
		return cmd.ProcessState.ExitCode()
	}
	t.Cleanup(func() { f.stop() })
	return f
}

// next waits for a line.
func (f *following) next() string {
	f.t.Helper()
	select {
	case line, ok := <-f.lines:
		if !ok {
			f.t.Fatal("it has ended")
		}
		return line
	case <-time.After(time.Minute):
		f.t.Fatal("there is no line")
	}
	return ""
}

func (f *following) want(text string) {
	f.t.Helper()
	if line := f.next(); !strings.HasSuffix(line, text) {
		f.t.Fatalf("%q comes, not %q", line, text)
	}
}

func TestFollowLogs(t *testing.T) {
	r := started(t)
	f := r.follow(t)
	f.want("TEXT")
	f.want("greeted alice bob")
	bob := r.follow(t, "bob")
	r.ok("send", "alice", "print", `"log"`, `"first"`, "--db", "db")
	f.want("first")
	r.ok("send", "bob", "print", `"warn"`, `"second"`, "--db", "db")
	f.want("second")
	bob.want("TEXT")
	bob.want("second")
	for _, follower := range []*following{f, bob} {
		if code := follower.stop(); code != exitDone {
			t.Errorf("Ctrl-C ends it with exit code %d", code)
		}
	}
}

// Every line of a vat that writes segment after segment comes, once, in order.
func TestFollowAcrossSegments(t *testing.T) {
	r := started(t)
	f := r.follow(t, "bob", "--json")
	logs, err := workerlogs.Open(filepath.Join(r.dir, "db", supervisor.LogDir), workerlogs.Options{VatBytes: workerlogs.MinVatBytes, TotalBytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	defer logs.Close()
	long := strings.Repeat("x", 10_000)
	for n := range 100 { // 8 segments
		logs.Add(workerlogs.Entry{Time: time.Now(), VatID: "v3", Name: "bob", Position: int64(n), Source: workerlogs.SourceVat, Level: "log", Text: long})
		var e workerlogs.Entry
		if err := json.Unmarshal([]byte(f.next()), &e); err != nil || e.Position != int64(n) || e.Text != long {
			t.Fatalf("entry %d, %v, instead of %d", e.Position, err, n)
		}
	}
	logs.Close()
	if names, _ := filepath.Glob(filepath.Join(r.dir, "db", supervisor.LogDir, "v3.*")); len(names) != 2 {
		t.Errorf("files %q", names)
	}
	if code := f.stop(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
}
