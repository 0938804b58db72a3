package main

import (
	"github.com/spf13/pflag"

	"vatworkerd/slogfile"
	"vatworkerd/supervisor"
	"vatworkerd/workerlogs"
)

// logFlags say what is kept of what workers say and do (docs/debugging.md).
type logFlags struct {
	vatBytes      byteSize
	bytes         byteSize
	replayConsole bool
	slog          string
	slogBytes     byteSize
}

func (l *logFlags) register(flags *pflag.FlagSet) {
	l.vatBytes, l.bytes = supervisor.DefaultVatLogBytes, supervisor.DefaultLogBytes
	flags.Var(&l.vatBytes, "log-bytes-per-vat", "what the log of one vat's workers may take on disk; off keeps none")
	flags.Var(&l.bytes, "log-bytes", "what the logs of all vats' workers together may take on disk; off keeps none")
	l.slogBytes = supervisor.DefaultSlogBytes
	flags.StringVar(&l.slog, "slog", "", "file to write a line of JSON to for each event, in the shapes of SwingSet's slogs (environment: VATWORKERD_SLOG)")
	flags.Var(&l.slogBytes, "slog-bytes", "what the slog and the one before it may take on disk")
	flags.BoolVar(&l.replayConsole, "replay-console", false, "also show and log what vats print while their transcripts are replayed")
}

// check refuses what cannot be meant.
func (l *logFlags) check() error {
	if l.slog != "" && l.slogBytes < slogfile.MinBytes {
		return usageError("cannot use --slog-bytes %v: it must be at least %v", &l.slogBytes, size(slogfile.MinBytes))
	}
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
	if l.slog != "" {
		args = append(args, "--slog", l.slog, "--slog-bytes", l.slogBytes.String())
	}
	return args
}

func (l *logFlags) apply(opts *supervisor.Options) {
	opts.ReplayConsole = l.replayConsole
	opts.Slog, opts.SlogBytes = l.slog, int64(l.slogBytes)
	if !l.isOff() {
		opts.VatLogBytes, opts.LogBytes = int64(l.vatBytes), int64(l.bytes)
	}
}
