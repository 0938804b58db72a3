package delta

import (
	"encoding/binary"
	"math/bits"
	"sync"
)

const (
	wordBytes = 8
	// probeBytes is how many bytes of the base are found by their hash: of a slot
	// each, else at each word.
	probeBytes = 32
	// placeBits hold a place of a base, and one more than it.
	placeBits = 26
	// MaxBaseBytes bounds a base, which is held in memory.
	MaxBaseBytes = 1 << placeBits
)

// Base is a heap snapshot that others are written against, in the form in which
// records copy from it: its slots relative. Safe for concurrent use.
type Base struct {
	data   []byte
	starts []start

	once  sync.Once // builds the rest, which only writing needs
	table []uint32  // hash of probeBytes → entry of their first place
	shift int
}

// start is where a block of the base begins.
type start struct {
	at    int
	slots bool
}

// NewBase makes a base of the content of a heap snapshot, of at most
// MaxBaseBytes.
func NewBase(content []byte) *Base {
	b := &Base{data: make([]byte, 0, len(content))}
	cut := newCutter(func(block []byte, firstSlot uint64) error {
		b.starts = append(b.starts, start{len(b.data), firstSlot != 0})
		b.data = append(b.data, block...)
		if firstSlot != 0 {
			relative(b.data[len(b.data)-len(block):], firstSlot)
		}
		return nil
	})
	_, _ = cut.Write(content) // it has no errors of its own
	_ = cut.flush()
	return b
}

// Len is the size of the base in bytes.
func (b *Base) Len() int { return len(b.data) }

// index notes where in the base what is to be found. The first place of equal
// bytes wins: what follows there is the most likely to follow again.
func (b *Base) index() {
	width := bits.Len(uint(len(b.data) / wordBytes))
	b.shift = 64 - width
	b.table = make([]uint32, 1<<width)
	end := len(b.data)
	for i := len(b.starts) - 1; i >= 0; i-- {
		from, step := b.starts[i].at, wordBytes
		if b.starts[i].slots {
			step = slotBytes
		}
		for p := from + (end-from-1)/step*step; p >= from; p -= step {
			if p+probeBytes <= len(b.data) {
				hash := hash(b.data[p:])
				b.table[hash>>b.shift] = entry(p, hash)
			}
		}
		end = from
	}
}

// find gives where the base has the first probeBytes of p, most likely.
func (b *Base) find(p []byte) (at int, ok bool) {
	b.once.Do(b.index)
	hash := hash(p)
	found := b.table[hash>>b.shift]
	at = int(found&(MaxBaseBytes-1)) - 1
	return at, at >= 0 && found == entry(at, hash)
}

// entry notes a place, and in the bits that this leaves some of the hash: they
// spare a look at bytes of the base that are others. Zero is no entry.
func entry(at int, hash uint64) uint32 {
	return uint32(at+1) | uint32(hash)<<placeBits
}

// hash mixes four words with odd constants, as multiplicative hashing does; its
// upper bits are the best.
func hash(p []byte) uint64 {
	const m1, m2, m3, m4 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63
	le := binary.LittleEndian
	h := le.Uint64(p)*m1 ^ bits.RotateLeft64(le.Uint64(p[8:])*m2, 31)
	h ^= bits.RotateLeft64(le.Uint64(p[16:])*m3, 17) ^ bits.RotateLeft64(le.Uint64(p[24:])*m4, 47)
	h ^= h >> 32
	return h * m1
}
