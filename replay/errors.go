package replay

import (
	"fmt"
	"strings"

	"vatworkerd/pipeproto"
)

// NoVatError says that the database has no such vat, or several of the name.
type NoVatError struct {
	Vat   string
	Named []string // the IDs of those that have the name, if there are several
}

func (e *NoVatError) Error() string {
	if len(e.Named) > 1 {
		return fmt.Sprintf("%q is the name of several vats: %s", e.Vat, strings.Join(e.Named, ", "))
	}
	return fmt.Sprintf("there is no vat %s", e.Vat)
}

// ErrorCode is the error's code on the pipe.
func (e *NoVatError) ErrorCode() string { return pipeproto.CodeNotFound }

// ErrorHint is the user's next step.
func (e *NoVatError) ErrorHint() string {
	return "`vatworkerd vat list` shows the vats; name one by its ID"
}

// RefusedError says that a replay cannot be done as it was asked for.
type RefusedError struct {
	VatID string
	Why   string
	Hint  string
	Err   error // the cause, or nil
}

func (e *RefusedError) Error() string { return fmt.Sprintf("cannot replay %s: %s", e.VatID, e.Why) }

// Unwrap returns the cause.
func (e *RefusedError) Unwrap() error { return e.Err }

// ErrorCode is the error's code on the pipe.
func (e *RefusedError) ErrorCode() string { return pipeproto.CodeRefused }

// ErrorHint is the user's next step.
func (e *RefusedError) ErrorHint() string { return e.Hint }

// ChangedError says that a database changed that was taken to be at rest.
type ChangedError struct{ Dir string }

func (e *ChangedError) Error() string {
	return fmt.Sprintf("somebody began to use the database in %s while it was read", e.Dir)
}

// ErrorCode is the error's code on the pipe.
func (e *ChangedError) ErrorCode() string { return pipeproto.CodeIO }

// ErrorHint is the user's next step.
func (e *ChangedError) ErrorHint() string { return "run this again" }
