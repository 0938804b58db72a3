package main

import (
	"strconv"

	"github.com/spf13/pflag"

	"vatworkerd/supervisor"
)

// poolFlags say which vats may have a worker (docs/pool.md).
type poolFlags struct {
	maxOnline int
	maxMemory byteSize
}

func (p *poolFlags) register(flags *pflag.FlagSet) {
	flags.IntVar(&p.maxOnline, "max-online", 50, "how many workers there may be at a time")
	flags.Var(&p.maxMemory, "max-memory", "what all workers together may have in memory, e.g. 2GiB; off is no limit")
}

// check refuses what cannot be meant.
func (p *poolFlags) check() error {
	if p.maxOnline < 1 {
		return usageError("cannot use --max-online %d: it must be at least 1", p.maxOnline)
	}
	return nil
}

// arguments say the same to a daemon.
func (p *poolFlags) arguments() []string {
	return []string{"--max-online", strconv.Itoa(p.maxOnline), "--max-memory", p.maxMemory.String()}
}

func (p *poolFlags) apply(opts *supervisor.Options) {
	opts.MaxOnline, opts.MaxMemoryBytes = p.maxOnline, int64(p.maxMemory)
}
