package main

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vatworkerd/kernelhost"
	"vatworkerd/supervisor"
	"vatworkerd/workerlogs"
)

// followEvery is how often `logs -f` looks for more.
const followEvery = 200 * time.Millisecond

// logsQuery is what `logs` was asked for.
type logsQuery struct {
	follow bool
	since  string
	level  string
	source string
	last   int // 0 = all
	vats   []string
}

func (a *app) logsCommand() *cobra.Command {
	var q logsQuery
	cmd := &cobra.Command{
		Use: "logs [VAT…]", Short: "Show what vats and their workers have said",
		Long: "logs shows what vats print and what their workers write to stdout and stderr, of all vats or of\n" +
			"those that are named, in the order of time. It reads files and needs no daemon.\n" +
			"With --json each entry is a document of its own, on a line of its own.",
	}
	flags := cmd.Flags()
	flags.BoolVarP(&q.follow, "follow", "f", false, "go on with what is said from now on, until Ctrl-C")
	flags.StringVar(&q.since, "since", "", "nothing earlier: a duration, such as 10m, or a time, such as 15:04 or 2026-01-31T15:04:05Z")
	flags.StringVar(&q.level, "level", "", "nothing less severe: "+strings.Join(workerlogs.Levels(), ", "))
	flags.StringVar(&q.source, "source", "", "from this source only: "+strings.Join(workerlogs.Sources(), ", "))
	flags.IntVarP(&q.last, "lines", "n", 0, "of what was said before, only the last so many entries; 0 = all")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		q.vats = args
		return a.logs(cmd.Context(), q)
	}
	return cmd
}

func (a *app) logs(ctx context.Context, q logsQuery) error {
	since, err := q.check(time.Now())
	if err != nil {
		return err
	}
	if err := a.needVats(); err != nil {
		return err
	}
	dir := filepath.Join(a.db, supervisor.LogDir)
	speakers, err := workerlogs.Speakers(dir)
	if err != nil {
		return err
	}
	query := workerlogs.Query{Since: since, Follow: q.follow}
	if len(q.vats) > 0 {
		if query.VatIDs, err = a.logged(speakers, q.vats); err != nil {
			return err
		}
	}
	r := workerlogs.NewReader(dir, query)
	defer r.Close()
	ctx, stop := interruptible(ctx)
	defer stop()
	w := newLogWriter(a, speakers, query.VatIDs)
	return errors.Join(q.show(ctx, r, w), w.flush())
}

// check refuses what cannot be meant, and gives the time of --since.
func (q logsQuery) check(now time.Time) (since time.Time, err error) {
	if q.level != "" && !slices.Contains(workerlogs.Levels(), q.level) {
		return since, usageError("cannot use --level %q: it is one of %s", q.level, strings.Join(workerlogs.Levels(), ", "))
	}
	if q.source != "" && !slices.Contains(workerlogs.Sources(), q.source) {
		return since, usageError("cannot use --source %q: it is one of %s", q.source, strings.Join(workerlogs.Sources(), ", "))
	}
	if q.last < 0 {
		return since, usageError("cannot use --lines %d: it must be 0 or more", q.last)
	}
	if q.since == "" {
		return since, nil
	}
	return parseSince(q.since, now)
}

func (q logsQuery) wants(e workerlogs.Entry) bool {
	return (q.level == "" || workerlogs.Rank(e.Level) >= workerlogs.Rank(q.level)) && (q.source == "" || e.Source == q.source)
}

// show writes what there is, and if it follows what comes, until ctx ends.
func (q logsQuery) show(ctx context.Context, r *workerlogs.Reader, w *logWriter) error {
	var last []workerlogs.Entry // the last so many, held back until there are no more
	isOld := q.last > 0
	for ctx.Err() == nil {
		e, err := r.Next()
		switch {
		case err == nil && !q.wants(e):
		case err == nil && isOld:
			last = append(last, e)
			last = last[max(0, len(last)-q.last):]
		case err == nil:
			if err := w.write(e); err != nil {
				return err
			}
		case !errors.Is(err, io.EOF):
			return err
		default:
			for _, e := range last {
				if err := w.write(e); err != nil {
					return err
				}
			}
			last, isOld = nil, false
			if err := w.flush(); err != nil || !q.follow {
				return err
			}
			select {
			case <-ctx.Done():
			case <-time.After(followEvery):
			}
		}
	}
	if q.follow {
		return nil // the way to end it
	}
	return ctx.Err()
}

// sinceForms are the forms of a time in --since; what lacks a date is of today,
// and what lacks a zone is local.
var sinceForms = []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02", "15:04:05", "15:04"}

func parseSince(text string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, form := range sinceForms {
		at, err := time.ParseInLocation(form, text, now.Location())
		if err != nil {
			continue
		}
		if !strings.HasPrefix(form, "2006") {
			at = time.Date(now.Year(), now.Month(), now.Day(), at.Hour(), at.Minute(), at.Second(), 0, now.Location())
		}
		return at, nil
	}
	return time.Time{}, usageError("cannot use --since %q: it is no duration and no time", text).
		hint("for instance 90s, 10m, 15:04, 2026-01-31, %q or 2026-01-31T15:04:05Z", "2026-01-31 15:04:05")
}

// logged gives the IDs of vats, named by name or ID: those that there are, and
// those of which only the logs are left.
func (a *app) logged(speakers []workerlogs.Speaker, vats []string) ([]string, error) {
	vatIDs := make([]string, 0, len(vats))
	for _, vat := range vats {
		vatID, err := a.loggedVat(speakers, vat)
		if err != nil {
			return nil, err
		}
		vatIDs = append(vatIDs, vatID)
	}
	return vatIDs, nil
}

func (a *app) loggedVat(speakers []workerlogs.Speaker, vat string) (string, error) {
	if !a.isForeign() {
		vatID, err := kernelhost.FindVat(a.db, vat)
		var unknown *kernelhost.UnknownVatError
		if !errors.As(err, &unknown) {
			return vatID, err
		}
	}
	var found []string
	for _, s := range speakers {
		if s.VatID == vat {
			return vat, nil
		}
		if s.Name == vat {
			found = append(found, s.VatID)
		}
	}
	switch len(found) {
	case 0:
		return "", &kernelhost.UnknownVatError{Ref: vat}
	case 1:
		return found[0], nil
	}
	return "", usageError("several vats are named %q, such as %s and %s", vat, found[0], found[1]).hint("name one by its ID")
}
