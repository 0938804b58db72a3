package xsnap

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Spawner starts workers from one OS thread that lives as long as the Spawner.
//
// The kernel sends a worker its parent-death signal when the *thread* that
// started it ends, and the Go runtime ends threads as it likes; so the thread
// must be one that stays. Close the workers first: the kernel kills those that
// still run when the Spawner is closed. Safe for concurrent use.
type Spawner struct {
	jobs   chan func()
	done   chan struct{}
	allCPU unix.CPUSet // the CPUs this process may use; what Unpin gives back

	support   SandboxSupport
	hugePages bool // this system gives some to those who ask
	watchdog  *watchdog
	buffers   buffers // of snapshots that are being loaded

	mu     sync.RWMutex // guards closed against sends on jobs
	closed bool

	launcherMu sync.Mutex // guards launcher
	launcher   *launcher  // nil until a contained worker is wanted
}

// ErrSpawnerClosed says that Start came after Close.
var ErrSpawnerClosed = errors.New("spawner is closed")

// NewSpawner starts the thread. Descriptors this process had inherited are
// marked close-on-exec, so that no worker inherits them again, and its soft
// limit of the stack becomes WorkerStackBytes.
func NewSpawner() (*Spawner, error) { return NewSpawnerWithClock(time.Tick(watchInterval)) }

// NewSpawnerWithClock is NewSpawner, but silent workers (see Watch) are looked
// at when clock gives a time, and their silence is measured by it: for tests.
func NewSpawnerWithClock(clock <-chan time.Time) (*Spawner, error) {
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil && err != unix.ENOSYS && err != unix.EINVAL {
		return nil, fmt.Errorf("cannot protect open descriptors from workers: %w", err)
	}
	settleStack()
	s := &Spawner{jobs: make(chan func()), done: make(chan struct{}), support: DetectSandbox(), hugePages: detectHugePages(), buffers: newBuffers()}
	ready := make(chan error)
	go s.run(ready)
	if err := <-ready; err != nil {
		return nil, err
	}
	s.watchdog = startWatchdog(clock)
	return s, nil
}

func (s *Spawner) run(ready chan<- error) {
	// Never unlocked: the thread ends with this goroutine and no other
	// goroutine ever runs on it.
	runtime.LockOSThread()
	defer close(s.done)
	err := unix.SchedGetaffinity(0, &s.allCPU)
	if err != nil {
		ready <- fmt.Errorf("cannot read the CPU affinity: %w", err)
		return
	}
	ready <- nil
	for job := range s.jobs {
		job()
	}
}

// Close ends the thread.
func (s *Spawner) Close() {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.jobs)
		s.watchdog.close()
	}
	s.mu.Unlock()
	<-s.done
	s.launcherMu.Lock()
	defer s.launcherMu.Unlock()
	if s.launcher != nil {
		s.launcher.close()
		s.launcher = nil
	}
}

// onThread runs job on the Spawner's thread and returns when it is done.
func (s *Spawner) onThread(job func()) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return ErrSpawnerClosed
	}
	finished := make(chan struct{})
	s.jobs <- func() {
		defer close(finished)
		job()
	}
	<-finished
	return nil
}

// spawn starts a process as policy and support say.
func (s *Spawner) spawn(argv []string, p *plumbing, o StartOptions, zygote bool) (launched, error) {
	if o.Sandbox == SandboxRequire {
		if err := s.support.Require(); err != nil {
			return launched{}, err
		}
	}
	plain := o.Sandbox == SandboxOff || !s.support.Launcher
	addressSpace, err := o.Limits.addressSpace()
	if err != nil {
		return launched{}, err
	}
	if err := checkHost(addressSpace, plain); err != nil {
		return launched{}, err
	}
	around := s.surroundingsOf(o)
	if o.Wrap != nil {
		return s.spawnWrapped(argv, o.Wrap, around, p)
	}
	if plain {
		return s.spawnPlain(argv, around.env, p)
	}
	return s.spawnContained(launch{argv: argv, around: around, addressMax: addressSpace, zygote: zygote}, p)
}

// spawnPlain leaves limits to be set from outside.
func (s *Spawner) spawnPlain(argv, env []string, p *plumbing) (launched, error) {
	attr := &syscall.ProcAttr{
		Dir:   "/",
		Env:   env,
		Files: p.child[:],
		Sys:   &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	}
	return s.startProcess(argv, attr)
}

// startProcess starts a process that nobody contains.
func (s *Spawner) startProcess(argv []string, attr *syscall.ProcAttr) (w launched, err error) {
	w.maps, w.pidfd = -1, -1
	attr.Sys.PidFD = &w.pidfd
	if closed := s.onThread(func() { w.pid, _, err = syscall.StartProcess(argv[0], argv, attr) }); closed != nil {
		return launched{}, closed
	}
	return w, err
}

func (s *Spawner) spawnContained(plan launch, p *plumbing) (w launched, err error) {
	for i, fd := range p.child {
		plan.child[i] = int(fd)
	}
	l, err := s.openLauncher()
	if err != nil {
		return launched{}, err
	}
	files, err := l.filesOf(plan.argv[0])
	if err != nil {
		return launched{}, err
	}
	plan.files = files.with(plan.around)
	if closed := s.onThread(func() { w, err = l.start(plan) }); closed != nil {
		return launched{}, closed
	}
	return w, err
}

func (s *Spawner) openLauncher() (*launcher, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, ErrSpawnerClosed
	}
	s.launcherMu.Lock()
	defer s.launcherMu.Unlock()
	if s.launcher == nil {
		l, err := newLauncher(s.support)
		if err != nil {
			return nil, fmt.Errorf("cannot prepare containment: %w", err)
		}
		s.launcher = l
	}
	return s.launcher, nil
}
