package main

import "time"

const ringVats, ringHops = 8, 40

// ringScenario measures vats that send to each other: 8 messages go round a
// ring at the same time, and the results come back.
func (b *bench) ringScenario() scenario {
	var p *pair
	names := xVats("ring", ringVats)
	before := map[string]int64{} // the transcript's end of each vat, before the peer's last turn
	return scenario{
		name: "8 vats", rounds: 5, quick: 2, columns: everyColumn(),
		prepare: func() (err error) {
			if p, err = b.newPair("ring", vatConfig{vats: bundleOf(names, "contract"), snapshotInterval: never}); err != nil {
				return err
			}
			return p.openAll(50, func(column string) error { _, err := b.goRound(p, column, names); return err })
		},
		turn: func(column string) error {
			if column == limitColumn {
				return b.ringLimit(p, names, before)
			}
			start, err := positions(p.systems[column], names)
			if err != nil {
				return err
			}
			if column == peerColumn {
				before = start
			}
			took, err := b.goRound(p, column, names)
			if err != nil {
				return err
			}
			end, err := positions(p.systems[column], names)
			if err != nil {
				return err
			}
			b.sample("ring", column, float64(sum(end)-sum(start))/took.Seconds())
			return nil
		},
		finish: func() error {
			if err := p.same("8 vats", names...); err != nil {
				return err
			}
			return p.end()
		},
	}
}

func (b *bench) goRound(p *pair, column string, names []string) (time.Duration, error) {
	var messages []message
	for _, name := range names {
		messages = append(messages, tell(name, "pass", ringHops))
	}
	r, err := p.run(column, messages...)
	return r.Took, err
}

func positions(s system, names []string) (map[string]int64, error) {
	all := map[string]int64{}
	for _, name := range names {
		at, err := s.progress(name)
		if err != nil {
			return nil, err
		}
		all[name] = at.Position
	}
	return all, nil
}

func sum(positions map[string]int64) int64 {
	total := int64(0)
	for _, n := range positions {
		total += n
	}
	return total
}

// ringLimit plays each vat's part to an engine of its own, one after the other.
func (b *bench) ringLimit(p *pair, names []string, from map[string]int64) error {
	base, err := b.basePath()
	if err != nil {
		return err
	}
	var took time.Duration
	count := 0
	for _, name := range names {
		items, err := p.peer().transcript(name)
		if err != nil {
			return err
		}
		s, err := p.fromStart("contract", items[:from[name]])
		if err != nil {
			return err
		}
		s.mark()
		if err := s.items(items[from[name]:]); err != nil {
			return err
		}
		s.mark()
		laps, err := b.play(s, base, "")
		if err != nil {
			return err
		}
		took += laps[1].wall
		count += len(items) - int(from[name])
	}
	b.sample("ring", limitColumn, float64(count)/took.Seconds())
	return nil
}
