package top

import (
	"fmt"
	"strings"
	"time"

	"vatworkerd/cmd/vatworkerd/internal/screen"
	"vatworkerd/cmd/vatworkerd/internal/watch"
)

// size is that of a terminal. No height is as high as it takes.
type size struct{ width, height int }

// frame gives the screen as lines, none wider than the terminal and no more
// than it has.
func frame(s *seen, c *chosen, palette screen.Palette, z size) []string {
	p := &page{palette: palette, width: z.width}
	switch {
	case c.help:
		helpPage(p)
	case !s.hasLook:
		p.add(dim("asking the daemon …"))
	case c.open != "":
		head(p, s)
		detailPage(p, s, c, room(p, z))
	default:
		summary(p, s)
		table(p, s, c, room(p, z))
	}
	if z.height > 0 {
		p.lines = p.lines[:min(len(p.lines), z.height-1)]
		for len(p.lines) < z.height-1 {
			p.lines = append(p.lines, "")
		}
		foot(p, s, c)
	}
	return p.lines
}

// room is how many lines are left above the last one; -1 = all it takes.
func room(p *page, z size) int {
	if z.height == 0 {
		return -1
	}
	return max(0, z.height-1-len(p.lines))
}

// head tells of the daemon.
func head(p *page, s *seen) {
	live := s.now.Live
	if s.gone != nil {
		p.whole(screen.Reverse, fmt.Sprintf("the daemon is gone since %s; waiting for another one (q ends)", s.goneAt.Format(time.TimeOnly)))
		return
	}
	up := s.now.At.Sub(time.UnixMicro(live.Started))
	block := "height " + screen.Count(live.Height)
	if live.OpenBlock {
		block += " +"
	}
	p.add(bold("vatworkerd"), plain(fmt.Sprintf("  process %d for %s, of %s", live.PID, screen.Age(up), live.Host)),
		plain("  "+block), dim("  "+s.now.At.Format(time.TimeOnly)))
}

// summary is the upper part of the screen: what goes on in all.
func summary(p *page, s *seen) {
	head(p, s)
	live, rates := s.now.Live, s.rates()
	n := live.Counts
	p.field("vats", plain(fmt.Sprintf("%s: %s online, %s suspended, %s paused, %s terminated", screen.Plural(n.Vats, "vat"),
		screen.Count(n.Online), screen.Count(n.Suspended), screen.Count(n.Paused), screen.Count(n.Terminated))))
	p.field("waiting", plain(fmt.Sprintf("%s queued, ", screen.Count(n.Queued))), heldPart(n.Held))
	p.field("work", plain(fmt.Sprintf("%s deliveries/s, %s computrons/s, %s cranks/s, %s blocks/s",
		screen.Short(rates.Deliveries), screen.Short(rates.Computrons), screen.Short(rates.Cranks), screen.Short(rates.Blocks))))
	pageIns := s.history.PageIns()
	p.field("pages", plain(fmt.Sprintf("%s in/s (p50 %s, p99 %s), %s out/s, %s snapshots/s", screen.Short(rates.PageIns),
		screen.Millis(watch.Quantile(pageIns, 0.5)), screen.Millis(watch.Quantile(pageIns, 0.99)),
		screen.Short(rates.PageOuts), screen.Short(rates.Snapshots))))
	p.field("pool", poolParts(s)...)
	p.field("doing", doingPart(s))
	alarms(p, s)
}

func heldPart(held int64) part {
	text := screen.Count(held) + " held"
	if held > 0 {
		return part{text: text, style: screen.Yellow}
	}
	return plain(text)
}

func poolParts(s *seen) []part {
	live := s.now.Live
	used := len(live.Workers)
	text := fmt.Sprintf("%d of %d ", used, live.MaxOnline)
	memory := ", " + screen.Bytes(s.now.Memory())
	if live.MaxMemoryBytes > 0 {
		memory += " of " + screen.Bytes(live.MaxMemoryBytes)
	}
	parts := []part{plain(text), {text: bar(used, live.MaxOnline), style: screen.Green}, plain(memory)}
	for _, n := range []struct {
		what string
		n    int
	}{{"spare", live.Spares}, {"coming", live.ComingIn}, {"pinned", len(live.Pinned)}} {
		if n.n > 0 {
			parts = append(parts, plain(fmt.Sprintf(", %d %s", n.n, n.what)))
		}
	}
	return parts
}

// barColumns is the width of a bar.
const barColumns = 10

func bar(used, limit int) string {
	full := 0
	if limit > 0 {
		full = min(barColumns, (used*barColumns+limit-1)/limit)
	}
	return strings.Repeat("━", full) + strings.Repeat("─", barColumns-full)
}

func doingPart(s *seen) part {
	live := s.now.Live
	switch {
	case live.Panic != "":
		return part{text: "panic: " + live.Panic, style: screen.Red}
	case live.Doing == nil && s.now.Holder != nil && s.now.Holder.Panic != "":
		return part{text: "panic: " + s.now.Holder.Panic, style: screen.Red}
	case live.Doing == nil:
		return dim("nothing")
	}
	return plain(live.Doing.String())
}

// maxAlarms is how many alarms are shown.
const maxAlarms = 3

func alarms(p *page, s *seen) {
	all := s.now.Live.Alarms
	for _, alarm := range all[:min(len(all), maxAlarms)] {
		text := fmt.Sprintf("%s, for %s", alarm.Message, screen.Age(micros(alarm.For)))
		p.field("alarm", part{text: text, style: screen.Red})
	}
	if more := len(all) - maxAlarms; more > 0 {
		p.field("", dim(fmt.Sprintf("and %s", screen.Plural(int64(more), "other alarm"))))
	}
}

// foot is the last line: what is asked, said or can be pressed.
func foot(p *page, s *seen, c *chosen) {
	switch {
	case c.typing:
		p.add(bold("name or ID: "), plain(c.text), part{text: " ", style: screen.Reverse})
	case c.ask != nil:
		p.whole(screen.Reverse, fmt.Sprintf("%s? y = yes, any other key = no", *c.ask))
	case c.running != nil:
		p.add(part{text: c.running.String() + " …", style: screen.Yellow})
	case c.said != "" && c.saidBad:
		p.add(part{text: c.said, style: screen.Red})
	case c.said != "":
		p.add(part{text: c.said, style: screen.Green})
	case c.help:
		p.add(dim("any key goes back"))
	case c.open != "":
		p.add(dim("esc back  ↑↓ scroll  p pause  r resume  s suspend  u unsuspend  q end"))
	default:
		p.add(dim("↑↓ move  enter open  / find  f state  <> sort  p pause  r resume  ? keys  q end"))
	}
}
