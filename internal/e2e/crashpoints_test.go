package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"vatworkerd/internal/blockhost"
	"vatworkerd/internal/crashpoint"
)

// crashMatrixEnv asks for the whole matrix: `make crash` sets it.
const crashMatrixEnv = "VATWORKERD_CRASH_MATRIX"

// attempt is one path through crashes: from the block before the site's, with
// one kill after the other, and on to the block after it.
type attempt struct {
	height int64
	kills  []kill
}

func (a attempt) String() string {
	var names []string
	for _, k := range a.kills {
		names = append(names, k.String())
	}
	return fmt.Sprintf("block %d: %s", a.height, strings.Join(names, ", then "))
}

// TestCrashAtEveryPoint kills the host, the daemon, a worker or all of them at
// every crash point of the program, also while a crash before is being recovered
// from. The next start must lose no committed block and come to the hashes of the
// undisturbed run at every height.
func TestCrashAtEveryPoint(t *testing.T) {
	began := time.Now()
	r := newCrashRig(t)
	sites := r.reference(t)
	sites = append(sites, r.recoveries(t, sites)...)
	wantEveryPoint(t, sites)
	attempts := onceEach(sites)
	if os.Getenv(crashMatrixEnv) != "" {
		attempts = matrix(sites)
	}
	var kills atomic.Int64
	t.Run("runs", func(t *testing.T) {
		for _, a := range attempts {
			t.Run(a.String(), func(t *testing.T) {
				t.Parallel()
				r.crash(t, a)
				kills.Add(int64(len(a.kills)))
			})
		}
	})
	t.Logf("%d points at %d sites, %d runs, %d kills, %v", len(crashpoint.All()), len(sites), len(attempts), kills.Load(), time.Since(began).Round(time.Second))
}

// wantEveryPoint demands that no point of the table is out of reach.
func wantEveryPoint(t *testing.T, sites []site) {
	t.Helper()
	reached := map[crashpoint.Name]bool{}
	for _, s := range sites {
		reached[s.point] = true
	}
	for _, p := range crashpoint.All() {
		if !reached[p.Name] {
			t.Errorf("nothing reaches %s (%s: %s); let a step of the scenario do so", p.Name, p.In, p.What)
		}
	}
}

// recoveries gives what a start passes that has a crash to recover from: a block
// that was prepared and must be undone, one that must be finished, a file that
// no row names.
func (r *crashRig) recoveries(t *testing.T, sites []site) []site {
	t.Helper()
	var found []site
	for _, point := range []crashpoint.Name{crashpoint.HostPrepared, crashpoint.HostCommitted, crashpoint.SnapshotDirSynced} {
		at := slices.IndexFunc(sites, func(s site) bool { return s.point == point && s.height > 1 })
		if at < 0 {
			t.Fatalf("nothing reaches %s", point)
		}
		first := kill{point: point, process: sites[at].process, hit: 1, who: itself}
		w := task{db: r.start(t, sites[at].height), until: sites[at].height, kill: first}
		r.run(t, w)
		w.kill = kill{}
		found = append(found, r.run(t, w).sites(sites[at].height, first)...)
	}
	return found
}

// start gives a database as of the block before.
func (r *crashRig) start(t *testing.T, height int64) string {
	t.Helper()
	db := filepath.Join(t.TempDir(), "db")
	must(t, copyState(r.checkpoint(height-1), db))
	return db
}

// crash makes an attempt.
func (r *crashRig) crash(t *testing.T, a attempt) {
	w := task{db: r.start(t, a.height), until: min(a.height+1, r.blocks)}
	if a.kills[0].point == crashpoint.BaseWritten || a.kills[0].point == crashpoint.BaseNamed {
		w.cache = t.TempDir()
	}
	told := &told{height: a.height - 1, left: map[string]bool{}}
	for _, k := range a.kills {
		w.kill = k
		did := r.run(t, w)
		if got := did.passed[k.process][k.point]; got < k.hit {
			t.Errorf("%v: it is passed %d times (%v)\n%s", k, got, did.state, did.stderr)
		}
		r.compare(t, w.db, did, told)
	}
	w.kill = kill{}
	did := r.run(t, w)
	if !did.state.Success() {
		t.Fatalf("the next start fails: %v\n%s", did.state, did.stderr)
	}
	r.compare(t, w.db, did, told)
	for output, height := range r.outputs {
		if height >= a.height && height <= w.until && !told.left[output] {
			t.Errorf("the output %q of block %d has not left", output, height)
		}
	}
	wantNoOrphans(t, w.db)
	if half, err := filepath.Glob(filepath.Join(w.cache, "tmp-*")); w.cache != "" && len(half) > 0 {
		t.Errorf("half a base snapshot is left: %q, %v", half, err)
	}
}

