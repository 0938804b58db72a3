//go:build crashpoints

package crashpoint

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// walkEnv makes the test binary a process that passes points, with a child.
const walkEnv = "CRASHPOINT_TEST_WALK"

func TestMain(m *testing.M) {
	if os.Getenv(walkEnv) != "" {
		os.Exit(walk())
	}
	os.Exit(m.Run())
}

// walk starts a child, passes two points three times, and tells how the child
// ended.
func walk() int {
	child := exec.Command("sleep", "60")
	child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := child.Start(); err != nil {
		return 3
	}
	for range 3 {
		Here(StoreBlockBegun)
		Here(StoreSealDurable)
	}
	_ = child.Process.Signal(syscall.SIGTERM) // does nothing to one that was killed
	_ = child.Wait()
	fmt.Print(child.ProcessState)
	return 0
}

func TestPlans(t *testing.T) {
	for _, c := range []struct {
		plan          string
		passes        int // lines of the trace
		killed        bool
		child, refuse string
	}{
		{plan: "", passes: 6, child: "signal: terminated"},
		{plan: "store.block.begun:1", passes: 1, killed: true},
		{plan: "store.seal.durable:2", passes: 4, killed: true},
		{plan: "store.seal.durable:3:self", passes: 6, killed: true},
		{plan: "store.seal.durable:4", passes: 6, child: "signal: terminated"},
		{plan: "store.seal.durable:1:child", passes: 6, child: "signal: killed"},
		{plan: "store.seal.durable:1:self+child", passes: 2, killed: true},
		{plan: "store.seal.durable:1:grandchild", passes: 6, child: "signal: terminated"},
		{plan: "store.seal.durable", refuse: "must be POINT:N"},
		{plan: "store.seal.durable:0", refuse: "above 0"},
		{plan: "store.seal.durable:x", refuse: "above 0"},
		{plan: "nowhere:1", refuse: "no such point"},
		{plan: "store.seal.durable:1:nobody", refuse: "WHO is"},
	} {
		t.Run(c.plan, func(t *testing.T) {
			trace := filepath.Join(t.TempDir(), "trace")
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), walkEnv+"=1", planEnv+"="+c.plan, traceEnv+"="+trace, "GORACE=atexit_sleep_ms=0")
			var stderr strings.Builder
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if c.refuse != "" {
				if cmd.ProcessState.ExitCode() != 2 || !strings.Contains(stderr.String(), c.refuse) {
					t.Errorf("%v: %q, want a refusal with %q", cmd.ProcessState, stderr.String(), c.refuse)
				}
				return
			}
			var exit *exec.ExitError
			killed := errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
			if killed != c.killed || (err == nil) == c.killed {
				t.Errorf("%v: %s", err, stderr.String())
			}
			if string(out) != c.child {
				t.Errorf("the child ended with %q, want %q", out, c.child)
			}
			text, err := os.ReadFile(trace)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Count(string(text), "\n"); got != c.passes {
				t.Errorf("%d points passed, want %d", got, c.passes)
			}
		})
	}
}
