package xsnap

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"vatworkerd/pipeproto"
)

// Zygote is a process of a native engine that has loaded a heap, an image's base
// snapshot, and forks workers that have it too: they are ready in about a
// millisecond and share its memory until they write to it. They differ in
// nothing from workers that loaded the heap themselves.
//
// A zygote runs no code of any vat. Safe for concurrent use.
type Zygote struct {
	spawner *Spawner
	options ZygoteOptions

	mu      sync.Mutex // guards process and wire: one request at a time
	process *Worker
	wire    *nativeWire
}

// ZygoteOptions are what all workers of a zygote have in common.
type ZygoteOptions struct {
	Sink    LogSink // takes what the zygote itself writes
	Sandbox Sandbox
	Limits  Limits
	Watch   Watch
}

// zygoteNameBytes is the room that ps has for the names of a zygote's workers.
const zygoteNameBytes = 100

// StartZygote starts a zygote and waits until it has loaded base, a verified
// base snapshot for the image of eng. The caller must Close it, before the
// Spawner.
func (s *Spawner) StartZygote(eng Engine, base *os.File, o ZygoteOptions) (*Zygote, error) {
	z, err := s.startZygote(eng, base, o)
	if err != nil {
		return nil, fmt.Errorf("cannot start a zygote of engine %s: %w", eng.SHA256, err)
	}
	if err := z.process.Ready(); err != nil {
		z.Close()
		return nil, err
	}
	return z, nil
}

func (s *Spawner) startZygote(eng Engine, base *os.File, o ZygoteOptions) (*Zygote, error) {
	if eng.Kind != EngineNative {
		return nil, errors.New("only native engines fork")
	}
	if err := eng.unchanged(); err != nil {
		return nil, err
	}
	options := StartOptions{Name: "zygote", From: base, Sink: o.Sink, Limits: o.Limits, Watch: o.Watch, Sandbox: o.Sandbox, CPU: -1}
	p, err := openZygotePlumbing(base)
	if err != nil {
		return nil, err
	}
	argv := []string{eng.Path, options.Name + strings.Repeat(" ", zygoteNameBytes-len(options.Name))}
	started, err := s.spawn(argv, p, options, true)
	p.closeChildEnds()
	if err != nil {
		p.closeParentEnds()
		return nil, err
	}
	started.limited = true // so far as it can be
	z := &Zygote{spawner: s, options: o, wire: newZygoteWire(p, options, s.forkedFilter(o.Sandbox))}
	z.process, err = s.adopt(started, z.wire, p, options)
	return z, err
}

// forkedFilter is the filter that a zygote's workers enter, as bytes.
func (s *Spawner) forkedFilter(policy Sandbox) []byte {
	if policy == SandboxOff || !s.support.Seccomp || !s.support.Launcher {
		return nil
	}
	program, err := compileFilter(forkedSyscalls())
	if err != nil {
		panic(err) // a constant table that is too long
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&program[0])), uintptr(len(program))*unsafe.Sizeof(program[0]))
}

func newZygoteWire(p *plumbing, o StartOptions, filter []byte) *nativeWire {
	w := openNativeWire(p)
	frame := pipeproto.AppendBool(w.hello(5, o), "zygote", true)
	_ = w.finish(append(pipeproto.AppendBinary(frame, "filter", len(filter)), filter...))
	return w
}

// Start forks a worker, which has the zygote's heap: From must be nil, and the
// zygote's Sandbox and address space are the worker's. Like a Spawner's Start it
// returns as soon as the process runs. After an error that is no refusal of o
// the zygote is to be closed.
func (z *Zygote) Start(o StartOptions) (*Worker, error) {
	w, err := z.start(o)
	if err != nil {
		return nil, fmt.Errorf("cannot fork worker %s: %w", o.Name, err)
	}
	return w, nil
}

func (z *Zygote) start(o StartOptions) (*Worker, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.From != nil {
		return nil, errors.New("a forked worker has its heap already")
	}
	o.Sandbox, o.Limits.AddressSpaceBytes = z.options.Sandbox, z.options.Limits.AddressSpaceBytes
	p, err := openPlumbing(nil, z.spawner.mayHaveTerminal(o.Sandbox))
	if err != nil {
		return nil, err
	}
	pid, err := z.fork(o.Name, p)
	p.closeChildEnds()
	if err != nil {
		p.closeParentEnds()
		return nil, err
	}
	// The new process makes this group itself; but it may have to be killed first.
	_ = unix.Setpgid(pid, pid)
	started := launched{pid: pid, pidfd: -1, maps: -1}
	if fd, err := unix.PidfdOpen(pid, 0); err == nil {
		started.pidfd = fd
	}
	return z.spawner.adopt(started, newNativeWire(p, o), p, o)
}

// fork asks for a process with the worker's ends of p.
func (z *Zygote) fork(name string, p *plumbing) (pid int, err error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	w := z.process
	if w.broken != nil {
		return 0, w.broken
	}
	w.pulse.begin(opFork)
	defer w.pulse.end()
	if err := z.wire.sendFork(name, p); err != nil {
		return 0, w.ioFailed(opFork, err)
	}
	_, err = z.wire.receive()
	var refused *pipeproto.Error
	if errors.As(err, &refused) {
		return 0, err // such as a full table of processes: the zygote goes on
	}
	if err != nil {
		return 0, w.ioFailed(opFork, err)
	}
	w.pulse.beat()
	return int(z.wire.forked), nil
}

// sendFork sends the request and the descriptors as one packet.
func (w *nativeWire) sendFork(name string, p *plumbing) error {
	frame := w.begin(pipeproto.ReqWorkerFork, 2)
	frame = pipeproto.AppendText(frame, "name", name[:min(len(name), zygoteNameBytes)])
	frame = pipeproto.AppendInt(frame, "parent", int64(os.Getpid()))
	pipeproto.EndFrame(frame, 0)
	w.commands.buf = frame
	w.commands.tape.Sent(frame, nil, "")
	var fds []int
	for _, fd := range []int{fdStdout, fdStderr, fdCommands, fdReplies, fdSnapshotSave} {
		fds = append(fds, int(p.child[fd]))
	}
	for {
		err := unix.Sendmsg(int(w.commands.fd), frame, unix.UnixRights(fds...), nil, unix.MSG_NOSIGNAL)
		if err != unix.EINTR {
			return err
		}
	}
}

// Close ends the zygote; its workers go on.
func (z *Zygote) Close() error {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.process.Close()
}
