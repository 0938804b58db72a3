package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"vatworkerd/cmd/vatworkerd/internal/screen"
	"vatworkerd/store"
	"vatworkerd/swingstore"
)

func (a *app) swingstoreListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list DIR [VAT]", Short: "List the vats of a swing-store", Args: swingStoreArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withSwingStore(cmd.Context(), args, func(_ context.Context, s *swingstore.Store, vatID string) error {
				list, err := s.Vats()
				if err != nil {
					return err
				}
				if vatID != "" {
					if list, err = onlyVat(list, vatID); err != nil {
						return err
					}
				}
				return a.swingStoreListed(list)
			})
		},
	}
}

func onlyVat(list swingstore.VatList, vatID string) (swingstore.VatList, error) {
	i := slices.IndexFunc(list.Vats, func(v swingstore.Vat) bool { return v.VatID == vatID })
	if i < 0 {
		return list, &swingstore.NoVatError{VatID: vatID}
	}
	list.Vats = list.Vats[i : i+1]
	list.Problems = slices.DeleteFunc(list.Problems, func(p store.Problem) bool { return p.VatID != "" && p.VatID != vatID })
	return list, nil
}

// swingStoreListed shows a list; records that cannot be read fail the command.
func (a *app) swingStoreListed(list swingstore.VatList) error {
	problems := slices.Clone(list.Problems)
	for _, v := range list.Vats {
		problems = append(problems, v.Problems...)
	}
	if err := a.writeSwingStoreList(list); err != nil {
		return err
	}
	if len(problems) == 0 {
		return nil
	}
	if !a.json {
		fmt.Fprintln(a.stdout)
		a.writeProblems(problems)
		a.note("%s in what the store records of its vats", screen.Plural(int64(len(problems)), "problem"))
	}
	return failed{}
}

func (a *app) writeSwingStoreList(list swingstore.VatList) error {
	table := screen.Table{Columns: []screen.Column{
		{Title: "VAT"}, {Title: "NAME"}, {Title: "KIND"}, {Title: "WORKER"}, {Title: "INC", Align: screen.Right},
		{Title: "SPANS", Align: screen.Right}, {Title: "FROM", Align: screen.Right}, {Title: "TO", Align: screen.Right},
		{Title: "SNAPSHOT"}, {Title: "AT", Align: screen.Right}, {Title: "SIZE", Align: screen.Right},
	}}
	for _, v := range list.Vats {
		kind, at, size := kindOfVat(v), "", ""
		if v.SnapshotPosition != nil {
			at = screen.Count(*v.SnapshotPosition)
		}
		if v.SnapshotSize > 0 {
			size = screen.Bytes(v.SnapshotSize)
		}
		table.Add(screen.Cell{Text: v.VatID}, screen.Cell{Text: screen.Clip(v.Name, maxNameColumns), Style: screen.Bold}, kind,
			screen.Cell{Text: v.WorkerType}, number(v.Incarnation), number(v.Spans), number(v.StartPos), number(v.EndPos),
			screen.Cell{Text: short(v.SnapshotHash), Style: screen.Dim}, screen.Cell{Text: at}, screen.Cell{Text: size})
	}
	return a.show(list, table)
}

func kindOfVat(v swingstore.Vat) screen.Cell {
	switch {
	case v.Terminated:
		return screen.Cell{Text: "terminated", Style: screen.Red}
	case v.Static:
		return screen.Cell{Text: "static"}
	}
	return screen.Cell{Text: "dynamic"}
}
