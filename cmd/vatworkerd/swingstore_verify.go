package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"vatworkerd/cmd/vatworkerd/internal/screen"
	"vatworkerd/pipeproto"
	"vatworkerd/store"
	"vatworkerd/swingstore"
)

// verificationDoc is the document of `swingstore verify`. Error is what kept
// it from its end; without problems found until then the error is a document
// of its own.
type verificationDoc struct {
	swingstore.Verification
	Error *pipeproto.Error `json:"error,omitempty"`
}

func (a *app) swingstoreVerifyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "verify DIR [VAT]", Short: "Check every span, snapshot and bundle of a swing-store against its hash", Args: swingStoreArgs,
		Long: "verify recomputes every hash that a swing-store keeps and checks that its records agree. It goes on\n" +
			"after a problem; any problem makes the exit code 1.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withSwingStore(cmd.Context(), args, a.verifySwingStore)
		},
	}
}

func (a *app) verifySwingStore(ctx context.Context, s *swingstore.Store, vatID string) error {
	began := time.Now()
	line := a.briefNarrator().progress
	found, err := s.Verify(ctx, vatID, func(p store.Progress) { line.Step("verify swing-store", p.Done, p.Total) })
	line.Stop()
	if err != nil {
		return a.verifyCutShort(found, err)
	}
	if a.json {
		err = a.document(verificationDoc{Verification: found})
	} else {
		a.writeProblems(found.Problems)
		err = a.writeVerification(found, time.Since(began))
	}
	if err != nil || found.OK() {
		return err
	}
	return failed{}
}

// verifyCutShort shows what was found before a verification had to end.
func (a *app) verifyCutShort(found swingstore.Verification, err error) error {
	switch {
	case found.OK():
		return err
	case !a.json:
		a.writeProblems(found.Problems)
		return err
	}
	f := failureOf(err)
	if err := a.document(verificationDoc{Verification: found, Error: &f.told}); err != nil {
		return err
	}
	return failed{exit: f.exit}
}

func (a *app) writeVerification(v swingstore.Verification, took time.Duration) error {
	pruned := ""
	if v.PrunedSpans+v.PrunedSnapshots > 0 {
		pruned = fmt.Sprintf("pruned: %s and %s, of which only the record is kept\n", screen.Plural(v.PrunedSpans, "span"), screen.Plural(v.PrunedSnapshots, "snapshot"))
	}
	_, err := fmt.Fprintf(a.stdout, "checked: %s, %s with %s, %s, %s, %s\n%s%s, %s\n",
		screen.Plural(v.Vats, "vat"), screen.Plural(v.Spans, "span"), screen.Plural(v.Items, "item"), screen.Plural(v.Snapshots, "snapshot"),
		screen.Plural(v.Bundles, "bundle"), screen.Plural(v.ExportRecords, "export record"), pruned, a.problemCount(len(v.Problems)), screen.Elapsed(took))
	return err
}
