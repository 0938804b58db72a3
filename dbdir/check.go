package dbdir

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"strconv"

	"vatworkerd/snapshots"
	"vatworkerd/store"
)

// KindFile is the kind of problems of a backup's files.
const KindFile store.ProblemKind = "file"

// CheckBackup compares the files of the backup in dir with its manifest, which it
// returns: they are as they were written. Opening the copy for work changes it. A
// problem does not stop it. progress may be nil; it is called by this goroutine,
// in bytes. Errors: *UnfinishedError, *NoBackupError, *FileError, ctx's error.
func CheckBackup(ctx context.Context, dir string, progress func(store.Progress)) (m Manifest, problems []store.Problem, err error) {
	if m, err = ReadManifest(dir); err != nil {
		return m, nil, err
	}
	problems = []store.Problem{}
	done, total := int64(0), m.Bytes()
	for _, f := range m.Files {
		found, err := checkFile(ctx, filepath.Join(dir, f.Name), f, func(data []byte) error {
			done += int64(len(data))
			if progress != nil {
				progress(store.Progress{What: f.Name, Done: done, Total: max(done, total)})
			}
			return nil
		})
		if err != nil {
			return m, problems, err
		}
		if found != nil {
			problems = append(problems, *found)
		}
	}
	return m, problems, nil
}

func checkFile(ctx context.Context, path string, want File, each func([]byte) error) (*store.Problem, error) {
	problem := &store.Problem{Kind: KindFile, Place: want.Name}
	in, size, err := snapshots.OSFS{}.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		problem.What = "it is missing"
		return problem, nil
	case err != nil:
		return nil, &FileError{Op: "read", Path: path, Err: err}
	}
	defer in.Close()
	if size != want.Size {
		problem.What, problem.Expected, problem.Got = "its size", strconv.FormatInt(want.Size, 10), strconv.FormatInt(size, 10)
		return problem, nil
	}
	_, digest, err := readPieces(ctx, in, path, each)
	if err != nil || digest == want.SHA256 {
		return nil, err
	}
	problem.What, problem.Expected, problem.Got = "its sha256", want.SHA256, digest
	return problem, nil
}
