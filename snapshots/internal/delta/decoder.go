package delta

import (
	"errors"
	"fmt"
	"io"
)

// maxBlockBytes bounds what a record may ask a reader to hold.
const maxBlockBytes = 1 << 20

// Decoder gives the heap of a delta. It belongs to one goroutine. It trusts
// nothing it reads: a delta that was tampered with ends in an error or gives
// other bytes, never more memory than a few blocks.
type Decoder struct {
	in   input
	base *Base
	at   int // where in the base the last copy goes on

	block    []byte // decoded
	rest     []byte // of block, not yet read
	commands []command
	literals []byte // of a record that has more than its input holds
	err      error  // sticky, io.EOF included
}

// command is one step of a record: so many literals, then a copy from the base.
type command struct{ literals, from, size int }

// NewDecoder reads a delta against base from r, to its end.
func NewDecoder(r io.Reader, base *Base) *Decoder {
	return &Decoder{in: newInput(r), base: base}
}

// Reset makes a decoder that has read to its end, or not, a new one, which has the
// memory of the old.
func (d *Decoder) Reset(r io.Reader, base *Base) {
	in := input{from: r, buf: d.in.buf}
	*d = Decoder{in: in, base: base, block: d.block, commands: d.commands, literals: d.literals}
}

// Read gives the next bytes of the heap, and io.EOF only behind a delta that is
// whole. An error is the reader's, or says what is wrong with the delta. It is
// fastest where p has room for a block.
func (d *Decoder) Read(p []byte) (int, error) {
	for len(d.rest) == 0 {
		if d.err != nil {
			return 0, d.err
		}
		var n int
		if n, d.err = d.record(p); n > 0 {
			return n, nil
		}
	}
	n := copy(p, d.rest)
	d.rest = d.rest[n:]
	return n, nil
}

// record decodes the next block: to p and gives its size, or, if it does not fit
// there, to rest.
func (d *Decoder) record(p []byte) (n int, err error) {
	size, err := d.number(maxBlockBytes)
	if err != nil {
		return 0, err
	}
	if size == 0 {
		return 0, d.in.finish()
	}
	firstSlot, err := d.number(1 << 62)
	if err != nil {
		return 0, err
	}
	if firstSlot != 0 && size%slotBytes != 0 {
		return 0, fmt.Errorf("it has %d bytes of slots", size)
	}
	count, err := d.readCommands(size)
	if err != nil {
		return 0, err
	}
	literals, err := d.in.bytes(count, &d.literals)
	if err != nil {
		return 0, err
	}
	if len(p) < size {
		d.block = grow(d.block, size)
		d.rest = d.block
		d.build(d.block, literals, uint64(firstSlot))
		return 0, nil
	}
	d.build(p[:size], literals, uint64(firstSlot))
	return size, nil
}

// readCommands reads the commands of a block of size bytes and gives how many
// literals they use. Each makes at least one byte, so their number is bounded.
func (d *Decoder) readCommands(size int) (literals int, err error) {
	d.commands = d.commands[:0]
	for made := 0; made < size; {
		var c command
		if c.literals, err = d.number(size - made); err != nil {
			return 0, err
		}
		made += c.literals
		if c.size, err = d.number(size - made); err != nil {
			return 0, err
		}
		made += c.size
		if c.literals+c.size == 0 {
			return 0, errors.New("it has an empty command")
		}
		if c.from, err = d.place(c); err != nil {
			return 0, err
		}
		literals += c.literals
		d.commands = append(d.commands, c)
	}
	return literals, nil
}

// place gives where in the base a command copies from.
func (d *Decoder) place(c command) (int, error) {
	d.at += c.literals
	if c.size == 0 {
		return 0, nil
	}
	skip, err := d.in.skip()
	if err != nil {
		return 0, err
	}
	from := int64(d.at) + skip
	// skip itself may be anything, so the sum may have wrapped around.
	if skip > MaxBaseBytes || skip < -(1<<40) || from < 0 || from+int64(c.size) > int64(d.base.Len()) {
		return 0, errors.New("it copies from outside of its base")
	}
	d.at = int(from) + c.size
	return int(from), nil
}

// build runs the commands, which make all of the block.
func (d *Decoder) build(block, literals []byte, firstSlot uint64) {
	to := block
	for _, c := range d.commands {
		copy(to, literals[:c.literals])
		literals, to = literals[c.literals:], to[c.literals:]
		copy(to, d.base.data[c.from:c.from+c.size])
		to = to[c.size:]
	}
	if firstSlot != 0 {
		absolute(block, firstSlot)
	}
}

// number reads one of the format's numbers, which must be at most `most`.
func (d *Decoder) number(most int) (int, error) {
	n, err := d.in.number()
	if err != nil {
		return 0, err
	}
	if n > uint64(most) {
		return 0, fmt.Errorf("it has a size of %d where at most %d is possible", n, most)
	}
	return int(n), nil
}

func grow(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	return b[:n]
}
