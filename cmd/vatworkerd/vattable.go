package main

import (
	"fmt"
	"io"
	"slices"

	"vatworkerd/cmd/vatworkerd/internal/screen"
	"vatworkerd/cmd/vatworkerd/internal/top"
	"vatworkerd/pipeproto"
)

// hashColumns is how much of a hash people get to see in a table.
const hashColumns = 12

func short(hash string) string {
	if len(hash) > hashColumns {
		return hash[:hashColumns]
	}
	return hash
}

// writeVats prints the table of vats that ends `run` and fills `status` and
// `vat list`.
func writeVats(w io.Writer, p screen.Palette, vats []pipeproto.VatStatus) error {
	table := screen.Table{Columns: []screen.Column{
		{Title: "VAT"}, {Title: "NAME"}, {Title: "STATE"}, {Title: "WORKER"}, {Title: "INC", Align: screen.Right},
		{Title: "DELIVERIES", Align: screen.Right}, {Title: "COMPUTRONS", Align: screen.Right},
		{Title: "HELD", Align: screen.Right}, {Title: "SNAPSHOT"}, {Title: "AT", Align: screen.Right},
	}}
	// Columns that only some need.
	engines := slices.ContainsFunc(vats, func(v pipeproto.VatStatus) bool { return v.Engine != "" && v.Engine != "stock" })
	errors := slices.ContainsFunc(vats, func(v pipeproto.VatStatus) bool { return v.LastError != "" })
	if engines {
		table.Columns = append(table.Columns, screen.Column{Title: "ENGINE"})
	}
	if errors {
		table.Columns = append(table.Columns, screen.Column{Title: "LAST ERROR"})
	}
	for _, v := range vats {
		row := vatRow(v)
		if engines {
			row = append(row, screen.Cell{Text: v.Engine})
		}
		if errors {
			row = append(row, screen.Cell{Text: screen.Clip(v.LastError, lastErrorColumns), Style: screen.Red})
		}
		table.Add(row...)
	}
	return table.Write(w, p, "")
}

// lastErrorColumns is how much of an error fits into the table.
const lastErrorColumns = 60

func vatRow(v pipeproto.VatStatus) []screen.Cell {
	worker := screen.Cell{Text: "offline", Style: screen.Dim}
	if v.Online {
		worker = screen.Cell{Text: "online"}
	}
	at := ""
	if v.SnapshotHash != "" {
		at = screen.Count(v.SnapshotPosition)
	}
	held := ""
	if v.Held > 0 {
		held = screen.Count(v.Held)
	}
	return []screen.Cell{
		{Text: v.VatID}, {Text: v.Name, Style: screen.Bold}, {Text: v.State, Style: top.StateStyle(v.State)}, worker,
		{Text: screen.Count(v.Incarnation)}, {Text: screen.Count(v.Deliveries)}, {Text: screen.Count(v.Computrons)},
		{Text: held, Style: screen.Yellow}, {Text: short(v.SnapshotHash), Style: screen.Dim}, {Text: at},
	}
}

// writeVat prints all there is to say about one vat.
func writeVat(w io.Writer, p screen.Palette, v pipeproto.VatStatus) error {
	worker := "offline"
	if v.Online {
		worker = "online"
	}
	if v.Pinned {
		worker += ", pinned"
	}
	fields := []struct {
		name, text string
		style      screen.Style
	}{
		{"vat", v.VatID, screen.Plain},
		{"name", v.Name, screen.Bold},
		{"state", v.State, top.StateStyle(v.State)},
		{"suspended", yesWith(v.Suspended, v.SuspendReason), screen.Plain},
		{"paused", yesWith(v.Paused, v.PauseReason), screen.Plain},
		{"worker", worker, screen.Plain},
		{"engine", v.Engine, screen.Plain},
		{"incarnation", screen.Count(v.Incarnation), screen.Plain},
		{"last end", v.LastEnd, screen.Plain},
		{"deliveries", screen.Count(v.Deliveries), screen.Plain},
		{"held", screen.Count(v.Held), screen.Plain},
		{"computrons", screen.Count(v.Computrons), screen.Plain},
		{"allowance", allowance(v.Allowance), screen.Plain},
		{"last error", v.LastError, screen.Red},
		{"transcript", transcriptOf(v), screen.Plain},
		{"snapshot", snapshotOf(v), screen.Plain},
		{"bundle", v.BundleID, screen.Plain},
		{"image", v.ImageID, screen.Plain},
		{"options", optionsOf(v.Options), screen.Plain},
	}
	for _, f := range fields {
		if f.text == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "%s%s\n", p.Paint(screen.Dim, fmt.Sprintf("%-13s", f.name)), p.Paint(f.style, screen.Escape(f.text))); err != nil {
			return err
		}
	}
	return nil
}

func yesWith(flag bool, reason string) string {
	switch {
	case !flag:
		return "no"
	case reason == "":
		return "yes"
	}
	return "yes: " + reason
}

func allowance(n *int64) string {
	if n == nil {
		return ""
	}
	return screen.Plural(*n, "computron") + " left"
}

func transcriptOf(v pipeproto.VatStatus) string {
	if v.SpanHash == "" {
		return ""
	}
	return fmt.Sprintf("position %s, span hash %s", screen.Count(v.Position), v.SpanHash)
}

func snapshotOf(v pipeproto.VatStatus) string {
	if v.SnapshotHash == "" {
		return "none"
	}
	return fmt.Sprintf("position %s, %s", screen.Count(v.SnapshotPosition), v.SnapshotHash)
}

func optionsOf(o pipeproto.VatOptions) string {
	text := ""
	for _, option := range []struct {
		name string
		on   bool
	}{
		{"critical", o.Critical}, {"restart-critical", o.RestartCritical}, {"static", o.Static},
		{"unmetered", o.Unmetered}, {"enableDisavow", o.EnableDisavow},
		{"fatal errors terminate it", o.FatalPolicy == pipeproto.PolicyTerminate},
		{"an overrun commits", o.OverrunPolicy == pipeproto.PolicyCommit},
	} {
		if !option.on {
			continue
		}
		if text != "" {
			text += ", "
		}
		text += option.name
	}
	return text
}
