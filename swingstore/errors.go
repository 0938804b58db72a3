package swingstore

import (
	"fmt"

	"vatworkerd/pipeproto"
	"vatworkerd/store"
)

// NotSwingStoreError says that a directory holds no swing-store.
type NotSwingStoreError struct {
	Path string
	Why  string
}

func (e *NotSwingStoreError) Error() string {
	return fmt.Sprintf("%s is no swing-store: %s", e.Path, e.Why)
}

// ErrorCode is the error's code on the pipe.
func (e *NotSwingStoreError) ErrorCode() string { return pipeproto.CodeBadRequest }

// ErrorHint is the user's next step.
func (e *NotSwingStoreError) ErrorHint() string {
	return "name the directory that holds " + FileName + ", for example ~/.agoric/data/agoric; nothing was changed"
}

// ChangedError says that the database was written while it was read.
type ChangedError struct{ Path string }

func (e *ChangedError) Error() string {
	return fmt.Sprintf("%s changed while it was read", e.Path)
}

// ErrorCode is the error's code on the pipe.
func (e *ChangedError) ErrorCode() string { return pipeproto.CodeIO }

// ErrorHint is the user's next step.
func (e *ChangedError) ErrorHint() string {
	return "stop the node, or copy the files of its database and name the copy, and run this again"
}

// NoVatError says that a store has no vat of that ID.
type NoVatError struct{ VatID string }

func (e *NoVatError) Error() string { return fmt.Sprintf("this swing-store has no vat %s", e.VatID) }

// ErrorCode is the error's code on the pipe.
func (e *NoVatError) ErrorCode() string { return pipeproto.CodeNotFound }

// ErrorHint is the user's next step.
func (e *NoVatError) ErrorHint() string { return "`vatworkerd swingstore list` names them" }

// NotReplayableError says that a span cannot be replayed with what the store holds.
type NotReplayableError struct {
	VatID string
	Place string // the artifact that is the reason, e.g. "snapshot.v8.31"
	Why   string
	Err   error // *transcripts.MissingItemsError, if that is why
}

// Unwrap gives the error that is the reason, if one is.
func (e *NotReplayableError) Unwrap() error { return e.Err }

func (e *NotReplayableError) Error() string {
	return fmt.Sprintf("cannot replay vat %s: %s: %s", e.VatID, e.Place, e.Why)
}

// ErrorCode is the error's code on the pipe.
func (e *NotReplayableError) ErrorCode() string { return pipeproto.CodeRefused }

// SnapshotError says that a heap snapshot is not what the store says of it.
type SnapshotError struct {
	Place     string // "snapshot.VAT.POSITION"
	What      string
	Want, Got string // empty if it could not be read to its end
	Err       error  // why it could not be
}

func (e *SnapshotError) Error() string {
	text := fmt.Sprintf("%s: %s", e.Place, e.What)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	if e.Want != "" {
		text += fmt.Sprintf(": %s is recorded, its content has %s", e.Want, e.Got)
	}
	return text
}

// Unwrap gives the decoder's error.
func (e *SnapshotError) Unwrap() error { return e.Err }

// ErrorCode is the error's code on the pipe.
func (e *SnapshotError) ErrorCode() string { return pipeproto.CodeCorrupt }

// BundleError says that a bundle is missing or is not what its ID says.
type BundleError struct {
	BundleID string
	Problems []store.Problem
}

func (e *BundleError) Error() string {
	return fmt.Sprintf("cannot use bundle %s: %s", e.BundleID, e.Problems[0].Text())
}

// ErrorCode is the error's code on the pipe.
func (e *BundleError) ErrorCode() string { return pipeproto.CodeCorrupt }
