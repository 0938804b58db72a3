package kernelhost

import (
	"errors"
	"fmt"

	"vatworkerd/pipeproto"
)

// BootstrapError says that the bootstrap message was rejected. As in SwingSet
// that panics the kernel: the block in which it happened is not committed.
type BootstrapError struct {
	Promise string // kref of the bootstrap message's result
	Reason  string // the rejection, for people
}

func (e *BootstrapError) Error() string {
	return fmt.Sprintf("bootstrap() was rejected: %s; nothing of this block is kept", e.Reason)
}

// VatStartError says that a vat of the config could not start. Nothing of the
// initialization is kept.
type VatStartError struct {
	Vat     string // its name
	Problem string
}

func (e *VatStartError) Error() string {
	return fmt.Sprintf("vat %q cannot start: %s", e.Vat, e.Problem)
}

// ErrorCode implements pipeproto.Coded.
func (e *VatStartError) ErrorCode() string { return pipeproto.CodeVatFault }

// UnknownVatError says that no vat has this name or ID.
type UnknownVatError struct{ Ref string }

func (e *UnknownVatError) Error() string {
	return fmt.Sprintf("there is no vat %q; name a vat of the config, or an ID such as v1", e.Ref)
}

// ErrorCode implements pipeproto.Coded.
func (e *UnknownVatError) ErrorCode() string { return pipeproto.CodeNotFound }

// ConfigMismatchError says that the database was made from another config.
type ConfigMismatchError struct{ Stored, Given string }

func (e *ConfigMismatchError) Error() string {
	return "this database was initialized from another config; use that config, or another --db directory for this one"
}

// ErrorCode implements pipeproto.Coded.
func (e *ConfigMismatchError) ErrorCode() string { return pipeproto.CodeRefused }

// DaemonExitError says that vatworkerd ended while it was needed. The open
// block is lost; the database is as after the last commit. Open it again.
type DaemonExitError struct {
	During string // the request that got no answer
	Status string // how the process ended, "" if that is not known
	Stderr string // the last lines it wrote there
	Err    error  // what the pipe said
}

func (e *DaemonExitError) Error() string {
	text := fmt.Sprintf("vatworkerd is gone during %q", e.During)
	if e.Status != "" {
		text += " (" + e.Status + ")"
	}
	if e.Stderr != "" {
		text += "; it said:\n" + e.Stderr
	}
	return text
}

// Unwrap gives the error of the pipe.
func (e *DaemonExitError) Unwrap() error { return e.Err }

// ErrorCode implements pipeproto.Coded.
func (e *DaemonExitError) ErrorCode() string { return pipeproto.CodeExited }

// InterruptedError says that a call's context ended: vatworkerd was killed and
// the open block is lost. The database is as after the last commit.
type InterruptedError struct{ Err error }

func (e *InterruptedError) Error() string {
	return fmt.Sprintf("interrupted (%v); the state is as after the last commit", e.Err)
}

// Unwrap gives the context's error.
func (e *InterruptedError) Unwrap() error { return e.Err }

// ErrClosed is returned by a Kernel that was closed.
var ErrClosed = errors.New("the kernel is closed")

// IsPanic tells whether vatworkerd has stopped for good because going on would
// break consensus (exit code 3 of the command).
func IsPanic(err error) bool {
	var wire *pipeproto.Error
	return errors.As(err, &wire) && wire.Code == pipeproto.CodePanic
}

// also adds what else went wrong to an error; nothing leaves it as it is.
func also(err, more error) error {
	if more == nil {
		return err
	}
	return errors.Join(err, more)
}

// illegalError is a syscall that no well-behaved vat makes: the crank is undone
// and the vat ended as its policy says.
type illegalError struct{ reason string }

func (e *illegalError) Error() string { return e.reason }

func illegalf(format string, args ...any) error {
	return &illegalError{reason: fmt.Sprintf(format, args...)}
}

// brokenError is a kernel table that contradicts itself.
type brokenError struct{ what string }

func (e *brokenError) Error() string { return "kernel tables are broken: " + e.what }

func brokenf(format string, args ...any) error {
	return &brokenError{what: fmt.Sprintf(format, args...)}
}
