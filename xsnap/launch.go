package xsnap

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// launcher starts contained engines. All but its cache of files is used on the
// Spawner's thread only.
type launcher struct {
	support SandboxSupport
	filters launchFilters
	gate    *gate
	table   *callTable

	mu    sync.Mutex // guards files
	files map[string]knownFiles
}

// knownFiles are the files of an engine as long as its own file is this one.
type knownFiles struct {
	stamp fileStamp
	files engineFiles
}

// launch is one contained worker to be.
type launch struct {
	argv       []string
	child      [fdCount]int
	around     surroundings
	files      engineFiles
	addressMax uint64
	zygote     bool // it may fork, and contain what it forks
}

// launched is a contained worker that runs.
type launched struct {
	pid   int
	pidfd int // -1 where the kernel has none
	maps  int // see pinMaps; -1 without Landlock
	// limited says that workerLimits hold already.
	limited bool
}

func newLauncher(support SandboxSupport) (*launcher, error) {
	l := &launcher{support: support, files: map[string]knownFiles{}}
	var err error
	if l.gate, err = openGate(); err != nil {
		return nil, err
	}
	if l.filters, err = compileFilters(l.gate.address()); err == nil {
		l.table, err = newCallTable()
	}
	if err != nil {
		l.gate.close()
		return nil, err
	}
	return l, nil
}

func (l *launcher) close() {
	l.table.close()
	l.gate.close()
}

// filesOf is safe for concurrent use. The libraries are asked for once.
func (l *launcher) filesOf(path string) (engineFiles, error) {
	stamp, err := stampPath(path)
	if err != nil {
		return engineFiles{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if known, ok := l.files[path]; ok && known.stamp == stamp {
		return known.files, nil
	}
	files, err := findEngineFiles(path)
	if err != nil {
		return engineFiles{}, err
	}
	l.files[path] = knownFiles{stamp, files}
	return files, nil
}

// maxLaunchTries bounds how often a worker is started whose memory map's file
// could not be pinned: that takes memory pressure within microseconds.
const maxLaunchTries = 5

var errMapsMoved = errors.New("the file of its memory map was replaced while it started")

// start runs on the Spawner's thread.
func (l *launcher) start(o launch) (launched, error) {
	var err error
	for range maxLaunchTries {
		var w launched
		if w, err = l.tryStart(o); err == nil {
			return w, nil
		}
		if !errors.Is(err, errMapsMoved) {
			break
		}
	}
	return launched{}, err
}

func (l *launcher) tryStart(o launch) (launched, error) {
	if !l.table.fits(o.argv) {
		return launched{}, unix.E2BIG
	}
	if err := l.gate.put(o.argv[0]); err != nil {
		return launched{}, err
	}
	var extra []int // descriptors that only this start needs
	defer func() {
		for _, fd := range extra {
			_ = unix.Close(fd)
		}
	}()
	ruleset := -1
	if l.support.LandlockABI > 0 {
		var err error
		if ruleset, err = newRuleset(l.support.LandlockABI, o.files); err != nil {
			return launched{}, err
		}
		extra = append(extra, ruleset)
	}
	// The worker's own descriptors are put over 0 to 8, so nothing still needed
	// may be there.
	needed := []*int{&ruleset}
	for i := range o.child {
		needed = append(needed, &o.child[i])
	}
	for _, fd := range needed {
		var err error
		if *fd, err = aboveChild(*fd, &extra); err != nil {
			return launched{}, err
		}
	}
	maps := l.fill(o, ruleset)
	pid, err := l.fork()
	if err != nil {
		return launched{}, err
	}
	return l.adopt(pid, maps)
}

// aboveChild returns fd or a duplicate of it that is none of the worker's.
func aboveChild(fd int, extra *[]int) (int, error) {
	if fd < 0 || fd >= fdCount {
		return fd, nil
	}
	high, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, fdCount)
	if err != nil {
		return -1, err
	}
	*extra = append(*extra, high)
	return high, nil
}

// fork runs the table in a new process and returns when it has executed its
// engine. A process whose table failed is reaped here.
func (l *launcher) fork() (pid int, err error) {
	syscall.ForkLock.Lock()
	defer syscall.ForkLock.Unlock()
	// A signal in the child would run Go's handler on the parent's stack.
	var all, before unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^uint64(0)
	}
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &all, &before); err != nil {
		return 0, err
	}
	const flags = unix.CLONE_VM | unix.CLONE_VFORK | uintptr(unix.SIGCHLD)
	r := forkTable(flags, &l.table.rows[0], uintptr(len(l.table.rows)), l.table.report)
	_ = unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil)
	if int(r) < 0 {
		return 0, fmt.Errorf("cannot fork: %w", unix.Errno(-int(r)))
	}
	if err := l.table.failure(); err != nil {
		reapFailed(int(r))
		return 0, err
	}
	return int(r), nil
}

func reapFailed(pid int) {
	for {
		if _, err := unix.Wait4(pid, nil, 0, nil); err != unix.EINTR {
			return
		}
	}
}

// adopt opens what the parent keeps of a started process.
func (l *launcher) adopt(pid int, maps *unix.Statx_t) (launched, error) {
	w := launched{pid: pid, pidfd: -1, maps: -1, limited: true}
	if maps != nil {
		var err error
		if w.maps, err = pinMaps(pid, maps.Ino); err != nil {
			_ = unix.Kill(pid, unix.SIGKILL)
			reapFailed(pid)
			return launched{}, err
		}
	}
	if fd, err := unix.PidfdOpen(pid, 0); err == nil {
		w.pidfd = fd
	}
	return w, nil
}

