package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"vatworkerd/kernelhost"
	"vatworkerd/kernelhost/capdata"
	"vatworkerd/kernelhost/config"
)

// ours is vatworkerd as a kernel host in Go uses it: the library kernelhost in
// this process, `vatworkerd serve` as its child.
type ours struct {
	place  place
	label  string
	flags  []string // further flags of serve
	stderr io.Writer
	events kernelhost.EventSink
	kernel *kernelhost.Kernel
}

func (o *ours) name() string { return o.label }

func (o *ours) open(dir, configPath string, maxOnline int) error {
	return o.openWith(dir, configPath, maxOnline, func(*config.Config) {})
}

// withoutVats leaves of a config its bundles. The static vats, which restart-all
// starts at once, are no part of what it does for all others.
func withoutVats(cfg *config.Config) {
	cfg.Vats, cfg.Bootstrap, cfg.VatAdmin = nil, "", false
}

// openWith is open with a config that was changed.
func (o *ours) openWith(dir, configPath string, maxOnline int, change func(*config.Config)) error {
	ctx := context.Background()
	k, err := kernelhost.Open(ctx, o.options(dir, maxOnline))
	if err != nil {
		return err
	}
	o.kernel = k
	cfg, err := config.Parse(configPath)
	if err == nil {
		err = cfg.ResolveBundles(ctx, nil, nil)
		change(&cfg)
	}
	if err == nil {
		_, err = k.Initialize(ctx, cfg)
	}
	if err == nil {
		_, err = k.Run(ctx, kernelhost.Budget{})
	}
	if err != nil {
		return errors.Join(err, o.close())
	}
	return nil
}

func (o *ours) options(dir string, maxOnline int) kernelhost.Options {
	flags := append([]string{"--engine", o.place.workerOf(o.label), "--max-online", strconv.Itoa(maxOnline)}, o.flags...)
	return kernelhost.Options{
		DBDir: dir, Daemon: []string{o.place.vatworkerd, "serve"}, EngineFlags: flags,
		VatAdminBundle: o.place.vatAdmin, Stderr: o.stderr, Events: o.events,
	}
}

func (o *ours) run(messages []message) (ran, error) {
	ctx := context.Background()
	promises := make([]string, len(messages))
	var err error
	began := time.Now()
	for i, m := range messages {
		if promises[i], err = o.kernel.Send(ctx, m.Vat, m.Method, m.Args...); err != nil {
			return ran{}, err
		}
	}
	if _, err := o.kernel.Run(ctx, kernelhost.Budget{}); err != nil {
		return ran{}, err
	}
	done := ran{Took: time.Since(began), Results: make([]string, len(promises))}
	for i, promise := range promises {
		if done.Results[i], err = o.result(promise); err != nil {
			return ran{}, err
		}
	}
	return done, o.forget(promises)
}

// forget lets go of results that were read, as reading them does in the
// JavaScript system.
func (o *ours) forget(promises []string) error {
	for _, promise := range promises {
		if err := o.kernel.Unpin(context.Background(), promise); err != nil {
			return err
		}
	}
	return nil
}

// result gives the JSON of a promise's value, or the promise's state.
func (o *ours) result(promise string) (string, error) {
	state, data, err := o.kernel.PromiseResult(promise)
	if err != nil || state != kernelhost.Fulfilled {
		return state, err
	}
	if len(data.Slots) > 0 {
		return "", fmt.Errorf("the result of %s has slots; the benchmark compares data only", promise)
	}
	value, err := capdata.Unmarshal(data)
	if err != nil {
		return "", err
	}
	if value == (capdata.UndefinedValue{}) {
		value = nil
	}
	text, err := json.Marshal(value)
	return string(text), err
}

func (o *ours) close() error {
	if o.kernel == nil {
		return nil
	}
	err := o.kernel.Close()
	o.kernel = nil
	return err
}

func (o *ours) end() error { return o.close() }

func (o *ours) snapshot(vats ...string) (time.Duration, error) {
	ctx := context.Background()
	began := time.Now()
	for _, vat := range vats {
		if _, err := o.kernel.SnapshotTake(ctx, vat); err != nil {
			return 0, err
		}
	}
	err := o.kernel.Commit(ctx)
	return time.Since(began), err
}

func (o *ours) progress(vat string) (progress, error) {
	status, err := o.kernel.Vat(context.Background(), vat)
	return progress{Position: status.Position, SpanHash: status.SpanHash, SnapshotHash: status.SnapshotHash}, err
}

func (o *ours) stored(vat string) (storedSnapshot, error) {
	list, err := o.kernel.SnapshotList(context.Background(), vat)
	for _, s := range list {
		if s.InUse {
			return storedSnapshot{Size: s.UncompressedSize, Stored: s.StoredSize}, err
		}
	}
	return storedSnapshot{}, err
}

// register makes vats that have not started, from number have on, in blocks.
func (o *ours) register(have, want int) error {
	ctx := context.Background()
	id, ok, err := o.kernel.BundleID("tiny")
	if err != nil || !ok {
		return errors.Join(err, errors.New("the config has no bundle tiny"))
	}
	for have < want {
		vats := make([]config.Vat, min(1000, want-have))
		for i := range vats {
			vats[i] = config.Vat{Name: "many-" + strconv.Itoa(have+i), BundleID: id, Parameters: json.RawMessage("{}")}
		}
		if _, err := o.kernel.RegisterVats(ctx, vats); err != nil {
			return err
		}
		if err := o.kernel.Commit(ctx); err != nil {
			return err
		}
		have += len(vats)
	}
	return nil
}
