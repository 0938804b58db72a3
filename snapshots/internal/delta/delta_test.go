package delta

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// atom makes an atom of a heap snapshot.
func atom(tag string, body []byte) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(atomHead+len(body)))
	return append(append(out, tag...), body...)
}

// heap makes what the engine would write: chunks and slots, the slots linked as
// an engine links them.
func heap(chunks []byte, values []uint64) []byte {
	var slots []byte
	for i, v := range values {
		next := uint64(i + 2)
		switch {
		case v%8 == 0:
			next = 0
		case v%1000 == 1:
			next = uint64(i + 1) // its own number
		}
		slots = binary.LittleEndian.AppendUint64(slots, next)
		slots = binary.LittleEndian.AppendUint64(slots, v%5)
		slots = binary.LittleEndian.AppendUint64(slots, v)
		slots = binary.LittleEndian.AppendUint64(slots, 0)
	}
	body := bytes.Join([][]byte{
		atom("VERS", []byte{13, 3, 0, slotBytes}), atom("SIGN", []byte("xsnap 1")), atom("BLOC", chunks),
		atom("HEAP", slots), atom("STAC", make([]byte, 96)),
	}, nil)
	head := binary.BigEndian.AppendUint32(nil, uint32(atomHead+len(body)))
	return append(append(head, "XS_M"...), body...)
}

// noise is n bytes that repeat nothing.
func noise(n int, seed uint64) []byte {
	out := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	_, _ = r.Read(out)
	return out
}

func values(n int, seed uint64) []uint64 {
	r := rand.New(rand.NewPCG(seed, 1))
	out := make([]uint64, n)
	for i := range out {
		out[i] = r.Uint64() % 50000
	}
	return out
}

func encode(t testing.TB, base *Base, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	e := NewEncoder(&out, base)
	if _, err := io.Copy(e, bytes.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func decode(base *Base, delta []byte) ([]byte, error) {
	return io.ReadAll(NewDecoder(bytes.NewReader(delta), base))
}

func wantBack(t testing.TB, base *Base, content []byte) (delta []byte) {
	t.Helper()
	delta = encode(t, base, content)
	got, err := decode(base, delta)
	if err != nil || !bytes.Equal(got, content) {
		t.Fatalf("%d bytes came back as %d, %v", len(content), len(got), err)
	}
	return delta
}

func TestDeltasOfHeaps(t *testing.T) {
	chunks, slots := noise(700_000, 1), values(40_000, 1)
	base := NewBase(heap(chunks, slots))
	moved := append(append(values(100, 2), slots...), values(50, 3)...) // every slot has another number
	for name, c := range map[string]struct {
		content []byte
		most    int // bytes of the delta
	}{
		"the base itself":  {heap(chunks, slots), 1000},
		"slots put in":     {heap(chunks, moved), 20_000},
		"chunks put in":    {heap(append(noise(5000, 4), chunks...), slots), 20_000},
		"slots of it only": {heap(nil, slots[10_000:]), 10_000},
		"nothing of it":    {heap(noise(300_000, 5), nil), 320_000},
	} {
		t.Run(name, func(t *testing.T) {
			if got := len(wantBack(t, base, c.content)); got > c.most {
				t.Errorf("the delta has %d bytes, want at most %d", got, c.most)
			}
		})
	}
}

// What is no heap comes back as well.
func TestDeltasOfAnyBytes(t *testing.T) {
	whole := heap(noise(9000, 1), values(3000, 1))
	huge := atom("HEAP", make([]byte, 100))
	binary.BigEndian.PutUint32(huge, 1<<32-1)
	for name, content := range map[string][]byte{
		"nothing":            nil,
		"one byte":           {7},
		"text":               []byte("no heap at all, but text that is longer than the head of an atom"),
		"zeros":              make([]byte, 3*blockBytes+5),
		"cut in the chunks":  whole[:5000],
		"cut in the slots":   whole[:40_000+13],
		"more behind":        append(bytes.Clone(whole), whole...),
		"odd slots":          atom("HEAP", noise(10_001, 2)),
		"no slots":           atom("HEAP", nil),
		"size of everything": huge,
		"size too small":     append([]byte{0, 0, 0, 3}, "HEAPHEAPHEAP"...),
	} {
		t.Run(name, func(t *testing.T) {
			wantBack(t, NewBase(whole), content)
			wantBack(t, NewBase(content), whole)
			wantBack(t, NewBase(nil), content)
		})
	}
}

// Any heap comes back against any base, whatever pieces it is written and read
// in, and gives the same delta.
func TestDeltaProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		base := NewBase(drawHeap(rt, "base"))
		content := drawHeap(rt, "content")
		want := wantBack(t, base, content)
		var out bytes.Buffer
		e := NewEncoder(&out, base)
		for rest := content; len(rest) > 0; {
			n := rapid.IntRange(1, min(len(rest), 70_000)).Draw(rt, "piece")
			if _, err := e.Write(rest[:n]); err != nil {
				rt.Fatal(err)
			}
			rest = rest[n:]
		}
		if err := e.Close(); err != nil {
			rt.Fatal(err)
		}
		if !bytes.Equal(out.Bytes(), want) {
			rt.Fatal("other pieces give another delta")
		}
		got, err := io.ReadAll(NewDecoder(iotest.HalfReader(bytes.NewReader(want)), base))
		if err != nil || !bytes.Equal(got, content) {
			rt.Fatalf("read in halves: %v", err)
		}
	})
}

