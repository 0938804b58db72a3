package xsnap

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"vatworkerd/frames"
)

// Descriptors of xsnap-worker. 5 and 6 belong to a debugger and a profiler.
const (
	fdStdin        = 0
	fdStdout       = 1
	fdStderr       = 2
	fdCommands     = 3
	fdReplies      = 4
	fdDebugger     = 5
	fdHeapArea     = 5 // of a native worker, which has no debugger
	fdProfiler     = 6
	fdSnapshotSave = 7
	fdSnapshotLoad = 8
	fdCount        = 9
)

// snapshotPipeBytes is asked for while a snapshot streams; the kernel bounds
// what a user's pipes may hold together, so it is given back afterwards.
const snapshotPipeBytes = 1 << 20

// plumbing holds both ends of a worker's descriptors while it is started.
type plumbing struct {
	child    [fdCount]uintptr
	ownChild []int // those of child that are ours to close

	commands, replies    rawFD
	stdout, stderr, save *os.File
	tape                 *frames.Tape // set by the wire
	load                 *os.File     // nil if the worker reads a file itself, or nothing
	area                 *heapArea    // nil if what load carries is the heap itself
}

// openPlumbing opens everything close-on-exec; StartProcess hands exactly
// child[0..8] to the worker. A terminal is for its stdout, see openStdout.
func openPlumbing(from io.Reader, terminal bool) (*plumbing, error) {
	p := &plumbing{commands: -1, replies: -1}
	if err := p.open(from, terminal); err != nil {
		p.closeChildEnds()
		p.closeParentEnds()
		return nil, fmt.Errorf("cannot open its pipes: %w", err)
	}
	return p, nil
}

// openZygotePlumbing has a socket in place of commands and replies: it can carry
// descriptors. A packet is a frame.
func openZygotePlumbing(base *os.File) (*plumbing, error) {
	p := &plumbing{commands: -1, replies: -1}
	if err := p.openZygote(base); err != nil {
		p.closeChildEnds()
		p.closeParentEnds()
		return nil, fmt.Errorf("cannot open its socket: %w", err)
	}
	return p, nil
}

func (p *plumbing) openZygote(base *os.File) error {
	if err := p.openNull(); err != nil {
		return err
	}
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	p.commands = rawFD(ends[0])
	p.ownChild = append(p.ownChild, ends[1])
	p.child[fdCommands], p.child[fdReplies] = uintptr(ends[1]), uintptr(ends[1])
	replies, err := unix.FcntlInt(uintptr(ends[0]), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err
	}
	p.replies = rawFD(replies)
	if err := p.openOutput(false); err != nil {
		return err
	}
	return p.passFile(base)
}

// openNull gives the worker nothing on all descriptors; those it needs replace it.
func (p *plumbing) openNull() error {
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	p.ownChild = append(p.ownChild, null)
	for fd := range p.child {
		p.child[fd] = uintptr(null)
	}
	return nil
}

func (p *plumbing) open(from io.Reader, terminal bool) error {
	if err := p.openNull(); err != nil {
		return err
	}
	commands, err := p.pipe(fdCommands, true)
	if err != nil {
		return err
	}
	p.commands = rawFD(commands)
	replies, err := p.pipe(fdReplies, false)
	if err != nil {
		return err
	}
	p.replies = rawFD(replies)
	if err := p.openOutput(terminal); err != nil {
		return err
	}
	return p.openLoad(from)
}

func (p *plumbing) openOutput(terminal bool) error {
	if err := p.openStdout(terminal); err != nil {
		return err
	}
	for fd, file := range map[int]**os.File{fdStderr: &p.stderr, fdSnapshotSave: &p.save} {
		end, err := p.pipe(fd, false)
		if err != nil {
			return err
		}
		*file = pollable(end, "worker output")
	}
	return nil
}

func (p *plumbing) openLoad(from io.Reader) error {
	switch src := from.(type) {
	case nil:
		return nil
	case *os.File:
		return p.passFile(src)
	}
	end, err := p.pipe(fdSnapshotLoad, true)
	if err != nil {
		return err
	}
	p.load = pollable(end, "snapshot load pipe")
	resizePipe(p.load, snapshotPipeBytes)
	return nil
}

// openArea gives a worker that loads a heap from a pipe an area too, if one can
// be had.
func (p *plumbing) openArea() {
	if p.area = openHeapArea(); p.area != nil {
		p.child[fdHeapArea] = uintptr(p.area.fd)
	}
}

// passFile duplicates f for the worker without touching f's own mode.
func (p *plumbing) passFile(f *os.File) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	dup := -1
	var dupErr error
	err = conn.Control(func(fd uintptr) {
		dup, dupErr = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err != nil {
		return err
	}
	if dupErr != nil {
		return dupErr
	}
	p.ownChild = append(p.ownChild, dup)
	p.child[fdSnapshotLoad] = uintptr(dup)
	return nil
}

// pipe connects the worker's descriptor fd with the returned end of ours.
func (p *plumbing) pipe(fd int, weWrite bool) (ours int, err error) {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return -1, err
	}
	theirs, ours := ends[1], ends[0]
	if weWrite {
		theirs, ours = ends[0], ends[1]
	}
	p.ownChild = append(p.ownChild, theirs)
	p.child[fd] = uintptr(theirs)
	return ours, nil
}

func (p *plumbing) closeChildEnds() {
	for _, fd := range p.ownChild {
		_ = unix.Close(fd)
	}
	p.ownChild = nil
}

func (p *plumbing) closeParentEnds() {
	for _, fd := range []rawFD{p.commands, p.replies} {
		if fd >= 0 {
			_ = unix.Close(int(fd))
		}
	}
	for _, f := range []*os.File{p.stdout, p.stderr, p.save, p.load} {
		if f != nil {
			_ = f.Close()
		}
	}
	p.area.close()
}

// resizePipe asks for a pipe of n bytes; where it is refused the pipe works as
// well, only with more switches between reader and writer.
func resizePipe(f *os.File, n int) {
	conn, err := f.SyscallConn()
	if err != nil {
		return
	}
	_ = conn.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, n) })
}
