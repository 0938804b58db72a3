package xsnap

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"vatworkerd/internal/crashpoint"
)

// DefaultMeterLimit is the JavaScript system's limit per crank, in computrons.
const DefaultMeterLimit = 100_000_000

// defaultCloseGrace is how long Close waits for a worker to end by itself.
const defaultCloseGrace = 5 * time.Second

// Limits bound what one worker may take from its host.
type Limits struct {
	// AddressSpaceBytes is RLIMIT_AS; 0 is DefaultAddressSpaceBytes for a
	// contained worker, none for another. A worker that meets it exits like a
	// vat that used too much memory, so it should be the same on all nodes, and
	// below MinAddressSpaceBytes such an exit says nothing about the vat.
	AddressSpaceBytes uint64
	// HeapBytes bounds a heap snapshot; 0 means 2 GiB, beyond which an engine
	// cannot even say how long it was.
	HeapBytes int64
	// CloseGrace bounds Close's wait; 0 means 5 s.
	CloseGrace time.Duration
}

// StartOptions say how to start a worker.
type StartOptions struct {
	// Name is shown by ps and in errors, e.g. "v12:counter".
	Name string
	// MeterLimit is the limit per command in computrons; 0 is none.
	MeterLimit int64
	// From is a heap snapshot, uncompressed; nil is a fresh machine, for which
	// EvaluateImage comes next. The engine does not notice that the last bytes
	// of a snapshot are missing or that some changed: From must be verified.
	// An *os.File, verified before, is handed to the worker as it stands (its
	// offset moves; it may be closed once Start has returned). Any other reader
	// is read by a goroutine until Ready or Close returns, and may verify as it
	// goes: its error kills the worker and comes out of Ready, even at its end.
	From io.Reader
	// Hull, if set, starts an engine that makes its machine, of this shape, and
	// waits until Fill gives it the heap. From is not looked at then.
	Hull *Shape
	// Sink takes what the worker writes to stdout and stderr; nil drops it.
	Sink   LogSink
	Limits Limits
	// Watch says what happens if the worker says nothing; the zero value: nothing.
	Watch Watch
	// Started, if set, is called before Start returns with what ends the process at
	// once: for who may have to end a worker that another waits for to be ready.
	Started func(kill func())
	// CPU is the one CPU the worker may run on, or -1 for any.
	CPU int
	// Sandbox is how the worker is contained; the zero value is not at all.
	Sandbox Sandbox
	// HugePages lets the worker's C library ask for huge pages, where this system
	// gives some to those who ask. It is faster (docs/performance.md) and changes
	// nothing else.
	HugePages bool
	// Wrap runs the engine inside another program; nil does not.
	Wrap *Wrap
}

// Start starts a worker with a Spawner of its own, which costs one more OS
// thread for as long as it lives. Use Spawner.Start for more than a few.
func Start(eng Engine, o StartOptions) (*Worker, error) {
	s, err := NewSpawner()
	if err != nil {
		return nil, err
	}
	w, err := s.Start(eng, o)
	if err != nil {
		s.Close()
		return nil, err
	}
	w.ownSpawner = s
	return w, nil
}

// Start starts a worker process. It returns as soon as the process runs; Ready
// tells whether it came up. The caller must Close the Worker.
func (s *Spawner) Start(eng Engine, o StartOptions) (*Worker, error) {
	w, err := s.start(eng, o)
	if err != nil {
		return nil, fmt.Errorf("cannot start worker %s: %w", o.Name, err)
	}
	return w, nil
}

func (s *Spawner) start(eng Engine, o StartOptions) (*Worker, error) {
	if err := eng.unchanged(); err != nil {
		return nil, err
	}
	o.setHull()
	argv, err := arguments(eng, o)
	if err != nil {
		return nil, err
	}
	p, err := openPlumbing(o.From, s.mayHaveTerminal(o.Sandbox))
	if err != nil {
		return nil, err
	}
	if o.Hull != nil && eng.HeapArea {
		p.openArea()
	}
	if o.Wrap != nil {
		o.Wrap.connect(p)
	}
	started, err := s.spawn(argv, p, o, false)
	// At once: while this process holds them too, no pipe of a dead worker ends.
	p.closeChildEnds()
	if err != nil {
		p.closeParentEnds()
		return nil, err
	}
	return s.adopt(started, newWire(eng.Kind, p, o), p, o)
}

// adopt makes a Worker of a process that runs.
func (s *Spawner) adopt(started launched, wire wire, p *plumbing, o StartOptions) (*Worker, error) {
	w := newWorker(s, started, wire, p, o)
	crashpoint.Here(crashpoint.WorkerForked)
	if err := w.applyLimits(o, started.limited); err != nil {
		w.Kill()
		w.Close()
		return nil, err
	}
	if o.Started != nil {
		o.Started(w.Kill)
	}
	return w, nil
}

