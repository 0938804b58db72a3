package xsnap

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func buildPrinter(t testing.TB) Engine {
	t.Helper()
	path := filepath.Join(t.TempDir(), "printer")
	if out, err := exec.Command("cc", "-o", path, "testdata/printer.c").CombinedOutput(); err != nil {
		t.Fatalf("cannot compile testdata/printer.c (make engine needs cc too): %v\n%s", err, out)
	}
	return Engine{Path: path}
}

// printed is what testdata/printer.c prints before its fault.
func printed(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("line %d, and\ttab, \a, \x1b.", i))
	}
	return strings.Join(all, "\n")
}

// What was printed last is what a fault is found by.
func TestLastWordsOnStdout(t *testing.T) {
	fullSandbox(t)
	s, eng := newSpawner(t), buildPrinter(t)
	for _, policy := range []Sandbox{SandboxOff, SandboxRequire} {
		for _, n := range []int{1, 20_000} {
			got, signal := try(t, s, eng, StartOptions{Name: fmt.Sprint(n), Sandbox: policy})
			if signal != syscall.SIGSEGV || got != printed(n) {
				t.Errorf("%v: %d lines: ended with %v, printed %d bytes: %.200q", policy, n, signal, len(got), got)
			}
		}
	}
}

// Without a terminal, as where /dev/pts has none left, only the last block is lost.
func TestStdoutOnAPipe(t *testing.T) {
	s, eng := newSpawner(t), buildPrinter(t)
	s.support.Seccomp = false // contained by the rest, it gets no terminal
	for n, want := range map[int]bool{1: false, 2000: true} {
		got, signal := try(t, s, eng, StartOptions{Name: fmt.Sprint(n), Sandbox: SandboxAuto})
		if signal != syscall.SIGSEGV || (got != "") != want || !strings.HasPrefix(printed(n), got) {
			t.Errorf("%d lines: ended with %v, printed %.200q", n, signal, got)
		}
	}
}

// A terminal is not for the worker to be sent signals by, nor to be asked for
// anything but whether it is one.
func TestTerminalIsNobodys(t *testing.T) {
	p, err := openPlumbing(nil, true)
	if err != nil {
		t.Fatal(err)
	}
	defer p.closeParentEnds()
	defer p.closeChildEnds()
	fd := int(p.child[fdStdout])
	if _, err := unix.IoctlGetTermios(fd, unix.TCGETS); err != nil {
		t.Fatalf("it is no terminal: %v", err)
	}
	if group, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP); err == nil {
		t.Errorf("it is the controlling terminal, of group %d", group)
	}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil || flags&unix.O_NONBLOCK != 0 {
		t.Errorf("a writer need not wait: %x, %v", flags, err)
	}
}

func BenchmarkPlumbing(b *testing.B) {
	for _, terminal := range []bool{false, true} {
		b.Run(fmt.Sprintf("terminal=%v", terminal), func(b *testing.B) {
			for b.Loop() {
				p, err := openPlumbing(nil, terminal)
				if err != nil {
					b.Fatal(err)
				}
				p.closeChildEnds()
				p.closeParentEnds()
			}
		})
	}
}
