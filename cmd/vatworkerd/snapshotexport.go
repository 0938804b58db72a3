package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"vatworkerd/cmd/vatworkerd/internal/screen"
	"vatworkerd/dbdir"
	"vatworkerd/pipeproto"
)

func (a *app) snapshotExportCommand() *cobra.Command {
	var plain bool
	cmd := &cobra.Command{
		Use: "export VAT FILE", Short: "Write a vat's current heap snapshot into a file of its own", Args: vatAndFile,
		Long: "export writes the heap that a vat starts from, checked against its hash, into a new file: as one zstd\n" +
			"frame, or with --plain as the engine wrote it. The file needs nothing else. Named HASH.zst and put into\n" +
			"a database's directory of snapshots it takes the place of a damaged one.",
	}
	cmd.Flags().BoolVar(&plain, "plain", false, "do not compress")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.withView(cmd.Context(), func(s *session) error {
			return a.exportSnapshot(s, args[0], args[1], plain)
		})
	}
	return cmd
}

func vatAndFile(cmd *cobra.Command, args []string) error {
	if len(args) != 2 {
		return usageError("%s needs a vat and a file", nameOf(cmd))
	}
	return nil
}

func (a *app) exportSnapshot(s *session, vat, name string, plain bool) error {
	list, err := s.see.SnapshotList(s.ctx, vat)
	if err != nil {
		return err
	}
	info, ok := currentOf(list)
	if !ok {
		return usageError("%s has no heap snapshot", screen.Escape(vat)).hint("`vatworkerd snapshot take %s` takes one", screen.Escape(vat))
	}
	info.StoredSize, err = createWhole(a.path(name), func(w io.Writer) (int64, error) {
		return dbdir.ExportSnapshot(a.db, info.Hash, w, plain)
	})
	if err != nil {
		return fmt.Errorf("cannot export the snapshot of %s: %w", screen.Escape(vat), err)
	}
	if a.json {
		return a.document(info)
	}
	return a.writeSnapshots([]pipeproto.SnapshotInfo{info})
}

func currentOf(list []pipeproto.SnapshotInfo) (info pipeproto.SnapshotInfo, ok bool) {
	for _, info := range list {
		if info.InUse {
			return info, true
		}
	}
	return info, false
}

// createWhole makes a new file of what write gives. After an error there is none.
func createWhole(path string, write func(io.Writer) (int64, error)) (size int64, err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return 0, usageError("%s exists already", screen.Escape(path))
	}
	if err != nil {
		return 0, usageError("cannot create %s: %v", screen.Escape(path), err)
	}
	if size, err = write(file); err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		_ = os.Remove(path) // it is of no use
	}
	return size, err
}
