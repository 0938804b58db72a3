package soak

import (
	"fmt"
	"slices"
	"time"

	"vatworkerd/internal/procs"
)

const sampleEvery = 250 * time.Millisecond

// What may come and go without being growth: the runtime's own ups and downs, a
// page of the database's cache, the pipes of a worker that ends, and what is
// unpacked ahead for workers that come in.
const (
	steadySamples     = 40 // that a process must give, once all vats are made
	slackBytes        = 24 << 20
	slackRatio        = 1.25
	comingInBytes     = 24 << 20 // of a worker, at its daemon: xsnap's loadAhead and a heap that moves
	slackDescriptors  = 24
	workerDescriptors = 8 // of a worker, at its daemon
)

// usage is what a process holds at an instant.
type usage struct {
	resident    int64 // bytes
	descriptors int
}

// life is what was seen of one process.
type life struct {
	role   string // host or daemon
	pid    int
	steady []usage // once all vats were made
	most   usage
}

// watch samples a host and its daemon. It belongs to one goroutine.
type watch struct {
	lives []*life
	now   map[string]usage // by role
}

func newWatch() *watch { return &watch{now: map[string]usage{}} }

// look takes a sample; steady says that all vats are made.
func (w *watch) look(p *process, steady bool) {
	w.sample("host", p.pid(), steady)
	if daemon, ok := p.daemon(); ok {
		w.sample("daemon", daemon, steady)
	}
}

func (w *watch) sample(role string, pid int, steady bool) {
	resident, ok := procs.Resident(pid)
	descriptors, alive := procs.Descriptors(pid)
	if !ok || !alive {
		return
	}
	at := slices.IndexFunc(w.lives, func(l *life) bool { return l.pid == pid })
	if at < 0 {
		at = len(w.lives)
		w.lives = append(w.lives, &life{role: role, pid: pid})
	}
	l, u := w.lives[at], usage{resident, descriptors}
	w.now[role] = u
	l.most = usage{max(l.most.resident, resident), max(l.most.descriptors, descriptors)}
	if steady {
		l.steady = append(l.steady, u)
	}
}

// Growth is what a process that lived long enough held at first and at last.
type Growth struct {
	Role         string        `json:"role"`
	Lived        time.Duration `json:"livedNanoseconds"`
	FirstBytes   int64         `json:"firstBytes"`
	LastBytes    int64         `json:"lastBytes"`
	FirstFiles   int           `json:"firstDescriptors"`
	LastFiles    int           `json:"lastDescriptors"`
	MostBytes    int64         `json:"mostBytes"`
	MostFiles    int           `json:"mostDescriptors"`
	StillGrowing string        `json:"stillGrowing,omitempty"` // why this is too much
}

// growth compares the medians of the first and the last third of what was seen of
// the process of a role that lived longest; false if none lived long enough.
func (w *watch) growth(role string, pool int) (Growth, bool) {
	var longest *life
	for _, l := range w.lives {
		if l.role == role && (longest == nil || len(l.steady) > len(longest.steady)) {
			longest = l
		}
	}
	if longest == nil || len(longest.steady) < steadySamples {
		return Growth{}, false
	}
	third := len(longest.steady) / 3
	first, last := median(longest.steady[:third]), median(longest.steady[len(longest.steady)-third:])
	g := Growth{
		Role: role, Lived: time.Duration(len(longest.steady)) * sampleEvery,
		FirstBytes: first.resident, LastBytes: last.resident, MostBytes: longest.most.resident,
		FirstFiles: first.descriptors, LastFiles: last.descriptors, MostFiles: longest.most.descriptors,
	}
	if float64(last.resident) > slackRatio*float64(first.resident)+float64(slackBytes+pool*comingInBytes) {
		g.StillGrowing = fmt.Sprintf("its memory has grown from %d to %d bytes", first.resident, last.resident)
	}
	if last.descriptors > first.descriptors+slackDescriptors+pool*workerDescriptors/2 {
		g.StillGrowing = fmt.Sprintf("its descriptors have grown from %d to %d", first.descriptors, last.descriptors)
	}
	return g, true
}

func median(seen []usage) usage {
	var bytes []int64
	var files []int
	for _, u := range seen {
		bytes, files = append(bytes, u.resident), append(files, u.descriptors)
	}
	slices.Sort(bytes)
	slices.Sort(files)
	return usage{bytes[len(bytes)/2], files[len(files)/2]}
}
