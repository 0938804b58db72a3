package supervisor

import (
	"path/filepath"
	"slices"

	"github.com/hashicorp/go-hclog"

	"vatworkerd/snapshots"
	"vatworkerd/store"
	"vatworkerd/xsnap"
)

// kit is what the supervisor's goroutine shares with those that work beside it,
// and all that they have of a Supervisor: nothing in it changes after Open, and
// each part may be used by several goroutines at once.
type kit struct {
	db        *store.DB
	snapshots *snapshots.Dir
	bases     *heapBases
	starter   starter
	census    *census
	reaper    *reaper
	live      *live
	speech    *speech
	slog      *slog // nil = none is wanted
	crashes   *crashes
	recorders *recorders
	spares    *spares
	hulls     *hulls
	image     xsnap.Image // for incarnations that start from now on
	cpu       int         // that deliveries and their workers share; -1 = none
	others    []int       // the CPUs beside it; empty = there is no choice
	limits    xsnap.Limits
	sandbox   xsnap.Sandbox
	hugePages bool // workers may ask for them
	log       hclog.Logger
	host      Host
}

// newKit makes a kit that lacks what Open opens.
func newKit(opts Options, host Host) *kit {
	live := newLive()
	k := &kit{
		live:   live,
		speech: newSpeech(host, opts.ReplayConsole), crashes: &crashes{dir: filepath.Join(opts.Dir, CrashDir)}, recorders: newRecorders(),
		census: &census{bounds: bounds{workers: max(1, opts.MaxOnline), bytes: opts.MaxMemoryBytes}},
		reaper: newReaper(opts.CPU, live), image: opts.Image, cpu: opts.CPU, limits: opts.Limits, sandbox: opts.Sandbox, hugePages: opts.HugePages,
		log: opts.Logger, host: host,
	}
	if k.log == nil {
		k.log = hclog.NewNullLogger()
	}
	return k
}

// otherCPUs gives all CPUs but the one that deliveries have; without such a one
// nothing is kept apart.
func otherCPUs(all []int, cpu int) []int {
	if cpu < 0 {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(all), func(c int) bool { return c == cpu })
}

// away is a CPU where no delivery runs; -1 = any.
func (k *kit) away() int {
	if len(k.others) == 0 {
		return -1
	}
	return k.others[0]
}
