package pipeproto

import (
	"errors"
	"fmt"
	"io"
	"syscall"
	"unicode/utf8"
)

// Codes of an Error. Callers decide by code; messages are for people.
const (
	CodeBadRequest  = "bad-request"  // the request does not make sense
	CodeUnknownType = "unknown-type" // no such message, or not in this direction
	CodeVersion     = "version"      // the ends speak different protocol versions
	CodeNotFound    = "not-found"
	CodeExists      = "exists"
	CodeRefused     = "refused"   // understood, but not allowed now or for this caller
	CodeVatFault    = "vat-fault" // the vat's own code failed
	CodeHeld        = "held"      // the delivery waits in the held queue
	CodeWorkerLost  = "worker-lost"
	CodeCorrupt     = "corrupt" // stored data is damaged
	CodeNoSpace     = "no-space"
	CodeIO          = "io"
	CodeDiverged    = "diverged" // a replay did not repeat
	CodePanic       = "panic"    // consensus is broken; only diagnosis is served
	CodeInternal    = "internal"
	CodeExited      = "exited"   // the other end of the pipe is gone
	CodeUncaught    = "uncaught" // of a worker: the code it ran threw
	CodeBusy        = "busy"     // not now: something else is going on, which the message tells
)

// Error is a failure as data: the body of an error frame, and what Call returns
// when the peer answered with one.
type Error struct {
	Code    string `msgpack:"code" json:"code"`
	Message string `msgpack:"message" json:"message"`
	Hint    string `msgpack:"hint" json:"hint,omitempty"`   // the user's next step, if there is one
	Place   string `msgpack:"place" json:"place,omitempty"` // where: a file, a field, a vat
}

// Error gives place and message; the hint is for the caller to show apart.
func (e *Error) Error() string {
	if e.Place == "" {
		return e.Message
	}
	return e.Place + ": " + e.Message
}

// Errorf makes an Error of a code.
func Errorf(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// UnknownType is the answer to a request this end does not serve.
func UnknownType(msgType string) *Error {
	return &Error{
		Code:    CodeUnknownType,
		Message: fmt.Sprintf("no request %q is served here", clip(msgType, 64)),
		Hint:    "docs/protocol.md lists the requests of each direction",
	}
}

// Coded is what errors of other packages implement to choose their code, so
// that those packages need not know the protocol.
type Coded interface {
	error
	ErrorCode() string
}

// Hinted is what errors of other packages implement to say the next step.
type Hinted interface {
	error
	ErrorHint() string
}

// ErrorOf maps any error to its form on the wire; nil stays nil. An *Error
// inside a wrapping error gives its code and hint to the whole text. Errors
// that say nothing about themselves are CodeInternal.
func ErrorOf(err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := err.(*Error); ok {
		return e
	}
	e := &Error{Code: codeOf(err), Message: err.Error()}
	var inner *Error
	if errors.As(err, &inner) {
		e.Hint = inner.Hint
	}
	var hinted Hinted
	if e.Hint == "" && errors.As(err, &hinted) {
		e.Hint = hinted.ErrorHint()
	}
	return e
}

func codeOf(err error) string {
	var inner *Error
	var coded Coded
	var frame *FrameError
	var errno syscall.Errno
	switch {
	case errors.As(err, &inner):
		return inner.Code
	case errors.As(err, &coded):
		return coded.ErrorCode()
	case errors.As(err, &frame):
		return CodeBadRequest
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return CodeNoSpace
	case errors.As(err, &errno), errors.Is(err, io.ErrUnexpectedEOF):
		return CodeIO
	}
	return CodeInternal
}

// ClosedError says that the other end closed the pipe, between two frames,
// while this end waited for it.
type ClosedError struct {
	During string // the request that got no answer
	Err    error  // io.EOF, or the error of the write
}

func (e *ClosedError) Error() string {
	return fmt.Sprintf("the other end of the pipe is gone; %q got no answer", e.During)
}

// Unwrap gives the error of the read or write.
func (e *ClosedError) Unwrap() error { return e.Err }

// ErrorCode is CodeExited.
func (e *ClosedError) ErrorCode() string { return CodeExited }

// clipped returns e with texts short enough for a frame of limit bytes.
func (e *Error) clipped(limit int) *Error {
	room := limit / 8
	c := *e
	c.Code = clip(c.Code, 64)
	c.Hint = clip(c.Hint, room)
	c.Place = clip(c.Place, room)
	c.Message = clip(c.Message, 4*room)
	return &c
}

// clip cuts s to at most limit bytes, between two characters.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	const mark = " …"
	cut := max(0, limit-len(mark))
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + mark
}
