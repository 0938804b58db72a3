package main

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const unitFile = "../../contrib/systemd/vatworkerd@.service"

// The systemd unit's command line is one that this program takes.
func TestServiceUnit(t *testing.T) {
	text, err := os.ReadFile(unitFile)
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^ExecStart=\S+ (.*)$`).FindStringSubmatch(string(text))
	if line == nil {
		t.Fatal("the unit starts nothing")
	}
	args := strings.Fields(strings.ReplaceAll(line[1], "%i", "demo"))
	a := &app{stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}}
	cmd, rest, err := a.rootCommand().Find(args)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.ParseFlags(rest); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Args(cmd, cmd.Flags().Args()); err != nil || cmd.Name() != "run" {
		t.Errorf("%q: %v", args, err)
	}
}

func TestServiceUnitIsOne(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("NOT TESTED: the unit, as there is no systemd-analyze")
	}
	text, err := os.ReadFile(unitFile)
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "vatworkerd@demo.service")
	ours := strings.ReplaceAll(strings.ReplaceAll(string(text), "/usr/local/bin/vatworkerd", exe), "User=vatworkerd", "User=root")
	if err := os.WriteFile(copied, []byte(ours), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(analyze, "verify", "--man=no", copied).CombinedOutput()
	if err != nil || strings.Contains(string(out), "vatworkerd@demo.service:") {
		t.Errorf("%v: %s", err, out)
	}
}

// The service manager is told when commands are taken.
func TestManagerIsTold(t *testing.T) {
	r := newRig(t)
	r.writeConfig("config.json", threeVats)
	path := filepath.Join(r.dir, "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	r.env = append(r.env, "NOTIFY_SOCKET="+path)
	s := &staying{rig: r}
	s.start()
	message := make([]byte, 100)
	n, err := manager.Read(message)
	if err != nil || string(message[:n]) != "READY=1" {
		t.Errorf("%q, %v", message[:n], err)
	}
	r.ok("status", "--db", "db")
}
