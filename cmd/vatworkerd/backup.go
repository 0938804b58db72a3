package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"vatworkerd/cmd/vatworkerd/internal/screen"
	"vatworkerd/dbdir"
	"vatworkerd/pipeproto"
	"vatworkerd/store"
	"vatworkerd/supervisor"
)

// backupDoc is the document of `backup`, and of `backup --check`.
type backupDoc struct {
	Backup        string          `json:"backup"`
	DB            string          `json:"db,omitempty"`
	Made          time.Time       `json:"made"`
	Height        int64           `json:"height"`
	ActivityHash  string          `json:"activityHash"`
	StateHash     string          `json:"stateHash,omitempty"`
	HostStateHash string          `json:"hostStateHash,omitempty"`
	InUse         *bool           `json:"inUse,omitempty"`
	Files         []dbdir.Total   `json:"files"`
	Problems      []store.Problem `json:"problems"`
}

func backupDocOf(dir string, m dbdir.Manifest, problems []store.Problem) backupDoc {
	return backupDoc{
		Backup: dir, Made: m.Made, Height: m.Height, ActivityHash: m.ActivityHash,
		StateHash: m.StateHash, HostStateHash: m.HostStateHash, Files: m.Totals(), Problems: problems,
	}
}

func (a *app) backupCommand() *cobra.Command {
	var check bool
	cmd := &cobra.Command{
		Use: "backup DIR", Short: "Copy the database to DIR, also while it is in use",
		Long: "backup copies the whole database to DIR, which must be empty or not be there yet: both files as of\n" +
			"one instant, and the heap snapshots. It holds nobody up who uses the database. DIR is a database\n" +
			"then: give it to --db to look at it, or to go on from there. backup.json in it is written last.\n" +
			"With --check nothing is copied; the files of a backup are compared with its backup.json.",
		Args: oneDirectoryFor("the copy", "`vatworkerd backup DIR --db DB`"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			if check {
				return a.checkBackup(ctx, a.path(args[0]))
			}
			if a.isForeign() {
				return a.foreignError()
			}
			if err := a.needDatabase(); err != nil {
				return err
			}
			return a.makeBackup(ctx, a.path(args[0]))
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "compare the files of the backup in DIR with its backup.json; --db is not needed")
	return cmd
}

func (a *app) makeBackup(ctx context.Context, to string) error {
	began := time.Now()
	line := a.briefNarrator().progress
	made, err := dbdir.MakeBackup(ctx, a.db, to, dbdir.BackupOptions{Settings: []string{engineFile, supervisor.PinsFile}, Progress: showBytes(line, "backup")})
	line.Stop()
	if errors.Is(err, context.Canceled) {
		return &failure{told: pipeproto.Error{Code: codeInterrupted, Message: "interrupted; nothing is left of the backup, and the database is only read"}, exit: exitInterrupted}
	}
	if err != nil {
		return err
	}
	if a.json {
		doc := backupDocOf(made.Dir, made.Manifest, made.Problems)
		doc.DB, doc.InUse = made.From, &made.InUse
		err = a.document(doc)
	} else {
		err = a.writeBackup(made, time.Since(began))
	}
	if err != nil || len(made.Problems) == 0 {
		return err
	}
	return failed{}
}

// showBytes shows progress in kilobytes.
func showBytes(line *screen.Progress, what string) func(store.Progress) {
	return func(p store.Progress) { line.Step(what+" (kB)", p.Done/1000, p.Total/1000) }
}

func (a *app) writeBackup(made dbdir.Backup, took time.Duration) error {
	a.writeProblems(made.Problems)
	if err := a.writeTotals("COPIED", made.Manifest); err != nil {
		return err
	}
	beside, problems := "", ""
	if made.InUse {
		beside = ", in use meanwhile"
	}
	if n := len(made.Problems); n > 0 {
		problems = a.problemCount(n) + " with heap snapshots, which are copied as they are; "
	}
	_, err := fmt.Fprintf(a.stdout, "\n%sbackup of height %s in %s%s, %s\n",
		problems, screen.Count(made.Height), screen.Escape(made.Dir), beside, screen.Elapsed(took))
	return err
}

func (a *app) writeTotals(title string, m dbdir.Manifest) error {
	table := screen.Table{Columns: []screen.Column{{Title: title}, {Title: "FILES", Align: screen.Right}, {Title: "SIZE", Align: screen.Right}}}
	for _, t := range m.Totals() {
		table.Add(screen.Cell{Text: t.What}, screen.Cell{Text: screen.Count(t.Files)}, screen.Cell{Text: screen.Bytes(t.Bytes)})
	}
	return table.Write(a.stdout, a.palette(), "")
}

func (a *app) checkBackup(ctx context.Context, dir string) error {
	began := time.Now()
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("cannot find the backup: %w", err)
	}
	line := a.briefNarrator().progress
	m, problems, err := dbdir.CheckBackup(ctx, dir, showBytes(line, "check backup"))
	line.Stop()
	switch {
	case errors.Is(err, context.Canceled):
		return interruptedReading()
	case err != nil:
		return err
	}
	if a.json {
		err = a.document(backupDocOf(dir, m, problems))
	} else {
		err = a.writeBackupCheck(m, problems, time.Since(began))
	}
	if err != nil || len(problems) == 0 {
		return err
	}
	return failed{}
}

func (a *app) writeBackupCheck(m dbdir.Manifest, problems []store.Problem, took time.Duration) error {
	a.writeProblems(problems)
	if err := a.writeTotals("CHECKED", m); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.stdout, "\n%s, backup of height %s made at %s, %s\n", a.problemCount(len(problems)),
		screen.Count(m.Height), m.Made.Format(time.RFC3339), screen.Elapsed(took))
	return err
}
