package main

import (
	"bufio"
	"fmt"
	"strings"
	"time"

	"vatworkerd/cmd/vatworkerd/internal/screen"
	"vatworkerd/frames"
	"vatworkerd/supervisor"
)

// framesDoc is `frames show --json`.
type framesDoc struct {
	Crash  *supervisor.Crash `json:"crash"` // null for a recording
	Frames []frameDoc        `json:"frames"`
	End    *frames.End       `json:"end"` // null: whoever recorded goes on, or was killed
}

// frameDoc is a frame. Content is what was kept of it, as text.
type frameDoc struct {
	Time      time.Time `json:"time"`
	Worker    string    `json:"worker"`
	PID       int       `json:"pid"`
	Direction string    `json:"direction"` // "to" or "from" the worker
	What      string    `json:"what"`
	Size      int       `json:"size"` // of the frame
	Kept      int       `json:"kept"`
	Content   string    `json:"content"`
	Meter     string    `json:"meter,omitempty"`
}

func frameDocOf(r frames.Recorded) frameDoc {
	what, content, meter := r.What(r.Worker.Dialect)
	direction := "to"
	if r.Direction == frames.FromWorker {
		direction = "from"
	}
	return frameDoc{
		Time: r.Time, Worker: r.Worker.Name, PID: r.Worker.PID, Direction: direction, What: what, Size: r.Size, Kept: len(r.Bytes),
		Content: strings.ToValidUTF8(string(content), "\ufffd"), Meter: strings.ToValidUTF8(string(meter), "\ufffd"),
	}
}

func (a *app) showFrames(path string, full bool) error {
	file, crash, err := framesFile(a.path(path))
	if err != nil {
		return err
	}
	doc := framesDoc{Crash: crash, Frames: []frameDoc{}}
	doc.End, err = frames.Open(file, func(r frames.Recorded) error {
		doc.Frames = append(doc.Frames, frameDocOf(r))
		return nil
	})
	if err != nil {
		return usageError("%v", err)
	}
	if a.json {
		return a.document(doc)
	}
	w := frameWriter{app: a, out: bufio.NewWriter(a.stdout), palette: a.palette(), full: full}
	w.document(doc)
	if err := w.out.Flush(); err != nil {
		return fmt.Errorf("cannot write the result: %w", err)
	}
	return nil
}

// frameWriter writes frames for people.
type frameWriter struct {
	app     *app
	out     *bufio.Writer
	palette screen.Palette
	full    bool
}

// Widths of columns.
const (
	frameTime      = "2006-01-02 15:04:05.000000"
	gapColumns     = 10
	pidColumns     = 7
	sizeColumns    = 10
	whatColumns    = 16
	contentColumns = 100
)

func (w *frameWriter) document(doc framesDoc) {
	if c := doc.Crash; c != nil {
		w.crash(c)
	}
	title := func(text string) string { return w.palette.Paint(screen.Bold, text) }
	w.line(title(pad("TIME", len(frameTime))), title(left("AFTER", gapColumns)), title(left("PID", pidColumns)), " ", title(left("BYTES", sizeColumns)),
		title(pad("WHAT", whatColumns)), title("CONTENT"))
	var before time.Time
	for _, f := range doc.Frames {
		w.frame(f, before)
		before = f.Time
	}
	switch {
	case doc.End == nil:
		w.line(w.palette.Paint(screen.Yellow, "there is no end: whoever recorded goes on, or was killed"))
	case doc.End.Full:
		w.line(w.palette.Paint(screen.Yellow, "the recording ended here since its file was full"))
	}
}

func (w *frameWriter) crash(c *supervisor.Crash) {
	w.line(fmt.Sprintf("%s %s, pid %d, in a %s at %d/%d, %s", screen.Escape(c.VatID), screen.Escape(c.Name), c.PID, screen.Escape(c.Doing), c.Incarnation, c.Position,
		c.Time.Local().Format(logTime)))
	w.line(w.palette.Paint(screen.Red, screen.Escape(c.Reason)))
	for _, text := range strings.Split(strings.TrimSpace(c.Stderr), "\n") {
		if text != "" {
			w.line("stderr: " + screen.Escape(text))
		}
	}
	w.line("")
}

func (w *frameWriter) frame(f frameDoc, before time.Time) {
	gap := ""
	if !before.IsZero() {
		gap = gapOf(f.Time.Sub(before))
	}
	arrow := "→"
	if f.Direction == "from" {
		arrow = "←"
	}
	content := screen.Escape(f.Content)
	if !w.full {
		content = screen.Clip(f.Content, contentColumns)
	}
	if missing := f.Size - f.Kept; missing > 0 {
		content += w.palette.Paint(screen.Dim, fmt.Sprintf(" … (%s more)", screen.Bytes(int64(missing))))
	}
	if f.Meter != "" {
		content += "  " + w.palette.Paint(screen.Dim, screen.Escape(f.Meter))
	}
	w.line(w.palette.Paint(screen.Dim, f.Time.Local().Format(frameTime)), left(gap, gapColumns), left(fmt.Sprint(f.PID), pidColumns), arrow,
		left(screen.Count(int64(f.Size)), sizeColumns), pad(screen.Escape(f.What), whatColumns), content)
}

func (w *frameWriter) line(parts ...string) {
	fmt.Fprintln(w.out, strings.TrimRight(strings.Join(parts, "  "), " "))
}

// gapOf writes the time between two frames.
func gapOf(d time.Duration) string {
	if d < time.Millisecond {
		return fmt.Sprintf("%d µs", d.Microseconds())
	}
	return screen.Elapsed(d)
}

// left puts text at the right end of a column.
func left(text string, width int) string {
	return strings.Repeat(" ", max(0, width-screen.Width(text))) + text
}
