package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"vatworkerd/cmd/vatworkerd/internal/screen"
	"vatworkerd/replay"
)

const (
	slowestShown = 10
	timeRows     = 16 // of the plot
	timeColumns  = 40 // of its bars
)

// writeTimings writes the slowest deliveries, and how time goes along the
// transcript.
func writeTimings(w io.Writer, p screen.Palette, timings []replay.Timing) error {
	if len(timings) == 0 {
		return nil
	}
	fmt.Fprintf(w, "\nthe slowest of %s\n", screen.Plural(int64(len(timings)), "delivery", "deliveries"))
	slowest := slowestOf(timings)
	if err := slowest.Write(w, p, "  "); err != nil {
		return err
	}
	fmt.Fprintln(w, "\ntime a delivery, along the transcript")
	along := timeAlong(timings)
	return along.Write(w, p, "  ")
}

func slowestOf(timings []replay.Timing) screen.Table {
	table := screen.Table{Columns: []screen.Column{
		{Title: "AT", Align: screen.Right}, {Title: "DELIVERY"}, {Title: "TIME", Align: screen.Right},
		{Title: "COMPUTRONS", Align: screen.Right}, {Title: "SYSCALLS", Align: screen.Right},
	}}
	sorted := slices.SortedStableFunc(slices.Values(timings), func(a, b replay.Timing) int { return cmp.Compare(b.Micros, a.Micros) })
	for _, t := range sorted[:min(len(sorted), slowestShown)] {
		computrons := screen.Cell{}
		if t.Computrons != nil {
			computrons = number(*t.Computrons)
		}
		table.Add(number(t.Position), screen.Cell{Text: screen.Clip(t.Kind, maxNameColumns)}, screen.Cell{Text: screen.Millis(t.Micros)}, computrons, number(int64(t.Syscalls)))
	}
	return table
}

// timeAlong has a row for each of so many equal parts of the deliveries.
func timeAlong(timings []replay.Timing) screen.Table {
	table := screen.Table{Columns: []screen.Column{
		{Title: "FROM", Align: screen.Right}, {Title: "TO", Align: screen.Right}, {Title: "MEAN", Align: screen.Right}, {Title: "MAX", Align: screen.Right}, {},
	}}
	parts := slices.Collect(slices.Chunk(timings, (len(timings)+timeRows-1)/timeRows))
	means, top := make([]int64, len(parts)), int64(1)
	for i, part := range parts {
		for _, t := range part {
			means[i] += t.Micros
		}
		means[i] /= int64(len(part))
		top = max(top, means[i])
	}
	for i, part := range parts {
		most := slices.MaxFunc(part, func(a, b replay.Timing) int { return cmp.Compare(a.Micros, b.Micros) }).Micros
		bar := strings.Repeat("━", int((means[i]*timeColumns+top-1)/top))
		table.Add(number(part[0].Position), number(part[len(part)-1].Position), screen.Cell{Text: screen.Millis(means[i])}, screen.Cell{Text: screen.Millis(most)},
			screen.Cell{Text: bar, Style: screen.Green})
	}
	return table
}
