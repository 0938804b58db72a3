// Package blockhost is a kernel host whose every block is always the same work:
// one that is ended at any instant and started again must come to the same
// activity hash at the same height. The tests of crashes and the soak run such
// hosts as processes of their own and read what they print.
package blockhost

import (
	"context"
	"errors"
	"fmt"
	"io"

	"vatworkerd/kernelhost"
)

// Step is the work of one block. What it does must follow from the height and
// from the kernel's state alone. Run commits the block after it, unless the step
// has done so itself.
type Step func(ctx context.Context, k *kernelhost.Kernel) error

// Program is a host.
type Program struct {
	Options kernelhost.Options
	// Step gives the work of the block at a height, nil after the last.
	Step func(height int64) Step
	// Out gets a line for each thing that happens, with one Write, at once.
	Out io.Writer
}

// Run opens the kernel and does what blocks are missing. An error leaves the
// open block undone.
func (p Program) Run(ctx context.Context) (err error) {
	k, err := kernelhost.Open(ctx, p.Options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, k.Close()) }()
	if err := p.tell(ctx, k, KindOpen); err != nil {
		return err
	}
	for {
		height := k.Height() + 1
		step := p.Step(height)
		if step == nil {
			return nil
		}
		if err := step(ctx, k); err != nil {
			return fmt.Errorf("cannot do block %d: %w", height, err)
		}
		if k.Height() < height {
			if err := k.Commit(ctx); err != nil {
				return err
			}
		}
		if err := p.tell(ctx, k, KindBlock); err != nil {
			return err
		}
	}
}

// tell prints where the committed state stands; no block is open.
func (p Program) tell(ctx context.Context, k *kernelhost.Kernel, what string) error {
	const noVats = -1
	status, err := k.Status(ctx, "", noVats)
	if err != nil {
		return err
	}
	_, err = Line{Kind: what, Height: status.Height, Text: status.ActivityHash}.WriteTo(p.Out)
	return err
}
