package soak

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"

	"vatworkerd/internal/blockhost"
	"vatworkerd/kernelhost"
	"vatworkerd/kernelhost/capdata"
	"vatworkerd/kernelhost/config"
	"vatworkerd/pipeproto"
)

// Work says what the blocks do. It is the same for both runs of a soak.
type Work struct {
	Seed   uint64
	Vats   int    // made before the random blocks begin
	Config string // the file of the config
}

const (
	vatsPerBlock    = 10   // while they are made
	actionsPerBlock = 8    // of a random block
	cleanupPerBlock = 60   // units of deferred deletion
	allowance       = 40e6 // computrons of every tenth vat
	bundleName      = "soak"
	badBundleName   = "bad"
	deviceName      = "post"
)

// creating is how many blocks it takes to make the vats.
func (w Work) creating() int64 { return int64((w.Vats + vatsPerBlock - 1) / vatsPerBlock) }

// Step gives the work of a block: the first makes the kernel, the next ones the
// vats, all others do something random.
func (w Work) Step(height int64) blockhost.Step {
	switch {
	case height == 1:
		return w.initialize
	case height <= 1+w.creating():
		return func(ctx context.Context, k *kernelhost.Kernel) error { return w.create(ctx, k, height) }
	}
	return func(ctx context.Context, k *kernelhost.Kernel) error {
		b := &block{ctx: ctx, k: k, work: w, height: height, dice: rand.New(rand.NewPCG(w.Seed, uint64(height)))}
		return b.run()
	}
}

func (w Work) initialize(ctx context.Context, k *kernelhost.Kernel) error {
	cfg, err := config.Parse(w.Config, deviceName)
	if err == nil {
		err = cfg.ResolveBundles(ctx, nil, nil)
	}
	if err == nil {
		_, err = k.Initialize(ctx, cfg)
	}
	return err
}

func vatName(n int) string { return fmt.Sprintf("w%d", n) }

// create makes some of the vats; each knows the one before.
func (w Work) create(ctx context.Context, k *kernelhost.Kernel, height int64) error {
	first := int(height-2) * vatsPerBlock
	for n := first; n < min(first+vatsPerBlock, w.Vats); n++ {
		if err := createVat(ctx, k, n); err != nil {
			return err
		}
	}
	_, err := k.Run(ctx, kernelhost.Budget{KeepOpen: true})
	for n := max(first, 1); err == nil && n < min(first+vatsPerBlock, w.Vats); n++ {
		err = introduce(ctx, k, vatName(n), vatName(n-1))
	}
	if err == nil {
		_, err = k.Run(ctx, kernelhost.Budget{KeepOpen: true})
	}
	return err
}

// createVat makes a vat; every tenth has an allowance that it will overrun.
func createVat(ctx context.Context, k *kernelhost.Kernel, n int) error {
	id, _, err := k.BundleID(bundleName)
	if err != nil {
		return err
	}
	options := config.Options{Metered: true}
	if n%10 == 9 {
		computrons := int64(allowance)
		options.Allowance = &computrons
	}
	_, err = k.CreateVat(ctx, config.Vat{Name: vatName(n), BundleID: id, Parameters: json.RawMessage("{}"), Options: options})
	return err
}

// introduce lets a vat know another.
func introduce(ctx context.Context, k *kernelhost.Kernel, vat, friend string) error {
	kref, err := k.Root(ctx, friend)
	if err != nil {
		return err
	}
	return tell(ctx, k, vat, "meet", friend, capdata.Ref{Kref: kref})
}

// tell sends a message whose result nobody waits for.
func tell(ctx context.Context, k *kernelhost.Kernel, vat, method string, args ...any) error {
	promise, err := k.Send(ctx, vat, method, args...)
	if err != nil {
		return err
	}
	return k.Unpin(ctx, promise)
}

// refused tells the errors by which a kernel says no to an action that the state
// of a vat does not allow: they change nothing, and are the same in every run.
func refused(err error) bool {
	var wire *pipeproto.Error
	if !errors.As(err, &wire) {
		return false
	}
	switch wire.Code {
	case pipeproto.CodeRefused, pipeproto.CodeVatFault, pipeproto.CodeBadRequest, pipeproto.CodeExists, pipeproto.CodeNotFound:
		return true
	}
	return false
}
