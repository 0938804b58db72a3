package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

// app is one invocation of the program, or of a command that a process which
// stays runs for another: its streams and global flags.
type app struct {
	args []string
	dir  string // where relative paths begin; empty = the process's own directory
	stay *stay  // the process that runs the command, if it does so for another

	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer

	db        string
	engine    string
	cache     string
	pool      poolFlags
	snapshots snapshotFlags
	cpu       string
	workers   workerFlags
	pages     httpFlags // of the commands that have them
	workerLog logFlags
	json      bool
	logLevel  string
	logJSON   bool
	color     string
}

// execute runs the command line and returns the exit code.
func execute(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr}
	return a.execute(context.Background(), args)
}

func (a *app) execute(ctx context.Context, args []string) int {
	a.args = args
	root := a.rootCommand()
	root.SetArgs(args)
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	err := root.ExecuteContext(ctx)
	return a.report(err, args)
}

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "vatworkerd",
		Short: "Keep JavaScript vats alive on a handful of xsnap workers",
		Long: "vatworkerd runs JavaScript vats on xsnap workers: it brings them online on demand, takes\n" +
			"heap snapshots, records every delivery, and suspends, upgrades and restarts them.",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          noCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		// Everything that needs no database is checked before one is opened.
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if a.stay != nil {
				a.db = a.stay.dir
				a.notFollowed(cmd)
			} else {
				a.fromEnvironment()
			}
			return a.checkColor()
		},
	}
	root.CompletionOptions.DisableDefaultCmd = true // ours is in completion.go
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError("%s", flagProblem(err)).hint("%s --help lists the flags", cmd.CommandPath())
	})
	flags := root.PersistentFlags()
	flags.StringVar(&a.db, "db", "", "directory of the database (environment: VATWORKERD_DB)")
	flags.StringVar(&a.engine, "engine", "", "stock, native, or the path of an engine or of a directory with it and its bundles (default: the database's own, else stock)")
	flags.StringVar(&a.cache, "cache", "", "directory for base snapshots (environment: VATWORKERD_CACHE; default: inside the database)")
	a.pool.register(flags)
	a.snapshots.register(flags)
	flags.StringVar(&a.cpu, "cpu", "auto", "CPU that deliveries and workers share: auto, off, or a number")
	a.workers.register(flags)
	a.workerLog.register(flags)
	flags.BoolVar(&a.json, "json", false, "print one JSON document on stdout and nothing else")
	flags.StringVar(&a.logLevel, "log-level", "", "what to log on stderr: trace, debug, info, warn, error, off (default: warn for serve, else off)")
	flags.BoolVar(&a.logJSON, "log-json", false, "log JSON lines")
	flags.StringVar(&a.color, "color", "auto", "colours: auto (on a terminal), always, never")
	root.AddCommand(a.commands()...)
	if a.stay == nil { // cobra keeps these for ever
		a.completeAll(root)
	}
	return root
}

// fromEnvironment fills in flags that were not given.
func (a *app) fromEnvironment() {
	if a.db == "" {
		a.db = os.Getenv("VATWORKERD_DB")
	}
	if a.cache == "" {
		a.cache = os.Getenv("VATWORKERD_CACHE")
	}
	if a.workerLog.slog == "" {
		a.workerLog.slog = os.Getenv("VATWORKERD_SLOG")
	}
}

// path is where a file is that the command line names.
func (a *app) path(name string) string {
	if a.dir == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(a.dir, name)
}

// nameOf is a command without the program's name.
func nameOf(cmd *cobra.Command) string {
	return strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" ")
}

// noCommand refuses arguments that are no command, by name.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	e := usageError("unknown command %q for %q", args[0], cmd.CommandPath())
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return e.hint("did you mean %q?", near[0])
	}
	return e.hint("%s --help lists the commands", cmd.CommandPath())
}

func (a *app) commands() []*cobra.Command {
	if a.stay != nil {
		return a.servedCommands()
	}
	return []*cobra.Command{
		a.runCommand(), a.sendCommand(), a.statusCommand(), a.topCommand(), a.vatCommand(), a.restartCommand(),
		a.replayCommand(), a.diffCommand(), a.spansCommand(), a.snapshotCommand(), a.verifyCommand(), a.backupCommand(), a.exportCommand(), a.importCommand(), a.logsCommand(), a.framesCommand(), a.swingstoreCommand(), a.doctorCommand(),
		a.serveCommand(), a.versionCommand(), a.completionCommand(), a.manCommand(),
	}
}