// pinMaps holds on to the memory map's file of a worker for as long as the
// worker lives. The engine reads it whenever it parses, to learn its stack's
// limit, and without it takes the stack for endless. The Landlock rule is bound
// to this one incarnation of the file, and memory pressure could replace it.
func pinMaps(pid int, ino uint64) (fd int, err error) {
	fd, err = unix.Open(fmt.Sprintf("/proc/%d/maps", pid), unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("cannot open its memory map: %w", err)
	}
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err == nil && st.Ino != ino {
		err = errMapsMoved
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// fill writes the rows: everything a worker gives up before it runs its engine.
// The order matters: the filter comes last, because it admits only the engine.
func (l *launcher) fill(o launch, ruleset int) (maps *unix.Statx_t) {
	t := l.table
	t.reset()
	l.fillProcess()
	for fd, from := range o.child {
		t.call("connect its descriptors", unix.SYS_DUP3, uintptr(from), uintptr(fd), 0)
	}
	t.call("give up new privileges", unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	if ruleset >= 0 {
		maps = l.fillLandlock(ruleset)
	}
	// All others close by themselves at the execve; an older kernel has no such call.
	t.call("close descriptors", unix.SYS_CLOSE_RANGE, fdCount, uintptr(^uint32(0)), 0).mode = modeMay
	for _, limit := range launchLimits(o) {
		t.call("limit "+limit.name, unix.SYS_PRLIMIT64, 0, uintptr(limit.resource), putIn(t, limit.lowered()), 0)
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	t.call("give up its capabilities", unix.SYS_CAPSET, putIn(t, header), putIn(t, [2]unix.CapUserData{}))
	t.call("unblock signals", unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, putIn(t, unix.Sigset_t{}), 0, unsafe.Sizeof(uint64(0)))
	argv, envp := t.texts(o.argv), t.texts(o.around.env)
	if l.support.Seccomp {
		l.fillSeccomp(l.filters.of(o))
	}
	t.call("execute "+o.argv[0], unix.SYS_EXECVE, l.gate.address(), argv, envp)
	return maps
}

// launchLimits are all limits of a worker. A zygote may have more processes:
// those it forks get the rest of their limits when they are there.
func launchLimits(o launch) []workerLimit {
	limits := workerLimits(o.addressMax)
	if o.zygote {
		limits = slices.DeleteFunc(limits, func(l workerLimit) bool { return l.resource == unix.RLIMIT_NPROC })
	}
	return limits
}

// fillProcess is what syscall.StartProcess does too.
func (l *launcher) fillProcess() {
	t := l.table
	byDefault := putIn(t, [4]uint64{}) // struct sigaction of the kernel
	for signal := uintptr(1); signal <= 64; signal++ {
		if signal != uintptr(unix.SIGKILL) && signal != uintptr(unix.SIGSTOP) {
			t.call("reset signals", unix.SYS_RT_SIGACTION, signal, byDefault, 0, unsafe.Sizeof(uint64(0)))
		}
	}
	t.call("make a process group", unix.SYS_SETPGID, 0, 0)
	t.call("die with its parent", unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0)
	parent := t.call("find its parent alive", unix.SYS_GETPPID)
	parent.mode, parent.want = modeEquals, uintptr(os.Getpid())
	t.call("enter its directory", unix.SYS_CHDIR, t.text("/"))
}

// fillLandlock adds the process's own memory map to the ruleset and enters it.
func (l *launcher) fillLandlock(ruleset int) (maps *unix.Statx_t) {
	t := l.table
	maps = (*unix.Statx_t)(t.take(unsafe.Sizeof(unix.Statx_t{})))
	*maps = unix.Statx_t{}
	rule := (*unix.LandlockPathBeneathAttr)(t.take(unsafe.Sizeof(unix.LandlockPathBeneathAttr{})))
	*rule = unix.LandlockPathBeneathAttr{Allowed_access: accessRead}
	// The rule's descriptor is an int with four bytes of padding behind it: a
	// small result written there as a word is the descriptor.
	fd := uintptr(unsafe.Pointer(&rule.Parent_fd))
	here := unix.AT_FDCWD
	t.call("open "+selfMaps, unix.SYS_OPENAT, uintptr(here), t.text(selfMaps), unix.O_PATH|unix.O_CLOEXEC).out = fd
	t.call("examine "+selfMaps, unix.SYS_STATX, fd, t.text(""), unix.AT_EMPTY_PATH, unix.STATX_INO, uintptr(unsafe.Pointer(maps))).mode = modeMust | modeAt
	t.call("admit "+selfMaps, unix.SYS_LANDLOCK_ADD_RULE, uintptr(ruleset), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(rule)), 0)
	t.call("enter its Landlock domain", unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(ruleset), 0)
	return maps
}

// fillSeccomp enters the filter. SPEC_ALLOW keeps older kernels from turning
// off speculation of loads for the engine, which would slow it down; the filter
// guards the kernel, not secrets in the engine's own memory.
func (l *launcher) fillSeccomp(filter []unix.SockFilter) {
	t := l.table
	size := uintptr(len(filter)) * unsafe.Sizeof(unix.SockFilter{})
	program := unsafe.Slice((*unix.SockFilter)(t.take(size)), len(filter))
	copy(program, filter)
	head := putIn(t, unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
	t.call("enter its system call filter", unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW, head)
}
