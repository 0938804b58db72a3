package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vatworkerd/cmd/vatworkerd/internal/screen"
	"vatworkerd/cmd/vatworkerd/internal/top"
	"vatworkerd/cmd/vatworkerd/internal/watch"
	"vatworkerd/control"
)

// topFlags are the flags of `top`.
type topFlags struct {
	interval time.Duration
	once     bool
	limit    int
	sortBy   string
	state    string
}

// Bounds of what `top` asks of a daemon.
const (
	minTopInterval = 100 * time.Millisecond
	maxTopVats     = 100_000
)

func (a *app) topCommand() *cobra.Command {
	var f topFlags
	cmd := &cobra.Command{
		Use: "top", Short: "Watch the daemon of a database on a live screen", Args: noArguments,
		Long: "top shows what the daemon that holds the database does, and its vats: sort, find, open one, pause,\n" +
			"resume or suspend it. `?` lists the keys. It needs a daemon: `run --stay`, or one that a kernel host\n" +
			"has started. With --json there is a document on a line of its own for each interval.",
	}
	flags := cmd.Flags()
	flags.DurationVar(&f.interval, "interval", time.Second, "how often to look")
	flags.BoolVar(&f.once, "once", false, "print one frame, or one document, and end")
	flags.IntVar(&f.limit, "limit", 1000, "how many vats to list, beside those that are online")
	flags.StringVar(&f.sortBy, "sort", watch.ByVat, "sort by "+strings.Join(watch.Keys(), ", "))
	flags.StringVar(&f.state, "state", watch.Every, "only vats in this state: "+strings.Join(watch.States(), ", "))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return a.top(cmd.Context(), f) }
	return cmd
}

func (f topFlags) check() error {
	switch {
	case f.interval < minTopInterval:
		return usageError("cannot use --interval %s: it must be at least %s", f.interval, minTopInterval)
	case f.limit < 1 || f.limit > maxTopVats:
		return usageError("cannot use --limit %d: it is from 1 to %d", f.limit, maxTopVats)
	case !slices.Contains(watch.Keys(), f.sortBy):
		return usageError("cannot use --sort %q: it is one of %s", f.sortBy, strings.Join(watch.Keys(), ", "))
	case !slices.Contains(watch.States(), f.state):
		return usageError("cannot use --state %q: it is one of %s", f.state, strings.Join(watch.States(), ", "))
	}
	return nil
}

// onceColumns is the width of a frame that is printed as text.
const onceColumns = 120

func (a *app) top(ctx context.Context, f topFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	if err := a.needVats(); err != nil {
		return err
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	o := top.Options{Daemon: a.watcher(), Interval: f.interval, Vats: f.limit, SortBy: f.sortBy, State: f.state, Palette: a.palette()}
	if _, err := o.Daemon.Look(ctx); err != nil {
		return a.needDaemon(err)
	}
	switch {
	case a.json:
		return a.topDocuments(ctx, o, f.once)
	case f.once:
		text, err := top.Once(ctx, o, onceColumns)
		if err == nil {
			_, err = fmt.Fprint(a.stdout, text)
		}
		return err
	case !isTerminal(a.stdout) || !isTerminal(a.stdin):
		return usageError("top needs a terminal").hint("--once prints one frame, --json documents")
	}
	return top.Run(ctx, o, a.stdin, a.stdout, os.Environ())
}

// needDaemon says what to do where there is no daemon to look at.
func (a *app) needDaemon(err error) error {
	var nobody *control.NobodyError
	if !errors.As(err, &nobody) {
		return err
	}
	f := &failure{exit: exitFailed}
	f.told.Code, f.told.Message = "not-found", fmt.Sprintf("no daemon holds the database in %s", screen.Escape(a.db))
	return f.hint("`vatworkerd run CONFIG --db %s --stay` keeps one; `vatworkerd status` needs none", screen.Escape(a.db))
}

// topDocuments prints documents, one a line, until ctx ends.
func (a *app) topDocuments(ctx context.Context, o top.Options, once bool) error {
	var before watch.Point
	var vatsBefore watch.Vats
	for first := true; ; first = false {
		look, err := o.Daemon.Look(ctx)
		if err != nil {
			return a.needDaemon(err)
		}
		vats, vatsErr := o.Daemon.Vats(ctx, o.Vats)
		now := watch.PointOf(look)
		if !first {
			if err := a.topDocument(o, topDocOf(o, look, now, before, vats, vatsBefore, vatsErr)); err != nil || once {
				return err
			}
		}
		before = now
		if vatsErr == nil {
			vatsBefore = vats
		}
		select {
		case <-ctx.Done():
			if once {
				return ctx.Err()
			}
			return nil // the way to end it
		case <-time.After(o.Interval):
		}
	}
}

func (a *app) topDocument(o top.Options, doc topDoc) error {
	text, err := json.Marshal(doc)
	if err != nil {
		return fmt.Errorf("cannot encode what is seen: %w", err)
	}
	if _, err := fmt.Fprintln(a.stdout, screen.JSONLine(text)); err != nil {
		return fmt.Errorf("cannot write the result: %w", err)
	}
	return nil
}
