package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vatworkerd/internal/blockhost"
	"vatworkerd/internal/crashpoint"
	"vatworkerd/internal/testrig"
)

// Who is killed at a point, from the process that passes it.
const (
	itself   = "itself"
	otherEnd = "the other end"
	aWorker  = "a worker"
	everyone = "everyone"
)

// The two processes that pass points.
const (
	inHost   = "host"
	inDaemon = "daemon"
)

// victims spells a choice for crashpoint.
func victims(process, who string) string {
	return map[string]map[string]string{
		inHost:   {itself: "self", otherEnd: "child", aWorker: "grandchild", everyone: "grandchild+child+self"},
		inDaemon: {itself: "self", otherEnd: "parent", aWorker: "child", everyone: "child+parent+self"},
	}[process][who]
}

// kill is one crash: in the process, at the hit-th pass of the point.
type kill struct {
	point   crashpoint.Name
	process string
	hit     int
	who     string
}

func (k kill) String() string {
	return fmt.Sprintf("%s %d in the %s kills %s", k.point, k.hit, k.process, k.who)
}

// crashRig is what all runs of the scenario share.
type crashRig struct {
	dir          string
	host, daemon string // programs with crash points
	config       string
	build        string
	blocks       int64            // of the scenario
	activity     map[int64]string // the reference: by height, both ends'
	outputs      map[string]int64 // what leaves, and with which block
}

// crashScenarioBlocks is how many steps the scenario of crashhost has.
const crashScenarioBlocks = 30

func newCrashRig(t *testing.T) *crashRig {
	t.Helper()
	r := &crashRig{
		dir: t.TempDir(), build: testrig.BuildDir(t), blocks: crashScenarioBlocks,
		activity: map[int64]string{}, outputs: map[string]int64{},
	}
	r.host, r.daemon = filepath.Join(r.dir, "crashhost"), filepath.Join(r.dir, "vatworkerd")
	for program, source := range map[string]string{r.host: "vatworkerd/internal/e2e/crashhost", r.daemon: "vatworkerd/cmd/vatworkerd"} {
		if out, err := exec.Command("go", "build", "-tags", "crashpoints", "-o", program, source).CombinedOutput(); err != nil {
			t.Fatalf("cannot build %s: %v\n%s", source, err, out)
		}
	}
	r.config = filepath.Join(r.dir, "config.json")
	must(t, os.WriteFile(r.config, []byte(crashConfig(t)), 0o600))
	return r
}

// crashConfig is the config of the scenario: snapshots after two entries, then
// after nine, a bringOutYourDead after three deliveries.
func crashConfig(t *testing.T) string {
	vat := func(bundle string) string { return fmt.Sprintf(`{"bundleSpec": %q}`, testrig.Bundle(t, bundle)) }
	var named []string
	for _, name := range []string{"admin-child", "exiter", "spinner", "upgradable-v2", "bad-upgrade", "throws-on-start"} {
		named = append(named, fmt.Sprintf("%q: %s", name, vat(name)))
	}
	return fmt.Sprintf(`{"bootstrap": "bootstrap", "snapshotInitial": 2, "snapshotInterval": 9, "defaultReapInterval": 3,
 "vatAdmin": true, "devices": {"post": {}}, "bundles": {%s}, "vats": {"bootstrap": %s, "counter": %s, "account": %s}}`,
		strings.Join(named, ", "), vat("admin-bootstrap"), vat("counter"), vat("upgradable-v1"))
}

// ran is how a host ended and what it and its daemon have told.
type ran struct {
	lines  []blockhost.Line
	stderr string
	state  *os.ProcessState
	passed map[string]map[crashpoint.Name]int // by process
}

// task is one run of the host on a database.
type task struct {
	db     string
	until  int64
	kill   kill   // none if it has no point
	cache  string // of base snapshots; "" = the one of all tests
	online int    // workers at a time; 0 = two
}

