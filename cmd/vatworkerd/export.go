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
	"vatworkerd/swingexport"
)

// exportDoc is the document of `export` and of `import`.
type exportDoc struct {
	Export        string           `json:"export"`
	DB            string           `json:"db"`
	Mode          swingexport.Mode `json:"mode"`
	Height        int64            `json:"height"`
	ActivityHash  string           `json:"activityHash"`
	StateHash     string           `json:"stateHash"`
	HostStateHash string           `json:"hostStateHash"`
	InUse         *bool            `json:"inUse,omitempty"`
	Records       int64            `json:"records"`
	Artifacts     []dbdir.Total    `json:"artifacts"`
}

func exportDocOf(e dbdir.Exported) exportDoc {
	return exportDoc{
		Export: e.Dir, DB: e.DB, Mode: e.Mode, Height: e.Height, ActivityHash: e.ActivityHash,
		StateHash: e.StateHash, HostStateHash: e.HostStateHash, Records: e.Records, Artifacts: e.Artifacts,
	}
}

func (a *app) exportCommand() *cobra.Command {
	mode := string(swingexport.Operational)
	cmd := &cobra.Command{
		Use: "export DIR", Short: "Write the database into DIR in the form of a swing-store export, also while it is in use",
		Long: "export writes the whole state into DIR, which must be empty or not be there yet, in the form in which\n" +
			"the JavaScript system exports its swing-store: export-manifest.json, the export data, and a file for\n" +
			"each transcript span, heap snapshot and bundle, each checked against its hash. `vatworkerd import`\n" +
			"makes a database of it.",
		Args: oneDirectoryFor("the export", "`vatworkerd export DIR --db DB`"),
		RunE: func(cmd *cobra.Command, args []string) error {
			chosen, err := swingexport.ParseMode(mode)
			if err != nil {
				return usageError("--mode: %v", err)
			}
			if a.isForeign() {
				return a.foreignError()
			}
			if err := a.needDatabase(); err != nil {
				return err
			}
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			return a.export(ctx, a.path(args[0]), chosen)
		},
	}
	cmd.Flags().StringVar(&mode, "mode", mode, "which transcript spans: operational (current ones), replay (of current incarnations), archival (all), debug (whatever is there, old snapshots too)")
	return cmd
}

func (a *app) export(ctx context.Context, to string, mode swingexport.Mode) error {
	began := time.Now()
	line := a.briefNarrator().progress
	made, err := dbdir.MakeExport(ctx, a.db, to, mode, showSteps(line, "export"))
	line.Stop()
	switch {
	case errors.Is(err, context.Canceled):
		return &failure{told: pipeproto.Error{Code: codeInterrupted, Message: "interrupted; nothing is left of the export, and the database is only read"}, exit: exitInterrupted}
	case err != nil:
		return err
	}
	if a.json {
		doc := exportDocOf(made)
		doc.InUse = &made.InUse
		return a.document(doc)
	}
	beside := ""
	if made.InUse {
		beside = ", in use meanwhile"
	}
	return a.writeExported("EXPORTED", made, fmt.Sprintf("%s export of height %s in %s%s, %s",
		made.Mode, screen.Count(made.Height), screen.Escape(made.Dir), beside, screen.Elapsed(time.Since(began))))
}

// exportModes are the words for --mode.
func exportModes() []string {
	var words []string
	for _, mode := range swingexport.Modes() {
		words = append(words, string(mode))
	}
	return words
}

// showSteps shows progress in artifacts.
func showSteps(line *screen.Progress, what string) func(store.Progress) {
	return func(p store.Progress) { line.Step(what, p.Done, p.Total) }
}

func (a *app) writeExported(title string, e dbdir.Exported, end string) error {
	table := screen.Table{Columns: []screen.Column{{Title: title}, {Title: "COUNT", Align: screen.Right}, {Title: "SIZE", Align: screen.Right}}}
	table.Add(screen.Cell{Text: "records"}, screen.Cell{Text: screen.Count(e.Records)}, screen.Cell{})
	for _, t := range e.Artifacts {
		table.Add(screen.Cell{Text: t.What}, screen.Cell{Text: screen.Count(t.Files)}, screen.Cell{Text: screen.Bytes(t.Bytes)})
	}
	if err := table.Write(a.stdout, a.palette(), ""); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.stdout, "\n%s\n", end)
	return err
}

func (a *app) importCommand() *cobra.Command {
	return &cobra.Command{
		Use: "import DIR", Short: "Make a database of an export of vatworkerd's",
		Long: "import makes the database of --db, which must be empty or not be there yet, of what `vatworkerd export`\n" +
			"has written into DIR. Every artifact is checked against its hash, and the whole as `verify` does,\n" +
			"before the database gets its place: it is there whole and sound, or not at all.",
		Args: oneDirectoryFor("an export", "`vatworkerd import DIR --db DB`"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if a.db == "" {
				return usageError("--db is needed: the directory of the new database").hint("`vatworkerd import DIR --db DB`")
			}
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			return a.importExport(ctx, a.path(args[0]))
		},
	}
}

func (a *app) importExport(ctx context.Context, from string) error {
	began := time.Now()
	line := a.briefNarrator().progress
	made, err := dbdir.Import(ctx, from, a.db, showSteps(line, "import"))
	line.Stop()
	switch {
	case errors.Is(err, context.Canceled):
		return &failure{told: pipeproto.Error{Code: codeInterrupted, Message: "interrupted; nothing is left of the database"}, exit: exitInterrupted}
	case err != nil:
		return err
	}
	if err := a.rememberEngine(made.DB); err != nil {
		return err
	}
	if a.json {
		return a.document(exportDocOf(made))
	}
	return a.writeExported("IMPORTED", made, fmt.Sprintf("database of height %s in %s, verified, %s",
		screen.Count(made.Height), screen.Escape(made.DB), screen.Elapsed(time.Since(began))))
}

// oneDirectoryFor takes one directory.
func oneDirectoryFor(what, example string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return usageError("%s needs a directory for %s", nameOf(cmd), what).hint("%s", example)
		case len(args) > 1:
			return usageError("%s takes one directory, but was also given %q", nameOf(cmd), args[1])
		case args[0] == "":
			return usageError("%s was given an empty name", nameOf(cmd))
		}
		return nil
	}
}
