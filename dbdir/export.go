package dbdir

import (
	"errors"
	"io"
	"path/filepath"

	"vatworkerd/snapshots"
	"vatworkerd/supervisor"
)

// ExportSnapshot writes a heap snapshot of the database directory dir to w, read
// beside whoever uses the directory: as one zstd frame, which is what a snapshot
// file <hash>.zst holds, or with plain as the engine wrote it. It gives the bytes
// written. Only without an error is the content the right one. Errors: w's, and
// those of snapshots.Reader.
func ExportSnapshot(dir, hash string, w io.Writer, plain bool) (size int64, err error) {
	files := filepath.Join(dir, supervisor.SnapshotDir)
	hold, err := snapshots.HoldFiles(files)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, hold.Close()) }()
	r, err := snapshots.ReadDir(files).Open(hash)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	if plain {
		return io.Copy(w, r)
	}
	return r.Export(w)
}