// told is what the world outside knows by now.
type told struct {
	height int64           // the last block it was told of
	left   map[string]bool // outputs
}

// compare holds a run, however it ended, against the reference.
func (r *crashRig) compare(t *testing.T, db string, did ran, told *told) {
	t.Helper()
	at := standing(t, r.daemon, db)
	if want := r.activity[at.height]; at.height > 0 && at.hashes() != want {
		t.Errorf("at height %d the activity hashes are %s, those of the undisturbed run %s", at.height, at.hashes(), want)
	}
	for _, line := range did.lines {
		switch line.Kind {
		case blockhost.KindOutput:
			told.left[line.Text] = true
			if height, ok := r.outputs[line.Text]; !ok || height != line.Height || height > at.height {
				t.Errorf("%q has left at height %d", line, at.height)
			}
		default:
			told.height = line.Height
			if line.Height > 0 && !strings.HasSuffix(r.activity[line.Height], " "+line.Text) {
				t.Errorf("%q is told, the undisturbed run has %s", line, r.activity[line.Height])
			}
		}
	}
	if at.height < told.height || at.height > told.height+1 {
		t.Errorf("block %d was told, the databases are at %d", told.height, at.height)
	}
}

// onceEach tries every point in every process that passes it once; blocks,
// passes and victims take turns. The first block, which takes longest, has only
// what no other has.
func onceEach(sites []site) []attempt {
	type place struct {
		point   crashpoint.Name
		process string
	}
	at := map[place][]site{}
	var places []place
	for _, s := range sites {
		p := place{s.point, s.process}
		if len(at[p]) == 0 {
			places = append(places, p)
		}
		at[p] = append(at[p], s)
	}
	who := []string{itself, otherEnd, itself, everyone, aWorker}
	var attempts []attempt
	for i, p := range places {
		among := at[p]
		if len(among) > 1 && among[0].height == 1 {
			among = among[1:]
		}
		s := among[i%len(among)]
		attempts = append(attempts, s.attempt(1+i%2*(s.hits/2), who[i%len(who)]))
	}
	return attempts
}

// attempt is the crash at a site.
func (s site) attempt(hit int, who string) attempt {
	a := attempt{height: s.height}
	if s.after.point != "" {
		a.kills = append(a.kills, s.after)
	}
	a.kills = append(a.kills, kill{s.point, s.process, hit, who})
	return a
}

// matrix tries every point, in every process that passes it, at its first and a
// later pass, with every choice of victims; and after each crash of a process
// another while it is recovered from.
func matrix(sites []site) []attempt {
	var attempts []attempt
	var during []site // of recoveries
	for _, s := range sites {
		if s.after.point != "" {
			during = append(during, s)
		}
	}
	for i, s := range firstAndLast(sites) {
		for _, who := range []string{itself, otherEnd, aWorker, everyone} {
			attempts = append(attempts, s.attempt(1, who))
			if s.hits > 1 {
				attempts = append(attempts, s.attempt(1+s.hits/2, who))
			}
		}
		again := during[i%len(during)]
		twice := s.attempt(1, itself)
		twice.kills = append(twice.kills, kill{again.point, again.process, 1, itself})
		attempts = append(attempts, twice)
	}
	return attempts
}

// firstAndLast gives each point's first and last site in each process.
func firstAndLast(sites []site) []site {
	var chosen []site
	for i, s := range sites {
		same := func(o site) bool { return o.point == s.point && o.process == s.process }
		if !slices.ContainsFunc(sites[:i], same) || !slices.ContainsFunc(sites[i+1:], same) {
			chosen = append(chosen, s)
		}
	}
	return chosen
}
