package mutate

import (
	"bytes"
	"slices"
	"testing"
)

// TestBytes: the same mutants each time, most of them different, and the seeds
// as they were.
func TestBytes(t *testing.T) {
	seeds := [][]byte{[]byte("5:hello,"), {}, bytes.Repeat([]byte("x"), maxBytes)}
	first := slices.Collect(Bytes(1000, seeds))
	if again := slices.Collect(Bytes(1000, seeds)); !slices.EqualFunc(first, again, bytes.Equal) || len(first) != 1003 {
		t.Error("the mutants are others each time")
	}
	distinct := map[string]bool{}
	for _, data := range first {
		distinct[string(data)] = true
	}
	if len(distinct) < 600 || string(seeds[0]) != "5:hello," {
		t.Errorf("%d distinct mutants of %q", len(distinct), seeds)
	}
	for range Bytes(10, seeds) {
		return // a loop may end early
	}
}
