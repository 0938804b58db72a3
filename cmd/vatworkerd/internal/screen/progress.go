package screen

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// Progress shows how far long work is: one line that is rewritten in place on
// a terminal, and elsewhere, if it takes longer, a plain line now and then and
// at the end. Safe for concurrent use.
type Progress struct {
	Out      io.Writer
	Terminal bool
	Palette  Palette
	Now      func() time.Time // nil: time.Now

	mu      sync.Mutex // guards what follows
	what    string
	began   time.Time
	shown   time.Time
	drawn   bool
	settled bool
}

// Plain lines come this often at most; a terminal's line is redrawn faster.
const (
	plainEvery    = 5 * time.Second
	terminalEvery = 80 * time.Millisecond
	barColumns    = 24
)

// Step reports that done of total are done. The last step ends the line.
func (p *Progress) Step(what string, done, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if what != p.what {
		p.end()
		p.what, p.began, p.shown, p.settled = what, now, now, false
		if p.Terminal {
			p.shown = time.Time{}
		}
	}
	last := total > 0 && done >= total
	isBrief := !p.Terminal && now.Sub(p.began) < plainEvery
	if p.settled || isBrief || !last && now.Sub(p.shown) < p.every() {
		return
	}
	p.shown = now
	p.draw(done, total, now.Sub(p.began))
	if last {
		p.settled = true
		p.end()
	}
}

// Clear takes the line off the terminal so that another line can be printed;
// the next Step draws it again.
func (p *Progress) Clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drawn {
		fmt.Fprint(p.Out, "\r\x1b[K")
		p.drawn, p.shown = false, time.Time{}
	}
}

// Stop ends the line wherever it is.
func (p *Progress) Stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end()
	p.what = ""
}

func (p *Progress) now() time.Time {
	if p.Now != nil {
		return p.Now()
	}
	return time.Now()
}

func (p *Progress) every() time.Duration {
	if p.Terminal {
		return terminalEvery
	}
	return plainEvery
}

func (p *Progress) draw(done, total int64, elapsed time.Duration) {
	line := fmt.Sprintf("%s  %s/%s  %s", Clip(p.what, 40), Count(done), Count(total), Elapsed(elapsed))
	if total <= 0 {
		line = fmt.Sprintf("%s  %s  %s", Clip(p.what, 40), Count(done), Elapsed(elapsed))
	}
	if !p.Terminal {
		fmt.Fprintln(p.Out, line)
		return
	}
	fmt.Fprintf(p.Out, "\r\x1b[K%s%s", p.bar(done, total), line)
	p.drawn = true
}

func (p *Progress) bar(done, total int64) string {
	if total <= 0 {
		return ""
	}
	full := int(min(done, total) * barColumns / total)
	return p.Palette.Paint(Green, strings.Repeat("━", full)) +
		p.Palette.Paint(Dim, strings.Repeat("─", barColumns-full)) + "  "
}

func (p *Progress) end() {
	if p.drawn {
		fmt.Fprintln(p.Out)
		p.drawn = false
	}
}
