package pipeproto

import (
	"encoding/binary"
	"math"
)

// Bounds of what one frame may hold, whatever its size. Decoding a one-byte
// element can cost hundreds of bytes of memory; these keep the worst case small
// against the frame limit.
const (
	// MaxNesting is how deep arrays and maps may be nested in a frame.
	MaxNesting = 16
	// MaxElements is how many elements one array, or pairs one map, may have.
	MaxElements = 1 << 18
	// MaxValues is how many values a frame may hold in all.
	MaxValues = 1 << 22
)

// scanner walks msgpack bytes without decoding them.
// Format: https://github.com/msgpack/msgpack/blob/master/spec.md
type scanner struct {
	data   []byte
	pos    int
	values int
}

// shape is what the first bytes of a value say about the rest.
type shape struct {
	payload int // bytes of payload that follow the head
	array   int // elements that follow
	pairs   int // key-value pairs that follow
	isMap   bool
	isStr   bool
}

// checkMsgpack makes sure that data is exactly one well-formed msgpack value
// within the bounds, built of nil, booleans, numbers, strings, binaries, arrays
// and maps with string keys.
func checkMsgpack(data []byte) error {
	s := scanner{data: data}
	if err := s.skip(0); err != nil {
		return err
	}
	if s.pos != len(data) {
		return frameErrorf("%d bytes too many after the end of the value", len(data)-s.pos)
	}
	return nil
}

// skip moves over one value with everything in it.
func (s *scanner) skip(depth int) error {
	sh, err := s.head()
	if err != nil {
		return err
	}
	s.pos += sh.payload
	count := sh.array + sh.pairs
	if count == 0 {
		return nil
	}
	if depth >= MaxNesting {
		return frameErrorf("values nested more than %d deep", MaxNesting)
	}
	for range count {
		if sh.isMap {
			if err := s.key(); err != nil {
				return err
			}
		}
		if err := s.skip(depth + 1); err != nil {
			return err
		}
	}
	return nil
}

// key moves over a map key.
func (s *scanner) key() error {
	sh, err := s.head()
	if err != nil {
		return err
	}
	if !sh.isStr {
		return frameErrorf("a map key at byte %d is no string", s.pos)
	}
	s.pos += sh.payload
	return nil
}

// head reads the first bytes of a value and checks that what they promise fits
// in the rest of the frame.
func (s *scanner) head() (shape, error) {
	if s.pos >= len(s.data) {
		return shape{}, frameErrorf("the frame ends where a value should begin")
	}
	if s.values++; s.values > MaxValues {
		return shape{}, frameErrorf("more than %d values in one frame", MaxValues)
	}
	start := s.pos
	code := s.data[s.pos]
	s.pos++
	sh, ok := s.shapeOf(code)
	if !ok {
		return shape{}, frameErrorf("byte %d (0x%02x) begins no value of this protocol, or the frame ends in it", start, code)
	}
	// Every element takes a byte at least, every pair two.
	left := len(s.data) - s.pos
	if sh.payload > left || sh.array > left || sh.pairs > left/2 {
		return shape{}, frameErrorf("the value at byte %d claims more than the frame holds", start)
	}
	if sh.array > MaxElements || sh.pairs > MaxElements {
		return shape{}, frameErrorf("the value at byte %d has more than %d elements", start, MaxElements)
	}
	return sh, nil
}

func (s *scanner) shapeOf(code byte) (shape, bool) {
	switch {
	case code <= 0x7f, code >= 0xe0: // fixint
		return shape{}, true
	case code <= 0x8f:
		return shape{pairs: int(code & 0x0f), isMap: true}, true
	case code <= 0x9f:
		return shape{array: int(code & 0x0f)}, true
	case code <= 0xbf:
		return shape{payload: int(code & 0x1f), isStr: true}, true
	}
	switch code {
	case 0xc0, 0xc2, 0xc3: // nil, false, true
		return shape{}, true
	case 0xca, 0xcb: // float32, float64
		return shape{payload: 4 << (code - 0xca)}, true
	case 0xcc, 0xcd, 0xce, 0xcf: // uint8 … uint64
		return shape{payload: 1 << (code - 0xcc)}, true
	case 0xd0, 0xd1, 0xd2, 0xd3: // int8 … int64
		return shape{payload: 1 << (code - 0xd0)}, true
	case 0xc4, 0xc5, 0xc6: // bin8 … bin32
		n, ok := s.length(1 << (code - 0xc4))
		return shape{payload: n}, ok
	case 0xd9, 0xda, 0xdb: // str8 … str32
		n, ok := s.length(1 << (code - 0xd9))
		return shape{payload: n, isStr: true}, ok
	case 0xdc, 0xdd: // array16, array32
		n, ok := s.length(2 << (code - 0xdc))
		return shape{array: n}, ok
	case 0xde, 0xdf: // map16, map32
		n, ok := s.length(2 << (code - 0xde))
		return shape{pairs: n, isMap: true}, ok
	}
	return shape{}, false // 0xc1 and the extension types
}

// length reads a big-endian length of width bytes.
func (s *scanner) length(width int) (int, bool) {
	n, ok := s.bigEndian(width)
	return int(min(n, math.MaxInt32)), ok
}

func (s *scanner) bigEndian(width int) (uint64, bool) {
	if len(s.data)-s.pos < width {
		return 0, false
	}
	var wide [8]byte
	copy(wide[8-width:], s.data[s.pos:s.pos+width])
	s.pos += width
	return binary.BigEndian.Uint64(wide[:]), true
}

// uint reads a non-negative integer of any width. The frame has been checked.
func (s *scanner) uint() (uint64, bool) {
	code := s.data[s.pos]
	s.pos++
	if code <= 0x7f {
		return uint64(code), true
	}
	if code < 0xcc || code > 0xcf {
		return 0, false
	}
	return s.bigEndian(1 << (code - 0xcc))
}

// str reads a string. The frame has been checked.
func (s *scanner) str() ([]byte, bool) {
	sh, err := s.head()
	if err != nil || !sh.isStr {
		return nil, false
	}
	text := s.data[s.pos : s.pos+sh.payload]
	s.pos += sh.payload
	return text, true
}
