package main

import (
	"github.com/spf13/cobra"

	"vatworkerd/cmd/vatworkerd/internal/screen"
)

func (a *app) spansCommand() *cobra.Command {
	return &cobra.Command{
		Use: "spans [VAT]", Short: "List transcript spans with their hashes", Args: anyVat,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withView(cmd.Context(), func(s *session) error {
				spans, err := s.see.Spans(s.ctx, firstOf(args))
				if err != nil {
					return err
				}
				table := screen.Table{Columns: []screen.Column{
					{Title: "VAT"}, {Title: "INC", Align: screen.Right}, {Title: "FROM", Align: screen.Right},
					{Title: "TO", Align: screen.Right}, {Title: "HASH"}, {Title: ""},
				}}
				for _, span := range spans {
					current := ""
					if span.IsCurrent {
						current = "current"
					}
					table.Add(screen.Cell{Text: span.VatID}, number(span.Incarnation), number(span.StartPos), number(span.EndPos),
						screen.Cell{Text: span.Hash, Style: screen.Dim}, screen.Cell{Text: current, Style: screen.Green})
				}
				return a.show(spans, table)
			})
		},
	}
}

func number(n int64) screen.Cell { return screen.Cell{Text: screen.Count(n)} }
