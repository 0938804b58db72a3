package main

import (
	"github.com/spf13/cobra"

	"vatworkerd/cmd/vatworkerd/internal/screen"
	"vatworkerd/pipeproto"
)

func (a *app) snapshotCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "snapshot", Short: "Take, list, verify and export heap snapshots", Args: noCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.snapshotTakeCommand(), a.snapshotListCommand(), a.snapshotVerifyCommand(), a.snapshotExportCommand())
	return cmd
}

func (a *app) snapshotTakeCommand() *cobra.Command {
	return &cobra.Command{
		Use: "take VAT", Short: "Take a heap snapshot of a vat now", Args: oneVat,
		Long: "take delivers bringOutYourDead and takes a heap snapshot out of turn. It is part of the vat's\n" +
			"history: nodes of one network must do it at the same point.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withKernel(cmd.Context(), func(s *session) error {
				info, err := s.kernel.SnapshotTake(s.ctx, args[0])
				if err != nil {
					return err
				}
				if err := s.kernel.Commit(s.ctx); err != nil {
					return err
				}
				if a.json {
					return a.document(info)
				}
				return a.writeSnapshots([]pipeproto.SnapshotInfo{info})
			})
		},
	}
}

func (a *app) snapshotListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list [VAT]", Short: "List stored heap snapshots, the current ones and the earlier ones that are kept", Args: anyVat,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withView(cmd.Context(), func(s *session) error {
				list, err := s.see.SnapshotList(s.ctx, firstOf(args))
				if err != nil {
					return err
				}
				if a.json {
					return a.document(list)
				}
				return a.writeSnapshots(list)
			})
		},
	}
}

func snapshotColumns() []screen.Column {
	return []screen.Column{
		{Title: "VAT"}, {Title: "NAME"}, {Title: "AT", Align: screen.Right}, {Title: "SIZE", Align: screen.Right},
		{Title: "STORED", Align: screen.Right}, {Title: "HASH"}, {Title: ""},
	}
}

func snapshotRow(info pipeproto.SnapshotInfo) []screen.Cell {
	use := screen.Cell{Text: "current", Style: screen.Green}
	if !info.InUse {
		use = screen.Cell{Text: "earlier", Style: screen.Dim}
	}
	return []screen.Cell{
		{Text: info.VatID}, {Text: info.VatName, Style: screen.Bold}, {Text: screen.Count(info.Position)},
		{Text: screen.Bytes(info.UncompressedSize)}, {Text: screen.Bytes(info.StoredSize)}, {Text: info.Hash, Style: screen.Dim}, use,
	}
}

func (a *app) writeSnapshots(list []pipeproto.SnapshotInfo) error {
	table := screen.Table{Columns: snapshotColumns()}
	for _, info := range list {
		table.Add(snapshotRow(info)...)
	}
	return table.Write(a.stdout, a.palette(), "")
}

func (a *app) snapshotVerifyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "verify [VAT]", Short: "Read stored heap snapshots whole and check their hashes", Args: anyVat,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withView(cmd.Context(), func(s *session) error {
				checks, err := s.see.SnapshotVerify(s.ctx, firstOf(args))
				if err != nil {
					return err
				}
				return a.verified(checks)
			})
		},
	}
}

// verified shows checks; one that found something fails the command.
func (a *app) verified(checks []pipeproto.SnapshotCheck) error {
	bad := 0
	table := screen.Table{Columns: append(snapshotColumns(), screen.Column{Title: "FOUND"})}
	for _, check := range checks {
		found := screen.Cell{Text: "sound", Style: screen.Green}
		if check.Problem != "" {
			bad++
			found = screen.Cell{Text: check.Problem, Style: screen.Red}
		}
		table.Add(append(snapshotRow(check.SnapshotInfo), found)...)
	}
	if err := a.show(checks, table); err != nil {
		return err
	}
	if bad == 0 {
		return nil
	}
	if !a.json {
		a.note("%s of %d damaged", screen.Plural(int64(bad), "snapshot"), len(checks))
	}
	return failed{}
}

// show prints a document or a table.
func (a *app) show(doc any, table screen.Table) error {
	if a.json {
		return a.document(doc)
	}
	return table.Write(a.stdout, a.palette(), "")
}
