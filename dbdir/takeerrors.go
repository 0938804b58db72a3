package dbdir

import (
	"errors"
	"fmt"

	"vatworkerd/pipeproto"
	"vatworkerd/swingstore"
	"vatworkerd/transcripts"
)

// UnfitError says that a vat cannot be taken over.
type UnfitError struct {
	VatID, Name string
	Why         string
	Left        []LeftVat // where no vat can be
}

func (e *UnfitError) Error() string {
	if e.VatID == "" {
		text := "cannot import vats: " + e.Why
		for _, left := range e.Left {
			text += fmt.Sprintf("\n  %s %s: %s", left.VatID, left.Name, left.Reason)
		}
		return text
	}
	return fmt.Sprintf("cannot import %s %s: %s", e.VatID, e.Name, e.Why)
}

// ErrorCode is the error's code on the pipe.
func (e *UnfitError) ErrorCode() string { return pipeproto.CodeRefused }

// ErrorHint is the user's next step.
func (e *UnfitError) ErrorHint() string {
	return "without VAT all vats are imported that can be; nothing was changed"
}

// DamagedError says that a part of a swing-store is missing, damaged or altered.
type DamagedError struct{ Err error }

func (e *DamagedError) Error() string { return "cannot import vats: " + e.Err.Error() }

// Unwrap gives what is wrong.
func (e *DamagedError) Unwrap() error { return e.Err }

// ErrorCode is the error's code on the pipe.
func (e *DamagedError) ErrorCode() string { return pipeproto.CodeCorrupt }

// ErrorHint is the user's next step.
func (e *DamagedError) ErrorHint() string {
	return "`vatworkerd swingstore verify` tells all that is wrong with the store; nothing was changed"
}

// damaged gives errors about the content of a store their form.
func damaged(err error) error {
	var hash *transcripts.HashError
	var missing *transcripts.MissingItemsError
	var snapshot *swingstore.SnapshotError
	var bundle *swingstore.BundleError
	if errors.As(err, &hash) || errors.As(err, &missing) || errors.As(err, &snapshot) || errors.As(err, &bundle) {
		return &DamagedError{Err: err}
	}
	return err
}

// OursError says that a store holds what was exported from a database of vatworkerd.
type OursError struct{ Dir string }

func (e *OursError) Error() string {
	return fmt.Sprintf("cannot import vats: %s is of a database of vatworkerd, which is imported as a whole", e.Dir)
}

// ErrorCode is the error's code on the pipe.
func (e *OursError) ErrorCode() string { return pipeproto.CodeBadRequest }

// ErrorHint is the user's next step.
func (e *OursError) ErrorHint() string {
	return fmt.Sprintf("`vatworkerd import %s` makes that database again; nothing was changed", e.Dir)
}
