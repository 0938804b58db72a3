package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"vatworkerd/cmd/vatworkerd/internal/screen"
	"vatworkerd/kernelhost"
	"vatworkerd/kernelhost/capdata"
)

// What becomes of a message.
const (
	statusFulfilled  = "fulfilled"
	statusRejected   = "rejected"
	statusHeld       = "held"
	statusUnresolved = "unresolved"
)

func (a *app) sendCommand() *cobra.Command {
	return &cobra.Command{
		Use: "send VAT METHOD [JSON…]", Short: "Send a message to a vat's root object and print its result",
		Long: "send calls a method of a vat's root object; each argument is a JSON value, so strings need quotes\n" +
			"of their own: vatworkerd send alice greet '\"Bob\"' 3. It runs until nothing is left to do and prints\n" +
			"the settled result. A message to a paused vat is held: it runs after the vat is resumed.",
		Args: sendArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			params, err := jsonArguments(args[2:])
			if err != nil {
				return err
			}
			return a.send(cmd.Context(), args[0], args[1], params)
		},
	}
}

func sendArgs(cmd *cobra.Command, args []string) error {
	if len(args) >= 2 && args[0] != "" && args[1] != "" {
		return nil
	}
	return usageError("send needs a vat and a method").hint("`vatworkerd send VAT METHOD [JSON…]`")
}

// jsonArguments makes one JSON array of arguments that are each a JSON value.
func jsonArguments(args []string) (json.RawMessage, error) {
	values := make([]json.RawMessage, len(args))
	for i, arg := range args {
		if err := checkJSON(arg); err != nil {
			return nil, usageError("%v", err).at(fmt.Sprintf("argument %d", i+1)).
				hint(`arguments are JSON; a string needs quotes of its own, such as '"text"'`)
		}
		values[i] = json.RawMessage(arg)
	}
	return json.Marshal(values)
}

func (a *app) send(ctx context.Context, vat, method string, params json.RawMessage) error {
	args, err := capdata.FromJSON(params)
	if err != nil {
		return usageError("cannot use the arguments: %v", err)
	}
	return a.withKernel(ctx, func(s *session) error {
		promise, err := s.kernel.QueueToVat(s.ctx, vat, method, args)
		if err != nil {
			return err
		}
		if _, err := s.kernel.Run(s.ctx, wholeRun(0)); err != nil {
			return err
		}
		result, err := s.result(promise)
		if err != nil {
			return err
		}
		if result.Status != statusUnresolved {
			return a.settled(s, promise, result)
		}
		return a.waiting(s, vat, result)
	})
}

// result reads a promise.
func (s *session) result(promise string) (resultDoc, error) {
	state, data, err := s.kernel.PromiseResult(promise)
	if err != nil {
		return resultDoc{}, err
	}
	if state == kernelhost.Unresolved {
		return resultDoc{Status: statusUnresolved, Value: json.RawMessage("null"), Slots: []string{}}, nil
	}
	doc := resultDoc{Status: statusFulfilled, Value: capdata.ToJSON(data), Body: data.Body, Slots: append([]string{}, data.Slots...)}
	if state == kernelhost.Rejected {
		doc.Status, doc.reason = statusRejected, capdata.Legible(data)
	}
	return doc, nil
}

// settled shows a result and lets go of its promise.
func (a *app) settled(s *session, promise string, result resultDoc) error {
	if err := errors.Join(s.kernel.Unpin(s.ctx, promise), s.kernel.Commit(s.ctx)); err != nil {
		return err
	}
	if err := a.showResult(result); err != nil {
		return err
	}
	if result.Status == statusRejected {
		return failed{}
	}
	return nil
}

// waiting tells of a message that has no result yet: because its vat holds its
// deliveries, or because the vat has not answered.
func (a *app) waiting(s *session, vat string, result resultDoc) error {
	v, err := s.kernel.Vat(s.ctx, vat)
	if err != nil {
		return err
	}
	if !v.Paused || v.Held == 0 {
		return a.showResult(result)
	}
	if a.json {
		return a.document(heldDoc{Status: statusHeld})
	}
	verb := "resume"
	if v.Suspended {
		verb = "unsuspend"
	}
	fmt.Fprintln(a.stdout, statusHeld)
	a.note("%s is %s; the message runs after `vatworkerd vat %s %s`", v.VatID, v.State, verb, v.VatID)
	return nil
}

func (a *app) showResult(result resultDoc) error {
	if a.json {
		return a.document(result)
	}
	p := a.palette()
	text := result.String()
	if result.Status == statusRejected {
		text = p.Paint(screen.Red, text)
	}
	_, err := fmt.Fprintln(a.stdout, text)
	return err
}

// String gives a result for people, in one line: the value alone where it is
// fulfilled.
func (r resultDoc) String() string {
	switch r.Status {
	case statusUnresolved:
		return statusUnresolved
	case statusRejected:
		return statusRejected + ": " + screen.Escape(r.reason)
	}
	return screen.JSONLine(r.Value)
}
