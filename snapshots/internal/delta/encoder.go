package delta

import (
	"encoding/binary"
	"io"
)

const (
	// minCopyBytes is the least that is copied from a place that was found, and
	// minGoOnBytes from where the copy before goes on. A jump for less costs as
	// much as it saves, and leads away from where it could have gone on.
	minCopyBytes = 64
	minGoOnBytes = 16
	// stepBytes is how far apart matches begin where there are no slots. The base
	// is indexed twice as densely, so that matches of any shift are found.
	stepBytes = 16
	// strideBytes is after how many literals the steps become one longer, and so
	// on: where nothing was found for long, little will be. What they miss before
	// a match is found backwards.
	strideBytes = 512
)

// Encoder writes a heap as a delta. It belongs to one goroutine.
type Encoder struct {
	to   io.Writer
	base *Base
	cut  *cutter
	at   int // where in the base the last copy goes on

	head     []byte // the record: its head and commands
	literals []byte
}

// NewEncoder writes a delta against base to w, in one Write for the commands and
// one for the literals of each block.
func NewEncoder(w io.Writer, base *Base) *Encoder {
	e := &Encoder{to: w, base: base}
	e.cut = newCutter(e.record)
	return e
}

// Write takes the next bytes of the heap. An error is final and is the writer's.
func (e *Encoder) Write(p []byte) (int, error) { return e.cut.Write(p) }

// Close writes the last record and the end; it does not close the writer.
func (e *Encoder) Close() error {
	if err := e.cut.flush(); err != nil {
		return err
	}
	_, err := e.to.Write([]byte{0})
	return err
}

// record writes one block of the heap, which it changes.
func (e *Encoder) record(block []byte, firstSlot uint64) error {
	e.head = binary.AppendUvarint(e.head[:0], uint64(len(block)))
	e.head = binary.AppendUvarint(e.head, firstSlot)
	e.literals = e.literals[:0]
	step := stepBytes
	if firstSlot != 0 {
		relative(block, firstSlot)
		step = slotBytes
	}
	e.match(block, step)
	if _, err := e.to.Write(e.head); err != nil {
		return err
	}
	_, err := e.to.Write(e.literals)
	return err
}

// match makes the commands and literals of a block.
func (e *Encoder) match(block []byte, step int) {
	done := 0
	for p := 0; p+probeBytes <= len(block); {
		from, size := e.goOn(block[p:], p-done)
		if size == 0 {
			from, size = e.jump(block[p:])
		}
		if size == 0 {
			p += step * (1 + (p-done)/strideBytes)
			continue
		}
		back := e.back(block[done:p], from)
		e.command(block[done:p-back], from-back, size+back)
		done = p + size
		// The next match begins at a step of the block again.
		p = (done + step - 1) / step * step
	}
	if done < len(block) {
		e.command(block[done:], 0, 0)
	}
}

// goOn matches what follows in the base after the last copy and as many bytes
// as are literal since.
func (e *Encoder) goOn(p []byte, literal int) (from, size int) {
	from = e.at + literal
	if from >= len(e.base.data) {
		return 0, 0
	}
	return from, atLeast(minGoOnBytes, common(p, e.base.data[from:]))
}

// jump matches whatever place of the base begins like p.
func (e *Encoder) jump(p []byte) (from, size int) {
	from, ok := e.base.find(p)
	if !ok {
		return 0, 0
	}
	return from, atLeast(minCopyBytes, common(p, e.base.data[from:]))
}

// back counts how many of the literals before a match are in the base before it.
func (e *Encoder) back(literals []byte, from int) int {
	n := 0
	for n < len(literals) && n < from && literals[len(literals)-1-n] == e.base.data[from-1-n] {
		n++
	}
	return n
}

func atLeast(least, n int) int {
	if n < least {
		return 0
	}
	return n
}

// command appends literals and a copy of size bytes; size 0 is the block's end.
func (e *Encoder) command(literals []byte, from, size int) {
	e.literals = append(e.literals, literals...)
	e.head = binary.AppendUvarint(e.head, uint64(len(literals)))
	e.head = binary.AppendUvarint(e.head, uint64(size))
	if size == 0 {
		e.at += len(literals)
		return
	}
	e.head = binary.AppendVarint(e.head, int64(from-e.at-len(literals)))
	e.at = from + size
}

// common counts how many bytes a and b begin with alike.
func common(a, b []byte) int {
	most := min(len(a), len(b))
	n := 0
	for n+wordBytes <= most && binary.LittleEndian.Uint64(a[n:]) == binary.LittleEndian.Uint64(b[n:]) {
		n += wordBytes
	}
	for n < most && a[n] == b[n] {
		n++
	}
	return n
}
