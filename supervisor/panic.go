package supervisor

import (
	"errors"
	"fmt"

	"vatworkerd/pipeproto"
)

// PanicError is why the supervisor refuses everything but status, diagnosis,
// rollback and shutdown. The store stays as it was after the last commit.
type PanicError struct{ Err error }

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Err) }
func (e *PanicError) Unwrap() error { return e.Err }

// panic stops all further work: going on would break consensus or lose a vat.
func (s *Supervisor) panic(err error) error {
	var already *PanicError
	if errors.As(err, &already) {
		return err
	}
	s.panicked = &PanicError{Err: err}
	s.pager.dropAll() // nobody will need them
	s.log.Error("panic", "error", err)
	s.live.note(func() { s.live.now.Panic = err.Error() })
	return s.panicked
}

// spoil marks the open block as lost after a failed commit.
func (s *Supervisor) spoil(err error) error {
	s.spoiled = err
	s.live.raise(alarmBlock, "", err.Error())
	return err
}

// stillAllowed lists what a panicked or spoiled supervisor answers.
func stillAllowed(msgType string) bool {
	switch msgType {
	case pipeproto.ReqHello, pipeproto.ReqStatus, pipeproto.ReqVat, pipeproto.ReqSpans,
		pipeproto.ReqSnapshotList, pipeproto.ReqSnapshotVerify, pipeproto.ReqRollback, pipeproto.ReqShutdown:
		return true
	}
	return false
}

// ready tells why a request must be refused, if it must.
func (s *Supervisor) ready(msgType string) error {
	if stillAllowed(msgType) {
		return nil
	}
	if s.panicked != nil {
		return s.panicked
	}
	if s.spoiled != nil {
		return fmt.Errorf("cannot go on in this block, roll it back: %w", s.spoiled)
	}
	return nil
}
