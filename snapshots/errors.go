package snapshots

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"vatworkerd/pipeproto"
)

const copyHint = "a copy of that file from a backup or from another node of the same chain fits, and so does what `vatworkerd snapshot export` writes there, as <hash>.zst: put it in its place, then run `vatworkerd snapshot verify`"

// CorruptError says that a snapshot file does not hold what its name promises.
type CorruptError struct {
	Path string
	Want string // the sha256 the content should have, hex
	Got  string // the sha256 it has; empty if it could not be read to its end
	Err  error  // why it could not be, nil if it could
}

func (e *CorruptError) Error() string {
	if e.Got != "" {
		return fmt.Sprintf("snapshot file %s is corrupt: its content has sha256 %s", e.Path, e.Got)
	}
	return fmt.Sprintf("snapshot file %s is corrupt: %v", e.Path, e.Err)
}

// Unwrap gives the decoder's error.
func (e *CorruptError) Unwrap() error { return e.Err }

// ErrorCode is the error's code on the pipe.
func (e *CorruptError) ErrorCode() string { return pipeproto.CodeCorrupt }

// ErrorHint is the user's next step.
func (e *CorruptError) ErrorHint() string { return copyHint }

// MissingError says that there is no file of a snapshot.
type MissingError struct {
	Path string
	Hash string
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("snapshot file %s is missing", e.Path)
}

// Is makes errors.Is(err, fs.ErrNotExist) true.
func (e *MissingError) Is(target error) bool { return target == fs.ErrNotExist }

// ErrorCode is the error's code on the pipe: a lost file is damaged data.
func (e *MissingError) ErrorCode() string { return pipeproto.CodeCorrupt }

// ErrorHint is the user's next step.
func (e *MissingError) ErrorHint() string { return copyHint }

// BaseError says that a snapshot is stored as what it has besides a base heap, and
// that the base cannot be read. Whoever has the worker image makes the base again
// and gives it to KeepBase.
type BaseError struct {
	Path string // of the snapshot; empty if it was to be written
	Hash string // of the base
	Err  error
}

func (e *BaseError) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("base heap %s cannot be read: %v", e.Hash, e.Err)
	}
	return fmt.Sprintf("snapshot file %s needs a base heap that cannot be read: %v", e.Path, e.Err)
}

// Unwrap gives the error of the base's file.
func (e *BaseError) Unwrap() error { return e.Err }

// ErrorHint is the user's next step.
func (e *BaseError) ErrorHint() string {
	return "a vat that starts from this snapshot makes its base again from the worker image; a copy of the base's file from a backup or from another node fits as well"
}

// NoSpaceError says that the disk or the user's quota is full. Nothing of the
// snapshot is left on the disk.
type NoSpaceError struct {
	Path string // the directory
	Err  error
}

func (e *NoSpaceError) Error() string {
	return fmt.Sprintf("no space for a snapshot in %s: %v", e.Path, e.Err)
}

// Unwrap gives the operating system's error.
func (e *NoSpaceError) Unwrap() error { return e.Err }

// ErrorCode is the error's code on the pipe.
func (e *NoSpaceError) ErrorCode() string { return pipeproto.CodeNoSpace }

// ErrorHint is the user's next step.
func (e *NoSpaceError) ErrorHint() string {
	return "free some space on that disk and try again; nothing was changed"
}

// IOError says that the disk refused an operation on a snapshot file.
type IOError struct {
	Op   string // "write", "rename", …
	Path string
	Err  error
}

func (e *IOError) Error() string {
	return fmt.Sprintf("cannot %s snapshot file %s: %v", e.Op, e.Path, e.Err)
}

// Unwrap gives the operating system's error.
func (e *IOError) Unwrap() error { return e.Err }

// ErrorCode is the error's code on the pipe.
func (e *IOError) ErrorCode() string { return pipeproto.CodeIO }

// ErrorHint is the user's next step.
func (e *IOError) ErrorHint() string { return "check the disk and the permissions of that directory" }

// diskError gives an error of the file system its type.
func (d *Dir) diskError(op, path string, err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return &NoSpaceError{Path: d.path, Err: err}
	}
	return &IOError{Op: op, Path: path, Err: err}
}
