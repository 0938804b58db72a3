package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"vatworkerd/internal/blockhost"
	"vatworkerd/kernelhost"
	"vatworkerd/kernelhost/capdata"
	"vatworkerd/kernelhost/config"
	"vatworkerd/pipeproto"
)

func initialize(file string) blockhost.Step {
	return func(ctx context.Context, k *kernelhost.Kernel) error {
		cfg, err := config.Parse(file, "post")
		if err == nil {
			err = cfg.ResolveBundles(ctx, nil, nil)
		}
		if err == nil {
			_, err = k.Initialize(ctx, cfg)
		}
		return err
	}
}

func runs(ctx context.Context, k *kernelhost.Kernel) error {
	_, err := k.Run(ctx, keepOpen())
	return err
}

// sends sends messages, "VAT METHOD ARGUMENT…" each, and lets them run together.
func sends(messages ...string) blockhost.Step {
	return func(ctx context.Context, k *kernelhost.Kernel) error {
		for _, text := range messages {
			if _, err := send(ctx, k, strings.Fields(text)); err != nil {
				return err
			}
		}
		return runs(ctx, k)
	}
}

// send sends a message; words that are JSON are values, all others text.
func send(ctx context.Context, k *kernelhost.Kernel, words []string) (promise string, err error) {
	var args []any
	for _, word := range words[2:] {
		var value any
		if json.Unmarshal([]byte(word), &value) != nil {
			value = word
		}
		args = append(args, value)
	}
	return k.Send(ctx, words[0], words[1], args...)
}

// asks calls methods of the bootstrap vat, one after the other; none may fail.
func asks(calls ...string) blockhost.Step {
	return func(ctx context.Context, k *kernelhost.Kernel) error {
		promises, err := ask(ctx, k, calls)
		for _, promise := range promises {
			_, problem := k.Result(promise)
			err = errors.Join(err, problem)
		}
		return err
	}
}

// refuses is asks of which the first call must be rejected.
func refuses(calls ...string) blockhost.Step {
	return func(ctx context.Context, k *kernelhost.Kernel) error {
		promises, err := ask(ctx, k, calls)
		if err != nil {
			return err
		}
		var rejected *kernelhost.RejectedError
		if _, err := k.Result(promises[0]); !errors.As(err, &rejected) {
			return fmt.Errorf("%s: %v, want a rejection", calls[0], err)
		}
		_, err = k.Result(promises[1])
		return err
	}
}

// ask makes the calls and commits, so that their results can be read.
func ask(ctx context.Context, k *kernelhost.Kernel, calls []string) (promises []string, err error) {
	for _, text := range calls {
		promise, err := send(ctx, k, append([]string{"bootstrap"}, strings.Fields(text)...))
		if err == nil {
			err = runs(ctx, k)
		}
		if err != nil {
			return nil, err
		}
		promises = append(promises, promise)
	}
	return promises, k.Commit(ctx)
}

// brings lets the device bring something in, which it emits again.
func brings(text string) blockhost.Step {
	return func(ctx context.Context, k *kernelhost.Kernel) error {
		return k.Input(ctx, "post", func(call *kernelhost.Invocation) error {
			_, err := call.Emit(text)
			return err
		})
	}
}

// becomes demands a state of a vat.
func becomes(ctx context.Context, k *kernelhost.Kernel, vat, want string) error {
	st, err := k.Vat(ctx, vat)
	if err == nil && st.State != want {
		err = fmt.Errorf("%s is %s (%s), want %s", vat, st.State, st.LastError, want)
	}
	return err
}

// creates makes a vat, sends it messages and demands the state it comes to.
func creates(name, bundle, want string, allowance *int64, messages ...string) blockhost.Step {
	return func(ctx context.Context, k *kernelhost.Kernel) error {
		id, _, err := k.BundleID(bundle)
		if err != nil {
			return err
		}
		vat := config.Vat{Name: name, BundleID: id, Parameters: json.RawMessage("{}"), Options: config.Options{Metered: true, Allowance: allowance}}
		if _, err := k.CreateVat(ctx, vat); err != nil {
			return err
		}
		if err := sends(messages...)(ctx, k); err != nil {
			return err
		}
		return becomes(ctx, k, name, want)
	}
}

