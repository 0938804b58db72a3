package main

import (
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"vatworkerd/cmd/vatworkerd/internal/screen"
	"vatworkerd/supervisor"
)

func (a *app) framesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "frames", Short: "What passes between vats and their workers",
		Long: "frames shows what passes on the pipes of workers: the last of it, which is saved when a worker\n" +
			"crashes, or all of it, recorded while a daemon has the vats.",
		Args: noCommand, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.framesListCommand(), a.framesShowCommand(), a.framesRecordCommand())
	return cmd
}

func (a *app) framesListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the crashes of workers whose last frames were saved", Args: noArguments,
		RunE: func(*cobra.Command, []string) error {
			if err := a.needVats(); err != nil {
				return err
			}
			crashes, err := supervisor.Crashes(a.db)
			if err != nil {
				return err
			}
			return a.show(crashes, crashTable(crashes))
		},
	}
}

func crashTable(crashes []supervisor.SavedCrash) screen.Table {
	table := screen.Table{Columns: []screen.Column{
		{Title: "TIME"}, {Title: "VAT"}, {Title: "NAME"}, {Title: "AT", Align: screen.Right}, {Title: "DOING"}, {Title: "PATH"}, {Title: "REASON"},
	}}
	for _, c := range crashes {
		table.Add(screen.Cell{Text: c.Time.Local().Format(logTime), Style: screen.Dim}, screen.Cell{Text: c.VatID},
			screen.Cell{Text: screen.Clip(c.Name, maxNameColumns)}, number(c.Position), screen.Cell{Text: c.Doing},
			screen.Cell{Text: c.Path}, screen.Cell{Text: screen.Clip(c.Reason, maxReasonColumns), Style: screen.Red})
	}
	return table
}

// maxReasonColumns bounds the reason of a crash in a table; `frames show` has all.
const maxReasonColumns = 120

func (a *app) framesShowCommand() *cobra.Command {
	full := false
	cmd := &cobra.Command{
		Use: "show FILE", Short: "Show a recording, or the directory of a crash", Args: oneFile,
		RunE: func(_ *cobra.Command, args []string) error { return a.showFrames(args[0], full) },
	}
	cmd.Flags().BoolVar(&full, "full", false, "the whole content of each frame")
	return cmd
}

// framesFile gives the file of a recording or of a crash, and of a crash what is
// known of it.
func framesFile(path string) (file string, crash *supervisor.Crash, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", nil, usageError("cannot show frames: %v", err)
	}
	if !info.IsDir() {
		return path, nil, nil
	}
	c, err := supervisor.ReadCrash(path)
	if err != nil {
		return "", nil, usageError("cannot show frames: %v", err)
	}
	return filepath.Join(path, supervisor.FramesFile), &c, nil
}

func oneFile(cmd *cobra.Command, args []string) error {
	if len(args) == 1 && args[0] != "" {
		return nil
	}
	if len(args) > 1 {
		return usageError("%s takes one file, but was also given %q", nameOf(cmd), args[1])
	}
	return usageError("%s needs a recording, or the directory of a crash", nameOf(cmd)).hint("`vatworkerd frames list` shows the crashes")
}
