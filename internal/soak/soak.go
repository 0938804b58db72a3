package soak

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"vatworkerd/dbdir"
	"vatworkerd/internal/procs"
)

// Options say how a soak goes.
type Options struct {
	Duration time.Duration // of the disturbed run
	Blocks   int64         // at which it ends, whatever the time; 0 = by the clock
	Vats     int
	Pool     int // workers at a time in the disturbed run
	CalmPool int // and in the calm one
	Seed     uint64
	Faults   bool
	// Silence is after how long a stopped worker counts as dead; 0 = none is
	// stopped for good.
	Silence time.Duration
	OwnDisk bool // Dir has a disk of its own, which may be filled up

	Dir     string   // for everything; empty
	Host    []string // the command of a program that calls ServeHost first
	Daemon  string   // vatworkerd
	Engine  string   // directory of the engine
	Bundles string   // directory of the bundles
	Cache   string   // of base snapshots

	Tell func(Progress) // now and then; nil = nobody
}

// Progress is how far a soak is.
type Progress struct {
	Run           string
	Since, Of     time.Duration // Of is 0 for the calm run, which ends at a height
	Height, Until int64         // Until is 0 for the disturbed run
	Faults        int64
	Starts        int
	Host, Daemon  usage
}

// Report is what came of a soak.
type Report struct {
	Seed        uint64           `json:"seed"`
	Vats        int              `json:"vats"`
	Pools       [2]int           `json:"pools"`
	Height      int64            `json:"height"`
	Hash        string           `json:"activityHash"`
	Starts      int              `json:"starts"` // of hosts in the disturbed run
	Faults      map[string]int64 `json:"faults"`
	Answered    int64            `json:"controlRequestsAnswered"`
	Refused     int64            `json:"controlRequestsNotAnswered"`
	Outputs     int              `json:"outputs"`
	OutputTwice int              `json:"outputsThatCameTwice"`
	Took        [2]time.Duration `json:"tookNanoseconds"`
	Growth      []Growth         `json:"growth"`
	Problems    []string         `json:"problems"`
}

// OK tells whether everything was as it must be.
func (r Report) OK() bool { return len(r.Problems) == 0 }

// run is one of the two runs of a soak.
type run struct {
	o     Options
	name  string
	host  HostOptions
	told  *told
	watch *watch
	began time.Time
	took  time.Duration
	made  int64 // the height at which all vats are made
	trouble
	asker  asker
	starts int
	until  int64 // the height at which it ends; 0 = it ends by the clock
}

// maxIdleStarts bounds how often a host may be started without a block: after as
// many it is left alone until it has done one, and after twice as many the soak fails.
const maxIdleStarts = 6

// noDeadline is longer than any soak.
const noDeadline = 1000 * time.Hour

// slowestBlock bounds what pause takes for the time of a block.
const slowestBlock = 10 * time.Second

// Run does a soak. The report tells what was wrong with vatworkerd; an error,
// what was wrong with the soak.
func Run(ctx context.Context, o Options) (Report, error) {
	report := Report{Seed: o.Seed, Vats: o.Vats, Pools: [2]int{o.Pool, o.CalmPool}}
	work := Work{Seed: o.Seed, Vats: o.Vats, Config: filepath.Join(o.Dir, "config.json")}
	if err := writeConfig(work.Config, o.Bundles); err != nil {
		return report, err
	}
	disturbed, err := o.newRun("disturbed", work, o.Pool)
	if err != nil {
		return report, err
	}
	if err := disturbed.disturb(ctx); err != nil {
		return report, err
	}
	calm, err := o.newRun("calm", work, o.CalmPool)
	if err != nil {
		return report, err
	}
	if err := calm.upTo(ctx, disturbed.told.at()); err != nil {
		return report, err
	}
	report.fill(disturbed, calm)
	return report, nil
}

func (r *Report) fill(disturbed, calm *run) {
	r.Height, r.Hash = disturbed.told.height, disturbed.told.hashes[disturbed.told.height]
	r.Starts, r.Faults, r.Took = disturbed.starts, disturbed.counts, [2]time.Duration{disturbed.took, calm.took}
	r.Answered, r.Refused = disturbed.asker.answered.Load(), disturbed.asker.refused.Load()
	r.Outputs, r.OutputTwice = len(disturbed.told.outputs), disturbed.told.twice
	r.Problems = []string{}
	if err := disturbed.told.compare(calm.told); err != nil {
		r.Problems = append(r.Problems, err.Error())
	}
	for _, one := range []*run{disturbed, calm} {
		for _, problem := range one.problems() {
			r.Problems = append(r.Problems, one.name+" run: "+problem)
		}
		for _, role := range []string{"host", "daemon"} {
			g, ok := one.watch.growth(role, one.host.Pool)
			if !ok {
				continue
			}
			g.Role = one.name + " " + role
			r.Growth = append(r.Growth, g)
			if g.StillGrowing != "" {
				r.Problems = append(r.Problems, fmt.Sprintf("the %s: %s", g.Role, g.StillGrowing))
			}
		}
	}
}

