package main

import (
	"strconv"

	"github.com/spf13/pflag"

	"vatworkerd/supervisor"
)

// snapshotFlags say what is kept of heap snapshots (docs/snapshots.md).
type snapshotFlags struct {
	keep int
}

func (s *snapshotFlags) register(flags *pflag.FlagSet) {
	flags.IntVar(&s.keep, "keep-snapshots", 1, "how many earlier heap snapshots of a vat to keep, in case its current one cannot be read")
}

// check refuses what cannot be meant.
func (s *snapshotFlags) check() error {
	if s.keep < 0 {
		return usageError("cannot use --keep-snapshots %d: it must be at least 0", s.keep)
	}
	return nil
}

// arguments say the same to a daemon.
func (s *snapshotFlags) arguments() []string {
	return []string{"--keep-snapshots", strconv.Itoa(s.keep)}
}

func (s *snapshotFlags) apply(opts *supervisor.Options) { opts.KeepSnapshots = s.keep }
