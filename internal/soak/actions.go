package soak

import (
	"context"
	"fmt"
	"math/rand/v2"

	"vatworkerd/kernelhost"
	"vatworkerd/kernelhost/capdata"
)

// block is a random block while it is made.
type block struct {
	ctx    context.Context
	k      *kernelhost.Kernel
	work   Work
	height int64
	dice   *rand.Rand
	made   int // vats made by this block
}

// action is one kind of thing that happens to vats.
type action struct {
	name   string
	weight int
	do     func(*block) error
}

func actions() []action {
	return []action{
		{"relay", 30, (*block).relay},
		{"count", 12, (*block).count},
		{"work", 10, (*block).burn},
		{"grow", 4, func(b *block) error { return b.tell(b.vat(), "grow", b.dice.IntN(2000)) }},
		{"take", 5, func(b *block) error {
			v := b.number()
			return b.tell(vatName(v), "take", b.friendOf(v), b.dice.IntN(5))
		}},
		{"await", 5, func(b *block) error { v := b.number(); return b.tell(vatName(v), "await", b.friendOf(v), b.key()) }},
		{"settle", 5, func(b *block) error { return b.tell(b.vat(), "settle", b.key(), "done") }},
		{"meet", 6, func(b *block) error { return introduce(b.ctx, b.k, b.vat(), b.vat()) }},
		{"part", 2, func(b *block) error { return b.tell(b.vat(), "part", b.vat()) }},
		{"pause", 3, controlled((*kernelhost.Kernel).Pause)},
		{"resume", 6, controlled((*kernelhost.Kernel).Resume)},
		{"suspend", 3, controlled((*kernelhost.Kernel).Suspend)},
		{"suspend deliberately", 1, controlled((*kernelhost.Kernel).SuspendDeliberately)},
		{"unsuspend", 4, controlled((*kernelhost.Kernel).Unsuspend)},
		{"refill", 4, (*block).refill},
		{"upgrade", 3, func(b *block) error { return b.upgrade(bundleName) }},
		{"bad upgrade", 1, func(b *block) error { return b.upgrade(badBundleName) }},
		{"fail", 2, func(b *block) error { return b.tell(b.vat(), "fail") }},
		{"ask to be suspended", 1, func(b *block) error { return b.tell(b.vat(), "suspend", "tired") }},
		{"snapshot", 3, func(b *block) error { _, err := b.k.SnapshotTake(b.ctx, b.vat()); return err }},
		{"terminate and replace", 2, (*block).replace},
		{"emit", 2, (*block).emit},
		{"roll back", 1, (*block).rollBack},
	}
}

// run does some actions, lets the vats run, and cleans up a little.
func (b *block) run() error {
	list, total := actions(), 0
	for _, a := range list {
		total += a.weight
	}
	for range actionsPerBlock {
		at := b.dice.IntN(total)
		for _, a := range list {
			if at -= a.weight; at < 0 {
				if err := a.do(b); err != nil && !refused(err) {
					return fmt.Errorf("%s: %w", a.name, err)
				}
				break
			}
		}
	}
	_, err := b.k.Run(b.ctx, kernelhost.Budget{KeepOpen: true, Cleanups: cleanupPerBlock})
	return err
}

// number picks a vat, a few of them far more often than the rest.
func (b *block) number() int {
	if b.dice.IntN(2) == 0 {
		return b.dice.IntN(min(b.work.Vats, 12))
	}
	return b.dice.IntN(b.work.Vats)
}

func (b *block) vat() string { return vatName(b.number()) }

// friendOf names one that the vat has met, unless it has parted from it since.
func (b *block) friendOf(n int) string { return vatName(max(n-1, 0)) }

// key names a promise; there are few, so that some are settled.
func (b *block) key() string { return fmt.Sprintf("k%d", b.dice.IntN(20)) }

func (b *block) tell(vat, method string, args ...any) error {
	return tell(b.ctx, b.k, vat, method, args...)
}

func (b *block) relay() error {
	n, path := b.number(), []any{}
	for hop := range b.dice.IntN(5) {
		path = append(path, vatName(max(n-1-hop, 0)))
	}
	return b.tell(vatName(n), "relay", path, fmt.Sprint("block ", b.height))
}

func (b *block) count() error {
	vat := b.vat()
	for range 1 + b.dice.IntN(4) {
		if err := b.tell(vat, "count"); err != nil {
			return err
		}
	}
	return nil
}

// burn uses computrons, so that vats with an allowance overrun it some day.
func (b *block) burn() error { return b.tell(b.vat(), "work", b.dice.IntN(300_000)) }

// controlled makes an action of one of the kernel's controls.
func controlled(do func(*kernelhost.Kernel, context.Context, string, string) (status, error)) func(*block) error {
	return func(b *block) error {
		_, err := do(b.k, b.ctx, b.vat(), "soak")
		return err
	}
}

// refill lets a vat with an allowance go on.
func (b *block) refill() error {
	n := b.number()/10*10 + 9
	if n >= b.work.Vats {
		n = b.number()
	}
	vat := vatName(n)
	if _, err := b.k.Refill(b.ctx, vat, allowance/4); err != nil {
		return err
	}
	_, err := b.k.Resume(b.ctx, vat, "soak")
	return err
}

func (b *block) upgrade(bundle string) error {
	id, _, err := b.k.BundleID(bundle)
	if err != nil {
		return err
	}
	params, err := capdata.FromJSON(fmt.Appendf(nil, `{"version": %d}`, b.height))
	if err != nil {
		return err
	}
	_, err = b.k.Upgrade(b.ctx, b.vat(), id, &params, "soak")
	return err
}

// replace ends a vat and makes another that meets a few. Its number is one that
// no other block gives.
func (b *block) replace() error {
	if _, err := b.k.Terminate(b.ctx, b.vat(), "soak"); err != nil {
		return err
	}
	n := b.work.Vats + int(b.height)*actionsPerBlock + b.made
	b.made++
	if err := createVat(b.ctx, b.k, n); err != nil {
		return err
	}
	return introduce(b.ctx, b.k, vatName(n), b.vat())
}

// emit lets the device send something to the world outside.
func (b *block) emit() error {
	return b.k.Input(b.ctx, deviceName, func(call *kernelhost.Invocation) error {
		_, err := call.Emit(fmt.Sprint("block ", b.height))
		return err
	})
}

// rollBack gives up all that the block has done so far.
func (b *block) rollBack() error {
	if err := b.k.Rollback(b.ctx); err != nil {
		return err
	}
	b.made = 0
	return nil
}
