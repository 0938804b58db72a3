package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"vatworkerd/kernelhost"
	"vatworkerd/replay"
)

// replayFlags are what `replay` was asked for.
type replayFlags struct {
	full        bool
	from        int64
	until       int64
	hasFrom     bool
	hasUntil    bool
	stopBefore  int64
	hasStop     bool
	snapshot    string
	plain       bool
	timings     bool
	wrap        string
	keepWorkers bool
}

func (a *app) replayCommand() *cobra.Command {
	var f replayFlags
	cmd := &cobra.Command{
		Use: "replay VAT", Short: "Run a vat's transcript again in a throw-away worker and compare", Args: oneVat,
		Long: "replay runs what the transcript records, from the heap snapshot that the vat's current span starts\n" +
			"from (or from the start of its incarnation), compares every syscall, status, computron count and\n" +
			"snapshot hash, and shows the first difference. It reads the database beside whoever uses it, and\n" +
			"changes nothing. With --engine it runs on that engine instead of the vat's own.",
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.full, "full", false, "the whole incarnation, taking its snapshots again, not only what came since the last one")
	flags.Int64Var(&f.from, "from", 0, "begin with the span that starts at this position, as `vatworkerd spans` lists it")
	flags.Int64Var(&f.until, "until", 0, "end before the item at this position")
	flags.Int64Var(&f.stopBefore, "stop-before", 0, "stop before the item at this position, with a console into the worker")
	flags.StringVar(&f.snapshot, "snapshot", "", "where the replay stops, or at its end, write the worker's heap into this new file")
	flags.BoolVar(&f.plain, "plain", false, "do not compress the heap that --snapshot or the console writes")
	flags.BoolVar(&f.timings, "timings", false, "tell how long each delivery took, the slowest of them, and how that goes along the transcript")
	flags.StringVar(&f.wrap, "wrap", "", "run the worker inside a program, such as 'gdb --args', 'rr record' or valgrind: words at spaces, before the worker's own command line")
	flags.BoolVar(&f.keepWorkers, "keep-workers", false, "at the end, or at a difference, keep the worker for a debugger until Enter or Ctrl-C")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		f.hasFrom, f.hasUntil, f.hasStop = flags.Changed("from"), flags.Changed("until"), flags.Changed("stop-before")
		return a.replay(cmd.Context(), args[0], f)
	}
	return cmd
}

// check refuses what cannot be meant.
func (f replayFlags) check() error {
	switch {
	case f.full && f.hasFrom:
		return usageError("cannot use --full together with --from: each says where to begin")
	case f.hasFrom && f.from < 0:
		return usageError("cannot use --from %d: positions begin with 0", f.from)
	case f.hasUntil && f.until < 1:
		return usageError("cannot use --until %d: nothing would run", f.until)
	case f.plain && f.snapshot == "" && !f.hasStop:
		return usageError("cannot use --plain without --snapshot or --stop-before: no heap would be written")
	}
	return nil
}

func (a *app) replay(ctx context.Context, vat string, f replayFlags) (err error) {
	if err := f.check(); err != nil {
		return err
	}
	if err := a.needVats(); err != nil {
		return err
	}
	if err := a.checkFlags(); err != nil {
		return err
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	src, err := replay.Open(a.db)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	vatID, err := a.replayedVat(src, vat)
	if err != nil {
		return err
	}
	r := &replayRun{app: a, ctx: ctx, flags: f, say: a.briefNarrator()}
	err = r.run(src, vatID)
	if errors.Is(err, context.Canceled) {
		return interruptedReading()
	}
	return err
}

// replayedVat gives the ID of a vat that is named by its ID or name.
func (a *app) replayedVat(src *replay.Source, vat string) (string, error) {
	if a.isForeign() {
		return src.Find(vat)
	}
	return kernelhost.FindVat(a.db, vat)
}
