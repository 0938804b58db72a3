package xsnap

import (
	"fmt"
	"os"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// openStdout opens what a worker writes its stdout to. The C library gives each
// line at once to a terminal, and to a pipe only whole blocks of 4 KiB: what
// waits for its block is lost when the worker is killed, or meets a fault. So it
// is a terminal where one may be given and can be had, else a pipe. stderr needs
// none, nothing waits there.
func (p *plumbing) openStdout(terminal bool) error {
	if terminal && p.openTerminal() == nil {
		return nil // else there is none left, or the system has no /dev/pts
	}
	end, err := p.pipe(fdStdout, false)
	if err != nil {
		return err
	}
	p.stdout = pollable(end, "worker output")
	return nil
}

// openTerminal makes a terminal whose other end is the worker's stdout.
func (p *plumbing) openTerminal() error {
	ours, theirs, err := pty.Open()
	if err != nil {
		return fmt.Errorf("cannot open a terminal: %w", err)
	}
	defer theirs.Close()
	fd, err := forWorker(theirs)
	if err != nil {
		_ = ours.Close()
		return fmt.Errorf("cannot prepare a terminal: %w", err)
	}
	p.stdout = ours
	p.ownChild = append(p.ownChild, fd)
	p.child[fdStdout] = uintptr(fd)
	return nil
}

// forWorker gives a descriptor of a terminal that passes on what is written to it
// as it is, and has the writer wait while it is full. Nothing is ever typed on
// it, so how it treats input does not matter.
func forWorker(terminal *os.File) (fd int, err error) {
	conn, err := terminal.SyscallConn()
	if err != nil {
		return -1, err
	}
	prepare := func(from uintptr) error {
		mode, err := unix.IoctlGetTermios(int(from), unix.TCGETS)
		if err != nil {
			return err
		}
		mode.Oflag &^= unix.OPOST
		if err := unix.IoctlSetTermios(int(from), unix.TCSETS, mode); err != nil {
			return err
		}
		if err := unix.SetNonblock(int(from), false); err != nil {
			return err
		}
		fd, err = unix.FcntlInt(from, unix.F_DUPFD_CLOEXEC, 0)
		return err
	}
	failed := conn.Control(func(from uintptr) { err = prepare(from) })
	if failed != nil {
		err = failed
	}
	if err != nil {
		return -1, err
	}
	return fd, nil
}

// mayHaveTerminal tells whether a worker is given a terminal: not if it is
// contained without a filter of system calls, for a terminal's ioctls are many.
func (s *Spawner) mayHaveTerminal(policy Sandbox) bool {
	return policy == SandboxOff || s.support.Launcher && s.support.Seccomp
}
