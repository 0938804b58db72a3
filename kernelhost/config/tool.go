package config

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Tool is the Bundler that runs tools/bundle.mjs.
type Tool struct {
	Script string // the path of bundle.mjs
	Node   string // the path of node; "" = the one in PATH
}

// ToolError says why the tool made no bundle.
type ToolError struct {
	Problem string // one line
	Hint    string // what to do, "" if Problem says it
}

func (e *ToolError) Error() string { return e.Problem }

// patience is how long a killed tool may take to end.
const patience = 5 * time.Second

// Bundle runs `node bundle.mjs [--dev] SOURCE OUT`. Errors are *ToolError; if
// ctx ends, the tool is killed. It may be called by several goroutines.
func (t Tool) Bundle(ctx context.Context, source string, dev bool) (bundle []byte, err error) {
	if _, err := os.Stat(t.Script); err != nil {
		return nil, &ToolError{Problem: fmt.Sprintf("the bundler %s is missing: %v", t.Script, bare(err)), Hint: readyHint}
	}
	dir, err := os.MkdirTemp("", "vatworkerd-bundle-")
	if err != nil {
		return nil, &ToolError{Problem: err.Error()}
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	out := filepath.Join(dir, "bundle.json")
	if err := t.run(ctx, source, out, dev); err != nil {
		return nil, err
	}
	data, err := readFile(out)
	if err != nil {
		return nil, &ToolError{Problem: fmt.Sprintf("the bundler left no bundle: %v", err)}
	}
	return data, nil
}

const readyHint = `name a ready bundle by "bundleSpec"`

func (t Tool) run(ctx context.Context, source, out string, dev bool) error {
	node := t.Node
	if node == "" {
		node = "node"
	}
	args := []string{t.Script}
	if dev {
		args = append(args, "--dev")
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, node, append(args, source, out)...)
	cmd.Stderr, cmd.WaitDelay = &stderr, patience
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for ctx to tell
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, os.ErrNotExist):
		return &ToolError{Problem: "node is not here, and sources are bundled by it", Hint: "install Node 20 or newer, or " + readyHint}
	case errors.As(err, &exit):
		return &ToolError{Problem: told(stderr.String(), exit)}
	}
	return &ToolError{Problem: fmt.Sprintf("cannot run the bundler: %v", err)}
}

// told finds what the tool said: its last line that begins with "bundle: ".
// Node itself may have said something around it.
func told(stderr string, exit *exec.ExitError) string {
	const mark = "bundle: "
	last, said := "", ""
	for line := range strings.Lines(stderr) {
		line = strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, mark); ok {
			said = rest
		}
		if line != "" {
			last = line
		}
	}
	switch {
	case said != "":
		return clippedTo(said, 2000)
	case last != "":
		return fmt.Sprintf("the bundler ended with %v: %s", exit, clippedTo(last, 500))
	}
	return fmt.Sprintf("the bundler ended with %v", exit)
}
