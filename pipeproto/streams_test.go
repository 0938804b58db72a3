package pipeproto

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// streamMaker makes streams of frames of which most are wrong, the same ones
// from the same seed.
type streamMaker struct {
	random *rand.Rand
	frames [][]byte // of every message
	fields []string // that native workers read
}

func newStreamMaker(t testing.TB, seed int) *streamMaker {
	t.Helper()
	m := &streamMaker{random: rand.New(rand.NewPCG(uint64(seed), 0)), fields: nativeFields()}
	for _, v := range messageTypes() {
		typ := reflect.TypeOf(v)
		if typ.NumField() == 0 {
			continue // nothing to draw
		}
		bodies := rapid.Custom(func(rt *rapid.T) any {
			body := reflect.New(typ)
			draw(rt, body.Elem(), typ.Name())
			return body.Interface()
		})
		for i, k := range []kind{kindRequest, kindReply, kindError, kindEvent} {
			env := envelope{kind: k, msgType: typ.Name()}
			if k != kindEvent {
				env.id = uint64(i + 1)
			}
			frame, err := newEncoder().frame(env, bodies.Example(seed+i), DefaultMaxFrameBytes)
			if err != nil {
				t.Fatal(err)
			}
			m.frames = append(m.frames, bytes.Clone(frame))
		}
	}
	for _, v := range workerBodies() { // as vatworkerd writes them
		m.frames = append(m.frames, leanFrame(kindRequest, 9, "deliver", v))
	}
	return m
}

func (m *streamMaker) one(in int) bool { return m.random.IntN(in) == 0 }

// frame is a right one, if only its id is higher than that before.
func (m *streamMaker) frame() []byte {
	frame := bytes.Clone(m.frames[m.random.IntN(len(m.frames))])
	if k := kind(frame[headerBytes+1]); k != kindEvent {
		frame[headerBytes+2] = byte(1 + m.random.IntN(127))
	}
	return frame
}

func (m *streamMaker) stream() stream {
	s := stream{limit: 1 << 20, memory: enoughMemory}
	next := m.perhapsWrong
	if m.one(300) {
		next = m.large
	}
	for range 1 + m.random.IntN(4) {
		s.data = append(s.data, next()...)
	}
	switch m.random.IntN(8) {
	case 0:
		s.data = m.damaged(s.data)
	case 1:
		s.data = s.data[:m.random.IntN(len(s.data))]
	}
	if m.one(2) {
		s.most = 1 + uint32(m.random.IntN(40+len(s.data)/50))
	}
	if m.one(16) {
		s.memory = uint32(m.random.IntN(4))
	}
	if m.one(16) {
		s.limit = uint32(m.random.IntN(300))
	}
	return s
}

// perhapsWrong is one frame, nearly always of the length it says.
func (m *streamMaker) perhapsWrong() []byte {
	switch m.random.IntN(16) {
	case 0:
		return m.bytes(m.random.IntN(40) + 4)
	case 1, 2, 3, 4:
		return framed(m.message())
	case 5, 6, 7, 8:
		return m.frame()
	}
	return framed(m.damaged(m.frame()[headerBytes:]))
}

// large needs what is left of the C reader's first buffer, or a larger one, or
// one that is not kept.
func (m *streamMaker) large() []byte {
	sizes := []int{20 << 10, 30 << 10, 40 << 10, 60 << 10, 64<<10 - 30, 64 << 10, 70_000, 1<<20 - 100}
	size := sizes[m.random.IntN(len(sizes))]
	frame := AppendBinary(BeginFrame(nil, kindReply, 1, "deliver", 1), "command", size)
	frame = append(frame, make([]byte, size)...)
	EndFrame(frame, 0)
	return frame
}

func (m *streamMaker) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(m.random.Uint32())
	}
	return b
}

