package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"vatworkerd/internal/testrig"
)

// rig runs the program in a directory of its own.
type rig struct {
	t   testing.TB
	dir string
	env []string

	staying *staying // where scripts run beside a process that stays
}

func newRig(t testing.TB) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir()}
	r.env = []string{
		asProgram + "=1", "GORACE=atexit_sleep_ms=0", "PATH=" + os.Getenv("PATH"), "HOME=" + r.dir, "TMPDIR=" + r.dir,
		"VATWORKERD_HOME=" + filepath.Dir(testrig.BuildDir(t)), "VATWORKERD_CACHE=" + filepath.Join(testrig.BuildDir(t), "base"),
	}
	testrig.Engine(t)
	return r
}

// command is the program, not started.
func (r *rig) command(args ...string) *exec.Cmd {
	r.t.Helper()
	exe, err := os.Executable()
	if err != nil {
		r.t.Fatal(err)
	}
	cmd := exec.Command(exe, args...)
	cmd.Dir, cmd.Env = r.dir, r.env
	return cmd
}

// outcome is how a command ended.
type outcome struct {
	stdout, stderr string
	code           int
}

func (r *rig) run(args ...string) outcome {
	r.t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := r.command(args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.t.Fatalf("%v: %v", args, err)
	}
	return outcome{stdout: stdout.String(), stderr: stderr.String(), code: cmd.ProcessState.ExitCode()}
}

// ok runs a command that must succeed.
func (r *rig) ok(args ...string) outcome {
	r.t.Helper()
	out := r.run(args...)
	if out.code != 0 {
		r.t.Fatalf("%v: exit %d\n%s%s", args, out.code, out.stdout, out.stderr)
	}
	return out
}

// json runs a command that must succeed with --json and decodes its document.
func (r *rig) json(v any, args ...string) {
	r.t.Helper()
	out := r.ok(append(args, "--json")...)
	if err := oneDocument(out.stdout, v); err != nil {
		r.t.Fatalf("%v: %v\n%s", args, err, out.stdout)
	}
}

// oneDocument demands exactly one JSON document.
func oneDocument(text string, v any) error {
	dec := json.NewDecoder(strings.NewReader(text))
	if err := dec.Decode(v); err != nil {
		return err
	}
	if dec.More() {
		return errors.New("there is more than one document")
	}
	return nil
}

func (r *rig) write(name, content string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(content), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// writeConfig writes a config of probe vats; vats is the JSON of their options.
func (r *rig) writeConfig(name, vats string) {
	r.t.Helper()
	r.write(name, fmt.Sprintf(`{"bootstrap": "bootstrap", "snapshotInitial": 3, "bundles": {"probe": {"bundleSpec": %q}}, "vats": %s}`,
		testrig.Bundle(r.t, "probe"), vats))
}

// threeVats is the usual config.
const threeVats = `{
	"bootstrap": {"bundleName": "probe"},
	"alice": {"bundleName": "probe", "parameters": {"name": "alice"}},
	"bob": {"bundleName": "probe", "parameters": {"name": "bob"}}
}`

// started is a rig with a database "db" of threeVats.
func started(t testing.TB) *rig {
	t.Helper()
	r := newRig(t)
	r.writeConfig("config.json", threeVats)
	r.ok("run", "config.json", "--db", "db")
	return r
}

// What differs between runs and machines.
var (
	hashes    = regexp.MustCompile(`\b[0-9a-f]{64}\b|\b[0-9a-f]{12}\b`)
	bundleIDs = regexp.MustCompile(`\bb1-[0-9a-f]{128}\b`)
	cutHashes = regexp.MustCompile(`\b(b1-)?[0-9a-f]{16,}…`)
	millis    = regexp.MustCompile(`\b[0-9.]+ (ms|s|min)\b`)
	micros    = regexp.MustCompile(`("(?:micros|durationMicros)": )[0-9]+`)
	sizes     = regexp.MustCompile(`\b[0-9.]+ [kM]B\b`)
	bytesJSON = regexp.MustCompile(`("(?:uncompressedSize|storedSize|snapshotSize|bytes)": )[0-9]+`)
	meters    = regexp.MustCompile(`("computrons": )[0-9]+|\b[0-9,]{6,}( computrons)?`)
	dates     = regexp.MustCompile(`\bsince [0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}\b`)
	instants  = regexp.MustCompile(`\b[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z`)
	clocks    = regexp.MustCompile(`(?m)\b[0-9]{2}:[0-9]{2}:[0-9]{2}$`)
	pids      = regexp.MustCompile(`\b(process|pid) [0-9]+\b`)
	waits     = regexp.MustCompile(`(?m)^(verify snapshots|verify swing-store|verify database|backup|check backup|export|import|unpack|rehearse|replay .*|bundle)  .*\n`) // comes if the machine is slow
	hostTold  = regexp.MustCompile(`(?m)^(kernel|processes|memory|huge pages|disk) +ok  .*(\n +hint: .*)?$`)                                                              // of doctor
	hostJSON  = regexp.MustCompile(`("check": "(?:kernel|processes|memory|huge pages|disk)",\s+"ok": true,\s+"detail": )"[^"]*"(,\s+"hint": "[^"]*")?`)
	machine   = regexp.MustCompile(`share CPU [0-9]+|[0-9]+ may be open|[^\s"]*/node, [^\s"]*/tools/bundle.mjs`)
	stamps    = regexp.MustCompile(`\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d\.\d+Z?`)
	goVersion = regexp.MustCompile(`\bgo1\.[0-9a-z.]+`)
	gaps      = regexp.MustCompile(`  +`)
)

// normal replaces what differs. Columns shrink to two spaces: their widths
// depend on what was replaced.
func (r *rig) normal(text string) string {
	text = strings.ReplaceAll(text, r.dir, "DIR")
	text = strings.ReplaceAll(text, filepath.Clean(testrig.BuildDir(r.t)), "BUILD")
	text = waits.ReplaceAllString(text, "")
	text = stamps.ReplaceAllString(text, "STAMP")
	text = pids.ReplaceAllString(text, "$1 PID") // before what looks like a count
	text = bundleIDs.ReplaceAllString(text, "b1-BUNDLE")
	text = hashes.ReplaceAllString(text, "HASH")
	text = cutHashes.ReplaceAllString(text, "${1}HASH…")
	text = micros.ReplaceAllString(text, "${1}N")
	text = bytesJSON.ReplaceAllString(text, "${1}N")
	text = hostTold.ReplaceAllString(text, "$1  ok  AS IT IS")
	text = hostJSON.ReplaceAllString(text, `${1}"AS IT IS"`)
	text = sizes.ReplaceAllString(text, "SIZE")
	text = millis.ReplaceAllString(text, "TIME")
	text = meters.ReplaceAllString(text, "${1}N${2}")
	text = dates.ReplaceAllString(text, "since DATE")
	text = instants.ReplaceAllString(text, "INSTANT")
	text = clocks.ReplaceAllString(text, "CLOCK")
	text = goVersion.ReplaceAllString(text, "GO")
	text = machine.ReplaceAllStringFunc(text, ofMachine)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		indent := len(line) - len(strings.TrimLeft(line, " "))
		lines[i] = line[:indent] + gaps.ReplaceAllString(line[indent:], "  ")
	}
	return strings.Join(lines, "\n")
}

// ofMachine names what is this machine's own.
func ofMachine(text string) string {
	switch {
	case strings.HasPrefix(text, "share"):
		return "share CPU N"
	case strings.HasSuffix(text, "open"):
		return "N may be open"
	}
	return "NODE, REPO/tools/bundle.mjs"
}