// run runs the host to its end, whatever that is.
func (r *crashRig) run(t *testing.T, w task) ran {
	t.Helper()
	traces := t.TempDir()
	env := func(process string) []string {
		plan := ""
		if w.kill.point != "" && w.kill.process == process {
			plan = fmt.Sprintf("%s:%d:%s", w.kill.point, w.kill.hit, victims(process, w.kill.who))
		}
		return []string{"VATWORKERD_CRASH=" + plan, "VATWORKERD_CRASH_TRACE=" + filepath.Join(traces, process)}
	}
	if w.cache == "" {
		w.cache = filepath.Join(r.build, "base")
	}
	home := filepath.Dir(w.db)
	cmd := exec.Command(r.host, "-db", w.db, "-daemon", r.daemon, "-engine", ownEngine(t, home), "-config", r.config,
		"-vat-admin", filepath.Join(r.build, "bundles", "vat-admin.json"), "-cache", w.cache, "-until", fmt.Sprint(w.until),
		"-pool", fmt.Sprint(max(w.online, 2)), "-daemon-env", strings.Join(env(inDaemon), " "))
	cmd.Env = append(os.Environ(), env(inHost)...)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	wantNoProcess(t, home)
	lines, err := blockhost.Read(stdout.String())
	must(t, err)
	return ran{lines: lines, stderr: stderr.String(), state: cmd.ProcessState, passed: map[string]map[crashpoint.Name]int{
		inHost: readTrace(t, filepath.Join(traces, inHost)), inDaemon: readTrace(t, filepath.Join(traces, inDaemon)),
	}}
}

// ownEngine gives a copy of the engine below a directory, so that workers can be
// told from those of other tests by the path they were started with.
func ownEngine(t *testing.T, home string) string {
	t.Helper()
	dir, from := filepath.Join(home, "engine"), filepath.Dir(testrig.Engine(t).Engine)
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	must(t, os.CopyFS(dir, os.DirFS(from)))
	return dir
}

// readTrace counts the passes of each point; a process that did not get to one
// has no trace.
func readTrace(t *testing.T, path string) map[crashpoint.Name]int {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	passed := map[crashpoint.Name]int{}
	for _, name := range strings.Fields(string(text)) {
		passed[crashpoint.Name(name)]++
	}
	return passed
}

// checkpoint is where the reference is kept as of a height.
func (r *crashRig) checkpoint(height int64) string {
	return filepath.Join(r.dir, fmt.Sprint("height-", height))
}

// copyState copies a database nobody has open. Snapshot files are never written
// to, so that links do.
func copyState(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, name)
		switch {
		case entry.IsDir():
			return os.MkdirAll(target, 0o700)
		case strings.HasSuffix(path, ".zst"):
			return os.Link(path, target)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, data, 0o600)
	})
}

// site is a point that a process passes in a block, so many times, when it
// starts from the block before; after says which crash leads there, if any.
type site struct {
	point   crashpoint.Name
	process string
	height  int64
	hits    int
	after   kill
}

// sites lists what a run has passed, in order.
func (r ran) sites(height int64, after kill) []site {
	var found []site
	for process, points := range r.passed {
		for point, hits := range points {
			found = append(found, site{point: point, process: process, height: height, hits: hits, after: after})
		}
	}
	slices.SortFunc(found, func(a, b site) int { return strings.Compare(string(a.point)+a.process, string(b.point)+b.process) })
	return found
}

// reference runs the scenario block by block, a process for each, and keeps the
// database after each. It gives all sites.
func (r *crashRig) reference(t *testing.T) []site {
	t.Helper()
	var sites []site
	must(t, os.Mkdir(r.checkpoint(0), 0o700))
	for height := int64(1); height <= r.blocks; height++ {
		db := r.checkpoint(height)
		must(t, copyState(r.checkpoint(height-1), db))
		w := task{db: db, until: height}
		if height == 1 {
			w.cache = t.TempDir() // the first of all starts has to make its base snapshot
		}
		did := r.run(t, w)
		if !did.state.Success() {
			t.Fatalf("block %d: %v\n%s", height, did.state, did.stderr)
		}
		for _, line := range did.lines {
			if line.Kind == blockhost.KindOutput {
				r.outputs[line.Text] = line.Height
			}
		}
		sites = append(sites, did.sites(height, kill{})...)
		r.activity[height] = standing(t, r.daemon, db).hashes()
	}
	return sites
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
