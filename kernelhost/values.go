package kernelhost

import (
	"context"
	"errors"
	"fmt"

	"vatworkerd/kernelhost/capdata"
)

// RejectedError says that a promise was rejected, and with what: a Go value, see
// capdata.Unmarshal. An Error of a vat's is a *capdata.ErrorValue.
type RejectedError struct {
	Promise string
	Reason  any
}

func (e *RejectedError) Error() string {
	if err, ok := e.Reason.(error); ok {
		return err.Error()
	}
	return fmt.Sprintf("rejected with %v", e.Reason)
}

// Unwrap gives the reason if it is an error.
func (e *RejectedError) Unwrap() error {
	err, _ := e.Reason.(error)
	return err
}

// ErrUnresolved says that a promise has not been resolved: its vat has not
// answered, is paused or suspended, the budget has ended, or the block that
// resolves it is not committed.
var ErrUnresolved = errors.New("the promise is not resolved")

// Send is QueueToVat with Go values as arguments, see capdata.Marshal. Forget
// the promise it gives with Unpin once its result is no longer of interest.
func (k *Kernel) Send(ctx context.Context, vat, method string, args ...any) (promise string, err error) {
	data, err := capdata.Arguments(args...)
	if err != nil {
		return "", fmt.Errorf("cannot queue %s() to vat %s: %w", method, vat, err)
	}
	return k.QueueToVat(ctx, vat, method, data)
}

// Result gives what a promise was fulfilled to, as a Go value, see
// capdata.Unmarshal. Errors: ErrUnresolved, *RejectedError, and others for a
// promise that is not known.
func (k *Kernel) Result(promise string) (any, error) {
	state, data, err := k.PromiseResult(promise)
	if err != nil {
		return nil, err
	}
	if state == Unresolved {
		return nil, ErrUnresolved
	}
	value, err := capdata.Unmarshal(data)
	if err != nil {
		return nil, fmt.Errorf("cannot read the result of %s: %w", promise, err)
	}
	if state == Rejected {
		return nil, &RejectedError{Promise: promise, Reason: value}
	}
	return value, nil
}

// Await runs the vats, as Run does, and gives the result of a promise. A budget
// bounds it; without one it ends when nothing runnable is left.
func (k *Kernel) Await(ctx context.Context, promise string, budget Budget) (any, error) {
	if _, err := k.Run(ctx, budget); err != nil {
		return nil, err
	}
	return k.Result(promise)
}
