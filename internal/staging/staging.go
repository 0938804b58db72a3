// Package staging makes directories that are there whole or not at all.
package staging

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"vatworkerd/pipeproto"
)

// mark is in the names of directories that are being made.
const mark = ".unfinished-"

// Dir is a directory that is being made beside its place. It belongs to one
// goroutine and ends with Publish or Discard.
type Dir struct {
	target string
	path   string
}

// Begin begins the directory target, which must be empty or not be there yet; its
// parent must be there. Errors: *NotEmptyError, those of the disk.
func Begin(target string) (*Dir, error) {
	target, err := filepath.Abs(target)
	if err != nil {
		return nil, err
	}
	found, err := os.ReadDir(target)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case len(found) > 0:
		return nil, &NotEmptyError{Dir: target, Found: found[0].Name()}
	}
	// Beside the target, so that the disk is the same. Mode 0700.
	path, err := os.MkdirTemp(filepath.Dir(target), "."+filepath.Base(target)+mark)
	if err != nil {
		return nil, err
	}
	return &Dir{target: target, path: path}, nil
}

// Path is where the directory is until Publish.
func (d *Dir) Path() string { return d.path }

// Target is where it goes.
func (d *Dir) Target() string { return d.target }

// Publish makes the names in the directory durable and puts it in its place. What
// the files hold must be durable by then. After an error nothing of it is left.
func (d *Dir) Publish() error {
	err := syncTree(d.path)
	if err == nil {
		// Only an empty directory goes: whoever has put something there keeps it.
		if err = os.Remove(d.target); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	if err == nil {
		err = os.Rename(d.path, d.target)
	}
	if err != nil {
		d.Discard()
		return fmt.Errorf("cannot put the finished directory in the place of %s: %w", d.target, err)
	}
	return syncDir(filepath.Dir(d.target))
}

// Discard removes what was made.
func (d *Dir) Discard() {
	_ = os.RemoveAll(d.path) // what stays has a name that nothing takes for a finished one
}

// syncTree syncs a directory and those in it.
func syncTree(root string) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		return syncDir(path)
	})
}

func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// NotEmptyError says that a directory was to be made where there is something.
type NotEmptyError struct {
	Dir   string
	Found string // one of the files there
}

func (e *NotEmptyError) Error() string {
	return fmt.Sprintf("%s is not empty: it has %s", e.Dir, e.Found)
}

// ErrorCode is the error's code on the pipe.
func (e *NotEmptyError) ErrorCode() string { return pipeproto.CodeBadRequest }

// ErrorHint is the user's next step.
func (e *NotEmptyError) ErrorHint() string {
	return "name a directory that is empty, or not there yet; nothing was changed"
}
