package config

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// fakeNode is a Tool whose node is a shell script; $1 is the tool's script.
func fakeNode(t *testing.T, body string) Tool {
	t.Helper()
	return Tool{Script: write(t, "bundle.mjs", ""), Node: write(t, "node", "#!/bin/sh\n"+body)}
}

func TestToolFailures(t *testing.T) {
	for name, c := range map[string]struct{ body, problem string }{
		"a line of the tool":     {"echo '(node:3) Warning: x' >&2; echo 'bundle: a.js:3: no' >&2; echo 'see more' >&2; exit 1", "a.js:3: no"},
		"another end":            {"echo 'Error: broken' >&2; exit 7", "the bundler ended with exit status 7: Error: broken"},
		"silence":                {"exit 1", "the bundler ended with exit status 1"},
		"a signal":               {"kill -9 $$", "the bundler ended with signal: killed"},
		"success without result": {"exit 0", "the bundler left no bundle: there is no such file"},
	} {
		_, err := fakeNode(t, c.body).Bundle(context.Background(), "/a.js", false)
		var tool *ToolError
		if !errors.As(err, &tool) || err.Error() != c.problem {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestToolArguments(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	tool := fakeNode(t, `eval last=\$$#; echo "$(basename $1) $2 $3" >$last`)
	for dev, want := range map[bool]string{false: "bundle.mjs /a.js ", true: "bundle.mjs --dev /a.js\n"} {
		got, err := tool.Bundle(context.Background(), "/a.js", dev)
		if err != nil || !strings.HasPrefix(string(got), want) {
			t.Errorf("got %q, %v", got, err)
		}
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
		t.Errorf("left over: %v %v", left, err)
	}
}

func TestToolIsMissing(t *testing.T) {
	tool := fakeNode(t, "")
	for name, broken := range map[string]Tool{
		"node":             {Script: tool.Script, Node: "/nonesuch/node"},
		"the bundler /non": {Script: "/nonesuch/bundle.mjs", Node: tool.Node},
	} {
		_, err := broken.Bundle(context.Background(), "/a.js", false)
		var known *ToolError
		if !errors.As(err, &known) || known.Hint == "" || !strings.HasPrefix(known.Problem, name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	t.Setenv("PATH", t.TempDir())
	_, err := Tool{Script: tool.Script}.Bundle(context.Background(), "/a.js", false)
	if err == nil || !strings.HasPrefix(err.Error(), "node is not here") {
		t.Errorf("got %v", err)
	}
	t.Setenv("TMPDIR", "/nonesuch")
	if _, err := tool.Bundle(context.Background(), "/a.js", false); err == nil {
		t.Error("a bundle without a place for it")
	}
}

// TestToolIsKilled ends its context while node runs.
func TestToolIsKilled(t *testing.T) {
	ready := filepath.Join(t.TempDir(), "ready")
	if err := syscall.Mkfifo(ready, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = os.ReadFile(ready) // returns when the script has opened and closed it
		cancel()
	}()
	_, err := fakeNode(t, "echo >"+ready+"; exec sleep 1000").Bundle(ctx, "/a.js", false)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// realTool is the tool itself, if this machine has what it needs.
func realTool(t *testing.T) Tool {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("there is no node")
	}
	if _, err := os.Stat("../../build/npm/node_modules"); err != nil {
		t.Skip("there are no npm packages; run: make bundles")
	}
	return Tool{Script: "../../tools/bundle.mjs"}
}

func TestRealBundles(t *testing.T) {
	tool := realTool(t)
	c, err := Parse("../../testdata/demo/config.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.ResolveBundles(context.Background(), tool, nil); err != nil {
		t.Fatal(err)
	}
	ids := map[string]string{}
	for _, vat := range c.Vats {
		ids[vat.Name] = vat.BundleID
	}
	if ids["alice"] == "" || ids["alice"] != ids["bob"] || len(c.Bundles) != 5 {
		t.Errorf("%d bundles, vats %v", len(c.Bundles), ids)
	}
	for id, text := range c.Bundles {
		if got, err := CheckBundle(text); err != nil || got != id {
			t.Errorf("%s: %s, %v", id, got, err)
		}
	}
}

func TestRealFailures(t *testing.T) {
	tool := realTool(t)
	for _, c := range []struct{ source, want string }{
		{"const a = ;", "config.json:1: vats.a.sourceSpec: cannot bundle ./a.js:1:"},
		{"import '@nobody/nothing';", "config.json:1: vats.a.sourceSpec: cannot bundle ./a.js:1: cannot find the module"},
	} {
		dir := filepath.Dir(write(t, "a.js", c.source))
		path := filepath.Join(dir, "config.json")
		if err := os.WriteFile(path, []byte(`{"vats": {"a": {"sourceSpec": "./a.js"}}}`), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := Parse(path)
		if err != nil {
			t.Fatal(err)
		}
		err = cfg.ResolveBundles(context.Background(), tool, nil)
		if err == nil || !strings.HasPrefix(err.Error(), filepath.Join(dir, "")+"/"+c.want) {
			t.Errorf("got %v", err)
		}
	}
}
