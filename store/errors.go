package store

import (
	"errors"
	"fmt"
	"syscall"
)

// ErrDiskFull is what errors.Is finds in an error caused by a full disk. The
// open block is lost; free some space, call Rollback and run the block again.
var ErrDiskFull = errors.New("no space left on the disk")

// ErrCrankOver is returned by the methods of a Crank that was committed,
// aborted, or swept away with its block.
var ErrCrankOver = errors.New("the crank is over")

// LockedError says that another process holds the database.
type LockedError struct {
	Path string // the lock file
	PID  int    // the holder, 0 if it has not written its PID yet
}

func (e *LockedError) Error() string {
	holder := "another process"
	if e.PID != 0 {
		holder = fmt.Sprintf("process %d", e.PID)
	}
	return fmt.Sprintf("cannot lock %s: %s holds it; stop that process or wait until it has ended", e.Path, holder)
}

// HeightError says that a block height does not fit the one the database is at.
type HeightError struct {
	Op       string // what was asked for: prepare, commit, align
	Asked    int64
	Height   int64 // last committed
	Prepared int64 // prepared and not yet committed, 0 if none
}

func (e *HeightError) Error() string {
	at := fmt.Sprintf("the database is at height %d", e.Height)
	if e.Prepared != 0 {
		at += fmt.Sprintf(" with block %d prepared", e.Prepared)
	}
	return fmt.Sprintf("cannot %s height %d: %s; the two databases are not of the same history, restore both from one backup", e.Op, e.Asked, at)
}

// NewerSchemaError says that the file was written by a newer program.
type NewerSchemaError struct {
	Path            string
	Found, Supports int
}

func (e *NewerSchemaError) Error() string {
	return fmt.Sprintf("cannot open %s: its schema version is %d and this program knows versions up to %d; use the newer program, nothing was changed", e.Path, e.Found, e.Supports)
}

// OutdatedError says that a database of a directory was written by an older
// program, so that it cannot be read as it is: see View.Outdated. Whoever opened
// the View says it.
type OutdatedError struct{ Dir string }

func (e *OutdatedError) Error() string {
	return fmt.Sprintf("the database in %s was written by an older version of this program", e.Dir)
}

// ErrorHint is the user's next step.
func (e *OutdatedError) ErrorHint() string {
	return fmt.Sprintf("`vatworkerd status --db %s` brings it up to date; then run this again", e.Dir)
}

// ForeignFileError says that the file is a SQLite database of something else.
type ForeignFileError struct{ Path string }

func (e *ForeignFileError) Error() string {
	return fmt.Sprintf("cannot open %s: it is a SQLite database of another program; name another path, nothing was changed", e.Path)
}

// EmptyError says that a database was made and never filled: whoever opened it
// first did not come to the end.
type EmptyError struct{ Path string }

func (e *EmptyError) Error() string {
	return fmt.Sprintf("database %s holds nothing yet", e.Path)
}

// CorruptError says that the database file is damaged. Nothing in it can be
// trusted, so every later operation fails too. SQLite says the same of a file
// that the disk cannot read.
type CorruptError struct {
	Path       string
	NoDatabase bool // it is not even a SQLite file
	Err        error
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("database %s is damaged, or its disk is: %v; keep the file for diagnosis and restore this directory from its last backup (or, on a chain, from a state-sync)", e.Path, e.Err)
}

func (e *CorruptError) Unwrap() error { return e.Err }

// IOError says that the disk, or SQLite for its sake, refused an operation.
// The open block is lost; the database is as after the last commit.
type IOError struct {
	Op   string // begin, exec, query, commit, …
	Path string
	Err  error
}

func (e *IOError) Error() string {
	return fmt.Sprintf("cannot %s in database %s: %v; check the disk", e.Op, e.Path, e.Err)
}

func (e *IOError) Unwrap() error { return e.Err }

// BlockLostError is returned by everything but reads and Rollback once an
// error has cost the open block. Rollback accepts the loss.
type BlockLostError struct{ Err error }

func (e *BlockLostError) Error() string {
	return fmt.Sprintf("the open block is lost: %v", e.Err)
}

func (e *BlockLostError) Unwrap() error { return e.Err }

// BrokenError is returned by everything but Close once it is unknown whether a
// commit reached the disk. Opening the database again tells: Height decides.
type BrokenError struct{ Err error }

func (e *BrokenError) Error() string {
	return fmt.Sprintf("the database must be closed and opened again: %v", e.Err)
}

func (e *BrokenError) Unwrap() error { return e.Err }

// typedError gives an error of the driver (or of a fault hook) its type.
func typedError(op, path string, err error) error {
	class := classOf(err)
	if errors.Is(err, syscall.ENOSPC) {
		class = classFull
	}
	switch class {
	case classFull:
		return &IOError{Op: op, Path: path, Err: errors.Join(ErrDiskFull, err)}
	case classIO:
		return &IOError{Op: op, Path: path, Err: err}
	case classCorrupt, classNoDatabase:
		return &CorruptError{Path: path, NoDatabase: class == classNoDatabase, Err: err}
	default:
		return fmt.Errorf("cannot %s in database %s: %w", op, path, err)
	}
}

// costsBlock tells whether the open block must be given up after err.
func costsBlock(err error) bool {
	var io *IOError
	var corrupt *CorruptError
	return errors.As(err, &io) || errors.As(err, &corrupt)
}

// The codes below are those of the pipe protocol (pipeproto.Coded), so that the
// other end, and the user, can tell these errors apart.

// ErrorCode gives "refused".
func (e *LockedError) ErrorCode() string { return "refused" }

// ErrorCode gives "corrupt".
func (e *HeightError) ErrorCode() string { return "corrupt" }

// ErrorCode gives "refused".
func (e *NewerSchemaError) ErrorCode() string { return "refused" }

// ErrorCode gives "refused".
func (e *OutdatedError) ErrorCode() string { return "refused" }

// ErrorCode gives "bad-request".
func (e *ForeignFileError) ErrorCode() string { return "bad-request" }

// ErrorCode gives "refused".
func (e *EmptyError) ErrorCode() string { return "refused" }

// ErrorCode gives "corrupt".
func (e *CorruptError) ErrorCode() string { return "corrupt" }

// ErrorCode gives "no-space" for a full disk and "io" for all other trouble.
func (e *IOError) ErrorCode() string {
	if errors.Is(e.Err, ErrDiskFull) || foundNoSpace(e.Err) {
		return "no-space"
	}
	return "io"
}
