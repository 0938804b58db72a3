package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"vatworkerd/cmd/vatworkerd/internal/screen"
)

// A worker takes this many descriptors of the daemon at most, besides its own.
const (
	descriptorsPerWorker = 8
	descriptorsElse      = 64
)

func (a *app) checkDescriptors() finding {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return found("descriptors", "", err)
	}
	need := uint64(descriptorsPerWorker*max(a.pool.maxOnline, 1) + descriptorsElse)
	detail := fmt.Sprintf("%d may be open, %d workers need up to %d", limit.Max, a.pool.maxOnline, need)
	if limit.Max < need {
		return finding{Check: "descriptors", Detail: detail, Hint: "raise the limit (ulimit -n), or lower --max-online"}
	}
	return found("descriptors", detail, nil)
}

// processesElse are the threads, which count as processes do, of the kernel host and
// of the daemon, and node; a worker is one process with one thread.
const processesElse = 128

// checkProcesses looks at the two limits that there are: the user's, which does not
// bind root, and the control group's.
func (p *poolFlags) checkProcesses(group cgroup) finding {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NPROC, &limit); err != nil {
		return found("processes", "", err)
	}
	most := limit.Max
	if os.Geteuid() == 0 {
		most = math.MaxUint64
	}
	return p.judgeProcesses(min(most, group.limit("pids", "pids.max", "pids.max")))
}

func (p *poolFlags) judgeProcesses(most uint64) finding {
	need := uint64(p.maxOnline + p.spares + processesElse)
	if most == math.MaxUint64 {
		return found("processes", "there is no limit", nil)
	}
	detail := fmt.Sprintf("%s may run, with %d workers up to %d do", screen.Count(int64(min(most, math.MaxInt64))), p.maxOnline, need)
	if most < need {
		return finding{Check: "processes", Detail: detail, Hint: "raise the limit (ulimit -u, TasksMax= of systemd, --pids-limit of a container), or lower --max-online"}
	}
	return found("processes", detail, nil)
}

func checkKernel() finding {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return found("kernel", "", fmt.Errorf("cannot ask the kernel for its version: %w", err))
	}
	text := func(field [65]byte) string { return unix.ByteSliceToString(field[:]) }
	return found("kernel", fmt.Sprintf("%s %s, %s, %s", text(name.Sysname), text(name.Release), text(name.Machine), screen.Plural(int64(runtime.NumCPU()), "CPU")), nil)
}

// totalMemory is what this process and its children may have of this machine's memory.
func totalMemory(group cgroup) (uint64, error) {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0, fmt.Errorf("cannot read how much memory there is: %w", err)
	}
	return min(info.Totalram*uint64(info.Unit), group.limit("memory", "memory.max", "memory.limit_in_bytes")), nil
}

// cgroup finds limits of this process's control groups.
type cgroup struct {
	mounts string // where they are, usually /sys/fs/cgroup
	own    string // the file that names them, usually /proc/self/cgroup
}

func ownCgroup() cgroup { return cgroup{mounts: "/sys/fs/cgroup", own: "/proc/self/cgroup"} }

// limit is the lowest one of the group and of those around it, as the file of the
// second version of control groups, or that of the first one, says it; without any
// it is math.MaxUint64. A file that cannot be read limits nothing that is known.
func (c cgroup) limit(controller, file, fileV1 string) uint64 {
	text, err := os.ReadFile(c.own)
	if err != nil {
		return math.MaxUint64
	}
	lowest := uint64(math.MaxUint64)
	for line := range strings.Lines(string(text)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3) // number:controllers:path
		switch {
		case len(fields) != 3:
		case fields[1] == "":
			lowest = min(lowest, lowestAbove(c.mounts, fields[2], file))
		case fields[1] == controller:
			lowest = min(lowest, lowestAbove(filepath.Join(c.mounts, controller), fields[2], fileV1))
		}
	}
	return lowest
}

func lowestAbove(mount, path, file string) uint64 {
	lowest := uint64(math.MaxUint64)
	for {
		text, err := os.ReadFile(filepath.Join(mount, path, file))
		if n, bad := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64); err == nil && bad == nil {
			lowest = min(lowest, n)
		}
		if path == "/" || path == "." {
			return lowest
		}
		path = filepath.Dir(path)
	}
}