func (o Options) newRun(name string, work Work, pool int) (*run, error) {
	home := filepath.Join(o.Dir, name)
	engine := filepath.Join(home, "engine") // workers are known by its path
	if err := os.CopyFS(engine, os.DirFS(o.Engine)); err != nil {
		return nil, fmt.Errorf("cannot copy the engine: %w", err)
	}
	r := &run{o: o, name: name, told: newTold(), watch: newWatch(), made: 1 + work.creating(), began: time.Now()}
	r.host = HostOptions{Work: work, DB: filepath.Join(home, "db"), Daemon: o.Daemon, Pool: pool, DaemonFlags: []string{
		"--engine", engine, "--cache", o.Cache,
	}}
	if o.Silence > 0 {
		r.host.DaemonFlags = append(r.host.DaemonFlags, "--silence-alarm", (o.Silence / 2).String(), "--silence-limit", o.Silence.String())
	}
	r.asker.db, r.asker.vats = r.host.DB, o.Vats
	r.trouble = trouble{
		dice: rand.New(rand.NewPCG(o.Seed, uint64(len(name)))), db: r.host.DB, counts: map[string]int64{}, faults: faults(o),
	}
	return r, nil
}

// disturb runs hosts for the soak's time, or to its last block, with faults, and
// brings what they leave to a clean end.
func (r *run) disturb(ctx context.Context) error {
	if r.o.Faults {
		r.asker.start(r.o.Seed)
		defer r.asker.end()
	}
	deadline := r.began.Add(r.o.Duration)
	if r.host.Until = r.o.Blocks; r.o.Blocks > 0 {
		deadline = r.began.Add(noDeadline)
	}
	idle := 0
	for time.Now().Before(deadline) && (r.o.Blocks == 0 || r.told.at() < r.o.Blocks) {
		before := r.told.at()
		if err := r.life(ctx, deadline, r.o.Faults && idle < maxIdleStarts); err != nil {
			return err
		}
		if idle++; r.told.at() > before {
			idle = 0
		}
		if idle > 2*maxIdleStarts {
			return fmt.Errorf("the host was started %d times without a block; the last said: %s", idle, lastLine(r.now))
		}
	}
	return r.upTo(ctx, r.told.at())
}

// life is that of one host, with faults until it ends, or until the deadline.
func (r *run) life(ctx context.Context, deadline time.Time, withFaults bool) (err error) {
	if r.now, err = start(r.o.Host, r.host, r.told.hear); err != nil {
		return err
	}
	r.starts++
	next := time.Now().Add(r.pause())
	ticker := time.NewTicker(sampleEvery)
	defer ticker.Stop()
	for {
		select {
		case <-r.now.ended:
			return r.gone()
		case <-ctx.Done():
			r.now.stop()
			return ctx.Err()
		case now := <-ticker.C:
			r.look()
			if now.After(deadline) {
				r.now.stop()
				return r.gone()
			}
			if withFaults && now.After(next) {
				r.one()
				next = time.Now().Add(r.pause())
			}
		}
	}
}

// pause is how long the next fault waits: about as long as a block takes here, so
// that a slow machine is not kept from ever finishing one.
func (r *run) pause() time.Duration {
	each := time.Since(r.began) / time.Duration(r.told.at()+1)
	return 100*time.Millisecond + time.Duration(r.dice.Int64N(int64(2*min(each, slowestBlock))))
}

// upTo runs one host, undisturbed, up to a height, and demands that it succeeds.
func (r *run) upTo(ctx context.Context, height int64) (err error) {
	o := r.host
	r.until = max(height, 1)
	o.Until = r.until
	if r.now, err = start(r.o.Host, o, r.told.hear); err != nil {
		return err
	}
	ticker := time.NewTicker(sampleEvery)
	defer ticker.Stop()
	for r.now.running() {
		select {
		case <-ctx.Done():
			r.now.stop()
			return ctx.Err()
		case <-r.now.ended:
		case <-ticker.C:
			r.look()
		}
	}
	r.took = time.Since(r.began)
	if r.now.err != nil {
		return fmt.Errorf("the %s run cannot come to an end: %v: %s", r.name, r.now.err, lastLine(r.now))
	}
	return r.gone()
}

// gone waits until nothing is left of a host's processes.
func (r *run) gone() error {
	home := filepath.Dir(r.host.DB)
	for deadline := time.Now().Add(time.Minute); ; {
		left := procs.Mentioning(home)
		if len(left) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("processes are left of a host that has ended: %q", left)
		}
		time.Sleep(10 * time.Millisecond) // a poll of the process table, which tells nobody of a change
	}
}

// look takes a sample and tells how far the run is.
func (r *run) look() {
	r.watch.look(r.now, r.told.at() >= r.made)
	if r.o.Tell == nil {
		return
	}
	p := Progress{
		Run: r.name, Since: time.Since(r.began), Height: r.told.at(), Until: r.until, Starts: r.starts,
		Host: r.watch.now["host"], Daemon: r.watch.now["daemon"],
	}
	for _, n := range r.counts {
		p.Faults += n
	}
	if r.until == 0 {
		p.Of = r.o.Duration
	}
	r.o.Tell(p)
}

// problems verifies what a run has left. A snapshot file that the soak itself has
// damaged may still be so: its vat was not paged in since.
func (r *run) problems() []string {
	v, err := dbdir.Verify(context.Background(), r.host.DB, nil)
	if err != nil {
		return []string{err.Error()}
	}
	var found []string
	for _, p := range append(v.Problems, v.Notes...) {
		text := string(p.Kind) + " " + p.String()
		ours := func(hash string) bool { return strings.Contains(text, hash) }
		if !slices.ContainsFunc(r.damaged, ours) {
			found = append(found, text)
		}
	}
	return found
}

func lastLine(p *process) string {
	lines := strings.Split(strings.TrimSpace(p.stderr.String()), "\n")
	return lines[len(lines)-1]
}
