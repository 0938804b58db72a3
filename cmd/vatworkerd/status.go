package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"vatworkerd/cmd/vatworkerd/internal/screen"
	"vatworkerd/kernelhost"
	"vatworkerd/pipeproto"
)

// defaultStatusVats is how many vats `status` lists unless --limit says otherwise.
const defaultStatusVats = 100

func (a *app) statusCommand() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use: "status", Short: "Show the height, the activity hash and the vats", Args: noArguments,
	}
	cmd.Flags().IntVar(&limit, "limit", defaultStatusVats, "how many vats to list; 0 lists none")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if limit < 0 {
			return usageError("cannot use --limit %d: it must be 0 or more", limit)
		}
		return a.withView(cmd.Context(), func(s *session) error {
			st, daemon, err := s.standing(listed(limit))
			if err != nil {
				return err
			}
			if a.json {
				return a.document(statusDocOf(st, daemon))
			}
			return a.writeStatus(st, daemon)
		})
	}
	return cmd
}

// listed is --limit as the kernel counts: it takes 0 for all vats.
func listed(limit int) int {
	if limit == 0 {
		return noVat
	}
	return limit
}

// Limits of the kernel's Status.
const (
	everyVat = 0
	noVat    = -1
)

func (a *app) writeStatus(st kernelhost.Status, daemon *daemonDoc) error {
	p := a.palette()
	field := func(name, text string) {
		fmt.Fprintf(a.stdout, "%s%s\n", p.Paint(screen.Dim, fmt.Sprintf("%-15s", name)), text)
	}
	field("height", screen.Count(st.Height))
	field("activity hash", st.ActivityHash)
	field("engine", st.Engine+" "+st.EngineSHA256)
	field("worker image", st.ImageID)
	field("restart epoch", screen.Count(st.Epoch))
	if st.Panic != "" {
		field("panic", p.Paint(screen.Red, screen.Escape(st.Panic)))
	}
	field("totals", vatTotals(st.Counts))
	field("pool", poolOf(st.Pool))
	field("waiting", fmt.Sprintf("%s queued, %s held", screen.Count(st.Counts.Queued), screen.Count(st.Counts.Held)))
	a.writeDaemon(daemon, field)
	if daemon != nil && daemon.Busy != nil {
		return a.writeBusy(*daemon.Busy)
	}
	if len(st.Vats) > 0 {
		fmt.Fprintln(a.stdout)
		if err := writeVats(a.stdout, p, st.Vats); err != nil {
			return err
		}
	}
	if st.More {
		fmt.Fprintln(a.stdout, p.Paint(screen.Dim, fmt.Sprintf("… and %s more (--limit)", screen.Count(st.Counts.Vats-int64(len(st.Vats))))))
	}
	return nil
}

// writeBusy says why there are no vats to see.
func (a *app) writeBusy(why string) error {
	_, err := fmt.Fprintf(a.stdout, "\n%s\n", a.palette().Paint(screen.Yellow, "the vats cannot be listed now: "+screen.Escape(why)))
	return err
}

// poolOf tells the bounds and what of them is used.
func poolOf(p pipeproto.Pool) string {
	text := fmt.Sprintf("%s of %s", screen.Count(p.Workers), screen.Plural(p.MaxWorkers, "worker"))
	if p.Spares > 0 {
		text += fmt.Sprintf(" (%s spare)", screen.Count(p.Spares))
	}
	if p.MaxMemoryBytes > 0 {
		text += fmt.Sprintf(", %s of %s", screen.Bytes(p.MemoryBytes), screen.Bytes(p.MaxMemoryBytes))
	}
	if len(p.Pinned) > 0 {
		text += ", pinned: " + screen.Escape(strings.Join(p.Pinned, ", "))
	}
	return text
}

func vatTotals(c pipeproto.Counts) string {
	return fmt.Sprintf("%s: %s online, %s suspended, %s paused, %s terminated", screen.Plural(c.Vats, "vat"),
		screen.Count(c.Online), screen.Count(c.Suspended), screen.Count(c.Paused), screen.Count(c.Terminated))
}
