package main

import (
	"errors"
	"os"
	"slices"
	"time"

	"vatworkerd/internal/procs"
	"vatworkerd/xsnap"
)

// idleWorkers is how many workers wait while their memory is counted.
const idleWorkers = 32

// forkedScenario measures workers that begin with the base snapshot and wait for
// work: stock ones, which load it, and native ones, which are forked.
func (b *bench) forkedScenario() scenario {
	return scenario{
		name: "forked workers", rounds: 5, quick: 2, columns: []string{oursColumn, nativeColumn},
		prepare: func() error { return nil },
		turn: func(column string) error {
			if column == nativeColumn {
				return b.idleForked()
			}
			return b.idle(column, procs.Children(os.Getpid()), func() (*xsnap.Worker, error) { return b.startWorker(column) })
		},
		finish: func() error { return nil },
	}
}

// idleForked counts the zygote too.
func (b *bench) idleForked() error {
	before := procs.Children(os.Getpid())
	base, err := b.base.Open(b.images[nativeColumn])
	if err != nil {
		return err
	}
	defer base.Close()
	zygote, err := b.spawner.StartZygote(b.images[nativeColumn].Engine, base, xsnap.ZygoteOptions{Sandbox: xsnap.SandboxAuto})
	if err != nil {
		return err
	}
	err = b.idle(nativeColumn, before, func() (*xsnap.Worker, error) {
		began := time.Now()
		w, err := zygote.Start(xsnap.StartOptions{Name: "bench", MeterLimit: xsnap.DefaultMeterLimit, CPU: -1})
		if err == nil && w.Ready() == nil {
			b.sample("fresh-forked", nativeColumn, inMilliseconds(time.Since(began)))
		}
		return w, err
	})
	return errors.Join(err, zygote.Close())
}

// idle starts workers and counts the memory of all processes that were not there
// before; what several share counts once.
func (b *bench) idle(column string, before []int, start func() (*xsnap.Worker, error)) (err error) {
	for range idleWorkers {
		w, err := start()
		if err != nil {
			return err
		}
		defer w.Close()
		if err := w.Ready(); err != nil {
			return err
		}
	}
	total := int64(0)
	for _, pid := range procs.Children(os.Getpid()) {
		if bytes, ok := procs.Proportional(pid); ok && !slices.Contains(before, pid) {
			total += bytes
		}
	}
	b.sample("idle-32", column, float64(total)/(1<<20))
	return nil
}
