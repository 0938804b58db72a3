// Package mutate makes hostile bytes out of good ones, for tests that try many of
// them in little time. `make fuzz` looks for more, led by what the code does.
package mutate

import (
	"iter"
	"math/rand/v2"
	"slices"
)

// maxBytes keeps what grows in bounds.
const maxBytes = 64 << 10

// Bytes gives each seed, then n mutants of them: always the same ones. A mutant
// may be kept.
func Bytes(n int, seeds [][]byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for _, seed := range seeds {
			if !yield(slices.Clone(seed)) {
				return
			}
		}
		dice := rand.New(rand.NewPCG(1, 2))
		for range n {
			if !yield(mutant(dice, seeds)) {
				return
			}
		}
	}
}

// mutant changes a seed in one to four places.
func mutant(dice *rand.Rand, seeds [][]byte) []byte {
	data := slices.Clone(seeds[dice.IntN(len(seeds))])
	for range 1 + dice.IntN(4) {
		data = changed(dice, data, seeds)
	}
	return data[:min(len(data), maxBytes)]
}

// odd are bytes at which lengths, numbers, texts and msgpack change their meaning.
var odd = []byte{0, 1, 0x7f, 0x80, 0x8f, 0x94, 0xc0, 0xc6, 0xd9, 0xdd, 0xff, '0', '9', ':', ',', '"', '[', '\\', '\n'}

func changed(dice *rand.Rand, data []byte, seeds [][]byte) []byte {
	from := dice.IntN(len(data) + 1)
	to := from + dice.IntN(min(len(data)-from, 32)+1)
	switch dice.IntN(7) {
	case 0: // a bit
		if from < len(data) {
			data[from] ^= 1 << dice.IntN(8)
		}
		return data
	case 1: // a byte
		if from < len(data) {
			data[from] = odd[dice.IntN(len(odd))]
		}
		return data
	case 2: // less
		return slices.Delete(data, from, to)
	case 3: // more
		return slices.Insert(data, from, odd[dice.IntN(len(odd))])
	case 4: // the same again
		return slices.Insert(data, to, slices.Clone(data[from:to])...)
	case 5: // the end of another
		other := seeds[dice.IntN(len(seeds))]
		return append(data[:from], other[dice.IntN(len(other)+1):]...)
	default: // the end
		return data[:from]
	}
}
