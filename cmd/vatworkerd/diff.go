package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"vatworkerd/cmd/vatworkerd/internal/screen"
	"vatworkerd/dbdir"
	"vatworkerd/kernelhost"
	"vatworkerd/store"
	"vatworkerd/transcripts"
)

func (a *app) diffCommand() *cobra.Command {
	return &cobra.Command{
		Use: "diff A B [VAT…]", Short: "Compare two databases, and show where their vats' transcripts part", Args: twoDatabases,
		Long: "diff compares the databases in the directories A and B, such as those of two nodes or of two runs:\n" +
			"heights, hashes, vats, and their transcripts, first by the hashes of spans, then item by item. The\n" +
			"first difference of each vat is shown. With VATs only those are compared. It changes nothing and\n" +
			"holds nobody up. Any difference makes the exit code 1.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.diff(cmd.Context(), args[0], args[1], args[2:])
		},
	}
}

func twoDatabases(cmd *cobra.Command, args []string) error {
	if len(args) < 2 || args[0] == "" || args[1] == "" {
		return usageError("%s needs the directories of two databases", nameOf(cmd))
	}
	return nil
}

func (a *app) diff(ctx context.Context, dirA, dirB string, vats []string) error {
	ctx, stop := interruptible(ctx)
	defer stop()
	vatIDs, err := vatsOfEither(dirA, dirB, vats)
	if err != nil {
		return err
	}
	line := a.briefNarrator().progress
	found, err := dbdir.Diff(ctx, dirA, dirB, vatIDs, func(p store.Progress) { line.Step("diff", p.Done, p.Total) })
	line.Stop()
	if errors.Is(err, context.Canceled) {
		return interruptedReading()
	}
	if err != nil {
		return err
	}
	if a.json {
		err = a.document(found)
	} else {
		err = a.writeComparison(found, len(vats) > 0)
	}
	if err != nil || found.Same {
		return err
	}
	return failed{}
}

// vatsOfEither gives the IDs of vats that are named by ID or name, in one of two
// databases.
func vatsOfEither(dirA, dirB string, vats []string) (vatIDs []string, err error) {
	for _, vat := range vats {
		vatID, err := kernelhost.FindVat(dirA, vat)
		var unknown *kernelhost.UnknownVatError
		if errors.As(err, &unknown) {
			vatID, err = kernelhost.FindVat(dirB, vat)
		}
		if err != nil {
			return nil, err
		}
		vatIDs = append(vatIDs, vatID)
	}
	return vatIDs, nil
}

// writeComparison shows what differs, and of named vats also what does not.
func (a *app) writeComparison(c dbdir.Comparison, isNamed bool) error {
	if !isNamed {
		if err := a.writeSides(c.A, c.B); err != nil {
			return err
		}
	}
	differ := 0
	table := screen.Table{Columns: []screen.Column{{Title: "VAT"}, {Title: "NAME"}, {Title: "A"}, {Title: "B"}, {Title: "SAME SPANS", Align: screen.Right}, {Title: "TRANSCRIPT"}}}
	for _, v := range c.Vats {
		if !v.Same {
			differ++
		}
		if !v.Same || isNamed {
			table.Add(screen.Cell{Text: v.VatID}, screen.Cell{Text: screen.Clip(v.Name, maxNameColumns), Style: screen.Bold}, sideOf(v.A), sideOf(v.B),
				number(int64(v.Parting.SameSpans)), partingOf(v))
		}
	}
	if table.Len() > 0 {
		if err := table.Write(a.stdout, a.palette(), ""); err != nil {
			return err
		}
		fmt.Fprintln(a.stdout)
	}
	a.writePartings(c.Vats)
	a.writeKeys(c.Keys)
	_, err := fmt.Fprintf(a.stdout, "%s compared, %s\n", screen.Plural(int64(len(c.Vats)), "vat"), a.differCount(differ, c.Same))
	return err
}

func (a *app) differCount(differ int, isSame bool) string {
	switch {
	case isSame:
		return a.palette().Paint(screen.Green, "all the same")
	case differ == 0:
		return a.palette().Paint(screen.Red, "none differs, but the rest does")
	case differ == 1:
		return a.palette().Paint(screen.Red, "1 differs")
	}
	return a.palette().Paint(screen.Red, screen.Count(int64(differ))+" differ")
}

// writeSides lists the two databases below one another.
func (a *app) writeSides(one, other dbdir.Side) error {
	table := screen.Table{Columns: []screen.Column{{}, {Title: "A"}, {Title: "B"}}}
	row := func(name, a, b string) {
		style := screen.Plain
		if a != b {
			style = screen.Red
		}
		table.Add(screen.Cell{Text: name, Style: screen.Dim}, screen.Cell{Text: a, Style: style}, screen.Cell{Text: b, Style: style})
	}
	table.Add(screen.Cell{Text: "database", Style: screen.Dim}, screen.Cell{Text: one.Dir}, screen.Cell{Text: other.Dir})
	row("height", screen.Count(one.Height), screen.Count(other.Height))
	row("activity hash", one.ActivityHash, other.ActivityHash)
	row("vats' state", one.StateHash, other.StateHash)
	row("kernel's state", one.HostStateHash, other.HostStateHash)
	if err := table.Write(a.stdout, a.palette(), ""); err != nil {
		return err
	}
	fmt.Fprintln(a.stdout)
	return nil
}

func sideOf(v *dbdir.VatSide) screen.Cell {
	if v == nil {
		return screen.Cell{Text: "none", Style: screen.Red}
	}
	return screen.Cell{Text: fmt.Sprintf("%s, %s/%s", v.State, screen.Count(v.Incarnation), screen.Count(v.EndPos))}
}

func partingOf(v dbdir.VatDiff) screen.Cell {
	switch {
	case v.A == nil || v.B == nil:
		return screen.Cell{}
	case v.Parting.Same():
		return screen.Cell{Text: "the same", Style: screen.Green}
	case v.Parting.Difference != nil:
		return screen.Cell{Text: "differs at " + screen.Count(v.Parting.Position), Style: screen.Red}
	}
	return screen.Cell{Text: screen.Clip(v.Parting.What, maxTextColumns), Style: screen.Red}
}

// writePartings shows the first items that differ.
func (a *app) writePartings(vats []dbdir.VatDiff) {
	p := a.palette()
	for _, v := range vats {
		d := v.Parting.Difference
		if d == nil {
			continue
		}
		fmt.Fprintf(a.stdout, "%s differs at position %s: %s\n\n", p.Paint(screen.Bold, vatOf(v.VatID, v.Name)), screen.Count(d.Position), p.Paint(screen.Red, screen.Clip(d.What, maxTextColumns)))
		a.writePassed(v.Parting.Before, *d)
		a.writeParting(*d, inDatabases())
		fmt.Fprintln(a.stdout)
	}
}

func (a *app) writeKeys(keys []dbdir.KeyDiff) {
	p := a.palette()
	for _, k := range keys {
		fmt.Fprintf(a.stdout, "%s\n", p.Paint(screen.Bold, screen.Clip(k.Place, maxTextColumns)))
		valueA, valueB := "", ""
		if k.A != nil {
			valueA = *k.A
		}
		if k.B != nil {
			valueB = *k.B
		}
		a.writeValues(valueA, valueB, transcripts.FirstDifferent(valueA, valueB), inDatabases())
	}
	if len(keys) > 0 {
		fmt.Fprintln(a.stdout)
	}
}
