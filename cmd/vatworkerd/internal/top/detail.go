package top

import (
	"fmt"
	"time"

	"vatworkerd/cmd/vatworkerd/internal/screen"
	"vatworkerd/cmd/vatworkerd/internal/watch"
	"vatworkerd/pipeproto"
)

// detailPage shows one vat: its state, worker, transcript, snapshots and the end
// of its log.
func detailPage(p *page, s *seen, c *chosen, lines int) {
	body := &page{palette: p.palette, width: p.width}
	row, known := s.row(c.open)
	switch {
	case s.detail != nil:
		about(body, s.detail.Vat, row)
		transcript(body, s.detail)
		logTail(body, s.detail)
	case known:
		about(body, row.Vat, row)
	}
	if s.detailError != nil {
		body.add(part{text: busyText(s.detailError), style: screen.Yellow})
	}
	c.scroll = max(0, min(c.scroll, len(body.lines)-lines))
	end := min(len(body.lines), c.scroll+lines)
	p.lines = append(p.lines, body.lines[c.scroll:end]...)
}

func about(p *page, v pipeproto.VatStatus, row watch.Row) {
	p.add(bold(v.VatID+"  "+v.Name), part{text: "  " + v.State, style: StateStyle(v.State)})
	if row.Worker != nil {
		w := row.Worker
		p.field("worker", plain(fmt.Sprintf("process %d for %s, %s, ", w.PID, screen.Age(micros(w.Up)), screen.Bytes(w.RSSBytes))), idlePart(row))
	} else {
		p.field("worker", dim("offline"))
	}
	p.field("work", plain(fmt.Sprintf("%s, %s; %s deliveries/s, %s computrons/s", screen.Plural(v.Deliveries, "delivery", "deliveries"),
		screen.Plural(v.Computrons, "computron"), screen.Short(row.Deliveries), screen.Short(row.Computrons))))
	p.field("waiting", heldPart(v.Held))
	for _, f := range []struct {
		name, text string
		style      screen.Style
	}{
		{"suspended", v.SuspendReason, screen.Yellow}, {"paused", v.PauseReason, screen.Yellow},
		{"error", v.LastError, screen.Red}, {"last end", v.LastEnd, screen.Plain},
	} {
		if f.text != "" {
			p.field(f.name, part{text: f.text, style: f.style})
		}
	}
}

func idlePart(row watch.Row) part {
	if row.Worker.Busy {
		return part{text: "busy", style: screen.Green}
	}
	return plain("idle for " + screen.Age(micros(row.Worker.Idle)))
}

// maxSnapshots is how many of a vat's snapshots are shown, the last ones.
const maxSnapshots = 4

func transcript(p *page, d *watch.Detail) {
	v := d.Vat
	p.field("history", plain(fmt.Sprintf("incarnation %s, position %s, %s", screen.Count(v.Incarnation), screen.Count(v.Position),
		screen.Plural(int64(len(d.Spans)), "span"))))
	p.field("", dim("span hash "+v.SpanHash))
	for i, snapshot := range d.Snapshots[max(0, len(d.Snapshots)-maxSnapshots):] {
		name := "snapshots"
		if i > 0 {
			name = ""
		}
		text := fmt.Sprintf("at %s, %s, %s stored, %.12s", screen.Count(snapshot.Position),
			screen.Bytes(snapshot.UncompressedSize), screen.Bytes(snapshot.StoredSize), snapshot.Hash)
		if snapshot.InUse {
			text += ", in use"
		}
		p.field(name, plain(text))
	}
}

func logTail(p *page, d *watch.Detail) {
	p.add(dim("── log ──"))
	if len(d.Log) == 0 {
		p.add(dim("nothing was said"))
	}
	for _, e := range d.Log {
		p.add(dim(e.Time.Local().Format(time.TimeOnly)+"  "+fit(e.Source, 6, screen.Left)+"  "), part{text: e.Text, style: LevelStyle(e.Level)})
	}
}