// drawHeap draws from so few seeds that heaps share much.
func drawHeap(rt *rapid.T, what string) []byte {
	var chunks []byte
	var slots []uint64
	for range rapid.IntRange(0, 4).Draw(rt, what+" chunks") {
		chunks = append(chunks, noise(rapid.IntRange(0, 9000).Draw(rt, "bytes"), rapid.Uint64Range(0, 3).Draw(rt, "seed"))...)
	}
	for range rapid.IntRange(0, 4).Draw(rt, what+" lists") {
		slots = append(slots, values(rapid.IntRange(0, 9000).Draw(rt, "slots"), rapid.Uint64Range(0, 3).Draw(rt, "seed"))...)
	}
	whole := heap(chunks, slots)
	if rapid.Bool().Draw(rt, what+" cut") {
		return whole[:rapid.IntRange(0, len(whole)).Draw(rt, "length")]
	}
	return whole
}

func TestRelativeHasAWayBack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		first := rapid.Uint64Min(1).Draw(rt, "first")
		var slots []byte
		for i := range rapid.IntRange(0, 9).Draw(rt, "slots") {
			own := first + uint64(i)
			next := rapid.OneOf(rapid.Uint64(), rapid.SampledFrom([]uint64{0, own, -own, own + 1, 2 * own})).Draw(rt, "next")
			slots = binary.LittleEndian.AppendUint64(slots, next)
			slots = append(slots, noise(slotBytes-wordBytes, uint64(i))...)
		}
		slots = append(slots, noise(rapid.IntRange(0, slotBytes-1).Draw(rt, "rest"), 1)...)
		want := bytes.Clone(slots)
		relative(slots, first)
		absolute(slots, first)
		if !bytes.Equal(slots, want) {
			rt.Fatalf("%x came back as %x", want, slots)
		}
	})
}

// record makes a record by hand.
func record(numbers []int64, literals string) []byte {
	var out []byte
	for i, n := range numbers {
		if i >= 4 && (i-4)%3 == 0 { // the skip of each command
			out = binary.AppendVarint(out, n)
			continue
		}
		out = binary.AppendUvarint(out, uint64(n))
	}
	return append(out, literals...)
}

