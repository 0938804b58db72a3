package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"vatworkerd/cmd/vatworkerd/internal/screen"
	"vatworkerd/pipeproto"
	"vatworkerd/store"
	"vatworkerd/swingstore"
	"vatworkerd/xsnap"
)

// spanReplayDoc is one of the replays of `swingstore replay` without a VAT.
type spanReplayDoc struct {
	swingstore.ReplayReport
	Error *pipeproto.Error `json:"error,omitempty"` // why it could not be replayed

	took time.Duration
}

// spanReplaysDoc is the document of `swingstore replay` without a VAT.
type spanReplaysDoc struct {
	Replays []spanReplayDoc `json:"replays"`
	Failed  int             `json:"failed"` // that diverged or could not be replayed
}

func (a *app) swingstoreReplayCommand() *cobra.Command {
	var at int64
	cmd := &cobra.Command{
		Use: "replay DIR [VAT]", Short: "Run a vat's transcript span on a real worker and compare", Args: swingStoreArgs,
		Long: "replay brings up a worker from the heap snapshot or the bundles that the vat's current span starts\n" +
			"from, runs its deliveries and compares every syscall, status and computron count. Without VAT it\n" +
			"replays the current span of every vat that runs on xsnap.",
	}
	cmd.Flags().Int64Var(&at, "at", 0, "replay the span that holds this transcript position, and the heap snapshot at its end")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var position *int64
		if cmd.Flags().Changed("at") {
			position = &at
		}
		if position != nil && len(args) < 2 {
			return usageError("cannot use --at without a vat: a position is one vat's")
		}
		return a.withSwingStore(cmd.Context(), args, func(ctx context.Context, s *swingstore.Store, vatID string) error {
			if err := a.workers.check(); err != nil {
				return err
			}
			image, err := a.swingStoreImage()
			if err != nil {
				return err
			}
			if vatID == "" {
				return a.replaySpans(ctx, s, image)
			}
			began := time.Now()
			report, err := a.replaySpan(ctx, s, image, vatID, position)
			if err != nil {
				return err
			}
			return a.spanReplayed(report, time.Since(began))
		})
	}
	return cmd
}

// swingStoreImage is what replays run on. A swing-store does not say which
// engine wrote it, so it is always --engine or the default one.
func (a *app) swingStoreImage() (xsnap.Image, error) {
	paths, err := a.findEngine()
	if err != nil {
		return xsnap.Image{}, err
	}
	return paths.load()
}

func (a *app) replaySpan(ctx context.Context, s *swingstore.Store, image xsnap.Image, vatID string, position *int64) (swingstore.ReplayReport, error) {
	line := a.briefNarrator().progress
	defer line.Stop()
	watch := a.workers.watch
	watch.Tell = func(alarm xsnap.Alarm) { a.note("%s", screen.Escape(alarm.String())) }
	return s.Replay(ctx, vatID, swingstore.ReplayOptions{
		Image: image, Position: position, Sandbox: a.workers.policy(), Limits: a.workers.limits(), Watch: watch,
		Progress: func(p store.Progress) { line.Step("replay "+p.What, p.Done, p.Total) },
	})
}

// spanReplayed tells how one replay went; a difference fails the command.
func (a *app) spanReplayed(r swingstore.ReplayReport, took time.Duration) error {
	if a.json {
		if err := a.document(r); err != nil {
			return err
		}
	}
	if !r.Identical {
		a.writeDivergence(r)
		return failed{}
	}
	if a.json {
		return nil
	}
	end := ""
	if r.SnapshotRepeated {
		end = ", the heap snapshot at its end"
	}
	_, err := fmt.Fprintf(a.stdout, "identical: %s with %s and %s, positions %s to %s, from its %s%s, %s\n",
		screen.Plural(r.Deliveries, "delivery", "deliveries"), screen.Plural(r.Syscalls, "syscall"), screen.Plural(r.Computrons, "computron"),
		screen.Count(r.From), screen.Count(r.Until), r.Start, end, screen.Elapsed(took))
	return err
}

