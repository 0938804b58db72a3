package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"vatworkerd/cmd/vatworkerd/internal/screen"
	"vatworkerd/cmd/vatworkerd/internal/top"
	"vatworkerd/workerlogs"
)

// logWriter writes entries for people, or as JSON.
type logWriter struct {
	app     *app
	out     *bufio.Writer
	palette screen.Palette

	begun    bool
	idWide   int
	nameWide int
}

// newLogWriter makes the columns as wide as the vats in question need; those
// that speak later may widen them.
func newLogWriter(a *app, speakers []workerlogs.Speaker, vatIDs []string) *logWriter {
	w := &logWriter{app: a, out: bufio.NewWriter(a.stdout), palette: a.palette(), idWide: len("VAT"), nameWide: len("NAME")}
	for _, s := range speakers {
		if vatIDs == nil || slices.Contains(vatIDs, s.VatID) {
			w.widen(s.VatID, s.Name)
		}
	}
	return w
}

func (w *logWriter) widen(vatID, name string) {
	w.idWide = max(w.idWide, screen.Width(screen.Escape(vatID)))
	w.nameWide = max(w.nameWide, screen.Width(screen.Clip(name, maxNameColumns)))
}

// Widths of columns.
const (
	logTime       = "2006-01-02 15:04:05.000"
	placeColumns  = 8  // incarnation and position, and r for a replay
	sourceColumns = 10 // "vatworkerd"
	levelColumns  = 5
)

func (w *logWriter) flush() error {
	if err := w.out.Flush(); err != nil {
		return fmt.Errorf("cannot write the result: %w", err)
	}
	return nil
}

func (w *logWriter) write(e workerlogs.Entry) error {
	if w.app.json {
		text, err := json.Marshal(e)
		if err != nil {
			return fmt.Errorf("cannot encode an entry: %w", err)
		}
		_, err = fmt.Fprintln(w.out, screen.JSONLine(text))
		return err
	}
	w.widen(e.VatID, e.Name)
	if !w.begun {
		w.begun = true
		w.header()
	}
	for _, text := range linesOf(e) {
		w.entry(e, text)
	}
	return nil
}

func (w *logWriter) header() {
	title := func(text string, width int) string { return w.palette.Paint(screen.Bold, pad(text, width)) }
	w.line(title("TIME", len(logTime)), title("VAT", w.idWide), title("NAME", w.nameWide), title("INC/AT", placeColumns),
		title("SOURCE", sourceColumns), title("LEVEL", levelColumns), title("TEXT", 0))
}

// linesOf gives the lines of an entry's text. A vat's own console is one line,
// whatever is in it; what else has several is mostly a stack trace.
func linesOf(e workerlogs.Entry) []string {
	lines := []string{e.Text}
	if e.Source != workerlogs.SourceVat {
		lines = strings.Split(strings.TrimRight(e.Text, "\n"), "\n")
	}
	if e.Bytes > 0 {
		lines[len(lines)-1] += fmt.Sprintf(" … (%s of %s)", screen.Bytes(int64(len(e.Text))), screen.Bytes(e.Bytes))
	}
	return lines
}

func (w *logWriter) entry(e workerlogs.Entry, text string) {
	style := top.LevelStyle(e.Level)
	place := fmt.Sprintf("%d/%d", e.Incarnation, e.Position)
	if e.Replay {
		place += "r"
	}
	column := func(text string, width int) string { return pad(screen.Clip(text, width), width) }
	w.line(
		w.palette.Paint(screen.Dim, e.Time.Local().Format(logTime)),
		w.palette.Tag(e.VatID, pad(screen.Escape(e.VatID), w.idWide)+"  "+column(e.Name, w.nameWide)),
		pad(place, placeColumns),
		w.palette.Paint(screen.Dim, column(e.Source, sourceColumns)),
		w.palette.Paint(style, column(e.Level, levelColumns)),
		w.palette.Paint(style, screen.Escape(text)),
	)
}

func (w *logWriter) line(parts ...string) {
	fmt.Fprintln(w.out, strings.TrimRight(strings.Join(parts, "  "), " "))
}
