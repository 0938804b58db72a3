package xsnap

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Gates lie where no worker can ever have memory: below every program image
// and heap (0x400000 up), and the filter lets nothing be mapped below 4 GiB.
const (
	gateLow   = 0x100000
	gateHigh  = 0x400000
	gateBytes = 4096
)

// gate is the page from which engines are executed.
//
// A filter outlives the execve that starts an engine, so it must admit that
// execve and no other. It admits it by the address of the path: the gate's,
// in the memory that parent and child share until the execve. In the engine's
// own memory there is nothing at that address and there can be nothing, so
// there the same call is EFAULT, and any other is EPERM.
type gate struct {
	page []byte
}

func openGate() (*gate, error) {
	for at := uintptr(gateLow); at < gateHigh; at += gateBytes {
		const flags = unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_FIXED_NOREPLACE
		got, _, errno := unix.Syscall6(unix.SYS_MMAP, at, gateBytes, unix.PROT_READ|unix.PROT_WRITE, flags, ^uintptr(0), 0)
		if errno == unix.EEXIST {
			continue
		}
		if errno != 0 {
			return nil, fmt.Errorf("cannot map memory at %#x: %w", at, errno)
		}
		if got != at { // a kernel that does not know NOREPLACE takes it for a hint
			_, _, _ = unix.Syscall(unix.SYS_MUNMAP, got, gateBytes, 0)
			continue
		}
		// The indirection keeps vet from taking a fixed address for a mistake:
		// it is none of the Go heap.
		return &gate{page: unsafe.Slice(*(**byte)(unsafe.Pointer(&got)), gateBytes)}, nil
	}
	return nil, errors.New("no room below the program: too many Spawners are open; share one")
}

func (g *gate) address() uintptr { return uintptr(unsafe.Pointer(&g.page[0])) }

// put writes path, which the next execve from the gate executes.
func (g *gate) put(path string) error {
	if len(path) >= len(g.page) {
		return unix.ENAMETOOLONG
	}
	g.page[copy(g.page, path)] = 0
	return nil
}

func (g *gate) close() {
	_, _, _ = unix.Syscall(unix.SYS_MUNMAP, g.address(), gateBytes, 0)
}
