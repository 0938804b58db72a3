package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"vatworkerd/cmd/vatworkerd/internal/screen"
	"vatworkerd/pipeproto"
	"vatworkerd/store"
	"vatworkerd/swingexport"
	"vatworkerd/swingstore"
)

func (a *app) swingstoreCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "swingstore", Short: "Read the database of a JavaScript SwingSet: list, verify, replay, import", Args: noCommand,
		Long: "swingstore reads a swing-store (swingstore.sqlite) that the JavaScript system wrote, also while a\n" +
			"node uses it, and never writes to it. DIR is the directory that holds it, or an export of one\n" +
			"(export-manifest.json), which is unpacked into a temporary directory.",
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.swingstoreListCommand(), a.swingstoreVerifyCommand(), a.swingstoreReplayCommand(), a.swingstoreImportCommand())
	return cmd
}

// swingStoreArgs takes DIR [VAT]. An empty VAT is refused: it would mean all.
func swingStoreArgs(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0 || args[0] == "":
		return usageError("%s needs the directory of a swing-store", nameOf(cmd)).hint("it is the one that holds %s", swingstore.FileName)
	case len(args) > 2:
		return usageError("%s takes a directory and one vat, but was also given %q", nameOf(cmd), args[2])
	case len(args) == 2 && args[1] == "":
		return usageError("%s was given an empty vat", nameOf(cmd)).hint("name a vat, or leave it out for all of them")
	}
	return nil
}

// withSwingStore opens the store of DIR, runs f and closes it; vatID is empty
// if the command was given no VAT. Ctrl-C ends f.
func (a *app) withSwingStore(ctx context.Context, args []string, f func(ctx context.Context, s *swingstore.Store, vatID string) error) (err error) {
	ctx, stop := interruptible(ctx)
	defer stop()
	s, err := a.openSwingStore(ctx, args[0])
	if err != nil {
		return swingStoreFailure(err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	vatID := ""
	if len(args) > 1 {
		if vatID, err = swingStoreVat(s, args[1]); err != nil {
			return err
		}
	}
	return swingStoreFailure(f(ctx, s, vatID))
}

// openSwingStore opens a swing-store, or an export of one.
func (a *app) openSwingStore(ctx context.Context, dir string) (*swingstore.Store, error) {
	if _, err := os.Stat(filepath.Join(dir, swingstore.FileName)); err == nil || !swingexport.IsExport(dir) {
		return swingstore.Open(dir)
	}
	line := a.briefNarrator().progress
	defer line.Stop()
	return swingstore.OpenExport(ctx, dir, showSteps(line, "unpack"))
}

func swingStoreFailure(err error) error {
	if errors.Is(err, context.Canceled) {
		return &failure{told: pipeproto.Error{Code: codeInterrupted, Message: "interrupted; a swing-store is only read"}, exit: exitInterrupted}
	}
	return err
}

var vatIDForm = regexp.MustCompile(`^v[0-9]+$`)

// swingStoreVat gives the ID of a vat that is named by its ID or name. An ID is
// not looked up, so that a damaged list of vats hinders nobody who has one.
func swingStoreVat(s *swingstore.Store, vat string) (string, error) {
	if vatIDForm.MatchString(vat) {
		return vat, nil
	}
	list, err := s.Vats()
	if err != nil {
		return "", err
	}
	var ids []string
	for _, v := range list.Vats {
		if v.VatID == vat {
			return vat, nil
		}
		if v.Name == vat {
			ids = append(ids, v.VatID)
		}
	}
	switch len(ids) {
	case 0:
		return "", &swingstore.NoVatError{VatID: vat}
	case 1:
		return ids[0], nil
	}
	return "", usageError("%q is the name of %s: %s", vat, screen.Plural(int64(len(ids)), "vat"), strings.Join(ids, ", ")).hint("name one of them by its ID")
}

// writeProblems prints what is wrong, each with its place, and expected and got
// below one another.
func (a *app) writeProblems(problems []store.Problem) {
	p := a.palette()
	var b strings.Builder
	for _, problem := range problems {
		place := problem.Place
		if problem.Position != nil {
			place += " item " + screen.Count(*problem.Position)
		}
		b.WriteString(p.Paint(screen.Red, string(problem.Kind)) + "  " + p.Paint(screen.Bold, screen.Clip(place, maxTextColumns)) + "\n")
		b.WriteString("  " + screen.Clip(problem.What, maxTextColumns) + "\n")
		for _, line := range []struct{ name, text string }{{"expected", problem.Expected}, {"got     ", problem.Got}} {
			if line.text != "" {
				b.WriteString("  " + p.Paint(screen.Dim, line.name) + "  " + screen.Clip(line.text, maxTextColumns) + "\n")
			}
		}
	}
	_, _ = a.stdout.Write([]byte(b.String())) // the exit code tells those who cannot be written to
}
