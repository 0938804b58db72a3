package main

import (
	"context"
	"fmt"

	"vatworkerd/kernelhost/config"
)

// createScenario measures createVat: a message to the bootstrap vat, which asks
// vat-admin for a vat of a contract's size.
func (b *bench) createScenario() scenario {
	var p *pair
	round := map[string]int{}
	return scenario{
		name: "createVat", rounds: 5, quick: 2, columns: everyColumn(),
		prepare: func() (err error) {
			vats := map[string]string{"x-contract": "contract", "x-tiny": "tiny"}
			if p, err = b.newPair("create", vatConfig{vats: vats, snapshotInterval: never}); err != nil {
				return err
			}
			return p.openAll(50, nothing)
		},
		turn: func(column string) error {
			if column == limitColumn {
				return b.createLimit(p)
			}
			round[column]++
			for _, kind := range []struct{ measure, bundle string }{{"create", "contract"}, {"create-tiny", "tiny"}} {
				r, err := p.run(column, tell("bootstrap", "create", kind.bundle, fmt.Sprintf("%s-%d", kind.bundle, round[column])))
				if err != nil {
					return err
				}
				b.sample(kind.measure, column, inMilliseconds(r.Took))
			}
			return nil
		},
		finish: func() error {
			for _, column := range systemColumns() {
				made := []message{tell("bootstrap", "call", "contract-1", "touch", 2), tell("bootstrap", "call", "tiny-1", "increment")}
				if _, err := p.run(column, made...); err != nil {
					return err
				}
			}
			if err := p.same("createVat", "x-contract", "x-tiny"); err != nil {
				return err
			}
			return p.end()
		},
	}
}

// createLimit lets the engine alone do what creating the vats asks of it.
func (b *bench) createLimit(p *pair) error {
	base, err := b.basePath()
	if err != nil {
		return err
	}
	for _, kind := range []struct{ measure, vat, bundle string }{{"create", "x-contract", "contract"}, {"create-tiny", "x-tiny", "tiny"}} {
		items, err := p.peer().transcript(kind.vat)
		if err != nil {
			return err
		}
		s, err := p.fromStart(kind.bundle, items)
		if err != nil {
			return err
		}
		s.mark()
		laps, err := b.play(s, base, "")
		if err != nil {
			return err
		}
		b.sample(kind.measure, limitColumn, inMilliseconds(laps[0].wall))
	}
	return nil
}

// fromStart is a script from the base snapshot on: setBundle and the items.
func (p *pair) fromStart(bundle string, items []string) (*script, error) {
	text, err := p.bundleText(bundle)
	if err != nil {
		return nil, err
	}
	s := new(script)
	s.ready()
	s.setBundle("v3", text)
	return s, s.items(items)
}

// bundleText is the JSON of a bundle of the pair's config, as workers get it.
func (p *pair) bundleText(name string) ([]byte, error) {
	cfg, err := config.Parse(p.config)
	if err == nil {
		err = cfg.ResolveBundles(context.Background(), nil, nil)
	}
	return cfg.Bundles[cfg.NamedBundles[name]], err
}

// group is a number of equal messages that are measured together.
type group struct {
	measure  string
	count    int
	message  message
	syscalls int
}

// deliveryGroups are the messages whose syscalls the measures' names count.
func deliveryGroups() []group {
	return []group{
		{"deliver-null", 50, tell("x-contract", "idle"), 1},
		{"deliver-5", 50, tell("x-contract", "touch", 1), 5},
		{"deliver-60", 20, tell("x-contract", "touch", 19, 1), 60},
	}
}

// deliveryScenario measures messages to one vat, many in a block and one.
func (b *bench) deliveryScenario() scenario {
	var p *pair
	var from int64 // where the last round begins in the transcript
	return scenario{
		name: "delivery", rounds: 7, quick: 2, columns: everyColumn(),
		prepare: func() (err error) {
			if p, err = b.newPair("delivery", vatConfig{vats: map[string]string{"x-contract": "contract"}, snapshotInterval: never}); err != nil {
				return err
			}
			return p.openAll(10, func(column string) error {
				_, err := p.run(column, repeat(16, tell("x-contract", "touch", 16))...)
				return err
			})
		},
		turn: func(column string) error {
			if column == limitColumn {
				return b.deliveryLimit(p, int(from))
			}
			at, err := p.systems[column].progress("x-contract")
			if err != nil {
				return err
			}
			from = at.Position
			return b.deliver(p, column)
		},
		finish: func() error {
			if err := p.same("delivery", "x-contract"); err != nil {
				return err
			}
			return p.end()
		},
	}
}

func (b *bench) deliver(p *pair, column string) error {
	for _, g := range deliveryGroups() {
		r, err := p.run(column, repeat(g.count, g.message)...)
		if err != nil {
			return err
		}
		b.sample(g.measure, column, inMilliseconds(r.Took)/float64(g.count))
	}
	r, err := p.run(column, tell("x-contract", "idle"))
	b.sample("block", column, inMilliseconds(r.Took))
	return err
}

// deliveryLimit plays the vat's whole life to the engine and takes the time of
// the last round's groups.
func (b *bench) deliveryLimit(p *pair, from int) error {
	items, err := p.peer().transcript("x-contract")
	if err != nil {
		return err
	}
	s, err := p.fromStart("contract", items[:from])
	if err != nil {
		return err
	}
	s.mark()
	rest := items[from:]
	for _, g := range deliveryGroups() {
		if n := syscallsOf(rest[g.count-1]); n != g.syscalls {
			return fmt.Errorf("%s makes %d syscalls, not %d", g.measure, n, g.syscalls)
		}
		if err := s.items(rest[:g.count]); err != nil {
			return err
		}
		s.mark()
		rest = rest[g.count:]
	}
	base, err := b.basePath()
	if err != nil {
		return err
	}
	laps, err := b.play(s, base, "")
	if err != nil {
		return err
	}
	for i, g := range deliveryGroups() {
		b.sample(g.measure, limitColumn, inMilliseconds(laps[i+1].wall)/float64(g.count))
	}
	return nil
}