// writeDivergence shows expected and got side by side, and to people who is
// meant.
func (a *app) writeDivergence(r swingstore.ReplayReport) {
	fmt.Fprintln(a.stderr, escapeLines(r.Divergence.Report))
	if !a.json {
		a.note("%s did not repeat its transcript: position %s, %s", vatOf(r.VatID, r.Name), screen.Count(r.Divergence.Position), screen.Escape(r.Divergence.What))
	}
}

func vatOf(vatID, name string) string {
	if name == "" {
		return screen.Escape(vatID)
	}
	return screen.Escape(vatID) + " " + screen.Clip(name, maxNameColumns)
}

// replaySpans replays the current span of every vat that has one for a worker.
// A vat that cannot be replayed does not keep the others from it.
func (a *app) replaySpans(ctx context.Context, s *swingstore.Store, image xsnap.Image) error {
	list, err := s.Vats()
	if err != nil {
		return err
	}
	doc := spanReplaysDoc{Replays: []spanReplayDoc{}}
	for _, v := range list.Vats {
		if v.Terminated || v.WorkerType != "xsnap" && v.WorkerType != "" || v.StartPos == v.EndPos {
			continue
		}
		began := time.Now()
		report, err := a.replaySpan(ctx, s, image, v.VatID, nil)
		var changed *swingstore.ChangedError
		if errors.As(err, &changed) || ctx.Err() != nil {
			return errors.Join(ctx.Err(), err)
		}
		replay := spanReplayDoc{ReplayReport: report, took: time.Since(began)}
		if err != nil {
			replay.Error = pipeproto.ErrorOf(err)
		}
		if !report.Identical {
			doc.Failed++
		}
		doc.Replays = append(doc.Replays, replay)
	}
	return a.spansReplayed(doc)
}

func (a *app) spansReplayed(doc spanReplaysDoc) error {
	if a.json {
		if err := a.document(doc); err != nil {
			return err
		}
	} else if err := a.writeReplays(doc); err != nil {
		return err
	}
	for _, r := range doc.Replays {
		switch {
		case r.Divergence != nil:
			a.writeDivergence(r.ReplayReport)
		case r.Error != nil && !a.json:
			writeFailure(a.stderr, &failure{told: *r.Error})
		}
	}
	if doc.Failed > 0 {
		return failed{}
	}
	return nil
}

func (a *app) writeReplays(doc spanReplaysDoc) error {
	table := screen.Table{Columns: []screen.Column{
		{Title: "VAT"}, {Title: "NAME"}, {Title: "INC", Align: screen.Right}, {Title: "FROM", Align: screen.Right}, {Title: "TO", Align: screen.Right},
		{Title: "START"}, {Title: "DELIVERIES", Align: screen.Right}, {Title: "SYSCALLS", Align: screen.Right},
		{Title: "COMPUTRONS", Align: screen.Right}, {Title: "TIME", Align: screen.Right}, {Title: "RESULT"},
	}}
	for _, r := range doc.Replays {
		table.Add(screen.Cell{Text: r.VatID}, screen.Cell{Text: screen.Clip(r.Name, maxNameColumns), Style: screen.Bold}, number(r.Incarnation),
			number(r.From), number(r.Until), screen.Cell{Text: r.Start}, number(r.Deliveries), number(r.Syscalls), number(r.Computrons),
			screen.Cell{Text: screen.Elapsed(r.took)}, resultOf(r))
	}
	if err := table.Write(a.stdout, a.palette(), ""); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.stdout, "\n%d of %s repeated their transcript\n", len(doc.Replays)-doc.Failed, screen.Plural(int64(len(doc.Replays)), "vat"))
	return err
}

func resultOf(r spanReplayDoc) screen.Cell {
	switch {
	case r.Divergence != nil:
		return screen.Cell{Text: "differs at " + screen.Count(r.Divergence.Position), Style: screen.Red}
	case r.Error != nil:
		return screen.Cell{Text: "not replayed", Style: screen.Red}
	}
	return screen.Cell{Text: "identical", Style: screen.Green}
}