// damaged is b with a few changes.
func (m *streamMaker) damaged(b []byte) []byte {
	b = bytes.Clone(b)
	for range 1 + m.random.IntN(4) {
		if len(b) > 0 {
			b = m.damage(b)
		}
	}
	return b
}

// tellingCodes begin values of other kinds, lengths and counts.
var tellingCodes = []byte{
	0x00, 0x7f, 0x80, 0x8f, 0x90, 0x94, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xca, 0xcb,
	0xcc, 0xcd, 0xce, 0xcf, 0xd0, 0xd3, 0xd4, 0xd8, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0xe0, 0xff,
}

var tellingNumbers = []uint64{0, 1, 15, 16, 31, 32, 64, 65, 127, 128, 255, 256, 65535, 65536, MaxElements, MaxElements + 1, MaxValues, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, math.MaxInt64, math.MaxUint64}

func (m *streamMaker) damage(b []byte) []byte {
	at := m.random.IntN(len(b))
	end := min(len(b), at+1+m.random.IntN(8))
	switch m.random.IntN(9) {
	case 0:
		b[at] = byte(m.random.Uint32())
	case 1:
		b[at] ^= 1 << m.random.IntN(8)
	case 2, 3:
		b[at] = tellingCodes[m.random.IntN(len(tellingCodes))]
	case 4:
		return slices.Delete(b, at, end)
	case 5:
		return slices.Insert(b, at, m.bytes(end-at)...)
	case 6:
		return slices.Insert(b, at, bytes.Clone(b[at:end])...)
	case 7:
		return slices.Insert(b, at, m.value(nil, m.random.IntN(3))...)
	case 8:
		return slices.Replace(b, at, end, m.number()...)
	}
	return b
}

func (m *streamMaker) number() []byte {
	var wide [8]byte
	binary.BigEndian.PutUint64(wide[:], tellingNumbers[m.random.IntN(len(tellingNumbers))])
	return wide[8-1<<m.random.IntN(4):]
}

// message is an envelope around anything.
func (m *streamMaker) message() []byte {
	b := []byte{0x94, byte(1 + m.random.IntN(4))}
	b = appendUint(b, []uint64{0, 1, 2, 200, 70000, 1 << 40}[m.random.IntN(6)])
	b = appendText(b, string(make([]byte, []int{0, 1, 31, 32, 64, 65, 300}[m.random.IntN(7)])))
	return m.value(b, 0)
}

// value appends any value: now and then a deep one, often the fields of workers.
func (m *streamMaker) value(b []byte, depth int) []byte {
	switch n := m.random.IntN(5); {
	case depth == 0 && m.one(20):
		return append(append(b, bytes.Repeat([]byte{0x91}, 10+m.random.IntN(10))...), 0xc0)
	case depth < 4 && m.random.IntN(2+depth) == 0:
		b = append(b, 0x80|byte(n))
		for range n {
			b = m.value(appendText(b, m.fields[m.random.IntN(len(m.fields))]), depth+1)
		}
		return b
	case depth < 4 && m.one(4):
		b = append(b, 0xdc, 0, byte(n))
		for range n {
			b = m.value(b, depth+1)
		}
		return b
	}
	return m.plainValue(b)
}

func (m *streamMaker) plainValue(b []byte) []byte {
	switch m.random.IntN(6) {
	case 0:
		return append(b, []byte{0xc0, 0xc2, 0xc3, 0xe5}[m.random.IntN(4)])
	case 1:
		return appendUint(b, tellingNumbers[m.random.IntN(len(tellingNumbers))])
	case 2: // of any width
		width := m.random.IntN(4)
		return append(append(b, 0xcc+byte(width)), m.bytes(1<<width)...)
	case 3:
		return appendText(b, string(m.bytes(m.random.IntN(40))))
	case 4:
		return append(append(b, 0xcb), m.bytes(8)...)
	}
	size := m.random.IntN(40)
	return append(append(b, 0xc5, 0, byte(size)), m.bytes(size)...)
}
