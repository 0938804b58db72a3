package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"vatworkerd/internal/testrig"
)

func TestScriptOfATranscript(t *testing.T) {
	s := new(script)
	s.ready()
	s.setBundle("v3", []byte(`{"moduleFormat":"x"}`))
	s.mark()
	err := s.items([]string{
		`{"d":["initialize-worker",{}],"sc":[],"r":{"status":"ok"}}`,
		`{"d":["message","o+0",{"methargs":{"body":"#[\"ü\"]","slots":[]}}],"sc":[{"s":["vatstoreGet","k"],"r":["ok",null]},{"s":["resolve",[]],"r":["ok",null]}],"r":{"status":"ok"}}`,
		`{"d":["save-snapshot"],"sc":[],"r":{"snapshotID":"x"}}`,
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`1:R,`, `93:?["setBundle","v3",{"moduleFormat":"x"},{"enableDisavow":false,"relaxDurabilityRules":false}],`, `1:#,`,
		`75:?["deliver",["message","o+0",{"methargs":{"body":"#[\"ü\"]","slots":[]}}]],`, `12:/["ok",null],`, `12:/["ok",null],`,
	}
	if got := string(s.text); got != strings.Join(want, "") || s.marks != 1 {
		t.Errorf("the script is\n%s\nwant\n%s", got, strings.Join(want, ""))
	}
	if err := s.items([]string{`{"d":[]}`}); err == nil {
		t.Error("a delivery of no kind is no error")
	}
}

// bareProgram compiles bare.c, as make does.
func bareProgram(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "bare")
	out, err := exec.Command("cc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, "bare/bare.c").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

func TestBarePingPong(t *testing.T) {
	out, err := exec.Command(bareProgram(t), "pingpong", "-1", "100").CombinedOutput()
	if n, parseErr := strconv.Atoi(strings.TrimSpace(string(out))); err != nil || parseErr != nil || n <= 0 {
		t.Errorf("pingpong: %v, %q", err, out)
	}
}

// TestBarePlay drives a real engine: a heap written by one run is where the next
// begins.
func TestBarePlay(t *testing.T) {
	engine, program, dir := testrig.Engine(t).Engine, bareProgram(t), t.TempDir()
	heap := filepath.Join(dir, "heap")
	var first script
	first.ready()
	first.mark()
	first.frame("eglobalThis.kept = 1;")
	first.save()
	first.mark()
	if laps := playScript(t, program, first, engine, "", heap); laps != 2 {
		t.Errorf("%d laps", laps)
	}
	var second script
	second.frame("eif (kept !== 1) throw Error('the heap was not loaded');")
	second.mark()
	if laps := playScript(t, program, second, engine, heap); laps != 1 {
		t.Errorf("%d laps", laps)
	}
}

func playScript(t *testing.T, program string, s script, args ...string) int {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(path, s.text, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(program, append([]string{"play", "-1", path}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return strings.Count(string(out), "\n")
}

func TestBareFailures(t *testing.T) {
	engine, program := testrig.Engine(t).Engine, bareProgram(t)
	for _, c := range []struct{ name, script, want string }{
		{"no netstring", "R", "no sequence of netstrings"},
		{"cut short", "5:R,", "no sequence of netstrings"},
		{"refused", "16:ethrow Error(1);,", "refused frame 0"},
		{"gone", "1:q,1:R,", "the worker is gone"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "script")
			if err := os.WriteFile(path, []byte(c.script), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command(program, "play", "-1", path, engine).CombinedOutput()
			if err == nil || !strings.Contains(string(out), c.want) {
				t.Errorf("%v, %q; want %q", err, out, c.want)
			}
		})
	}
}
