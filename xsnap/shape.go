package xsnap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
)

// Shape is how a heap snapshot begins: versions, signature, and the sizes with
// which XS makes its machine (the atoms XS_M to CREA of fxWriteSnapshot). Most
// heaps have the shape of their base snapshot: it changes when a machine grows
// beyond the memory it began with.
type Shape struct {
	text []byte
}

// sizeBytes is how many bytes of a shape say the size of the whole heap, which
// XS reads and makes no use of.
const sizeBytes = 4

const (
	atomBytes     = 8  // size, then tag
	creationBytes = 48 // txCreation, which XS reads at once: initialChunkSize, incrementalChunkSize, initialHeapCount, …
	slotBytes     = 32
	maxShapeBytes = 256
)

// shapeAtoms are the atoms of a shape and what of each belongs to it: nothing
// of XS_M, which holds all others, and of CREA not what XS reads after it has
// made the machine. -1 is all.
var shapeAtoms = [...]struct {
	tag  string
	body int
}{{"XS_M", 0}, {"VERS", -1}, {"SIGN", -1}, {"CREA", creationBytes}}

// ReadShape reads the shape off a heap. What does not begin like one has no
// shape; Before gives back what was read of it all the same.
func ReadShape(heap io.Reader) (s Shape, ok bool) {
	r := shapeReader{from: heap, read: make([]byte, 0, maxShapeBytes)}
	for _, atom := range shapeAtoms {
		if !r.atom(atom.tag, atom.body) {
			return Shape{r.read}, false
		}
	}
	return Shape{r.read}, true
}

// shapeReader keeps all that it reads.
type shapeReader struct {
	from io.Reader
	read []byte
}

func (r *shapeReader) atom(tag string, body int) bool {
	head, ok := r.take(atomBytes)
	if !ok || string(head[4:]) != tag {
		return false
	}
	if body < 0 {
		body = int(binary.BigEndian.Uint32(head)) - atomBytes
	}
	_, ok = r.take(body)
	return ok
}

func (r *shapeReader) take(n int) (taken []byte, ok bool) {
	at := len(r.read)
	if n < 0 || at+n > maxShapeBytes {
		return nil, false
	}
	got, err := io.ReadFull(r.from, r.read[at:at+n])
	r.read = r.read[:at+got]
	return r.read[at:], err == nil
}

// Fits tells whether a machine of the one shape is one of the other; both have
// been read well.
func (s Shape) Fits(other Shape) bool { return bytes.Equal(s.text[sizeBytes:], other.text[sizeBytes:]) }

// MachineBytes is what a machine of this shape takes of its host's memory before
// it has a heap: its chunks, slots and stack, each touched as it is made.
func (s Shape) MachineBytes() int64 {
	sizes := s.text[len(s.text)-creationBytes:]
	at := func(i int) int64 { return int64(binary.LittleEndian.Uint32(sizes[4*i:])) }
	return at(0) + (at(2)+at(4))*slotBytes
}

// Before gives the heap again of which the shape was read.
func (s Shape) Before(rest io.Reader) io.Reader {
	return &headedHeap{io.MultiReader(bytes.NewReader(s.text), rest), s, rest}
}

// headed is a heap of which the shape has been read off.
type headed interface {
	io.Reader
	head() []byte
	// tail gives what follows the shape, nil if nothing ever will.
	tail() io.Reader
}

type headedHeap struct {
	io.Reader
	shape Shape
	rest  io.Reader
}

func (h *headedHeap) head() []byte    { return h.shape.text }
func (h *headedHeap) tail() io.Reader { return h.rest }

// lateHeap is one whose tail nobody has yet.
type lateHeap struct {
	shape Shape
	given chan io.Reader
}

func newLateHeap(shape Shape) *lateHeap {
	return &lateHeap{shape: shape, given: make(chan io.Reader, 1)}
}

// giveUp ends a wait; nothing can be given any more.
func (l *lateHeap) giveUp() { close(l.given) }

func (l *lateHeap) head() []byte    { return l.shape.text }
func (l *lateHeap) tail() io.Reader { return <-l.given }

var errNoHeap = errors.New("cannot load a heap: the worker was closed before it was given one")

// Read is for those who know nothing of heads: a hull's heap has no begin to be
// read off again.
func (l *lateHeap) Read([]byte) (int, error) { return 0, errNoHeap }
