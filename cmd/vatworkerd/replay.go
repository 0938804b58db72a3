package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"vatworkerd/cmd/vatworkerd/internal/screen"
	"vatworkerd/pipeproto"
)

func (a *app) replayCommand() *cobra.Command {
	var full bool
	cmd := &cobra.Command{
		Use: "replay VAT", Short: "Run a vat's transcript again in a throw-away worker and compare", Args: oneVat,
		Long: "replay runs what the transcript records, from the vat's last heap snapshot (or from the start of\n" +
			"its incarnation), and compares every syscall, status and computron. It changes nothing.",
	}
	cmd.Flags().BoolVar(&full, "full", false, "the whole incarnation, taking its snapshots again, not only what came since the last one")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.withKernel(cmd.Context(), func(s *session) error {
			reply, err := s.kernel.Replay(s.ctx, args[0], full)
			if err != nil {
				return err
			}
			return a.replayed(args[0], reply)
		})
	}
	return cmd
}

// replayed tells how a replay went; a difference fails the command.
func (a *app) replayed(vat string, reply pipeproto.ReplayReply) error {
	if a.json {
		if err := a.document(reply); err != nil {
			return err
		}
	}
	if !reply.Identical {
		fmt.Fprintln(a.stderr, escapeLines(reply.Report))
		if !a.json {
			a.note("the replay of %s did not repeat what its transcript records", screen.Escape(vat))
		}
		return failed{}
	}
	if a.json {
		return nil
	}
	_, err := fmt.Fprintf(a.stdout, "identical: %s and %s, positions %s to %s, %s\n",
		screen.Plural(reply.Deliveries, "delivery", "deliveries"), screen.Plural(reply.Snapshots, "snapshot"),
		screen.Count(reply.From), screen.Count(reply.Until), screen.Millis(reply.Micros))
	return err
}
