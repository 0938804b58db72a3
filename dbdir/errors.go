package dbdir

import (
	"fmt"

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
