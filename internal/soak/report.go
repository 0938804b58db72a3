package soak

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

const progressEvery = 10 * time.Second

// Line shows progress in one line: on a terminal the line is written again and
// again, elsewhere a new one comes every ten seconds.
type Line struct {
	Out      io.Writer
	Terminal bool
	last     time.Time
}

// Show is for Options.Tell.
func (l *Line) Show(p Progress) {
	if !l.Terminal && time.Since(l.last) < progressEvery {
		return
	}
	l.last = time.Now()
	text := p.String()
	if l.Terminal {
		text = "\r\x1b[K" + text
	} else {
		text += "\n"
	}
	_, _ = io.WriteString(l.Out, text)
}

// End ends a line that is written again and again.
func (l *Line) End() {
	if l.Terminal {
		_, _ = io.WriteString(l.Out, "\r\x1b[K")
	}
}

func (p Progress) String() string {
	of := fmt.Sprintf("%s of %s", clock(p.Since), clock(p.Of))
	height := fmt.Sprintf("block %d", p.Height)
	if p.Until > 0 {
		of, height = clock(p.Since), fmt.Sprintf("block %d of %d", p.Height, p.Until)
	}
	return fmt.Sprintf("soak: %s  %s  %s  %d faults, %d starts  host %s, %d files  daemon %s, %d files", p.Run, of, height,
		p.Faults, p.Starts, megabytes(p.Host.resident), p.Host.descriptors, megabytes(p.Daemon.resident), p.Daemon.descriptors)
}

func clock(d time.Duration) string {
	return fmt.Sprintf("%d:%02d", int(d.Minutes()), int(d.Seconds())%60)
}

func megabytes(bytes int64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }

// Write writes the report for people.
func (r Report) Write(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	row("seed", "%d", r.Seed)
	row("vats", "%d, pools of %d and %d", r.Vats, r.Pools[0], r.Pools[1])
	row("blocks", "%d in %s, then in %s undisturbed", r.Height, clock(r.Took[0]), clock(r.Took[1]))
	row("activity hash", "%s", r.Hash)
	row("starts", "%d", r.Starts)
	for _, name := range slices.Sorted(maps.Keys(r.Faults)) {
		row(name, "%d", r.Faults[name])
	}
	row("control requests", "%d answered, %d not: nobody was there, or busy", r.Answered, r.Refused)
	row("outputs", "%d, %d came more than once", r.Outputs, r.OutputTwice)
	for _, g := range r.Growth {
		row(g.Role, "%s to %s, %d to %d descriptors in %s", megabytes(g.FirstBytes), megabytes(g.LastBytes), g.FirstFiles, g.LastFiles, clock(g.Lived))
	}
	verdict := "all is as it must be"
	if !r.OK() {
		verdict = strings.Join(r.Problems, "\n\t")
	}
	row("result", "%s", verdict)
	return w.Flush()
}
