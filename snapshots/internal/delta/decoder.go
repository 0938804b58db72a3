package delta

import (
	"bufio"
	"encoding/binary"
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
	from *bufio.Reader
	base *Base
	at   int // where in the base the last copy goes on

	block    []byte // decoded
	rest     []byte // of block, not yet read
	commands []command
	literals []byte
	err      error // sticky, io.EOF included
}

// command is one step of a record: so many literals, then a copy from the base.
type command struct{ literals, from, size int }

// NewDecoder reads a delta against base from r, to its end.
func NewDecoder(r io.Reader, base *Base) *Decoder {
	return &Decoder{from: bufio.NewReaderSize(r, blockBytes), base: base}
}

// Read gives the next bytes of the heap, and io.EOF only behind a delta that is
// whole. An error is the reader's, or says what is wrong with the delta.
func (d *Decoder) Read(p []byte) (int, error) {
	for len(d.rest) == 0 {
		if d.err == nil {
			d.err = d.record()
		}
		if d.err != nil {
			return 0, d.err
		}
	}
	n := copy(p, d.rest)
	d.rest = d.rest[n:]
	return n, nil
}

// record decodes the next block.
func (d *Decoder) record() error {
	size, err := d.number(maxBlockBytes)
	if err != nil {
		return err
	}
	if size == 0 {
		return d.end()
	}
	firstSlot, err := d.number(1 << 62)
	if err != nil {
		return err
	}
	if firstSlot != 0 && size%slotBytes != 0 {
		return fmt.Errorf("it has %d bytes of slots", size)
	}
	literals, err := d.readCommands(size)
	if err != nil {
		return err
	}
	d.literals = grow(d.literals, literals)
	if _, err := io.ReadFull(d.from, d.literals); err != nil {
		return cutShort(err)
	}
	d.build(size)
	if firstSlot != 0 {
		absolute(d.block, uint64(firstSlot))
	}
	d.rest = d.block
	return nil
}

// end makes sure that nothing follows.
func (d *Decoder) end() error {
	switch _, err := d.from.ReadByte(); {
	case err == nil:
		return errors.New("it goes on behind its end")
	default:
		return err
	}
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
	skip, err := binary.ReadVarint(d.from)
	if err != nil {
		return 0, cutShort(err)
	}
	from := int64(d.at) + skip
	// skip itself may be anything, so the sum may have wrapped around.
	if skip > MaxBaseBytes || skip < -(1<<40) || from < 0 || from+int64(c.size) > int64(d.base.Len()) {
		return 0, errors.New("it copies from outside of its base")
	}
	d.at = int(from) + c.size
	return int(from), nil
}

// build runs the commands.
func (d *Decoder) build(size int) {
	d.block = grow(d.block, size)
	literals, to := d.literals, d.block
	for _, c := range d.commands {
		copy(to, literals[:c.literals])
		literals, to = literals[c.literals:], to[c.literals:]
		copy(to, d.base.data[c.from:c.from+c.size])
		to = to[c.size:]
	}
}

// number reads one of the format's numbers, which must be at most `most`.
func (d *Decoder) number(most int) (int, error) {
	n, err := binary.ReadUvarint(d.from)
	if err != nil {
		return 0, cutShort(err)
	}
	if n > uint64(most) {
		return 0, fmt.Errorf("it has a size of %d where at most %d is possible", n, most)
	}
	return int(n), nil
}

// cutShort tells the end in the middle from the end.
func cutShort(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

func grow(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	return b[:n]
}
