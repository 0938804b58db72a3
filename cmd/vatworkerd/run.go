package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"vatworkerd/cmd/vatworkerd/internal/screen"
	"vatworkerd/dbdir"
	"vatworkerd/kernelhost"
	"vatworkerd/kernelhost/config"
)

// defaultBlockCranks bounds what a crash of this machine can lose of a run.
const defaultBlockCranks = 1000

func (a *app) runCommand() *cobra.Command {
	var blockCranks int64
	var stay bool
	cmd := &cobra.Command{
		Use: "run CONFIG", Short: "Create the vats of a config, call bootstrap and run until idle",
		Long: "run reads a SwingSet config (JSON), creates its vats, calls bootstrap and runs until nothing is left\n" +
			"to do. With --db the state is kept: the same config again goes on where it was. Without, the vats\n" +
			"live in a temporary directory that is removed at the end. With --stay the process then keeps the\n" +
			"vats online and runs the commands that others give on the database, until SIGTERM or Ctrl-C.",
		Args: oneConfig,
	}
	cmd.Flags().Int64Var(&blockCranks, "block-cranks", defaultBlockCranks, "commit a block after this many cranks; 0 commits once, at the end")
	cmd.Flags().BoolVar(&stay, "stay", false, "stay when there is nothing left to do, and run the commands on --db")
	a.pages.register(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := a.pages.check(""); err != nil {
			return err
		}
		if a.pages.address != "" && !stay {
			return usageError("cannot use --http without --stay: there would be nothing to look at for long")
		}
		if stay && a.db == "" {
			return usageError("cannot stay without --db: nobody could reach the vats")
		}
		if blockCranks < 0 {
			return usageError("cannot use --block-cranks %d: it must be 0 or more", blockCranks)
		}
		return a.run(cmd.Context(), args[0], blockCranks, stay)
	}
	return cmd
}

func oneConfig(cmd *cobra.Command, args []string) error {
	switch len(args) {
	case 1:
		return nil
	case 0:
		return usageError("run needs a config file").hint("`vatworkerd run CONFIG.json`; docs/config.md shows one")
	}
	return usageError("run takes one config file, but was also given %q", args[1])
}

func (a *app) run(ctx context.Context, configPath string, blockCranks int64, stay bool) (err error) {
	began := time.Now()
	if a.isForeign() {
		return a.foreignError()
	}
	if a.db != "" && dbdir.IsUnfinished(a.db) {
		return &dbdir.UnfinishedError{Dir: a.db}
	}
	cfg, err := config.Parse(configPath)
	if err != nil {
		return err
	}
	if err := a.checkRun(); err != nil {
		return err
	}
	if err := a.workers.checkMachine(func(line string) { a.note("%s", line) }); err != nil {
		return err
	}
	say := a.narratorTo(a.stdout, false)
	if a.json {
		say = a.briefNarrator()
	}
	dir, isNew := a.db, a.isNew()
	if isNew {
		// What cannot be bundled must not leave an empty database behind.
		if err := a.bundle(ctx, &cfg, say.progress); err != nil {
			return err
		}
	}
	if dir == "" {
		if dir, err = os.MkdirTemp("", "vatworkerd-"); err != nil {
			return fmt.Errorf("cannot create a temporary database: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		a.note("the state is kept in %s until this run ends; --db DIR keeps it for longer", dir)
	}
	open := a.openKernel
	if stay {
		open = a.openAndStay
	}
	return open(ctx, dir, say, func(s *session) error {
		promise, err := s.initialize(&cfg, isNew)
		if err != nil {
			return err
		}
		if err := a.rememberEngine(dir); err != nil {
			return err
		}
		if _, err := s.kernel.Run(s.ctx, wholeRun(blockCranks)); err != nil {
			return err
		}
		return a.ran(s, promise, time.Since(began))
	})
}

// checkRun refuses flags that cannot be meant and an engine that is not there
// before anything is bundled, which takes long.
func (a *app) checkRun() error {
	if err := a.checkFlags(); err != nil {
		return err
	}
	if a.db == "" {
		_, err := a.findEngine()
		return err
	}
	if info, err := os.Stat(a.db); err == nil && !info.IsDir() {
		return usageError("cannot use --db %s: it is no directory", screen.Escape(a.db))
	}
	_, err := a.engineFor(a.db)
	return err
}

// isNew tells whether `run` is to create its database.
func (a *app) isNew() bool {
	if a.db == "" {
		return true
	}
	_, err := os.Stat(filepath.Join(a.db, kernelhost.DatabaseFile))
	return errors.Is(err, fs.ErrNotExist)
}

// initialize makes the vats of a config, or finds that they are there already,
// and gives the promise for the result of bootstrap.
func (s *session) initialize(cfg *config.Config, isBundled bool) (promise string, err error) {
	_, isDone, err := s.kernel.Initialized()
	if err != nil {
		return "", err
	}
	if !isDone && !isBundled {
		if err := s.app.bundle(s.ctx, cfg, s.narrator.progress); err != nil {
			return "", err
		}
	}
	promise, err = s.kernel.Initialize(s.ctx, *cfg)
	if err == nil && !isDone {
		s.tellUnknownPins()
	}
	return promise, err
}

// ran ends a run with what became of the vats.
func (a *app) ran(s *session, promise string, took time.Duration) error {
	st, err := s.kernel.Status(s.ctx, "", everyVat)
	if err != nil {
		return err
	}
	var boot *resultDoc
	if promise != "" {
		result, err := s.result(promise)
		if err != nil {
			return err
		}
		boot = &result
	}
	if a.json {
		return a.document(runDoc{
			Vats: vatDocsOf(st.Vats), TestLog: append([]string{}, s.kernel.TestLog()...),
			ActivityHash: st.ActivityHash, Height: st.Height, Bootstrap: boot,
		})
	}
	return a.writeRun(st, boot, took)
}

func (a *app) writeRun(st kernelhost.Status, boot *resultDoc, took time.Duration) error {
	p := a.palette()
	if boot != nil {
		style := screen.Green
		if boot.Status != statusFulfilled {
			style = screen.Yellow
		}
		fmt.Fprintf(a.stdout, "%s%s\n", p.Paint(style, pad("bootstrap", kindColumns)), screen.Clip(boot.String(), maxTextColumns))
	}
	fmt.Fprintln(a.stdout)
	if err := writeVats(a.stdout, p, st.Vats); err != nil {
		return err
	}
	var deliveries, computrons int64
	for _, v := range st.Vats {
		deliveries += v.Deliveries
		computrons += v.Computrons
	}
	fmt.Fprintf(a.stdout, "\n%s, %s, %s; height %s, %s\nactivity hash %s\n",
		vatTotals(st.Counts), screen.Plural(deliveries, "delivery", "deliveries"), screen.Plural(computrons, "computron"),
		screen.Count(st.Height), screen.Elapsed(took), st.ActivityHash)
	return nil
}
