package supervisor

import "sync"

// leash lets one goroutine end a worker that another one is bringing up. Safe
// for concurrent use; the zero value is ready.
type leash struct {
	mu   sync.Mutex // guards the rest
	kill func()     // nil while there is no process
	off  bool
}

// hold puts a process on the leash; one that was cut ends it at once.
func (l *leash) hold(kill func()) {
	l.mu.Lock()
	l.kill = kill
	off := l.off
	l.mu.Unlock()
	if off {
		kill()
	}
}

// cut ends the process, or the one that is still to come.
func (l *leash) cut() {
	l.mu.Lock()
	l.off = true
	kill := l.kill
	l.mu.Unlock()
	if kill != nil {
		kill()
	}
}

// isCut tells whether there is any use in going on.
func (l *leash) isCut() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.off
}