func TestBadDeltas(t *testing.T) {
	base := NewBase(noise(1000, 1))
	good := encode(t, base, append(noise(1000, 1), "and something new"...))
	for name, delta := range map[string][]byte{
		"nothing":              nil,
		"no end":               good[:len(good)-1],
		"more behind the end":  append(bytes.Clone(good), 0),
		"a block too large":    record([]int64{maxBlockBytes + 1, 0, 1}, "x"),
		"slots that are not":   record([]int64{33, 1, 33, 0}, string(noise(33, 1))),
		"literals too many":    record([]int64{4, 0, 5, 0}, "12345"),
		"a copy too long":      record([]int64{4, 0, 0, 5, 0}, ""),
		"an empty command":     record([]int64{4, 0, 0, 0}, "1234"),
		"before the base":      record([]int64{4, 0, 0, 4, -1}, ""),
		"behind the base":      record([]int64{4, 0, 0, 4, 997}, ""),
		"far behind the base":  record([]int64{4, 0, 0, 4, 1<<63 - 1}, ""),
		"far before the base":  record([]int64{4, 0, 0, 4, -1 << 63}, ""),
		"a number without end": bytes.Repeat([]byte{0xff}, 20),
		"no literals":          record([]int64{4, 0, 4, 0}, ""),
		"no commands":          record([]int64{4, 0}, ""),
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := decode(base, delta); err == nil {
				t.Errorf("it gives %d bytes", len(got))
			}
		})
	}
}

func TestReadersErrorComesOut(t *testing.T) {
	base := NewBase(nil)
	delta := encode(t, base, noise(600_000, 1))
	for _, n := range []int{0, 1, 3, 4, 300_000, len(delta) - 1, len(delta)} {
		r := io.MultiReader(bytes.NewReader(delta[:n]), iotest.ErrReader(iotest.ErrTimeout))
		if _, err := io.ReadAll(NewDecoder(r, base)); err != iotest.ErrTimeout {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
}

func FuzzDecoder(f *testing.F) {
	baseBytes := heap(noise(2000, 1), values(200, 1))
	base := NewBase(baseBytes)
	for _, content := range [][]byte{nil, baseBytes, heap(noise(100, 2), values(300, 1)), noise(500, 3)} {
		f.Add(encode(f, base, content))
	}
	f.Fuzz(func(t *testing.T, delta []byte) {
		d := NewDecoder(bytes.NewReader(delta), base)
		n, err := io.Copy(io.Discard, d)
		if limit := int64(len(delta)) * maxBlockBytes; n > limit {
			t.Errorf("%d bytes of a delta of %d, %v", n, len(delta), err)
		}
		if cap(d.block) > maxBlockBytes || cap(d.literals) > maxBlockBytes || cap(d.commands) > 2*maxBlockBytes {
			t.Error("it holds more than a block")
		}
	})
}

func FuzzAnyBytesComeBack(f *testing.F) {
	whole := heap(noise(2000, 1), values(200, 1))
	f.Add(whole, whole)
	f.Add([]byte("text"), whole[:100])
	f.Fuzz(func(t *testing.T, base, content []byte) { wantBack(t, NewBase(base), content) })
}

// One decoder reads one delta after the other, whatever became of the one before.
func TestDecoderReset(t *testing.T) {
	whole := heap(noise(300_000, 1), values(20_000, 1))
	base, other := NewBase(whole), NewBase(nil)
	content := heap(noise(200_000, 2), values(30_000, 1))
	good, alone := encode(t, base, content), encode(t, other, content)
	d := NewDecoder(nil, nil)
	for i, c := range []struct {
		delta []byte
		base  *Base
		good  bool
	}{{good, base, true}, {good[:len(good)/2], base, false}, {alone, other, true}, {good, other, false}, {append(good[:len(good):len(good)], 0), base, false}, {good, base, true}} {
		d.Reset(bytes.NewReader(c.delta), c.base)
		got, err := io.ReadAll(d)
		if c.good && (err != nil || !bytes.Equal(got, content)) || !c.good && err == nil {
			t.Errorf("%d: %d bytes, %v", i, len(got), err)
		}
	}
}

// A record may have more literals than are read at once, though ours never have.
func TestDecoderLargeLiterals(t *testing.T) {
	content := noise(maxBlockBytes, 1)
	record := binary.AppendUvarint(nil, maxBlockBytes)
	record = binary.AppendUvarint(append(record, 0), maxBlockBytes)
	record = append(append(record, 0), content...)
	for _, cut := range []int{0, 1, maxBlockBytes - 1} {
		delta := append(record[:len(record)-cut:len(record)-cut], 0)
		got, err := decode(NewBase(nil), delta)
		if whole := cut == 0; whole != (err == nil) || whole && !bytes.Equal(got, content) {
			t.Errorf("cut by %d: %d bytes, %v", cut, len(got), err)
		}
	}
}
