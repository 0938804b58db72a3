package xsnap

import "golang.org/x/sys/unix"

const (
	auditArch = unix.AUDIT_ARCH_X86_64
	// foreignNumbers is where the x32 interface begins.
	foreignNumbers = 0x40000000
	// firstUnknownNumber is above every system call known to this table's author.
	firstUnknownNumber = unix.SYS_RSEQ_SLICE_YIELD + 1
)

// Bits a mapping may have. MAP_SHARED, MAP_32BIT, MAP_GROWSDOWN, huge pages and
// locking are not among them.
const (
	mapPlain      = unix.MAP_PRIVATE | unix.MAP_FIXED | unix.MAP_DENYWRITE | unix.MAP_NORESERVE | unix.MAP_STACK
	protPlain     = unix.PROT_READ | unix.PROT_WRITE
	protCode      = unix.PROT_READ | unix.PROT_EXEC
	openPlain     = unix.O_CLOEXEC | unix.O_LARGEFILE | unix.O_NOCTTY
	mremapPlain   = unix.MREMAP_MAYMOVE
	archSetFS     = 0x1002 // ARCH_SET_FS of asm/prctl.h
	forkSibling   = unix.CLONE_PARENT | uint64(unix.SIGCHLD)
	fcntlGetFlags = unix.F_GETFL
)

// engineSyscalls is what a contained worker may ask of the kernel: what a stock
// xsnap-worker was seen to use over its whole life (observed), what the same C
// library calls need on machines where they take another way (fallback), and
// the execve that starts it, which works only from the gate.
func engineSyscalls(gate uintptr) []syscallRule {
	start := argTest{arg: 0, mask: highHalf, differ: true} // at 4 GiB or above
	anywhere := equals(0, 0)
	plain := onlyBits(2, protPlain)
	code := onlyBits(2, protCode)
	anonymous := onlyBits(3, mapPlain|unix.MAP_ANONYMOUS)
	ofFile := onlyBits(3, mapPlain)
	return []syscallRule{
		{unix.SYS_READ, "read", "observed: commands, snapshots, libraries", nil},
		{unix.SYS_WRITE, "write", "observed: replies, snapshots, messages", nil},
		{unix.SYS_CLOSE, "close", "observed", nil},
		{unix.SYS_OPENAT, "openat", "observed: libraries and, at every parse, /proc/self/maps for the stack's limit; for reading only, and Landlock says which", []argTest{onlyBits(2, openPlain)}},
		{unix.SYS_NEWFSTATAT, "newfstatat", "observed: size and kind of an open file", nil},
		{unix.SYS_FSTAT, "fstat", "fallback: newfstatat of other C libraries", nil},
		{unix.SYS_PRLIMIT64, "prlimit64", "observed: reads the worker's own limits (the stack's)", []argTest{intEquals(0, 0), equals(2, 0)}},
		{unix.SYS_GETRLIMIT, "getrlimit", "fallback: prlimit64 of other C libraries", nil},
		{unix.SYS_SCHED_GETAFFINITY, "sched_getaffinity", "observed: part of asking for the stack's limit", nil},
		{unix.SYS_MMAP, "mmap", "observed: memory and libraries; private, never below 4 GiB where asked for a place, never writable code, no code but a file's", []argTest{anywhere, plain, anonymous}},
		{unix.SYS_MMAP, "mmap", "", []argTest{start, plain, anonymous}},
		{unix.SYS_MMAP, "mmap", "", []argTest{anywhere, code, ofFile}},
		{unix.SYS_MMAP, "mmap", "", []argTest{start, code, ofFile}},
		{unix.SYS_MPROTECT, "mprotect", "observed: memory; never makes code", []argTest{plain}},
		{unix.SYS_MUNMAP, "munmap", "observed", nil},
		{unix.SYS_MREMAP, "mremap", "fallback: realloc of a large block; never to a place of the caller's choice", []argTest{onlyBits(3, mremapPlain)}},
		{unix.SYS_BRK, "brk", "observed: malloc", nil},
		{unix.SYS_MADVISE, "madvise", "observed: malloc asks for huge pages", nil},
		{unix.SYS_PREAD64, "pread64", "observed: libraries", nil},
		{unix.SYS_LSEEK, "lseek", "observed: after reading a snapshot", nil},
		{unix.SYS_WRITEV, "writev", "fallback: last words of the C library", nil},
		{unix.SYS_DUP, "dup", "observed: a snapshot's descriptor", nil},
		{unix.SYS_FCNTL, "fcntl", "observed: reads and sets the mode of a descriptor (append, for snapshots)", []argTest{intEquals(1, fcntlGetFlags)}},
		{unix.SYS_FCNTL, "fcntl", "", []argTest{intEquals(1, unix.F_SETFL)}},
		{unix.SYS_FCNTL, "fcntl", "", []argTest{intEquals(1, unix.F_GETFD)}},
		{unix.SYS_IOCTL, "ioctl", "fallback: whether an output is a terminal", []argTest{intEquals(1, unix.TCGETS)}},
		{unix.SYS_SELECT, "select", "fallback: waits for a command (builds with timers)", nil},
		{unix.SYS_PSELECT6, "pselect6", "fallback: select of other C libraries", nil},
		{unix.SYS_RT_SIGACTION, "rt_sigaction", "observed: SIGPIPE", nil},
		{unix.SYS_RT_SIGPROCMASK, "rt_sigprocmask", "fallback: longjmp and abort of the C library", nil},
		{unix.SYS_RT_SIGRETURN, "rt_sigreturn", "fallback: the end of a signal handler", nil},
		{unix.SYS_FUTEX, "futex", "fallback: a mutex of the C library", nil},
		{unix.SYS_CLOCK_GETTIME, "clock_gettime", "fallback: where the time cannot be read without the kernel", nil},
		{unix.SYS_GETTIMEOFDAY, "gettimeofday", "fallback: as clock_gettime", nil},
		{unix.SYS_TIME, "time", "fallback: as clock_gettime", nil},
		{unix.SYS_SYSINFO, "sysinfo", "fallback: qsort asks for the size of memory and sorts otherwise without", nil},
		{unix.SYS_GETRANDOM, "getrandom", "observed: malloc at its start", nil},
		{unix.SYS_ARCH_PRCTL, "arch_prctl", "observed: thread register at the start", []argTest{intEquals(0, archSetFS)}},
		{unix.SYS_SET_TID_ADDRESS, "set_tid_address", "observed: C library at its start", nil},
		{unix.SYS_SET_ROBUST_LIST, "set_robust_list", "observed: C library at its start", nil},
		{unix.SYS_RSEQ, "rseq", "observed: C library at its start", nil},
		{unix.SYS_EXIT, "exit", "fallback: as exit_group", nil},
		{unix.SYS_EXIT_GROUP, "exit_group", "observed", nil},
		{unix.SYS_EXECVE, "execve", "starts the engine; works only with the path at the gate, where the engine can never have memory", []argTest{equals(0, uint64(gate))}},
	}
}

