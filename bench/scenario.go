package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// scenario measures some rows of the table, for some columns, round by round:
// in each round every column has its turn.
type scenario struct {
	name    string
	rounds  int
	quick   int // rounds of the quick form; 0 leaves the scenario out
	columns []string
	prepare func() error // nothing in it counts
	turn    func(column string) error
	finish  func() error // checks, and ends what runs
}

func (b *bench) scenarios() []scenario {
	return []scenario{
		b.freshScenario(), b.forkedScenario(), b.roundTripScenario(), b.createScenario(), b.deliveryScenario(), b.ringScenario(),
		b.pageInScenario(), b.saveScenario(), b.transcriptScenario(),
		b.restartScenario("restart-8", 8, 1), b.restartScenario("restart-50", 50, 0),
		b.restartAllScenario(), b.scaleScenario(),
	}
}

// Vats of a config begin with x-, so that vatAdmin comes before them and they
// get the same IDs in both systems.
const vatPrefix = "x-"

// vatConfig is a SwingSet config that both systems read.
type vatConfig struct {
	vats             map[string]string // bundle by name
	snapshotInterval int
	snapshotInitial  int // 0 is the interval
}

// never is an interval that no scenario reaches.
const never = 1_000_000

// write writes the config into the run's directory and gives its path.
func (c vatConfig) write(b *bench, name string) (string, error) {
	if c.snapshotInitial == 0 {
		c.snapshotInitial = c.snapshotInterval
	}
	vats := map[string]any{"bootstrap": b.bundleSpec("bootstrap")}
	for vat, bundle := range c.vats {
		vats[vat] = b.bundleSpec(bundle)
	}
	text, err := json.MarshalIndent(map[string]any{
		"bootstrap": "bootstrap", "defaultManagerType": "xs-worker",
		"defaultReapInterval": "never", "defaultReapGCKrefs": "never",
		"snapshotInitial": c.snapshotInitial, "snapshotInterval": c.snapshotInterval,
		"vats": vats, "bundles": map[string]any{"contract": b.bundleSpec("contract"), "tiny": b.bundleSpec("tiny")},
	}, "", "  ")
	if err != nil {
		return "", err
	}
	path := filepath.Join(b.work, name+".json")
	return path, os.WriteFile(path, text, 0o600)
}

// bundleSpec names the bundle of a source in bench/vats.
func (b *bench) bundleSpec(name string) map[string]string {
	return map[string]string{"bundleSpec": filepath.Join(b.place.bundles, "bench-"+name+".json")}
}

// pair is both systems at the same work, each on a store of its own.
type pair struct {
	b       *bench
	dir     string
	config  string
	systems map[string]system
	results map[string][]string // of all messages, by column
}

// newPair writes the config; nothing is open yet.
func (b *bench) newPair(name string, c vatConfig) (*pair, error) {
	p := &pair{b: b, dir: filepath.Join(b.work, name), systems: map[string]system{}, results: map[string][]string{}}
	var err error
	if p.config, err = c.write(b, name); err != nil {
		return nil, err
	}
	for _, column := range systemColumns() {
		p.systems[column] = b.system(column)
	}
	return p, os.MkdirAll(p.dir, 0o700)
}

func (p *pair) store(column string) string { return filepath.Join(p.dir, column) }

func (p *pair) peer() *peer { return p.systems[peerColumn].(*peer) }

// openAll opens all systems and does the same with each.
func (p *pair) openAll(maxOnline int, then func(column string) error) error {
	for _, column := range systemColumns() {
		if err := p.systems[column].open(p.store(column), p.config, maxOnline); err != nil {
			return err
		}
		if err := then(column); err != nil {
			return err
		}
	}
	return nil
}

func nothing(string) error { return nil }

// run lets a system work and keeps the results for the comparison.
func (p *pair) run(column string, messages ...message) (ran, error) {
	r, err := p.systems[column].run(messages)
	if err != nil {
		return r, err
	}
	p.results[column] = append(p.results[column], r.Results...)
	return r, nil
}

// same compares results and the vats' transcripts, and notes it.
func (p *pair) same(what string, vats ...string) error {
	want := p.results[peerColumn]
	if bad := slices.IndexFunc(want, func(r string) bool { return r == "rejected" || r == "unresolved" }); bad >= 0 {
		return fmt.Errorf("%s: the result of message %d of the JavaScript system is %s", what, bad, want[bad])
	}
	entries := int64(0)
	for _, column := range systemColumns()[1:] {
		if !slices.Equal(p.results[column], want) {
			return fmt.Errorf("%s: not the same work: results %.200q of %s, %.200q of the JavaScript system", what, p.results[column], column, want)
		}
		for _, vat := range vats {
			theirs, err := p.systems[peerColumn].progress(vat)
			if err != nil {
				return err
			}
			got, err := p.systems[column].progress(vat)
			if err != nil {
				return err
			}
			if got != theirs {
				return fmt.Errorf("%s: not the same work: vat %s is at %+v in %s, at %+v in the JavaScript system", what, vat, got, column, theirs)
			}
			if column == oursColumn {
				entries += got.Position
			}
		}
	}
	line := fmt.Sprintf("%s: %d results; %d transcript entries of %d vats (deliveries, syscalls, computrons, snapshot hashes)", what, len(want), entries, len(vats))
	p.b.results.Same = append(p.b.results.Same, line)
	return nil
}

// end ends all processes and removes the stores.
func (p *pair) end() error {
	for _, column := range systemColumns() {
		s := p.systems[column]
		if err := s.close(); err != nil {
			return err
		}
		if err := s.end(); err != nil {
			return err
		}
	}
	return os.RemoveAll(p.dir)
}

// xVats gives count names from a prefix: x-ring-0 and so on.
func xVats(prefix string, count int) []string {
	names := make([]string, count)
	for i := range names {
		names[i] = fmt.Sprintf("%s%s-%02d", vatPrefix, prefix, i)
	}
	return names
}

// bundleOf maps every name to one bundle.
func bundleOf(names []string, bundle string) map[string]string {
	vats := map[string]string{}
	for _, name := range names {
		vats[name] = bundle
	}
	return vats
}