// setHull makes the heap of a hull one that comes later.
func (o *StartOptions) setHull() {
	if o.Hull != nil {
		o.From = newLateHeap(*o.Hull)
	}
}

// check refuses what no engine can be told.
func (o StartOptions) check() error {
	if o.Name == "" || strings.HasPrefix(o.Name, "-") || strings.ContainsRune(o.Name, 0) {
		return fmt.Errorf("worker name %q must not be empty, begin with a hyphen or hold a NUL", o.Name)
	}
	// xsnap-worker keeps the limit in an unsigned 32-bit number it reads with atoi.
	if o.MeterLimit < 0 || o.MeterLimit > 1<<31-1 {
		return fmt.Errorf("meter limit %d is not between 0 and %d", o.MeterLimit, 1<<31-1)
	}
	return o.Wrap.check(o)
}

func arguments(eng Engine, o StartOptions) ([]string, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	argv := append(o.Wrap.command(), eng.Path, o.Name)
	if eng.Kind == EngineNative {
		return argv, nil // the hello says the rest
	}
	if o.From != nil {
		argv = append(argv, "-r", "@"+strconv.Itoa(fdSnapshotLoad))
	}
	if o.MeterLimit > 0 {
		argv = append(argv, "-l", strconv.FormatInt(o.MeterLimit, 10))
	}
	return argv, nil
}

func newWorker(s *Spawner, started launched, wire wire, p *plumbing, o StartOptions) *Worker {
	w := &Worker{
		tape:       p.tape,
		proc:       &process{pid: started.pid, pidfd: pollable(started.pidfd, "pidfd"), maps: started.maps, exited: make(chan struct{})},
		wire:       wire,
		save:       p.save,
		closeGrace: o.Limits.CloseGrace,
		heapLimit:  o.Limits.HeapBytes,
		loading:    o.From != nil,
		allCPU:     s.allCPU,
	}
	if w.heapLimit <= 0 {
		w.heapLimit = engineMemoryBytes
	}
	if w.closeGrace <= 0 {
		w.closeGrace = defaultCloseGrace
	}
	w.tape.Begin(started.pid)
	w.Rename(o.Name)
	var output sync.WaitGroup
	output.Go(func() { forwardLines(p.stdout, "stdout", o.Sink, nil) })
	output.Go(func() { forwardLines(p.stderr, "stderr", o.Sink, &w.stderr) })
	go w.proc.watch(&output, s.watchdog.watch(w, o.Watch))
	if p.load != nil {
		w.late, _ = o.From.(*lateHeap)
		w.load, w.area = startLoad(o.From, p, w, s.buffers), p.area
	}
	return w
}

func newWire(kind EngineKind, p *plumbing, o StartOptions) wire {
	if kind == EngineNative {
		return newNativeWire(p, o)
	}
	return newStockWire(p)
}

func (w *Worker) applyLimits(o StartOptions, limited bool) error {
	if o.Wrap != nil {
		return nil
	}
	var limits []workerLimit
	if !limited {
		var err error
		if limits, err = outerLimits(o); err != nil {
			return err
		}
	}
	for _, l := range limits {
		if err := w.setLimit(l); err != nil {
			return fmt.Errorf("cannot limit %s to %d: %w", l.name, l.value, err)
		}
	}
	if o.CPU >= 0 {
		return w.PinTo(o.CPU)
	}
	return nil
}

// outerLimits are set on a running worker that no launcher has limited.
func outerLimits(o StartOptions) ([]workerLimit, error) {
	addressSpace, err := o.Limits.addressSpace()
	if err != nil || o.Sandbox != SandboxOff {
		return workerLimits(addressSpace), err
	}
	limits := []workerLimit{{name: "core dumps", resource: unix.RLIMIT_CORE}}
	if o.Limits.AddressSpaceBytes > 0 {
		limits = append(limits, consensusLimits(addressSpace)...)
	}
	return limits, nil
}

func (w *Worker) setLimit(l workerLimit) error {
	limit := l.lowered()
	return w.proc.withPID(func(pid int) error {
		return unix.Prlimit(pid, l.resource, &limit, nil)
	})
}

// pollable makes a file of fd that goroutines wait for without a thread; nil
// if fd is not one.
func pollable(fd int, name string) *os.File {
	if fd < 0 {
		return nil
	}
	_ = unix.SetNonblock(fd, true)
	return os.NewFile(uintptr(fd), name)
}
