package xsnap

import (
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// process is a started child: it is reaped by a goroutine of its own, so none
// is ever left behind, and killed through its process group.
type process struct {
	pid    int
	pidfd  *os.File // nil where the kernel has none
	exited chan struct{}
	maps   int // descriptor held until the process is reaped, or -1; see pinMaps

	mu     sync.Mutex // guards reaped and killed: no signal may go to a pid that was given up
	reaped bool
	killed string // why the watchdog killed it, or empty; does not change any more once exited is closed

	status syscall.WaitStatus // set before exited is closed
	limits heldTo             // as it ended; set before exited is closed
}

// watch reaps the process when it ends and calls forget; then output ends too
// (its pipes have no other writer), and exited is closed.
func (p *process) watch(output *sync.WaitGroup, forget func()) {
	p.waitZombie()
	p.reap()
	forget()
	output.Wait()
	close(p.exited)
}

// waitZombie returns when the process has ended, and leaves it unreaped: its
// pid stays taken until reap holds the lock. Waiting for a pidfd costs no thread.
func (p *process) waitZombie() {
	if p.pidfd != nil {
		defer p.pidfd.Close()
		if conn, err := p.pidfd.SyscallConn(); err == nil {
			if conn.Read(func(fd uintptr) bool { return isZombie(unix.P_PIDFD, int(fd), unix.WNOHANG) }) == nil {
				return
			}
		}
	}
	isZombie(unix.P_PID, p.pid, 0)
}

// isZombie waits as options say. An error other than an interruption counts as
// ended: then there is nothing to wait for.
func isZombie(idType, id, options int) bool {
	var info unix.Siginfo
	for {
		err := unix.Waitid(idType, id, &info, unix.WEXITED|unix.WNOWAIT|options, nil)
		if err == unix.EINTR {
			continue
		}
		return err != nil && err != unix.EAGAIN || err == nil && info.Signo != 0
	}
}

func (p *process) reap() {
	p.mu.Lock()
	defer p.mu.Unlock()
	// Whatever the process may have left in its group goes with it.
	_ = unix.Kill(-p.pid, unix.SIGKILL)
	p.limits = readHeldTo(p.pid)
	for {
		_, err := syscall.Wait4(p.pid, &p.status, 0, nil)
		if err != syscall.EINTR {
			break
		}
	}
	p.reaped = true
	if p.maps >= 0 {
		_ = unix.Close(p.maps)
	}
}

// kill ends the process group at once; safe from any goroutine, at any time.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		_ = unix.Kill(-p.pid, unix.SIGKILL)
	}
}

// killBecause is kill, and notes why.
func (p *process) killBecause(why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		p.killed = why
		_ = unix.Kill(-p.pid, unix.SIGKILL)
	}
}

// killedBecause is why killBecause ended the process, or empty. It is for a
// process that has exited: one that ended otherwise, at the last moment, did.
func (p *process) killedBecause() string {
	if p.status.Signal() != syscall.SIGKILL {
		return ""
	}
	return p.killed
}

// withPID runs f while the pid is surely still the process's; a process that
// is gone already is no error: the next command tells how it ended.
func (p *process) withPID(f func(pid int) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reaped {
		return nil
	}
	if err := f(p.pid); err != nil && err != unix.ESRCH {
		return err
	}
	return nil
}
