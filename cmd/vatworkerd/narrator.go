package main

import (
	"fmt"
	"io"
	"strings"

	"vatworkerd/cmd/vatworkerd/internal/screen"
	"vatworkerd/pipeproto"
)

// narrator tells what happens to the vats as it happens. Every line begins with
// a word of its own and the vat's ID, both trusted; names and texts come from
// vats and are escaped, so no vat can forge a line.
type narrator struct {
	out      io.Writer
	brief    bool // leave out what only `run` shows: paging, snapshots, creations
	palette  screen.Palette
	progress *screen.Progress

	idWide   int
	nameWide int
}

// Widths of the columns; those of ID and name grow with what was seen.
const (
	kindColumns    = 15
	maxNameColumns = 24
	maxTextColumns = 2000
)

// shownAs says how a kind of event looks.
var shownAs = map[string]screen.Style{
	pipeproto.VatCreated:       screen.Green,
	pipeproto.VatPagedIn:       screen.Dim,
	pipeproto.VatPagedOut:      screen.Dim,
	pipeproto.VatSnapshotted:   screen.Dim,
	pipeproto.VatPaused:        screen.Yellow,
	pipeproto.VatResumed:       screen.Green,
	pipeproto.VatSuspended:     screen.Yellow,
	pipeproto.VatUnsuspended:   screen.Green,
	pipeproto.VatUpgraded:      screen.Green,
	pipeproto.VatTerminated:    screen.Red,
	pipeproto.VatHeld:          screen.Yellow,
	pipeproto.VatWorkerLost:    screen.Red,
	pipeproto.VatUpgradeFailed: screen.Red,
}

// startedOnDemand is the detail of an incarnation that began because something
// was to be delivered: also of a vat's first.
const startedOnDemand = "delivery"

// quiet lists what a brief narrator leaves out.
func quiet(kind string) bool {
	switch kind {
	case pipeproto.VatCreated, pipeproto.VatPagedIn, pipeproto.VatPagedOut, pipeproto.VatSnapshotted, pipeproto.VatHeld:
		return true
	}
	return false
}

// event tells a vat's change of state.
func (n *narrator) event(ev pipeproto.VatEvent) {
	if n.brief && quiet(ev.Kind) {
		return
	}
	kind := ev.Kind
	if kind == pipeproto.VatUnsuspended && ev.Detail == startedOnDemand {
		kind, ev.Detail = "start", ""
	}
	n.line(kind, shownAs[ev.Kind], ev.VatID, ev.Name, screen.Plain, details(ev))
}

// details lists what an event says besides who and what.
func details(ev pipeproto.VatEvent) string {
	var parts []string
	if ev.Bytes > 0 {
		parts = append(parts, screen.Bytes(ev.Bytes))
	}
	if ev.Micros > 0 {
		parts = append(parts, screen.Millis(ev.Micros))
	}
	if ev.Kind == pipeproto.VatPagedIn {
		from := "from the start"
		if ev.Hash != "" {
			from = "from its snapshot"
		}
		parts = append(parts, from, screen.Plural(ev.Deliveries, "delivery", "deliveries")+" replayed")
	}
	if ev.Detail != "" {
		parts = append(parts, ev.Detail)
	}
	return strings.Join(parts, ", ")
}

// console tells what a vat printed.
func (n *narrator) console(ev pipeproto.ConsoleEvent) {
	style := screen.Plain
	switch ev.Level {
	case "warn":
		style = screen.Yellow
	case "error":
		style = screen.Red
	}
	kind := ev.Source
	switch {
	case ev.Replay:
		kind = "replay"
	case ev.Source == "vat":
		kind = "console"
	}
	if ev.Source == "vat" {
		n.line(kind, screen.Dim, ev.VatID, ev.Name, style, ev.Text)
		return
	}
	// What is not the vat's own console is mostly stack traces.
	for _, line := range strings.Split(strings.TrimRight(ev.Text, "\n"), "\n") {
		n.line(kind, screen.Dim, ev.VatID, ev.Name, style, line)
	}
}

// warning tells what the operator should know.
func (n *narrator) warning(message string) {
	n.progress.Clear()
	kind := n.palette.Paint(screen.Yellow, fmt.Sprintf("%-*s", kindColumns, "warning"))
	fmt.Fprintf(n.out, "%s%s\n", kind, screen.Clip(message, maxTextColumns))
}

func (n *narrator) line(kind string, kindStyle screen.Style, vatID, name string, style screen.Style, text string) {
	n.progress.Clear()
	vatID, name = screen.Escape(vatID), screen.Clip(name, maxNameColumns)
	n.idWide = max(n.idWide, screen.Width(vatID))
	n.nameWide = max(n.nameWide, screen.Width(name))
	var b strings.Builder
	b.WriteString(n.palette.Paint(kindStyle, pad(screen.Clip(kind, kindColumns-1), kindColumns)))
	b.WriteString(n.palette.Tag(vatID, pad(vatID, n.idWide)+" "+pad(name, n.nameWide)))
	if text != "" {
		b.WriteString(" │ ")
		b.WriteString(n.palette.Paint(style, screen.Clip(text, maxTextColumns)))
	}
	fmt.Fprintln(n.out, strings.TrimRight(b.String(), " "))
}

func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-screen.Width(text)))
}
