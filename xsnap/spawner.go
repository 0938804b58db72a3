package xsnap

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"
	"syscall"

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

	mu     sync.RWMutex // guards closed against sends on jobs
	closed bool
}

// ErrSpawnerClosed says that Start came after Close.
var ErrSpawnerClosed = errors.New("spawner is closed")

// NewSpawner starts the thread. Descriptors this process had inherited are
// marked close-on-exec, so that no worker inherits them again.
func NewSpawner() (*Spawner, error) {
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil && err != unix.ENOSYS && err != unix.EINVAL {
		return nil, fmt.Errorf("cannot protect open descriptors from workers: %w", err)
	}
	s := &Spawner{jobs: make(chan func()), done: make(chan struct{})}
	ready := make(chan error)
	go s.run(ready)
	if err := <-ready; err != nil {
		return nil, err
	}
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
	}
	s.mu.Unlock()
	<-s.done
}

// spawn starts a process on the Spawner's thread.
func (s *Spawner) spawn(argv []string, attr *syscall.ProcAttr) (pid int, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return 0, ErrSpawnerClosed
	}
	finished := make(chan struct{})
	s.jobs <- func() {
		defer close(finished)
		pid, _, err = syscall.StartProcess(argv[0], argv, attr)
	}
	<-finished
	return pid, err
}
