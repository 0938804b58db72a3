package xsnap

import (
	"fmt"
	"strings"
	"syscall"
)

// Exit codes of xsnap-worker (xsnap-worker.c) and the native worker.
const (
	ExitSuccess            = 0
	ExitBadUsage           = 1
	ExitIOError            = 2
	ExitNotEnoughMemory    = 11
	ExitStackOverflow      = 12
	ExitUnhandledException = 15
	ExitNoMoreKeys         = 16
	ExitTooMuchComputation = 17
	ExitHostMemory         = 18 // of the native worker only: the host gave it no memory
)

// ExitError tells how a worker ended that nobody had asked to end.
type ExitError struct {
	Name   string         // of the worker
	Code   int            // exit code, or -1 if a signal ended it
	Signal syscall.Signal // 0 if it exited by itself
	Reason string         // in its own words, of a native worker
	Stderr string         // the last 4 KiB it wrote there
	// Outside tells why an exit that looks like a vat's fault is none, or is
	// empty.
	Outside string
}

func (e *ExitError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "worker %s ", e.Name)
	if e.Signal != 0 {
		b.WriteString("was ended by " + signalText(e.Signal))
	} else {
		b.WriteString("exited with " + codeText(e.Code))
	}
	if e.Outside != "" {
		b.WriteString(", which is not the vat's fault: " + e.Outside)
	}
	if e.Reason != "" {
		fmt.Fprintf(&b, ": it says %q", e.Reason)
	}
	if tail := strings.TrimSpace(e.Stderr); tail != "" {
		fmt.Fprintf(&b, "; its stderr ends: %s", tail)
	}
	return b.String()
}

func signalText(s syscall.Signal) string { return fmt.Sprintf("signal %d (%s)", int(s), s) }

func codeText(code int) string { return fmt.Sprintf("code %d (%s)", code, exitCodeText(code)) }

// VatFault reports whether the vat itself caused the exit. Only three codes
// are the same on every node, and only where the host had no part in them (see
// Outside); any other end says nothing about the vat.
func (e *ExitError) VatFault() bool { return e.VatFaultText() != "" }

// VatFaultText is the problem text the JavaScript system reports for a vat
// fault, or "".
func (e *ExitError) VatFaultText() string {
	if e.Outside != "" {
		return ""
	}
	return e.faultText()
}

// faultText does not ask for the reason.
func (e *ExitError) faultText() string {
	if e.Signal != 0 {
		return ""
	}
	switch e.Code {
	case ExitNotEnoughMemory:
		return "Allocate meter exceeded"
	case ExitStackOverflow:
		return "Stack meter exceeded"
	case ExitTooMuchComputation:
		return "Compute meter exceeded"
	}
	return ""
}

func exitCodeText(code int) string {
	switch code {
	case ExitSuccess:
		return "success, but nobody asked it to end"
	case ExitBadUsage:
		return "bad argument usage"
	case ExitIOError:
		return "I/O error"
	case ExitNotEnoughMemory:
		return "not enough memory"
	case ExitStackOverflow:
		return "stack overflow"
	case ExitUnhandledException:
		return "unhandled exception"
	case ExitNoMoreKeys:
		return "property (key) name space exhausted"
	case ExitTooMuchComputation:
		return "too much computation"
	case ExitHostMemory:
		return "the host gave it no memory"
	}
	return "unknown error"
}

// ProtocolError tells of a worker that lives but did not answer as it must.
// It never counts against the vat.
type ProtocolError struct {
	Name   string // of the worker
	Op     string // what the worker was asked to do
	Reason string
	Detail string // the begin of what it sent instead, if that helps
	Err    error  // the cause, or nil
}

func (e *ProtocolError) Error() string {
	text := fmt.Sprintf("worker %s broke the protocol in %s: %s", e.Name, e.Op, e.Reason)
	if e.Detail != "" {
		text += fmt.Sprintf(": %q", e.Detail)
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *ProtocolError) Unwrap() error { return e.Err }

// VatSetupError tells that the worker's supervisor refused a vat's bundle or
// liveslots options.
type VatSetupError struct {
	VatID   string
	Name    string // of the JavaScript error
	Message string
}

func (e *VatSetupError) Error() string {
	return fmt.Sprintf("cannot set up vat %s: setBundle failed: %s: %s", e.VatID, e.Name, e.Message)
}

// LoadError tells that a worker could not be started from a heap snapshot.
type LoadError struct {
	Name string // of the worker
	Err  error  // the source's own error, or the *ExitError of a refusing engine
}

func (e *LoadError) Error() string {
	return fmt.Sprintf("worker %s cannot load its heap snapshot: %v", e.Name, e.Err)
}

// Unwrap returns the cause.
func (e *LoadError) Unwrap() error { return e.Err }
