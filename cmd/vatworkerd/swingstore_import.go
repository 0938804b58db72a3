package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"vatworkerd/cmd/vatworkerd/internal/screen"
	"vatworkerd/dbdir"
	"vatworkerd/pipeproto"
	"vatworkerd/swingstore"
)

func (a *app) swingstoreImportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "import DIR [VAT…]", Short: "Make a database in which vats of a swing-store go on",
		Long: "import makes the database of --db, which must be empty or not be there yet, of the vats of a swing-store\n" +
			"that can go on here: with their storage, transcripts, heap snapshots, bundles, options and c-lists, in\n" +
			"the incarnation that they are in, on --engine or the default one. Every hash is checked. It lists the\n" +
			"vats that stay behind, and why. With VAT only those come along.",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 && slices.Contains(args[1:], "") {
				return usageError("%s was given an empty vat", nameOf(cmd))
			}
			return swingStoreArgs(cmd, args[:min(len(args), 1)])
		},
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if a.db == "" {
			return usageError("--db is needed: the directory of the new database").hint("`vatworkerd swingstore import DIR --db DB`")
		}
		return a.withSwingStore(cmd.Context(), args[:1], func(ctx context.Context, s *swingstore.Store, _ string) error {
			return a.importSwingStore(ctx, s, args[1:])
		})
	}
	return cmd
}

func (a *app) importSwingStore(ctx context.Context, s *swingstore.Store, vats []string) error {
	began := time.Now()
	image, err := a.swingStoreImage()
	if err != nil {
		return err
	}
	opts := dbdir.TakeOverOptions{ImageID: image.ID(), WorkerBundleIDs: image.BundleIDs()}
	for _, vat := range vats {
		vatID, err := swingStoreVat(s, vat)
		if err != nil {
			return err
		}
		opts.VatIDs = append(opts.VatIDs, vatID)
	}
	line := a.briefNarrator().progress
	opts.Progress = showSteps(line, "import")
	taken, err := dbdir.TakeOver(ctx, s, a.db, opts)
	line.Stop()
	if errors.Is(err, context.Canceled) {
		return &failure{told: pipeproto.Error{Code: codeInterrupted, Message: "interrupted; nothing is left of the database, and a swing-store is only read"}, exit: exitInterrupted}
	}
	if err != nil {
		return err
	}
	if err := a.rememberEngine(taken.DB); err != nil {
		return err
	}
	if a.json {
		return a.document(taken)
	}
	return a.writeTakenOver(taken, time.Since(began))
}

func (a *app) writeTakenOver(taken dbdir.TakenOver, took time.Duration) error {
	table := screen.Table{Columns: []screen.Column{
		{Title: "VAT"}, {Title: "NAME"}, {Title: "INC", Align: screen.Right}, {Title: "SPANS", Align: screen.Right}, {Title: "ITEMS", Align: screen.Right},
		{Title: "SNAPSHOTS", Align: screen.Right}, {Title: "KEYS", Align: screen.Right},
	}}
	for _, v := range taken.Vats {
		table.Add(screen.Cell{Text: v.VatID}, screen.Cell{Text: screen.Clip(v.Name, maxNameColumns), Style: screen.Bold},
			number(v.Incarnation), number(v.Spans), number(v.Items), number(v.Snapshots), number(v.Keys))
	}
	p := a.palette()
	if err := table.Write(a.stdout, p, ""); err != nil {
		return err
	}
	if len(taken.Left) > 0 {
		fmt.Fprintln(a.stdout)
		left := screen.Table{Columns: []screen.Column{{Title: "LEFT"}, {Title: "NAME"}, {Title: "WHY"}}}
		for _, v := range taken.Left {
			left.Add(screen.Cell{Text: v.VatID}, screen.Cell{Text: screen.Clip(v.Name, maxNameColumns)}, screen.Cell{Text: screen.Clip(v.Reason, maxTextColumns)})
		}
		if err := left.Write(a.stdout, p, ""); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(a.stdout, "\n%s of %s in %s, verified, %s\n", screen.Plural(int64(len(taken.Vats)), "vat"),
		screen.Escape(taken.From), screen.Escape(taken.DB), screen.Elapsed(took))
	return err
}
