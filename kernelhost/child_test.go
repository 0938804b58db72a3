package kernelhost

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"vatworkerd/kernelhost/capdata"
	"vatworkerd/pipeproto"
)

const childEnv = "KERNELHOST_TEST_CHILD"

// runAsChild makes this test binary a daemon, or a host, for the tests below.
func runAsChild() bool {
	switch os.Getenv(childEnv) {
	case "":
		return false
	case "refuse":
		fmt.Fprintln(os.Stderr, "no engine here")
		os.Exit(3)
	case "serve":
		serveChild(func(*fakeVat, string) fakeOutcome { return fakeOutcome{} })
	case "die":
		serveChild(func(*fakeVat, string) fakeOutcome {
			fmt.Fprintln(os.Stderr, "the roof is on fire")
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		})
	case "hang":
		f, err := os.OpenFile(os.Getenv("KERNELHOST_TEST_FIFO"), os.O_WRONLY, 0)
		if err != nil {
			os.Exit(4)
		}
		_, _ = fmt.Fprintln(f, "up")
		select {}
	case "host":
		_ = os.Setenv(childEnv, "hang")
		_, _ = Open(context.Background(), Options{DBDir: os.Getenv("KERNELHOST_TEST_DIR"), Daemon: []string{os.Args[0]}})
	}
	return true
}

func serveChild(perform func(*fakeVat, string) fakeOutcome) {
	conn := pipeproto.NewConn(os.NewFile(3, "requests"), os.NewFile(4, "replies"), 0)
	d := &fakeDaemon{conn: conn, disk: newFakeDisk(), perform: perform, log: func(string, ...any) {}, closePipe: func() {}}
	if err := d.serve(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(5)
	}
}

func openChild(t *testing.T, mode string) (*Kernel, error) {
	t.Helper()
	t.Setenv(childEnv, mode)
	return Open(context.Background(), Options{DBDir: t.TempDir(), Daemon: []string{os.Args[0]}, Stderr: io.Discard})
}

func TestChildServes(t *testing.T) {
	k, err := openChild(t, "serve")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Initialize(context.Background(), testConfig("", "a\nb", never())); err != nil {
		t.Fatal(err)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	if err := k.Commit(context.Background()); !errors.Is(err, ErrClosed) {
		t.Fatalf("after Close: %v", err)
	}
}

func TestChildThatRefuses(t *testing.T) {
	_, err := openChild(t, "refuse")
	var exit *DaemonExitError
	if !errors.As(err, &exit) {
		t.Fatalf("got %v", err)
	}
	if exit.Status != "exit status 3" || exit.Stderr != "no engine here" || exit.During != pipeproto.ReqHello {
		t.Fatalf("got %+v", exit)
	}
}

func TestChildThatDies(t *testing.T) {
	k, err := openChild(t, "die")
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	_, err = k.Initialize(context.Background(), testConfig("", "a", never()))
	var exit *DaemonExitError
	if !errors.As(err, &exit) {
		t.Fatalf("got %v", err)
	}
	if !strings.HasPrefix(exit.Status, "killed by signal 9") || exit.Stderr != "the roof is on fire" {
		t.Fatalf("got %+v", exit)
	}
	if k.Height() != 0 {
		t.Fatalf("height %d", k.Height())
	}
	if _, err := k.QueueToVat(context.Background(), "a", "m", capdata.CapData{}); !errors.As(err, &exit) {
		t.Fatalf("afterwards: %v", err)
	}
}

func TestNoSuchDaemon(t *testing.T) {
	_, err := Open(context.Background(), Options{DBDir: t.TempDir(), Daemon: []string{"/nonexistent/vatworkerd"}})
	if !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("got %v", err)
	}
}

func TestTwoHosts(t *testing.T) {
	r := newRig(t)
	_, err := Open(context.Background(), Options{DBDir: r.dir})
	if err == nil || !strings.Contains(err.Error(), "holds it") {
		t.Fatalf("got %v", err)
	}
}

// TestDeadParent kills a host and waits for its child to let go of a FIFO.
func TestDeadParent(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	host := exec.Command(os.Args[0])
	host.Env = append(os.Environ(), childEnv+"=host", "KERNELHOST_TEST_FIFO="+fifo, "KERNELHOST_TEST_DIR="+t.TempDir())
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(fifo)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewReader(f)
	if line, err := lines.ReadString('\n'); line != "up\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	if err := host.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = host.Wait()
	if _, err := lines.ReadByte(); err != io.EOF {
		t.Fatalf("the child lives: %v", err)
	}
}
