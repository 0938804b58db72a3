package replay

import (
	"io"
)

// Heap is a heap snapshot of a replay's worker.
type Heap struct {
	Position         int64  `json:"position"` // of the item it was taken before
	Hash             string `json:"hash"`     // sha256 of the content, hex
	UncompressedSize int64  `json:"uncompressedSize"`
	StoredSize       int64  `json:"storedSize"` // bytes that were written
}

// WriteHeap writes the worker's heap to w: as one zstd frame, or with plain as the
// engine writes it. The engine collects garbage first, which what is replayed
// after it may show.
func (r *Session) WriteHeap(w io.Writer, plain bool) (h Heap, err error) {
	h.Position = r.next
	write := func(to io.Writer) error {
		size := &sizer{to: to}
		h.Hash, err = r.saveHeap(size)
		h.UncompressedSize = size.n
		return err
	}
	if plain {
		err = write(w)
		h.StoredSize = h.UncompressedSize
		return h, err
	}
	h.StoredSize, err = r.src.heaps.Pack(w, write)
	return h, err
}

// sizer counts what passes.
type sizer struct {
	to io.Writer
	n  int64
}

func (s *sizer) Write(p []byte) (int, error) {
	n, err := s.to.Write(p)
	s.n += int64(n)
	return n, err
}
