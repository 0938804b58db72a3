package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"vatworkerd/supervisor"
	"vatworkerd/xsnap"
)

// workerFlags say how each worker is contained, bounded and watched.
type workerFlags struct {
	sandbox xsnap.Sandbox
	require bool
	memory  byteSize
	huge    bool
	watch   xsnap.Watch
}

func (w *workerFlags) register(flags *pflag.FlagSet) {
	w.sandbox, w.memory = xsnap.SandboxAuto, xsnap.DefaultAddressSpaceBytes
	flags.Var(&w.sandbox, "sandbox", "contain workers (docs/containment.md): off, auto (as far as this kernel can), require")
	flags.BoolVar(&w.require, "require-sandbox", false, "the same as --sandbox require")
	flags.Var(&w.memory, "worker-memory", "address space that one worker may have; the same on all nodes of a network")
	flags.BoolVar(&w.huge, "huge-pages", true, "let workers ask for huge pages where this system gives some (docs/performance.md)")
	flags.DurationVar(&w.watch.AlarmAfter, "silence-alarm", xsnap.DefaultSilenceAlarm, "tell of a worker that says nothing for so long while it is to do something; 0 = never")
	flags.DurationVar(&w.watch.SilenceLimit, "silence-limit", xsnap.DefaultSilenceLimit, "kill such a worker after so long, and do its work again on another; 0 = never")
}

// check refuses what cannot be meant, and what would make a node differ.
func (w *workerFlags) check() error {
	if w.require && w.sandbox == xsnap.SandboxOff {
		return usageError("cannot use --require-sandbox together with --sandbox off")
	}
	if w.memory < xsnap.MinAddressSpaceBytes || w.memory > xsnap.MaxAddressSpaceBytes {
		return usageError("cannot use --worker-memory %v: it must be from %v to %v", &w.memory, size(xsnap.MinAddressSpaceBytes), size(xsnap.MaxAddressSpaceBytes)).
			hint("with less, a vat could run out of memory here and not on other nodes (docs/containment.md)")
	}
	if err := checkPause("--silence-alarm", w.watch.AlarmAfter); err != nil {
		return err
	}
	return checkPause("--silence-limit", w.watch.SilenceLimit)
}

func checkPause(flag string, value time.Duration) error {
	if value == 0 || value >= time.Second {
		return nil
	}
	return usageError("cannot use %s %v: it must be at least 1s, or 0 for never", flag, value)
}

func size(bytes int64) *byteSize { return (*byteSize)(&bytes) }

// policy is what --sandbox and --require-sandbox say together.
func (w *workerFlags) policy() xsnap.Sandbox {
	if w.require {
		return xsnap.SandboxRequire
	}
	return w.sandbox
}

func (w *workerFlags) limits() xsnap.Limits {
	return xsnap.Limits{AddressSpaceBytes: uint64(w.memory)}
}

// arguments say the same to a daemon.
func (w *workerFlags) arguments() []string {
	return []string{
		"--sandbox", w.policy().String(), "--worker-memory", w.memory.String(),
		"--huge-pages=" + strconv.FormatBool(w.huge),
		"--silence-alarm", w.watch.AlarmAfter.String(), "--silence-limit", w.watch.SilenceLimit.String(),
	}
}

func (w *workerFlags) apply(opts *supervisor.Options) {
	opts.Sandbox, opts.Limits, opts.Watch, opts.HugePages = w.policy(), w.limits(), w.watch, w.huge
}

// checkMachine finds what of this machine keeps workers from being contained
// and ending as they do on other nodes: an error forbids to start any, what is
// told only degrades them.
func (w *workerFlags) checkMachine(tell func(line string)) error {
	if err := w.policy().Check(tell); err != nil {
		return usageError("%v", err)
	}
	warnings, err := w.limits().CheckHost(w.policy())
	for _, warning := range warnings {
		tell(warning)
	}
	if err != nil {
		return usageError("%v", err)
	}
	return nil
}

// findings are what doctor says about the same.
func (w *workerFlags) findings() []finding {
	contained := found("containment", "workers are not contained (--sandbox off)", nil)
	if w.policy() != xsnap.SandboxOff {
		contained = found("containment", fmt.Sprintf("%v; %v", w.policy(), xsnap.DetectSandbox()), w.policy().Check(nil))
	}
	detail := fmt.Sprintf("each may have %v of address space and %v of stack", &w.memory, size(xsnap.WorkerStackBytes))
	warnings, err := w.limits().CheckHost(w.policy())
	memory := found("worker memory", detail, err)
	if err == nil && len(warnings) > 0 {
		memory = finding{Check: "worker memory", Detail: warnings[0], Hint: "a worker that gets less memory than elsewhere dies for no fault of its vat; after three times the daemon stops with a panic"}
	}
	return []finding{contained, memory}
}
