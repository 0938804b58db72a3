package xsnap

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// hostMemory is how the kernel of this machine gives out memory.
type hostMemory struct {
	strict    bool   // vm.overcommit_memory is 2
	committed uint64 // bytes that may still be promised, if strict
	total     uint64 // bytes of memory and swap
}

// readHostMemory reads proc, which is /proc. What cannot be read is taken for
// plenty: then there is nothing to hold against anybody.
func readHostMemory(proc string) hostMemory {
	mode, _ := os.ReadFile(filepath.Join(proc, "sys/vm/overcommit_memory"))
	text, _ := os.ReadFile(filepath.Join(proc, "meminfo"))
	info := map[string]uint64{}
	for line := range strings.Lines(string(text)) {
		name, rest, _ := strings.Cut(line, ":")
		number, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
		if kib, err := strconv.ParseUint(strings.TrimSpace(number), 10, 54); err == nil {
			info[name] = kib << 10
		}
	}
	m := hostMemory{strict: strings.TrimSpace(string(mode)) == "2", total: info["MemTotal"] + info["SwapTotal"]}
	if limit, used := info["CommitLimit"], info["Committed_AS"]; limit > used {
		m.committed = limit - used
	}
	return m
}

// why tells why an allocation that the engine admits may be refused, or nothing.
func (m hostMemory) why() string {
	switch {
	case m.strict && m.committed < MinAddressSpaceBytes:
		return fmt.Sprintf("the kernel promises no more memory than it has (vm.overcommit_memory is 2), and that was down to %d bytes", m.committed)
	case m.total > 0 && m.total < engineMemoryBytes:
		return fmt.Sprintf("this machine has %d bytes of memory and swap, less than the %d that the engine can use", m.total, uint64(engineMemoryBytes))
	}
	return ""
}

// engineMemoryBytes is what a machine of the engine holds at most
// (allocationLimit in xsnapPlatform.c).
const engineMemoryBytes = 2 << 30

// CheckHost tells, at the start, what of this process's own limits and this
// machine's memory would make workers with these limits end otherwise than on
// other nodes: err (a *HostLimitError) is what forbids to start any, warnings
// are what may come to matter.
func (l Limits) CheckHost(policy Sandbox) (warnings []string, err error) {
	addressSpace, err := l.addressSpace()
	if err != nil {
		return nil, err
	}
	if why := readHostMemory("/proc").why(); why != "" {
		warnings = append(warnings, "vats that use much memory cannot be judged here: "+why)
	}
	settleStack()
	return warnings, checkHost(addressSpace, policy == SandboxOff || !haveLauncher)
}
