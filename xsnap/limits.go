package xsnap

import "golang.org/x/sys/unix"

// maxWorkerFiles is the number of descriptors a contained worker may have: its
// nine, and a few that it opens one at a time.
const maxWorkerFiles = 16

// workerLimit is a resource limit of a contained worker.
type workerLimit struct {
	name     string
	resource int
	value    uint64
}

// workerLimits leaves RLIMIT_STACK alone: it decides when the engine reports a
// stack overflow.
func workerLimits(addressSpace uint64) []workerLimit {
	return []workerLimit{
		{"core dumps", unix.RLIMIT_CORE, 0},
		{"sizes of files", unix.RLIMIT_FSIZE, 0}, // pipes have none
		{"processes", unix.RLIMIT_NPROC, 0},      // does not bind root; the filter does
		{"locked memory", unix.RLIMIT_MEMLOCK, 0},
		{"message queues", unix.RLIMIT_MSGQUEUE, 0},
		{"open files", unix.RLIMIT_NOFILE, maxWorkerFiles},
		{"memory", unix.RLIMIT_AS, addressSpace},
	}
}

// lowered never raises what this process itself is held to.
func (l workerLimit) lowered() unix.Rlimit {
	var own unix.Rlimit
	if err := unix.Getrlimit(l.resource, &own); err == nil && own.Max < l.value {
		return own
	}
	return unix.Rlimit{Cur: l.value, Max: l.value}
}
