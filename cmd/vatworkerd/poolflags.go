package main

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/spf13/pflag"

	"vatworkerd/supervisor"
)

// poolFlags say which vats may have a worker (docs/pool.md).
type poolFlags struct {
	maxOnline int
	maxMemory byteSize
	spares    int
	hulls     string
	lookAhead string
	early     string
	preload   string
	pins      []string
}

// maxLookAhead is how far "auto" goes: more vats than that seldom wait.
const maxLookAhead = 4

func (p *poolFlags) register(flags *pflag.FlagSet) {
	flags.IntVar(&p.maxOnline, "max-online", 50, "how many workers there may be at a time")
	flags.Var(&p.maxMemory, "max-memory", "what all workers together may have in memory, e.g. 2GiB; off is no limit")
	flags.IntVar(&p.spares, "spares", 1, "how many workers to keep warm for vats that start")
	flags.StringVar(&p.hulls, "hulls", "", "engines to keep ready for vats that are paged in, beside the workers: off, or a number (default: 1 for serve and run --stay, else off)")
	flags.StringVar(&p.early, "early-runs", "auto", "how many deliveries may run before their turn while another vat runs: auto, off, or a number")
	flags.StringVar(&p.lookAhead, "look-ahead", "auto", "how many vats to bring in at a time while another one runs: auto, off, or a number")
	flags.StringVar(&p.preload, "preload", "", "vats used last to bring in at the start: all, off, or a number (default: all for serve and run --stay, else off)")
	flags.StringArrayVar(&p.pins, "pin", nil, "a `vat`, by name or ID, that keeps its worker; may be repeated")
}

// check refuses what cannot be meant.
func (p *poolFlags) check() error {
	if p.maxOnline < 1 {
		return usageError("cannot use --max-online %d: it must be at least 1", p.maxOnline)
	}
	if p.spares < 0 {
		return usageError("cannot use --spares %d: it must be 0 or more", p.spares)
	}
	if slices.Contains(p.pins, "") {
		return usageError("cannot use --pin with nothing: it needs a vat's name or ID")
	}
	if _, err := atMost("--look-ahead", p.lookAhead, "auto", 0); err != nil {
		return err
	}
	if _, err := atMost("--early-runs", p.early, "auto", 0); err != nil {
		return err
	}
	if _, err := atMost("--hulls", p.hulls, "", 0); err != nil {
		return err
	}
	_, err := atMost("--preload", p.preload, "all", 0)
	return err
}

// atMost reads a number, "off" for 0, or a word (or nothing) for another one.
func atMost(flag, text, word string, meaning int) (int, error) {
	switch text {
	case "", word:
		return meaning, nil
	case "off":
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		if word != "" {
			word += ", "
		}
		return 0, usageError("cannot use %s %q: it is %soff, or a number", flag, text, word)
	}
	return n, nil
}

// arguments say the same to a daemon that serves one command.
func (p *poolFlags) arguments() []string {
	// Most commands end before these would be of use.
	preload, hulls := cmp.Or(p.preload, "off"), cmp.Or(p.hulls, "off")
	args := []string{
		"--max-online", strconv.Itoa(p.maxOnline), "--max-memory", p.maxMemory.String(), "--spares", strconv.Itoa(p.spares), "--hulls", hulls,
		"--look-ahead", p.lookAhead, "--early-runs", p.early, "--preload", preload,
	}
	for _, pin := range p.pins {
		args = append(args, "--pin="+pin)
	}
	return args
}

// apply sets the options of a supervisor; cpus is how many CPUs it may use.
func (p *poolFlags) apply(opts *supervisor.Options, cpus int) (err error) {
	opts.MaxOnline, opts.MaxMemoryBytes, opts.Spares, opts.Pins = p.maxOnline, int64(p.maxMemory), p.spares, p.pins
	// One CPU is for the deliveries; without another one to spare they are only slowed down.
	if opts.LookAhead, err = atMost("--look-ahead", p.lookAhead, "auto", min(cpus-1, maxLookAhead)); err != nil {
		return err
	}
	if opts.EarlyRuns, err = atMost("--early-runs", p.early, "auto", earlyRuns(cpus)); err != nil {
		return err
	}
	if opts.Hulls, err = atMost("--hulls", p.hulls, "", 1); err != nil {
		return err
	}
	opts.Preload, err = atMost("--preload", p.preload, "all", supervisor.PreloadAll)
	return err
}

// maxEarlyRuns is how far "auto" goes: with so many beside it the rest of a crank,
// which has its order, is what takes the time.
const maxEarlyRuns = 5

// earlyRuns keeps every CPU busy while the crank that comes next is made ready;
// without a second one they only cost.
func earlyRuns(cpus int) int {
	if cpus < 2 {
		return 0
	}
	return min(cpus+1, maxEarlyRuns)
}
