package store

import (
	"fmt"
	"strings"
	"testing"
)

// One crank as a delivery makes it: 10 reads, 5 writes, one 4 KiB item. The
// figures are in docs/store.md.
func BenchmarkCrank(b *testing.B) {
	for _, undo := range []bool{true, false} {
		b.Run(fmt.Sprintf("undo=%t", undo), func(b *testing.B) {
			d := benchStore(b, undo)
			n := 0
			for b.Loop() {
				benchCrank(b, d, n)
				n++
			}
		})
	}
}

// A block of 20 such cranks, made durable: with its undo and finished, or as
// a host's single commit.
func BenchmarkBlock(b *testing.B) {
	for _, undo := range []bool{true, false} {
		b.Run(fmt.Sprintf("undo=%t", undo), func(b *testing.B) {
			d := benchStore(b, undo)
			n, height := 0, d.Height()
			for b.Loop() {
				for range 20 {
					benchCrank(b, d, n)
					n++
				}
				height++
				if undo {
					must(b, d.Prepare(height))
				}
				must(b, d.Commit(height))
			}
		})
	}
}

func benchKey(i int) string { return fmt.Sprintf("v1.vs.vom.o+d%06d", i%20000) }

func benchStore(b *testing.B, undo bool) *DB {
	d := openTest(b, testPath(b), undo)
	inCrank(b, d, func(c *Crank) {
		for i := range 20000 {
			c.Set(benchKey(i), strings.Repeat("v", 100))
		}
	})
	if undo {
		must(b, d.Prepare(1))
	}
	must(b, d.Commit(1))
	return d
}

func benchCrank(b *testing.B, d *DB, n int) {
	inCrank(b, d, func(c *Crank) {
		for j := range 10 {
			c.Get(benchKey(n*31 + j*977))
		}
		for j := range 5 {
			c.Set(benchKey(n*31+j*977), fmt.Sprint(n, strings.Repeat("w", 100)))
		}
		must(b, c.Exec("INSERT INTO transcriptItems (vatID, position, item, incarnation) VALUES ('v1', ?, ?, 0)",
			n, strings.Repeat("i", 4096)))
	})
}
