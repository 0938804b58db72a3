package dbdir

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"vatworkerd/pipeproto"
	"vatworkerd/store"
	"vatworkerd/swingexport"
)

// NoDatabaseError says that a directory holds no database.
type NoDatabaseError struct {
	Dir     string
	Missing string // the file that is not there
}

func (e *NoDatabaseError) Error() string {
	return fmt.Sprintf("there is no database in %s: it has no %s", e.Dir, e.Missing)
}

// ErrorCode is the error's code on the pipe.
func (e *NoDatabaseError) ErrorCode() string { return pipeproto.CodeBadRequest }

// ErrorHint is the user's next step.
func (e *NoDatabaseError) ErrorHint() string {
	return fmt.Sprintf("`vatworkerd run CONFIG --db %s` creates one", e.Dir)
}

// ChangedError says that somebody began to use the directory while it was read.
type ChangedError struct{ Dir string }

func (e *ChangedError) Error() string {
	return fmt.Sprintf("the database in %s was opened for writing while it was read", e.Dir)
}

// ErrorCode is the error's code on the pipe.
func (e *ChangedError) ErrorCode() string { return pipeproto.CodeIO }

// ErrorHint is the user's next step.
func (e *ChangedError) ErrorHint() string { return "run this again" }

// NotEmptyError says that a backup was to be made where there is something.
type NotEmptyError struct {
	Dir        string
	Found      string // one of the files there
	Unfinished bool   // what is there is half a backup
}

func (e *NotEmptyError) Error() string {
	if e.Unfinished {
		return fmt.Sprintf("cannot make a backup in %s: it holds one that was not finished", e.Dir)
	}
	return fmt.Sprintf("cannot make a backup in %s: it is not empty, it has %s", e.Dir, e.Found)
}

// ErrorCode is the error's code on the pipe.
func (e *NotEmptyError) ErrorCode() string { return pipeproto.CodeBadRequest }

// ErrorHint is the user's next step.
func (e *NotEmptyError) ErrorHint() string {
	if e.Unfinished {
		return "if no backup is being made there now, remove that directory"
	}
	return "name a directory that is empty, or not there yet"
}

// UnfinishedError says that a directory holds half a backup.
type UnfinishedError struct{ Dir string }

func (e *UnfinishedError) Error() string {
	return fmt.Sprintf("%s holds a backup that was not finished", e.Dir)
}

// ErrorCode is the error's code on the pipe.
func (e *UnfinishedError) ErrorCode() string { return pipeproto.CodeBadRequest }

// ErrorHint is the user's next step.
func (e *UnfinishedError) ErrorHint() string {
	return "if no backup is being made there now, it is of no use: remove that directory, and make another backup"
}

// NoBackupError says that a directory has no manifest that can be read.
type NoBackupError struct {
	Dir string
	Err error // nil if there is no file
}

func (e *NoBackupError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("there is no backup in %s: it has no %s", e.Dir, ManifestFile)
	}
	return fmt.Sprintf("cannot read the backup in %s: %s: %v", e.Dir, ManifestFile, e.Err)
}

// Unwrap gives what is wrong with the file.
func (e *NoBackupError) Unwrap() error { return e.Err }

// ErrorCode is the error's code on the pipe.
func (e *NoBackupError) ErrorCode() string { return pipeproto.CodeBadRequest }

// ErrorHint is the user's next step.
func (e *NoBackupError) ErrorHint() string {
	return fmt.Sprintf("`vatworkerd backup %s --db DIR` makes one", e.Dir)
}

// FileError says that the disk refused an operation on a file of a backup, or on
// one to be copied.
type FileError struct {
	Op   string // make, read, write, sync, …
	Path string
	Err  error
}

func (e *FileError) Error() string { return fmt.Sprintf("cannot %s %s: %v", e.Op, e.Path, e.reason()) }

// reason is the error without the path, which the operating system's has too.
func (e *FileError) reason() error {
	var no syscall.Errno
	if errors.As(e.Err, &no) {
		return no
	}
	return e.Err
}

// Unwrap gives the operating system's error.
func (e *FileError) Unwrap() error { return e.Err }

// ErrorCode is the error's code on the pipe.
func (e *FileError) ErrorCode() string {
	if e.isFull() {
		return pipeproto.CodeNoSpace
	}
	return pipeproto.CodeIO
}

// ErrorHint is the user's next step.
func (e *FileError) ErrorHint() string {
	if e.isFull() {
		return "free some space there, or name a directory on another disk, and run this again"
	}
	return ""
}

func (e *FileError) isFull() bool {
	return errors.Is(e.Err, syscall.ENOSPC) || errors.Is(e.Err, syscall.EDQUOT)
}

// diskError gives an error of the operating system about a file its type.
func diskError(err error) error {
	var refused *fs.PathError
	if errors.As(err, &refused) {
		return &FileError{Op: refused.Op, Path: refused.Path, Err: refused.Err}
	}
	return err
}

// IncompleteError says that a database has not got all that an export was to have.
type IncompleteError struct {
	Mode  swingexport.Mode
	Place string // an artifact that it lacks
}

func (e *IncompleteError) Error() string {
	return fmt.Sprintf("cannot make an export of mode %s: the database does not hold all of %s", e.Mode, e.Place)
}

// ErrorCode is the error's code on the pipe.
func (e *IncompleteError) ErrorCode() string { return pipeproto.CodeRefused }

// ErrorHint is the user's next step.
func (e *IncompleteError) ErrorHint() string {
	if e.Mode == swingexport.Operational {
		return "`vatworkerd verify` says what is wrong with the database"
	}
	return "old transcript items go when an incarnation ends; `--mode operational` has what vats need to go on, `--mode debug` whatever is there"
}

// NotOursError says that an export was made of another system's store.
type NotOursError struct{ Dir string }

func (e *NotOursError) Error() string {
	return fmt.Sprintf("the export in %s is not of a database of vatworkerd: it has no record kv.%s", e.Dir, originKey)
}

// ErrorCode is the error's code on the pipe.
func (e *NotOursError) ErrorCode() string { return pipeproto.CodeBadRequest }

// ErrorHint is the user's next step.
func (e *NotOursError) ErrorHint() string {
	return fmt.Sprintf("`vatworkerd swingstore import %s` imports the vats of a JavaScript system; nothing was changed", e.Dir)
}

// UnsoundError says that the database that an export would make is not sound,
// although every artifact is what its hash says.
type UnsoundError struct {
	Export   string
	Problems []store.Problem
}

func (e *UnsoundError) Error() string {
	more := ""
	if n := len(e.Problems) - 1; n > 0 {
		more = fmt.Sprintf(" (and %d more)", n)
	}
	return fmt.Sprintf("cannot import %s: its records do not agree: %s%s", e.Export, e.Problems[0], more)
}

// ErrorCode is the error's code on the pipe.
func (e *UnsoundError) ErrorCode() string { return pipeproto.CodeCorrupt }

// ErrorHint is the user's next step.
func (e *UnsoundError) ErrorHint() string {
	return "`vatworkerd verify` of the database that it was made of tells more; nothing was changed"
}
