package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSlogOfCommands(t *testing.T) {
	r := started(t)
	r.checkHostSlog()
	r.ok("send", "bob", "print", `"log"`, `"one"`, "--db", "db", "--slog", "first")
	r.env = append(r.env, "VATWORKERD_SLOG=first")
	r.ok("send", "bob", "print", `"log"`, `"two \u009b1m"`, "--db", "db", "--slog-bytes", "1MiB")
	content, err := os.ReadFile(filepath.Join(r.dir, "first"))
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	var printed []string
	for line := range bytes.Lines(content) {
		var l struct {
			Type, VatID string
			Args        []string
		}
		if err := json.Unmarshal(line, &l); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		counts[l.Type]++
		printed = append(printed, l.Args...)
	}
	if got := strings.Join(printed, ","); got != "one,two \u009b1m" || bytes.ContainsRune(content, '\u009b') {
		t.Errorf("printed is %q", got)
	}
	for _, pair := range [][2]string{
		{"deliver", "deliver-result"}, {"syscall", "syscall-result"}, {"crank-start", "crank-finish"},
		{"start-replay", "finish-replay"}, {"vat-startup-start", "vat-startup-finish"}, {"worker-start", "worker-exit"},
	} {
		if n := counts[pair[0]]; n < 2 || n != counts[pair[1]] {
			t.Errorf("%d %s, %d %s", n, pair[0], counts[pair[1]], pair[1])
		}
	}
	for flag, want := range map[[2]string]string{
		{"--slog-bytes", "1k"}:     "cannot use --slog-bytes 1000: it must be at least 1MiB",
		{"--slog", "nowhere/slog"}: "cannot open the slog: open nowhere/slog: no such file or directory",
	} {
		out := r.run("send", "bob", "print", `"log"`, `"x"`, "--db", "db", flag[0], flag[1])
		if out.code == exitDone || !strings.Contains(out.stderr, want) {
			t.Errorf("%q: exit code %d: %s", flag, out.code, out.stderr)
		}
	}
}
