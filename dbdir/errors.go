package dbdir

import (
	"errors"
	"fmt"
	"syscall"

	"vatworkerd/pipeproto"
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

// OutdatedError says that a database was written by an older program.
type OutdatedError struct{ Dir string }

func (e *OutdatedError) Error() string {
	return fmt.Sprintf("the database in %s was written by an older version of this program", e.Dir)
}

// ErrorCode is the error's code on the pipe.
func (e *OutdatedError) ErrorCode() string { return pipeproto.CodeRefused }

// ErrorHint is the user's next step.
func (e *OutdatedError) ErrorHint() string {
	return fmt.Sprintf("`vatworkerd status --db %s` brings it up to date; then run this again", e.Dir)
}

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
