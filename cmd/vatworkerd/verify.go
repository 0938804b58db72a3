package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"vatworkerd/cmd/vatworkerd/internal/screen"
	"vatworkerd/dbdir"
	"vatworkerd/pipeproto"
	"vatworkerd/store"
)

// databaseVerificationDoc is the document of `verify`. Error is what kept it from
// its end; without problems found until then the error is a document of its own.
type databaseVerificationDoc struct {
	dbdir.Verification
	Error *pipeproto.Error `json:"error,omitempty"`
}

func (a *app) verifyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "verify", Short: "Check everything in the database, also while it is in use", Args: noArguments,
		Long: "verify reads the whole database: both files, every hash, record and reference in them, the heap\n" +
			"snapshots, and that the kernel's side and the vats' side agree. It changes nothing, starts nothing\n" +
			"and holds nobody up. Any problem makes the exit code 1.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if a.isForeign() {
				return a.foreignError()
			}
			if err := a.needDatabase(); err != nil {
				return err
			}
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			return a.verifyDatabase(ctx)
		},
	}
}

func (a *app) verifyDatabase(ctx context.Context) error {
	began := time.Now()
	line := a.briefNarrator().progress
	found, err := dbdir.Verify(ctx, a.db, func(p store.Progress) { line.Step("verify database", p.Done, p.Total) })
	line.Stop()
	if errors.Is(err, context.Canceled) {
		err = interruptedReading()
	}
	if err != nil {
		return a.databaseCutShort(found, err)
	}
	if a.json {
		err = a.document(databaseVerificationDoc{Verification: found})
	} else {
		err = a.writeDatabaseVerification(found, time.Since(began))
	}
	if err != nil || found.OK() {
		return err
	}
	return failed{}
}

// interruptedReading tells that a command which only reads was ended.
func interruptedReading() error {
	return &failure{told: pipeproto.Error{Code: codeInterrupted, Message: "interrupted; the database is only read"}, exit: exitInterrupted}
}

// databaseCutShort shows what was found before a verification had to end.
func (a *app) databaseCutShort(found dbdir.Verification, err error) error {
	switch {
	case found.OK():
		return err
	case !a.json:
		a.writeProblems(found.Problems)
		return err
	}
	f := failureOf(err)
	if err := a.document(databaseVerificationDoc{Verification: found, Error: &f.told}); err != nil {
		return err
	}
	return failed{exit: f.exit}
}

func (a *app) writeDatabaseVerification(v dbdir.Verification, took time.Duration) error {
	a.writeProblems(v.Problems)
	p := a.palette()
	table := screen.Table{Columns: []screen.Column{{Title: "CHECKED"}, {Title: "COUNT", Align: screen.Right}}}
	for _, c := range v.Checked {
		table.Add(screen.Cell{Text: c.What}, screen.Cell{Text: screen.Count(c.Count)})
	}
	if err := table.Write(a.stdout, p, ""); err != nil {
		return err
	}
	for _, note := range v.Notes {
		fmt.Fprintf(a.stdout, "%s  %s\n", p.Paint(screen.Dim, "note"), screen.Clip(note.String(), maxTextColumns))
	}
	beside := ""
	if v.InUse {
		beside = ", in use meanwhile"
	}
	_, err := fmt.Fprintf(a.stdout, "\n%s at height %s%s, %s\n", a.problemCount(len(v.Problems)), screen.Count(v.Height), beside, screen.Elapsed(took))
	return err
}

func (a *app) problemCount(n int) string {
	if n == 0 {
		return a.palette().Paint(screen.Green, "no problems")
	}
	return a.palette().Paint(screen.Red, screen.Plural(int64(n), "problem"))
}
