package kernelhost

import (
	"context"
	"fmt"

	"vatworkerd/internal/crashpoint"
	"vatworkerd/pipeproto"
)

// Budget bounds a Run. Zero means no limit.
type Budget struct {
	Cranks      int64 // in all
	BlockCranks int64 // in one block
	Computrons  int64 // in all; the crank that reaches it is the last
	// KeepOpen leaves what is done in the open block, for Commit or Rollback.
	KeepOpen bool
	// Cleanups is how many units of deferred deletion each block may do;
	// 0 = none, pipeproto.UnlimitedCleanup = all.
	Cleanups int64
}

// RunResult says what a Run did.
type RunResult struct {
	Cranks     int64 `json:"cranks"`
	Computrons int64 `json:"computrons"`
	Cleanups   int64 `json:"cleanups"`
	Held       int64 `json:"held"`   // items that wait because their vats are paused
	Blocks     int64 `json:"blocks"` // committed
	Idle       bool  `json:"idle"`   // nothing runnable is left
}

// Run processes what waits for the vats until nothing runnable is left or the
// budget ends, and commits block after block, with all that was changed since
// the last; a block in which nothing happened is none. Errors: *BootstrapError, *InterruptedError, *DaemonExitError; a
// panic of the daemon (see IsPanic). The block in which the error came is lost;
// the blocks before it, which the result counts, are kept.
func (k *Kernel) Run(ctx context.Context, budget Budget) (RunResult, error) {
	var result RunResult
	defer k.leave()
	if err := k.enter(); err != nil {
		return result, err
	}
	for {
		more, err := k.runBlock(ctx, budget, &result)
		if err != nil || !more {
			return result, err
		}
	}
}

// runBlock runs and commits one block; more tells whether there may be another.
func (k *Kernel) runBlock(ctx context.Context, budget Budget, result *RunResult) (more bool, err error) {
	limit := budget.BlockCranks
	if left := budget.Cranks - result.Cranks; budget.Cranks > 0 && (limit == 0 || left < limit) {
		limit = left
	}
	cleanups := budget.Cleanups
	done, err := k.cleanUp(ctx, cleanups)
	if err != nil {
		return false, k.wholeBlock(ctx, err)
	}
	if cleanups != pipeproto.UnlimitedCleanup {
		cleanups -= done
	}
	var reply pipeproto.RunReply
	req := pipeproto.Run{MaxCranks: limit, CleanupBudget: cleanups}
	if budget.Computrons > 0 {
		req.MaxComputrons = budget.Computrons - result.Computrons
	}
	if err := k.call(ctx, pipeproto.ReqRun, req, &reply); err != nil {
		return false, k.wholeBlock(ctx, err)
	}
	crashpoint.Here(crashpoint.HostRan)
	k.changed = k.changed || reply.Cranks > 0 || reply.Cleanups > 0
	if k.changed && !budget.KeepOpen {
		if err := k.commit(ctx); err != nil {
			return false, err
		}
		result.Blocks++
	}
	result.Cranks += reply.Cranks
	result.Computrons += reply.Computrons
	result.Cleanups += done + reply.Cleanups
	result.Held, result.Idle = reply.Held, reply.Idle
	if budget.Cranks > 0 && result.Cranks >= budget.Cranks || budget.Computrons > 0 && result.Computrons >= budget.Computrons {
		return false, nil
	}
	if reply.Idle && budget.Cleanups == pipeproto.UnlimitedCleanup {
		_, more, err = k.db.NextKey(deadPrefix, deadPrefix)
		return more, err
	}
	return !reply.Idle, nil
}

// wholeBlock gives the block up after an error of a run, whatever its kind:
// the caller cannot know how far the run came.
func (k *Kernel) wholeBlock(ctx context.Context, err error) error {
	if k.dead != nil {
		return err
	}
	return also(err, k.rollback(ctx))
}

// Commit makes all changes since the last block durable, as a block of its own.
// The daemon prepares the block first, then the host commits its own half,
// which decides, then the daemon finishes; a crash in between is settled by the
// next Open. After an error the block is lost, or the kernel must be opened
// again to learn whether it is.
func (k *Kernel) Commit(ctx context.Context) error {
	defer k.leave()
	if err := k.enter(); err != nil {
		return err
	}
	return k.commit(ctx)
}

func (k *Kernel) commit(ctx context.Context) error {
	height := k.db.Height() + 1
	if err := k.call(ctx, pipeproto.ReqPrepare, pipeproto.Height{Height: height}, nil); err != nil {
		return k.wholeBlock(ctx, fmt.Errorf("cannot prepare block %d: %w", height, err))
	}
	crashpoint.Here(crashpoint.HostPrepared)
	if err := k.db.Commit(height); err != nil {
		return also(fmt.Errorf("cannot commit block %d: %w", height, err), k.rollback(ctx))
	}
	crashpoint.Here(crashpoint.HostCommitted)
	k.settled, k.changed = len(k.testLog), false
	clear(k.resolved)
	if err := k.call(ctx, pipeproto.ReqCommit, pipeproto.Height{Height: height}, nil); err != nil {
		return fmt.Errorf("block %d is committed, but vatworkerd could not finish it; open the database again: %w", height, err)
	}
	crashpoint.Here(crashpoint.HostFinished)
	if err := k.release(); err != nil {
		return fmt.Errorf("block %d is committed, but what devices emitted could not be released: %w", height, err)
	}
	return nil
}

// Height gives the number of the last committed block, 0 for a new database.
func (k *Kernel) Height() int64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.db == nil {
		return 0
	}
	return k.db.Height()
}

// embargo keeps back what a committed crank would show the world outside, until
// its block is committed as well.
func (k *Kernel) embargo(c *crank) {
	k.testLog = append(k.testLog, c.testLog...)
	for _, kpid := range c.resolved {
		k.resolved[kpid] = true
	}
}

// TestLog gives the vatPowers.testLog lines of this session's committed blocks,
// in order.
func (k *Kernel) TestLog() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]string{}, k.testLog[:k.settled]...)
}
