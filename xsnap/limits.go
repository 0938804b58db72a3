package xsnap

import (
	"fmt"
	"math"

	"golang.org/x/sys/unix"
)

// maxWorkerFiles is the number of descriptors a contained worker may have: its
// nine, and a few that it opens one at a time.
const maxWorkerFiles = 16

// WorkerStackBytes is the stack of every worker on every node. How deep the
// engine's parser, its regular expressions and its collector may recurse
// before it reports a stack overflow is measured against RLIMIT_STACK.
const WorkerStackBytes = 8 << 20

// MinAddressSpaceBytes is the least memory ceiling under which a worker that
// ran out of memory has met the engine's own limit, and not the ceiling: 1 GiB
// that the engine reserves for chunks, 2 GiB of slots, 1 GiB of tables while a
// snapshot of so many slots is written, and 1 GiB for what the engine does not
// count: the program, the parser, messages.
const MinAddressSpaceBytes = 5 << 30

// workerLimit is a resource limit of a worker.
type workerLimit struct {
	name     string
	resource int
	value    uint64
	// least is what must be had of value, or the worker could end in another
	// way than on other nodes; 0 for limits that only hold back.
	least uint64
}

// consensusLimits decide how a worker ends.
func consensusLimits(addressSpace uint64) []workerLimit {
	least := min(addressSpace, MinAddressSpaceBytes)
	return []workerLimit{
		{"stack", unix.RLIMIT_STACK, WorkerStackBytes, WorkerStackBytes},
		{"memory", unix.RLIMIT_AS, addressSpace, least},
		{"data", unix.RLIMIT_DATA, addressSpace, least},
	}
}

// workerLimits are all limits of a contained worker.
func workerLimits(addressSpace uint64) []workerLimit {
	return append([]workerLimit{
		{name: "core dumps", resource: unix.RLIMIT_CORE},
		{name: "sizes of files", resource: unix.RLIMIT_FSIZE}, // pipes have none
		{name: "processes", resource: unix.RLIMIT_NPROC},      // does not bind root; the filter does
		{name: "locked memory", resource: unix.RLIMIT_MEMLOCK},
		{name: "message queues", resource: unix.RLIMIT_MSGQUEUE},
		{name: "open files", resource: unix.RLIMIT_NOFILE, value: maxWorkerFiles},
	}, consensusLimits(addressSpace)...)
}

// lowered never raises what this process itself is held to.
func (l workerLimit) lowered() unix.Rlimit {
	var own unix.Rlimit
	if err := unix.Getrlimit(l.resource, &own); err == nil && own.Max < l.value {
		return own
	}
	return unix.Rlimit{Cur: l.value, Max: l.value}
}

// HostLimitError tells that this process is held to less than its workers need.
type HostLimitError struct {
	Name       string // of the limit
	Has, Needs uint64 // bytes
}

func (e *HostLimitError) Error() string {
	return fmt.Sprintf("this process is held to %d bytes of %s, and its workers need %d to end as they do on other nodes; raise the limit where vatworkerd is started (ulimit)",
		e.Has, e.Name, e.Needs)
}

// checkHost returns a *HostLimitError if no worker can be given what it needs.
// What is inherited counts if workers start with that.
func checkHost(addressSpace uint64, inherited bool) error {
	for _, l := range consensusLimits(addressSpace) {
		var own unix.Rlimit
		if err := unix.Getrlimit(l.resource, &own); err != nil {
			return fmt.Errorf("cannot read the limit of %s: %w", l.name, err)
		}
		has := own.Max
		if inherited {
			has = own.Cur
		}
		if has < l.least {
			return &HostLimitError{Name: l.name, Has: has, Needs: l.least}
		}
	}
	return nil
}

// settleStack gives this process the stack limit of workers, which those that
// no launcher starts inherit. The Go runtime has no use for it. What cannot be
// set is found by checkHost.
func settleStack() {
	var own unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_STACK, &own); err == nil && own.Cur != WorkerStackBytes && own.Max >= WorkerStackBytes {
		own.Cur = WorkerStackBytes
		_ = unix.Setrlimit(unix.RLIMIT_STACK, &own)
	}
}

// heldTo are limits a process was held to, found when it had ended.
type heldTo struct{ stack, memory, data uint64 }

// readHeldTo works on a process that has ended and was not reaped.
func readHeldTo(pid int) heldTo {
	read := func(resource int) uint64 {
		var l unix.Rlimit
		if err := unix.Prlimit(pid, resource, nil, &l); err != nil {
			return math.MaxUint64
		}
		return l.Cur
	}
	return heldTo{stack: read(unix.RLIMIT_STACK), memory: read(unix.RLIMIT_AS), data: read(unix.RLIMIT_DATA)}
}

// why tells what made a process end with an exit code of a vat's fault that
// was none of the vat's, or nothing.
func (h heldTo) why(code int) string {
	switch {
	case code == ExitStackOverflow && h.stack != WorkerStackBytes:
		return fmt.Sprintf("its stack was limited to %d bytes, not to %d", h.stack, uint64(WorkerStackBytes))
	case code == ExitNotEnoughMemory && h.memory < MinAddressSpaceBytes:
		return fmt.Sprintf("its memory was limited to %d bytes, less than the %d that the engine can use", h.memory, uint64(MinAddressSpaceBytes))
	case code == ExitNotEnoughMemory && h.data < MinAddressSpaceBytes:
		return fmt.Sprintf("its data was limited to %d bytes, less than the %d that the engine can use", h.data, uint64(MinAddressSpaceBytes))
	}
	return ""
}