// ends sends a message that ends a vat's incarnation.
func ends(vat, message, want string) blockhost.Step {
	return func(ctx context.Context, k *kernelhost.Kernel) error {
		if err := sends(vat+" "+message)(ctx, k); err != nil {
			return err
		}
		return becomes(ctx, k, vat, want)
	}
}

func holds(vat, method string) blockhost.Step {
	return func(ctx context.Context, k *kernelhost.Kernel) error {
		if _, err := k.Pause(ctx, vat, "the scenario"); err != nil {
			return err
		}
		if err := sends(vat+" "+method, vat+" "+method)(ctx, k); err != nil {
			return err
		}
		return becomes(ctx, k, vat, paused)
	}
}

func resumes(vat string) blockhost.Step {
	return func(ctx context.Context, k *kernelhost.Kernel) error {
		if _, err := k.Resume(ctx, vat, "the scenario"); err != nil {
			return err
		}
		return runs(ctx, k)
	}
}

func suspends(vat string) blockhost.Step {
	return func(ctx context.Context, k *kernelhost.Kernel) error {
		_, err := k.Suspend(ctx, vat, "the scenario")
		return err
	}
}

func refills(vat string, computrons int64) blockhost.Step {
	return func(ctx context.Context, k *kernelhost.Kernel) error {
		if _, err := k.Refill(ctx, vat, computrons); err != nil {
			return err
		}
		if err := resumes(vat)(ctx, k); err != nil {
			return err
		}
		return becomes(ctx, k, vat, running)
	}
}

// upgrades upgrades a vat; code is that of the error it must come to, "" = none.
func upgrades(vat, bundle, code string) blockhost.Step {
	return func(ctx context.Context, k *kernelhost.Kernel) error {
		id, _, err := k.BundleID(bundle)
		if err != nil {
			return err
		}
		_, err = k.Upgrade(ctx, vat, id, &capdata.CapData{Body: "#{}", Slots: []string{}}, "the scenario")
		var wire *pipeproto.Error
		if code != "" && errors.As(err, &wire) && wire.Code == code {
			return becomes(ctx, k, vat, running)
		}
		if err == nil && code != "" {
			err = fmt.Errorf("the upgrade to %s has come to an end that is too good", bundle)
		}
		return err
	}
}

func snapshots(vat string) blockhost.Step {
	return func(ctx context.Context, k *kernelhost.Kernel) error {
		_, err := k.SnapshotTake(ctx, vat)
		return err
	}
}

// rollsBack does something that is rolled back, and then the same for good.
func rollsBack(message string) blockhost.Step {
	return func(ctx context.Context, k *kernelhost.Kernel) error {
		if err := sends(message, message)(ctx, k); err != nil {
			return err
		}
		if err := k.Rollback(ctx); err != nil {
			return err
		}
		return sends(message)(ctx, k)
	}
}

func terminates(vat string) blockhost.Step {
	return func(ctx context.Context, k *kernelhost.Kernel) error {
		if _, err := k.Terminate(ctx, vat, "the scenario"); err != nil {
			return err
		}
		return runs(ctx, k)
	}
}

// cleans runs with a budget for deferred deletions.
func cleans(budget int64) blockhost.Step {
	return func(ctx context.Context, k *kernelhost.Kernel) error {
		_, err := k.Run(ctx, kernelhost.Budget{KeepOpen: true, Cleanups: budget})
		return err
	}
}

func restartsAll(ctx context.Context, k *kernelhost.Kernel) error {
	reply, err := k.RestartAll(ctx, "the scenario")
	if err == nil && !reply.Applied {
		err = errors.New("the restart was applied before")
	}
	if err != nil {
		return err
	}
	return runs(ctx, k)
}

// grows writes so much to both databases that their write-ahead logs are moved.
func grows(ctx context.Context, k *kernelhost.Kernel) error {
	const bytes = 9 << 20
	if err := k.AddBundle(ctx, "b1-large", "", []byte(strings.Repeat("x", bytes))); err != nil {
		return err
	}
	return brings(strings.Repeat("y", bytes))(ctx, k)
}