// zygoteSyscalls is what a contained zygote may ask besides. It runs no code of
// any vat; each worker it forks enters the filter of forkedSyscalls, on top of
// this one, before it reads its first message.
func zygoteSyscalls(gate uintptr) []syscallRule {
	return append(engineSyscalls(gate), []syscallRule{
		{unix.SYS_RECVMSG, "recvmsg", "requests, with a new worker's descriptors", nil},
		{unix.SYS_CLONE, "clone", "a new worker, as vatworkerd's child; no thread, nothing shared", []argTest{equals(0, forkSibling)}},
		{unix.SYS_DUP3, "dup3", "connects its descriptors", nil},
		{unix.SYS_GETPPID, "getppid", "finds vatworkerd alive", nil},
		{unix.SYS_SETPGID, "setpgid", "a process group of its own", []argTest{intEquals(0, 0), intEquals(1, 0)}},
		{unix.SYS_PRCTL, "prctl", "dies with vatworkerd", []argTest{intEquals(0, unix.PR_SET_PDEATHSIG)}},
		{unix.SYS_SECCOMP, "seccomp", "enters the filter below", []argTest{intEquals(0, unix.SECCOMP_SET_MODE_FILTER)}},
	}...)
}

// forkedSyscalls is what a worker forked by a zygote may ask: it has its
// program, its libraries, its heap and its stack's limit already.
func forkedSyscalls() []syscallRule {
	plain, anonymous := onlyBits(2, protPlain), onlyBits(3, mapPlain|unix.MAP_ANONYMOUS)
	return []syscallRule{
		{unix.SYS_READ, "read", "requests", nil},
		{unix.SYS_WRITE, "write", "snapshots, what the vat prints", nil},
		{unix.SYS_WRITEV, "writev", "replies", nil},
		{unix.SYS_MMAP, "mmap", "memory", []argTest{equals(0, 0), plain, anonymous}},
		{unix.SYS_MPROTECT, "mprotect", "memory", []argTest{plain}},
		{unix.SYS_MUNMAP, "munmap", "memory", nil},
		{unix.SYS_MREMAP, "mremap", "memory", []argTest{onlyBits(3, mremapPlain)}},
		{unix.SYS_MADVISE, "madvise", "huge pages, memory given back", nil},
		{unix.SYS_BRK, "brk", "memory", nil},
		{unix.SYS_FUTEX, "futex", "fallback: a mutex of the C library", nil},
		{unix.SYS_CLOCK_GETTIME, "clock_gettime", "fallback: where the time cannot be read without the kernel", nil},
		{unix.SYS_GETTIMEOFDAY, "gettimeofday", "fallback: as clock_gettime", nil},
		{unix.SYS_TIME, "time", "fallback: as clock_gettime", nil},
		{unix.SYS_SYSINFO, "sysinfo", "fallback: qsort asks for the size of memory and sorts otherwise without", nil},
		{unix.SYS_RT_SIGPROCMASK, "rt_sigprocmask", "fallback: longjmp and abort of the C library", nil},
		{unix.SYS_RT_SIGRETURN, "rt_sigreturn", "the end of a signal handler", nil},
		{unix.SYS_EXIT, "exit", "fallback: as exit_group", nil},
		{unix.SYS_EXIT_GROUP, "exit_group", "the end", nil},
	}
}
