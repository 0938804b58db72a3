package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"vatworkerd/cmd/vatworkerd/internal/screen"
	"vatworkerd/pipeproto"
)

// tokenColumns is how much of the image ID a default token keeps.
const tokenColumns = 16

func (a *app) restartCommand() *cobra.Command {
	var token string
	var rehearse bool
	cmd := &cobra.Command{
		Use: "restart-all [VAT…]", Short: "Start new incarnations of all vats, for instance on a new engine",
		Long: "restart-all suspends every vat and starts those that must run at once (static, critical and\n" +
			"restartCritical ones); the others start when something is sent to them. If one of the first fails,\n" +
			"nothing of the restart is kept.\n\n" +
			"With --engine, new incarnations run on that engine. The token makes applying a restart twice\n" +
			"harmless; by default it is made from the engine and its bundles, so the same engine twice is one restart.\n\n" +
			"With --rehearse nothing is changed: every vat (or those named) is restarted in throw-away state, and\n" +
			"what would fail is listed.",
	}
	cmd.Flags().StringVar(&token, "token", "", "names this restart; the same token again changes nothing")
	cmd.Flags().BoolVar(&rehearse, "rehearse", false, "only try it, on copies, and tell which vats would fail")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case rehearse && token != "":
			return usageError("cannot use --token with --rehearse: a rehearsal changes nothing")
		case rehearse:
			return a.rehearse(cmd, args)
		case len(args) > 0:
			return usageError("restart-all restarts every vat; %q cannot be named", args[0]).
				hint("name vats with --rehearse, or use `vatworkerd vat suspend` and `unsuspend` for one")
		}
		return a.restartAll(cmd, token)
	}
	return cmd
}

func (a *app) restartAll(cmd *cobra.Command, token string) error {
	if err := a.needVats(); err != nil {
		return err
	}
	paths, err := a.engineFor(a.db)
	if err != nil {
		return err
	}
	image, err := paths.load()
	if err != nil {
		return err
	}
	return a.withKernel(cmd.Context(), func(s *session) error {
		if token == "" {
			token = "image-" + image.ID()[:tokenColumns]
			a.note("token %s, made from the engine and its bundles", token)
		}
		reply, err := s.kernel.RestartAll(s.ctx, token)
		if err != nil {
			return err
		}
		if _, err := s.kernel.Run(s.ctx, wholeRun(0)); err != nil {
			return err
		}
		if err := a.rememberEngine(a.db); err != nil {
			return err
		}
		if a.json {
			return a.document(restartDoc{Token: token, Applied: reply.Applied, Epoch: reply.Epoch,
				Suspended: reply.Suspended, Unsuspended: append([]string{}, reply.Unsuspended...), ImageID: image.ID()})
		}
		return a.writeRestart(token, reply)
	})
}

func (a *app) writeRestart(token string, reply pipeproto.RestartAllReply) error {
	if !reply.Applied {
		_, err := fmt.Fprintf(a.stdout, "nothing to do: the restart %s was applied before (epoch %s)\n", screen.Escape(token), screen.Count(reply.Epoch))
		if err == nil {
			a.note("to restart on the same engine once more, give another --token")
		}
		return err
	}
	_, err := fmt.Fprintf(a.stdout, "restarted (epoch %s): %s suspended, %s started again at once\n",
		screen.Count(reply.Epoch), screen.Plural(reply.Suspended, "vat"), screen.Count(int64(len(reply.Unsuspended))))
	return err
}

// rehearse opens the database with the engine to try: nothing starts on it but
// the rehearsal.
func (a *app) rehearse(cmd *cobra.Command, vats []string) error {
	return a.withKernel(cmd.Context(), func(s *session) error {
		rehearsals, err := s.kernel.Rehearse(s.ctx, vats, "", "", "")
		if err != nil {
			return err
		}
		return a.rehearsed(rehearsals)
	})
}

func (a *app) rehearsed(rehearsals []pipeproto.Rehearsal) error {
	doc := rehearsalDoc{Rehearsals: append([]pipeproto.Rehearsal{}, rehearsals...)}
	table := screen.Table{Columns: []screen.Column{
		{Title: "VAT"}, {Title: "NAME"}, {Title: "TIME", Align: screen.Right}, {Title: "RESULT"},
	}}
	for _, r := range rehearsals {
		result := screen.Cell{Text: "would start", Style: screen.Green}
		if !r.OK {
			doc.Failed++
			result = screen.Cell{Text: "would fail: " + r.Problem, Style: screen.Red}
		}
		table.Add(screen.Cell{Text: r.VatID}, screen.Cell{Text: r.Name, Style: screen.Bold},
			screen.Cell{Text: screen.Millis(r.Duration)}, result)
	}
	if err := a.show(doc, table); err != nil {
		return err
	}
	if !a.json {
		fmt.Fprintf(a.stdout, "\n%s of %s would fail; nothing was changed\n",
			screen.Count(int64(doc.Failed)), screen.Plural(int64(len(rehearsals)), "vat"))
	}
	if doc.Failed > 0 {
		return failed{}
	}
	return nil
}
