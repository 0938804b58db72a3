package xsnap

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// heapAreaBytes is what of a heap goes through an area: a whole one of the usual
// size.
const heapAreaBytes = 16 << 20

// heapArea is memory in which a native worker finds its heap: whoever unpacks it
// unpacks it there, and nothing passes through a pipe. The worker reads it by a
// descriptor and can neither write, map for writing, nor resize it. An area
// serves one worker, once. It is made, each of its pages too, before it is
// needed. It belongs to one goroutine at a time.
type heapArea struct {
	fd     int
	memory []byte
	used   int           // how many bytes of memory take gave
	gone   chan struct{} // closed once the memory is given back
}

// openHeapArea gives nil where the kernel has no such memory to give: then a heap
// passes through the pipe.
func openHeapArea() *heapArea {
	fd, err := unix.MemfdCreate("heap", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil
	}
	memory, err := mapHeapArea(fd)
	if err != nil {
		_ = unix.Close(fd)
		return nil
	}
	return &heapArea{fd: fd, memory: memory, gone: make(chan struct{})}
}

// mapHeapArea seals the file after it is mapped: from then on nobody else writes.
func mapHeapArea(fd int) ([]byte, error) {
	if err := unix.Ftruncate(fd, heapAreaBytes); err != nil {
		return nil, err
	}
	memory, err := unix.Mmap(fd, 0, heapAreaBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, err
	}
	const seals = unix.F_SEAL_FUTURE_WRITE | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		_ = unix.Munmap(memory)
		return nil, err
	}
	return memory, nil
}

// fill gives what next reads into the next part of the area; ok tells whether there
// is room, which a nil area never has. A part is about as large as a buffer: next
// has room for twice as much, so that it need not keep half of a piece for later.
func (a *heapArea) fill(next readFunc) (p part, ok bool) {
	if a == nil || len(a.memory)-a.used < 2*snapshotChunkBytes {
		return part{}, false
	}
	p = part{inArea: true}
	room := a.memory[a.used : a.used+2*snapshotChunkBytes]
	p.data, p.err = fill(next, room, snapshotChunkBytes)
	a.used += len(p.data)
	return p, true
}

// close gives the memory back; nobody may use a part of it any more. The worker's
// own descriptor keeps it until that is closed.
func (a *heapArea) close() {
	if a == nil {
		return
	}
	_ = unix.Munmap(a.memory)
	_ = unix.Close(a.fd)
	close(a.gone)
}

// wait returns when the memory was given back.
func (a *heapArea) wait() {
	if a != nil {
		<-a.gone
	}
}

// portionInArea, in the head of a portion, says that its bytes are in the area.
const portionInArea = 1 << 31

// portionHead announces size bytes to a worker with an area (xsnap/native/heapin.h).
func portionHead(size int, inArea bool) []byte {
	says := uint32(size)
	if inArea {
		says |= portionInArea
	}
	return binary.BigEndian.AppendUint32(nil, says)
}
