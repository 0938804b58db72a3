//go:build crashpoints

package crashpoint

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"vatworkerd/internal/procs"
)

// What a process of a tagged build is told by its environment.
const (
	// planEnv is POINT:N[:WHO+WHO…]: who is killed when this process passes the
	// point for the Nth time. Without WHO it is the process itself.
	planEnv = "VATWORKERD_CRASH"
	// traceEnv is a file that gets a line with the name of every point passed.
	traceEnv = "VATWORKERD_CRASH_TRACE"
)

// Whom a plan kills, with SIGKILL; self always comes last.
const (
	whoSelf       = "self"
	whoParent     = "parent"
	whoChild      = "child"      // the youngest
	whoGrandchild = "grandchild" // the youngest child's youngest
)

// plan is what this process was told. There is one of it, read at the first point.
type plan struct {
	mu    sync.Mutex // guards left, and keeps points apart
	at    Name
	left  int // passes until it happens; 0 = never, or done
	who   []string
	trace *os.File
}

var thePlan = sync.OnceValue(mustReadPlan)

// Here marks the point, and does what the environment asks to be done there.
func Here(name Name) { thePlan().pass(name) }

func mustReadPlan() *plan {
	p, err := readPlan(os.Getenv(planEnv), os.Getenv(traceEnv))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	return p
}

func readPlan(text, trace string) (*plan, error) {
	p := &plan{}
	if trace != "" {
		f, err := os.OpenFile(trace, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, fmt.Errorf("cannot write the trace of crash points: %w", err)
		}
		p.trace = f
	}
	if text == "" {
		return p, nil
	}
	words := strings.SplitN(text, ":", 3)
	if len(words) < 2 {
		return nil, fmt.Errorf("cannot use %s=%q: it must be POINT:N[:WHO+WHO…]", planEnv, text)
	}
	if !isPoint(words[0]) {
		return nil, fmt.Errorf("cannot use %s=%q: there is no such point", planEnv, text)
	}
	n, err := strconv.Atoi(words[1])
	if err != nil || n < 1 {
		return nil, fmt.Errorf("cannot use %s=%q: N must be a number above 0", planEnv, text)
	}
	p.at, p.left, p.who = Name(words[0]), n, []string{whoSelf}
	if len(words) == 3 {
		p.who = strings.Split(words[2], "+")
	}
	for _, who := range p.who {
		if who != whoSelf && who != whoParent && who != whoChild && who != whoGrandchild {
			return nil, fmt.Errorf("cannot use %s=%q: WHO is self, parent, child or grandchild", planEnv, text)
		}
	}
	return p, nil
}

func isPoint(name string) bool {
	for _, p := range All() {
		if string(p.Name) == name {
			return true
		}
	}
	return false
}

func (p *plan) pass(name Name) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.trace != nil {
		_, _ = p.trace.WriteString(string(name) + "\n")
	}
	if name != p.at || p.left == 0 {
		return
	}
	p.left--
	if p.left > 0 {
		return
	}
	self := false
	for _, who := range p.who {
		if who == whoSelf {
			self = true
			continue
		}
		if pid := find(who); pid > 1 {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	if self {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // it takes effect before anything else is done
	}
}

// find gives the process that is meant, 0 if there is none.
func find(who string) int {
	if who == whoParent {
		return os.Getppid()
	}
	child, ok := procs.Youngest(os.Getpid())
	if ok && who == whoGrandchild {
		child, _ = procs.Youngest(child)
	}
	return child
}
