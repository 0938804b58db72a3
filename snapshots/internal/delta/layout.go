package delta

import "encoding/binary"

const (
	// slotBytes is the size of a slot, of which most of a heap consists.
	slotBytes = 32
	// blockBytes is how much of a heap a record of a delta holds at most.
	blockBytes = 256 << 10
	// bodyBytes is how large an atom's body must be to begin a block of its own,
	// which makes its chunks meet those of the base at equal places.
	bodyBytes = 4 << 10

	atomHead = 8
)

// layout follows a heap snapshot as it comes and tells where the kind of its
// bytes changes. A snapshot of XS is a row of atoms (size, tag, body), the first
// of which, XS_M, only announces the whole; the body of HEAP is a row of slots.
// What is no row of atoms is taken for plain bytes to its end.
type layout struct {
	head  []byte // of the atom that begins
	left  int64  // of the body that has begun
	slots bool   // it is a row of slots
	lost  bool   // these are no atoms
}

// run gives how many bytes come before the kind may change, or -1 for all.
func (l *layout) run() int64 {
	switch {
	case l.lost:
		return -1
	case l.left > 0:
		return l.left
	}
	return int64(atomHead - len(l.head))
}

// take goes on by p, which is no longer than run says, and tells whether a new
// block begins behind it.
func (l *layout) take(p []byte) (turn bool) {
	switch {
	case l.lost:
		return false
	case l.left > 0:
		l.left -= int64(len(p))
		turn = l.left == 0 && l.slots
		l.slots = l.slots && !turn
		return turn
	}
	if l.head = append(l.head, p...); len(l.head) < atomHead {
		return false
	}
	size, tag := int64(binary.BigEndian.Uint32(l.head)), string(l.head[4:])
	l.head = l.head[:0]
	if tag == "XS_M" {
		return false
	}
	if size < atomHead {
		l.lost = true
		return false
	}
	l.left = size - atomHead
	l.slots = tag == "HEAP" && l.left > 0 && l.left%slotBytes == 0
	return l.slots || l.left >= bodyBytes
}

// cutter cuts a heap into blocks of one kind.
type cutter struct {
	layout layout
	slot   uint64 // number of the present block's first slot; 0 if it is plain
	block  []byte
	use    func(block []byte, firstSlot uint64) error // owns neither
}

func newCutter(use func(block []byte, firstSlot uint64) error) *cutter {
	return &cutter{use: use, block: make([]byte, 0, blockBytes)}
}

// Write takes the next bytes of the heap; its errors are those of use.
func (c *cutter) Write(p []byte) (int, error) {
	total := len(p)
	for len(p) > 0 {
		n := min(len(p), blockBytes-len(c.block))
		if run := c.layout.run(); run >= 0 {
			n = int(min(int64(n), run))
		}
		c.block = append(c.block, p[:n]...)
		turn := c.layout.take(p[:n])
		p = p[n:]
		if turn || len(c.block) == blockBytes {
			if err := c.flush(); err != nil {
				return total - len(p), err
			}
		}
	}
	return total, nil
}

// flush uses the block there is and begins the next.
func (c *cutter) flush() error {
	block, first := c.block, c.slot
	if first != 0 && len(block)%slotBytes != 0 {
		first = 0 // the heap was cut short
	}
	c.block = c.block[:0]
	switch {
	case !c.layout.slots:
		c.slot = 0
	case c.slot == 0:
		c.slot = 1
	default:
		c.slot += uint64(len(block) / slotBytes)
	}
	if len(block) == 0 {
		return nil
	}
	return c.use(block, first)
}
