package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

// asProgram makes the test binary run as the program itself: the tests run it
// as a process of its own, and it starts itself again as its daemon.
const asProgram = "VATWORKERD_TEST_AS_PROGRAM"

// programEnv names the program as users have it, without race detector: the
// command lines of scripts come and go two to four times as fast with it.
const programEnv = "VATWORKERD_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	dir, err := buildProgram()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// buildProgram builds the program into a directory of its own.
func buildProgram() (dir string, err error) {
	if dir, err = os.MkdirTemp("", "vatworkerd-program-"); err != nil {
		return "", err
	}
	path := filepath.Join(dir, "vatworkerd")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		return dir, fmt.Errorf("cannot build the program: %w\n%s", err, out)
	}
	return dir, os.Setenv(programEnv, path)
}
