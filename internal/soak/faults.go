package soak

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"vatworkerd/internal/procs"
)

// fault is one way to disturb a host that is running.
type fault struct {
	name    string
	weight  int
	inflict func(*trouble) bool // whether it was possible
}

// faults lists what can be done.
func faults(o Options) []fault {
	list := []fault{
		{"worker killed", 24, func(t *trouble) bool { return t.signalWorker(syscall.SIGKILL) }},
		{"worker: segmentation fault", 8, func(t *trouble) bool { return t.signalWorker(syscall.SIGSEGV) }},
		{"worker: abort", 4, func(t *trouble) bool { return t.signalWorker(syscall.SIGABRT) }},
		{"worker stopped, then continued", 8, (*trouble).stopAndContinue},
		{"snapshot file damaged", 6, (*trouble).damageSnapshot},
		{"daemon killed", 3, (*trouble).killDaemon},
		{"host killed", 3, (*trouble).killHost},
		{"all killed", 2, (*trouble).killAll},
	}
	if o.Silence > 0 {
		list = append(list, fault{"worker stopped for good", 2, func(t *trouble) bool { return t.signalWorker(syscall.SIGSTOP) }})
	}
	if o.OwnDisk {
		list = append(list, fault{"disk full", 2, (*trouble).fillDisk})
	}
	return list
}

// trouble inflicts faults on a host. It belongs to one goroutine.
type trouble struct {
	dice    *rand.Rand
	db      string
	now     *process
	counts  map[string]int64
	faults  []fault
	damaged []string // hashes of snapshots
}

// one inflicts one fault, chosen at random.
func (t *trouble) one() {
	total := 0
	for _, f := range t.faults {
		total += f.weight
	}
	at := t.dice.IntN(total)
	for _, f := range t.faults {
		if at -= f.weight; at >= 0 {
			continue
		}
		if f.inflict(t) {
			t.counts[f.name]++
		}
		return
	}
}

func (t *trouble) worker() (int, bool) {
	workers := t.now.workers()
	if len(workers) == 0 {
		return 0, false
	}
	return workers[t.dice.IntN(len(workers))], true
}

func (t *trouble) signalWorker(signal syscall.Signal) bool {
	pid, ok := t.worker()
	return ok && syscall.Kill(pid, signal) == nil
}

// stopAndContinue stops a worker for a moment, in which it looks as if it hung.
func (t *trouble) stopAndContinue() bool {
	pid, ok := t.worker()
	if !ok || syscall.Kill(pid, syscall.SIGSTOP) != nil {
		return false
	}
	time.Sleep(time.Duration(t.dice.IntN(300)) * time.Millisecond) // how long it is stopped is the fault
	return syscall.Kill(pid, syscall.SIGCONT) == nil
}

func (t *trouble) killDaemon() bool {
	pid, ok := t.now.daemon()
	return ok && syscall.Kill(pid, syscall.SIGKILL) == nil
}

func (t *trouble) killHost() bool { return syscall.Kill(t.now.pid(), syscall.SIGKILL) == nil }

func (t *trouble) killAll() bool {
	daemon, ok := t.now.daemon()
	if ok {
		if worker, ok := procs.Youngest(daemon); ok {
			_ = syscall.Kill(worker, syscall.SIGKILL)
		}
		_ = syscall.Kill(daemon, syscall.SIGKILL)
	}
	return t.killHost() && ok
}

// damageSnapshot spoils one snapshot file: a bit, its end, or all of it. A vat
// that starts from it falls back to what it can be made from again.
func (t *trouble) damageSnapshot() bool {
	// Not the base that all are stored against: its loss is not one vat's.
	files, err := filepath.Glob(filepath.Join(t.db, "snapshots", strings.Repeat("[0-9a-f]", 8)+"*.zst"))
	if err != nil || len(files) == 0 {
		return false
	}
	path := files[t.dice.IntN(len(files))]
	data, err := os.ReadFile(path)
	if err != nil || len(data) == 0 {
		return false
	}
	hash, _, _ := strings.Cut(filepath.Base(path), ".")
	t.damaged = append(t.damaged, hash)
	switch at := t.dice.IntN(len(data)); t.dice.IntN(3) {
	case 0:
		return os.Truncate(path, int64(at)) == nil
	case 1:
		return os.Remove(path) == nil
	default:
		return flipBit(path, at, data[at]) == nil
	}
}

func flipBit(path string, at int, old byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteAt([]byte{old ^ 1}, int64(at))
	return err
}

// fillDisk takes all room on the disk for a while.
func (t *trouble) fillDisk() bool {
	ballast := filepath.Join(t.db, "..", "ballast")
	f, err := os.OpenFile(ballast, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return false
	}
	chunk := make([]byte, 1<<20)
	for err == nil {
		_, err = f.Write(chunk)
	}
	_ = f.Close()
	time.Sleep(time.Duration(200+t.dice.IntN(800)) * time.Millisecond) // how long it is full is the fault
	return os.Remove(ballast) == nil
}
