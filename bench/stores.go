package main

import (
	"io/fs"
	"path/filepath"
)

// transcriptScenario measures what 1,000 entries of a transcript take on the
// disk, whatever a system writes for them. It is the same every time.
func (b *bench) transcriptScenario() scenario {
	var p *pair
	return scenario{
		name: "transcript", rounds: 1, quick: 1, columns: everyColumn(),
		prepare: func() (err error) {
			if p, err = b.newPair("transcript", vatConfig{vats: map[string]string{"x-contract": "contract"}, snapshotInterval: never}); err != nil {
				return err
			}
			return p.openAll(10, func(column string) error { return p.systems[column].close() })
		},
		turn: func(column string) error {
			if column == limitColumn {
				return b.itemBytes(p)
			}
			before, err := filesSize(p.store(column))
			if err != nil {
				return err
			}
			s := p.systems[column]
			if err := s.open(p.store(column), p.config, 10); err != nil {
				return err
			}
			for range 20 {
				if _, err := p.run(column, repeat(50, tell("x-contract", "touch", 1))...); err != nil {
					return err
				}
			}
			if err := s.close(); err != nil {
				return err
			}
			after, err := filesSize(p.store(column))
			b.sample("transcript", column, float64(after-before))
			return err
		},
		finish: func() error {
			err := p.openAll(10, nothing)
			if err == nil {
				err = p.same("transcript", "x-contract")
			}
			if err != nil {
				return err
			}
			return p.end()
		},
	}
}

// itemBytes is the size of the last 1,000 items themselves.
func (b *bench) itemBytes(p *pair) error {
	if err := p.peer().open(p.store(peerColumn), p.config, 10); err != nil {
		return err
	}
	items, err := p.peer().transcript("x-contract")
	if err != nil {
		return err
	}
	size := 0
	for _, item := range items[len(items)-1000:] {
		size += len(item)
	}
	b.sample("transcript", limitColumn, float64(size))
	return p.peer().close()
}

// filesSize is the size of all files below a directory, in bytes.
func filesSize(dir string) (int64, error) {
	total := int64(0)
	err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			total += info.Size()
		}
		return err
	})
	return total, err
}
