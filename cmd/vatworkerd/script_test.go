package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// TestScripts runs the command lines of testdata/script as a user would, on
// real workers, and compares what they print. -rewrite writes it anew.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, filepath.Join("testdata", "script"), func(t *testing.T, path string) {
		newRig(t).runScript(path)
	})
}

// TestScriptsStaying runs them again, each command line beside a process that
// stays with the database where there is one. All must be as without it.
func TestScriptsStaying(t *testing.T) {
	datadriven.Walk(t, filepath.Join("testdata", "script"), func(t *testing.T, path string) {
		if filepath.Base(path) == "stay" {
			t.Skip("it starts such a process itself")
		}
		r := newRig(t)
		r.staying = &staying{rig: r}
		r.runScript(path)
		r.staying.stop()
	})
}

// runScript runs the commands of a script in the rig's directory.
func (r *rig) runScript(path string) {
	r.linkProgram()
	r.t.Cleanup(r.endLeftBehind)
	r.runCommands(path)
}

// runCommands is runScript where the program is in the PATH already.
func (r *rig) runCommands(path string) {
	datadriven.RunTest(r.t.(*testing.T), path, func(t *testing.T, d *datadriven.TestData) string {
		switch d.Cmd {
		case "sh":
			if r.staying != nil {
				return r.staying.sh(d)
			}
			return r.normal(r.shell(d.Input))
		case "write":
			r.write(d.CmdArgs[0].String(), d.Input)
			return ""
		case "vats":
			r.writeConfig(d.CmdArgs[0].String(), d.Input)
			return ""
		case "alter":
			r.alterSwingStore(d.CmdArgs[0].String(), d.Input)
			return ""
		case "change":
			r.changeVats(d.CmdArgs[0].String(), d.Input)
			return ""
		}
		d.Fatalf(t, "no command %q", d.Cmd)
		return ""
	})
}

// endLeftBehind ends the process that a script has put in the background and
// named in the file "pid", should the script not have come to that.
func (r *rig) endLeftBehind() {
	text, err := os.ReadFile(filepath.Join(r.dir, "pid"))
	if err != nil {
		return
	}
	if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
		_ = syscall.Kill(pid, syscall.SIGTERM)
	}
}

// linkProgram puts the program in the PATH under its name.
func (r *rig) linkProgram() {
	r.t.Helper()
	bin := filepath.Join(r.dir, "bin")
	if err := os.Mkdir(bin, 0o700); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Symlink(os.Getenv(programEnv), filepath.Join(bin, "vatworkerd")); err != nil {
		r.t.Fatal(err)
	}
	for i, v := range r.env {
		if path, ok := strings.CutPrefix(v, "PATH="); ok {
			r.env[i] = "PATH=" + bin + ":" + path
		}
	}
}

// shell shows stdout, stderr and the exit code of a shell command.
func (r *rig) shell(line string) string {
	var stdout, stderr bytes.Buffer
	cmd := exec.Command("sh", "-c", line)
	cmd.Dir, cmd.Env = r.dir, r.env
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	_ = cmd.Run()
	var b strings.Builder
	b.WriteString(stdout.String())
	// Progress comes only if the machine is slow; with nothing else there is no stderr.
	if told := waits.ReplaceAllString(stderr.String(), ""); told != "" {
		fmt.Fprintf(&b, "[stderr]\n%s", told)
	}
	if code := cmd.ProcessState.ExitCode(); code != 0 {
		fmt.Fprintf(&b, "[exit %d]\n", code)
	}
	return b.String()
}
