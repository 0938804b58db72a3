package main

import (
	"fmt"
	"strings"

	"vatworkerd/cmd/vatworkerd/internal/screen"
	"vatworkerd/replay"
	"vatworkerd/transcripts"
)

// tell shows how a replay went; a difference, or an altered span, fails the command.
func (r *replayRun) tell() error {
	a, report := r.app, r.doc.Report
	switch {
	case a.json:
		if err := a.document(r.doc); err != nil {
			return err
		}
	case report.Difference == nil:
		a.writeRepeated(report)
	case !r.told:
		a.writeDifference(report, *report.Difference)
	}
	if !a.json {
		a.writeSpanChecks(report)
		if err := writeTimings(a.stdout, a.palette(), report.Timings); err != nil {
			return err
		}
	}
	if !report.Identical {
		return failed{}
	}
	return nil
}

func (a *app) writeRepeated(r replay.Report) {
	for _, note := range r.Notes {
		a.note("%s", screen.Escape(note))
	}
	fmt.Fprintf(a.stdout, "identical: %s and %s, positions %s to %s, from its %s, %s\n",
		screen.Plural(r.Deliveries, "delivery", "deliveries"), screen.Plural(r.Snapshots, "snapshot"),
		screen.Count(r.From), screen.Count(r.Until), r.Start, screen.Millis(r.Micros))
}

// writeSpanChecks tells of spans that were altered: then it is not the worker
// that did other than it did.
func (a *app) writeSpanChecks(r replay.Report) {
	p := a.palette()
	for _, c := range r.Spans {
		if c.Altered() {
			fmt.Fprintf(a.stdout, "%s  %s: its items or its record were changed since they were written\n  %s  %s\n  %s  %s\n",
				p.Paint(screen.Red, "altered"), p.Paint(screen.Bold, c.Place), p.Paint(screen.Dim, "recorded"), c.Recorded, p.Paint(screen.Dim, "now     "), c.Got)
		}
	}
}

// writeDifference shows where a replay parted from the transcript.
func (a *app) writeDifference(r replay.Report, d replay.Difference) {
	for _, note := range r.Notes {
		a.note("%s", screen.Escape(note))
	}
	p := a.palette()
	who := vatOf(r.VatID, r.Name)
	fmt.Fprintf(a.stdout, "%s does not repeat position %s: %s\n\n", p.Paint(screen.Bold, who), screen.Count(d.Position), p.Paint(screen.Red, screen.Clip(d.What, maxTextColumns)))
	a.writePassed(d.Before, d.Difference)
	a.writeParting(d.Difference, inReplay())
	after := screen.Plural(r.Deliveries, "delivery", "deliveries")
	fmt.Fprintf(a.stdout, "\n%s before it repeated, positions %s to %s, from its %s\n", after, screen.Count(r.From), screen.Count(d.Position), r.Start)
}

// writePassed lists the items just before a difference, and the one it is in.
func (a *app) writePassed(before []transcripts.Passed, d transcripts.Difference) {
	table := screen.Table{Columns: []screen.Column{
		{Title: "AT", Align: screen.Right}, {Title: "DELIVERY"}, {Title: "SYSCALLS", Align: screen.Right}, {Title: "COMPUTRONS", Align: screen.Right}, {Title: "RESULT"},
	}}
	for _, item := range before {
		computrons := screen.Cell{}
		if item.Computrons != nil {
			computrons = number(*item.Computrons)
		}
		table.Add(number(item.Position), screen.Cell{Text: screen.Clip(item.Delivery, maxDeliveryColumns)}, number(int64(item.Syscalls)), computrons,
			screen.Cell{Text: item.Status, Style: screen.Green})
	}
	table.Add(number(d.Position), screen.Cell{Text: screen.Clip(d.Delivery, maxDeliveryColumns)}, screen.Cell{}, screen.Cell{}, screen.Cell{Text: "differs", Style: screen.Red})
	_ = table.Write(a.stdout, a.palette(), "") // the exit code tells those who cannot be written to
}

const (
	maxDeliveryColumns = 72
	maxValueColumns    = 100 // of what differs, or of a syscall beside it
	maxAgreeing        = 8   // syscalls before a difference that are shown
)

// tellers name those whose tellings differ, padded to the same width.
type tellers struct{ first, second string }

func inReplay() tellers    { return tellers{"expected", "got     "} }
func inDatabases() tellers { return tellers{"A", "B"} }

// writeParting shows the syscalls up to a difference, and what differs below one
// another with the place pointed at.
func (a *app) writeParting(d transcripts.Difference, by tellers) {
	p := a.palette()
	fmt.Fprintln(a.stdout)
	isShown := false
	show := func(title string) {
		if !isShown {
			fmt.Fprintln(a.stdout, title)
			a.writeValues(d.Expected, d.Got, d.At, by)
		}
		isShown = true
	}
	calls := d.Syscalls
	if agreeing := agreeingCalls(calls); agreeing > maxAgreeing {
		calls = calls[agreeing-maxAgreeing:]
		fmt.Fprintf(a.stdout, "      %s\n", p.Paint(screen.Dim, fmt.Sprintf("(%d syscalls before these are the same)", agreeing-maxAgreeing)))
	}
	for _, c := range calls {
		if c.Status != transcripts.CallOK && c.Status != transcripts.CallNext {
			show(fmt.Sprintf("sc%-3d %s", c.Index, p.Paint(screen.Red, string(c.Status))))
			continue
		}
		if c.Status == transcripts.CallNext {
			show(p.Paint(screen.Red, d.Place))
		}
		fmt.Fprintf(a.stdout, "sc%-3d %s  %s\n", c.Index, p.Paint(screen.Dim, pad(string(c.Status), 7)), screen.Clip(c.Call, maxValueColumns))
	}
	show(p.Paint(screen.Red, d.Place))
}

// agreeingCalls counts the syscalls up to a difference.
func agreeingCalls(calls []transcripts.Traced) (n int) {
	for n < len(calls) && calls[n].Status == transcripts.CallOK {
		n++
	}
	return n
}

// writeValues shows two values below one another, from a little before the first
// character in which they differ.
func (a *app) writeValues(first, second string, at int, by tellers) {
	p := a.palette()
	one, _ := excerpt(first, at)
	other, column := excerpt(second, at)
	fmt.Fprintf(a.stdout, "  %s  %s\n", p.Paint(screen.Dim, by.first), orNothing(one))
	fmt.Fprintf(a.stdout, "  %s  %s\n", p.Paint(screen.Dim, by.second), orNothing(other))
	if first != "" && second != "" {
		indent := strings.Repeat(" ", len("    ")+len(by.first)+column)
		fmt.Fprintf(a.stdout, "%s%s\n", indent, p.Paint(screen.Red, fmt.Sprintf("^ from character %s on", screen.Count(int64(at)+1))))
	}
}

func orNothing(text string) string {
	if text == "" {
		return "(nothing)"
	}
	return text
}

// excerpt gives the part of a long text around a character, escaped, and the
// column where that is.
func excerpt(text string, at int) (shown string, column int) {
	runes := []rune(text)
	at = min(at, len(runes))
	start := 0
	if at > maxValueColumns/2 {
		start = at - maxValueColumns/2
	}
	before := screen.Escape(string(runes[start:at]))
	if start > 0 {
		before = "…" + before
	}
	column = screen.Width(before)
	return before + screen.Clip(string(runes[at:]), max(1, maxValueColumns-column)), column
}
