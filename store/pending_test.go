package store

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestManyPendingKeys walks through more keys than are read at once, in the table,
// pending, and both, while cranks change them.
func TestManyPendingKeys(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			testManyKeys(t, rand.New(rand.NewPCG(seed, 1)))
		})
	}
}

func testManyKeys(t *testing.T, random *rand.Rand) {
	d := openTest(t, testPath(t), true)
	block, settled := map[string]string{}, map[string]string{}
	for i := range 120 {
		change := 1 + random.IntN(1<<random.IntN(8))
		crankOf(t, d, func(c *Crank) {
			for range change {
				key := someKey(random)
				if random.IntN(5) < 2+i%3 {
					c.Delete(key)
					delete(block, key)
					continue
				}
				value := fmt.Sprint(random.IntN(4))
				c.Set(key, value)
				block[key] = value
			}
		})
		prefix := someKey(random)[:random.IntN(2)]
		wantPairs(t, d, block, prefix, 1+random.IntN(3*firstRows))
		switch random.IntN(16) {
		case 0:
			must(t, d.Rollback())
			block = maps.Clone(settled)
		case 1:
			must(t, d.Prepare(d.Height()+1))
			wantPairs(t, d, block, prefix, len(block)+1)
			must(t, d.Commit(d.Height()+1))
			settled = maps.Clone(block)
		case 2:
			must(t, d.Prepare(d.Height()+1))
			must(t, d.Rollback())
			block = maps.Clone(settled)
		}
		if sum, _, err := sumOf(func(prefix string, f func(key, value string) error) error { return EachKey(d, prefix, f) }, nil); err != nil || sum.hash() != d.StateHash() {
			t.Fatalf("the state hash is %s, that of all pairs %s (%v)", d.StateHash(), sum.hash(), err)
		}
	}
}

func someKey(random *rand.Rand) string {
	return [...]string{"a", "b", "\x00", "\u00ff"}[random.IntN(4)] + [...]string{"", "\x00", "x"}[random.IntN(3)] + fmt.Sprint(random.IntN(60))
}

// crankOf changes kv in a crank of its own.
func crankOf(t *testing.T, d *DB, change func(*Crank)) {
	t.Helper()
	c, err := d.BeginCrank()
	must(t, err)
	change(c)
	_, err = c.Commit(nil)
	must(t, err)
}

// wantPairs reads a prefix in all ways.
func wantPairs(t *testing.T, d *DB, block map[string]string, prefix string, most int) {
	t.Helper()
	var want []string
	for _, key := range slices.Sorted(maps.Keys(block)) {
		if strings.HasPrefix(key, prefix) {
			want = append(want, key)
		}
	}
	rows, err := FirstKeys(d, prefix, most)
	must(t, err)
	var first []string
	for _, row := range rows {
		if first = append(first, row.Text(0)); row.Text(1) != block[row.Text(0)] {
			t.Fatalf("%q is %q, want %q", row.Text(0), row.Text(1), block[row.Text(0)])
		}
	}
	if !slices.Equal(first, want[:min(most, len(want))]) {
		t.Fatalf("the first %d of %q are %q, want %q", most, prefix, first, want)
	}
	var each, next []string
	must(t, EachKey(d, prefix, func(key, value string) error {
		if each = append(each, key); value != block[key] {
			t.Fatalf("%q is %q, want %q", key, value, block[key])
		}
		return nil
	}))
	draft := d.Draft()
	for key, ok := draft.NextKey("", prefix); ok; key, ok = draft.NextKey(key, prefix) {
		next = append(next, key)
		draft.Delete(key)
	}
	must(t, draft.Err())
	if !slices.Equal(each, want) || !slices.Equal(next, want) {
		t.Fatalf("of %q: each key %q, next keys %q, want %q", prefix, each, next, want)
	}
}

// TestQueueInOneBlock: what comes and goes within a block leaves nothing that has
// to be passed, and who wants the first keys does not read them all.
func TestQueueInOneBlock(t *testing.T) {
	d := openTest(t, testPath(t), true)
	const items = 5000
	item := func(i int) string { return fmt.Sprintf("run.%09d", i) }
	crankOf(t, d, func(c *Crank) {
		for i := range items {
			c.Set(item(i), "v1")
		}
	})
	first := func() {
		if rows, err := FirstKeys(d, "run.", 1); err != nil || len(rows) != 1 {
			t.Fatalf("got %v, %v", rows, err)
		}
	}
	if n := testing.AllocsPerRun(10, first); n > 50 {
		t.Errorf("the first of %d keys costs %v allocations", items, n)
	}
	for from := 0; from < items-1; from += 1000 {
		crankOf(t, d, func(c *Crank) {
			for i := from; i < min(from+1000, items-1); i++ {
				c.Delete(item(i))
			}
		})
	}
	if n := d.pending.keys.Len(); n != 1 {
		t.Errorf("%d keys are pending, want that of the last item", n)
	}
	first()
	must(t, d.Prepare(1))
	first()
}
