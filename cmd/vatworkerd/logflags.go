package main

import (
	"github.com/spf13/pflag"

	"vatworkerd/supervisor"
	"vatworkerd/workerlogs"
)

// logFlags say what is kept of what workers say (docs/debugging.md).
type logFlags struct {
	vatBytes      byteSize
	bytes         byteSize
	replayConsole bool
}

func (l *logFlags) register(flags *pflag.FlagSet) {
	l.vatBytes, l.bytes = supervisor.DefaultVatLogBytes, supervisor.DefaultLogBytes
	flags.Var(&l.vatBytes, "log-bytes-per-vat", "what the log of one vat's workers may take on disk; off keeps none")
	flags.Var(&l.bytes, "log-bytes", "what the logs of all vats' workers together may take on disk; off keeps none")
	flags.BoolVar(&l.replayConsole, "replay-console", false, "also show and log what vats print while their transcripts are replayed")
}

// check refuses what cannot be meant.
func (l *logFlags) check() error {
	if l.isOff() {
		return nil
	}
	if l.vatBytes < workerlogs.MinVatBytes {
		return usageError("cannot use --log-bytes-per-vat %v: it must be at least %v, or off", &l.vatBytes, size(workerlogs.MinVatBytes))
	}
	if l.bytes < l.vatBytes {
		return usageError("cannot use --log-bytes %v: it must be at least --log-bytes-per-vat (%v), or off", &l.bytes, &l.vatBytes)
	}
	return nil
}

func (l *logFlags) isOff() bool { return l.vatBytes == 0 || l.bytes == 0 }

// arguments say the same to a daemon.
func (l *logFlags) arguments() []string {
	args := []string{"--log-bytes-per-vat", l.vatBytes.String(), "--log-bytes", l.bytes.String()}
	if l.replayConsole {
		args = append(args, "--replay-console")
	}
	return args
}

func (l *logFlags) apply(opts *supervisor.Options) {
	opts.ReplayConsole = l.replayConsole
	if !l.isOff() {
		opts.VatLogBytes, opts.LogBytes = int64(l.vatBytes), int64(l.bytes)
	}
}
