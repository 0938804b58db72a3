package main

import (
	"github.com/spf13/cobra"

	"vatworkerd/cmd/vatworkerd/internal/manpage"
)

// manCommand is for `make man`; the page is docs/vatworkerd.1.
func (a *app) manCommand() *cobra.Command {
	return &cobra.Command{
		Use: "man", Short: "Print the manual page", Args: noArguments, Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error { return manPage(cmd.Root()).Write(a.stdout) },
	}
}

func manPage(root *cobra.Command) manpage.Page {
	return manpage.Page{
		Root: root,
		Environment: []manpage.Entry{
			{Term: "VATWORKERD_DB", Meaning: "the database, where --db is not given"},
			{Term: "VATWORKERD_CACHE", Meaning: "the directory for base snapshots, where --cache is not given"},
			{Term: "VATWORKERD_SLOG", Meaning: "the slog, where --slog is not given"},
			{Term: "VATWORKERD_HOME", Meaning: "where else to look for build/engine, build/native and build/bundles than around the program"},
			{Term: "NO_COLOR", Meaning: "no colours, unless --color always"},
		},
		ExitCodes: []manpage.Entry{
			{Term: "0", Meaning: "done"},
			{Term: "1", Meaning: "the operation failed"},
			{Term: "2", Meaning: "wrong usage or input; nothing was changed"},
			{Term: "3", Meaning: "panic: going on would break consensus"},
			{Term: "130", Meaning: "interrupted"},
		},
		SeeAlso: "docs/commands.md of vatworkerd has examples, and the JSON of each command.",
	}
}
