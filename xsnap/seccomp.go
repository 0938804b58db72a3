package xsnap

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// argTest compares one argument of a system call: argument & mask with want.
type argTest struct {
	arg    int
	mask   uint64
	want   uint64
	differ bool // must differ from want; then mask must lie within one half
}

// syscallRule admits a system call if every test holds. Several rules for one
// call are alternatives. What no rule admits is refused.
type syscallRule struct {
	nr    uint32
	name  string
	why   string
	tests []argTest
}

// Verdicts. A refusal is EPERM and not the worker's death: the C library asks
// for optional things, and what it asks for changes with its version; a death
// would be retried and end in a panic of the whole supervisor. Numbers the
// table's author could not know get ENOSYS, so that a newer C library falls
// back as it does on an older kernel. Only a foreign call interface kills: the
// table says nothing about it, and no engine has a reason to use it.
const (
	verdictAllow   = unix.SECCOMP_RET_ALLOW
	verdictRefuse  = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	verdictUnknown = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
	verdictKill    = unix.SECCOMP_RET_KILL_PROCESS
)

// Offsets in struct seccomp_data; the arguments are little-endian.
const (
	dataNumber = 0
	dataArch   = 4
	dataArgs   = 16
)

const (
	allBits  = 1<<64 - 1
	highHalf = 1<<64 - 1<<32
)

func equals(arg int, want uint64) argTest { return argTest{arg: arg, mask: allBits, want: want} }

// onlyBits admits no bit of an int argument but those given; the kernel does
// not look at the upper half of an int.
func onlyBits(arg int, allowed uint64) argTest {
	return argTest{arg: arg, mask: 0xffffffff &^ allowed}
}

// intEquals compares an int argument.
func intEquals(arg int, want uint32) argTest {
	return argTest{arg: arg, mask: 0xffffffff, want: uint64(want)}
}

// compileFilter makes the BPF program of a table whose rules for one system
// call stand together.
func compileFilter(rules []syscallRule) ([]unix.SockFilter, error) {
	prog := []unix.SockFilter{
		loadWord(dataArch),
		jump(unix.BPF_JEQ, auditArch, 1, 0),
		ret(verdictKill),
		loadWord(dataNumber),
		jump(unix.BPF_JGE, foreignNumbers, 0, 1),
		ret(verdictKill),
	}
	for len(rules) > 0 {
		n := 1
		for n < len(rules) && rules[n].nr == rules[0].nr {
			n++
		}
		body := compileAlternatives(rules[:n])
		if len(body) > 255 {
			return nil, fmt.Errorf("the rules for %s are too long", rules[0].name)
		}
		prog = append(prog, jump(unix.BPF_JEQ, rules[0].nr, 0, uint8(len(body))))
		prog = append(prog, body...)
		rules = rules[n:]
	}
	return append(prog,
		jump(unix.BPF_JGE, firstUnknownNumber, 0, 1),
		ret(verdictUnknown),
		ret(verdictRefuse),
	), nil
}

// launchFilters are the filters that launched engines enter.
type launchFilters struct {
	worker, zygote []unix.SockFilter
}

func compileFilters(gate uintptr) (f launchFilters, err error) {
	if f.worker, err = compileFilter(engineSyscalls(gate)); err != nil {
		return f, err
	}
	f.zygote, err = compileFilter(zygoteSyscalls(gate))
	return f, err
}

func (f launchFilters) of(o launch) []unix.SockFilter {
	if o.zygote {
		return f.zygote
	}
	return f.worker
}

// compileAlternatives always returns from the filter.
func compileAlternatives(rules []syscallRule) (body []unix.SockFilter) {
	for _, rule := range rules {
		if len(rule.tests) == 0 {
			return append(body, ret(verdictAllow))
		}
		body = append(body, compileTests(rule.tests)...)
	}
	return append(body, ret(verdictRefuse))
}

// compileTests admits the call, or falls through to what comes behind it.
func compileTests(tests []argTest) (code []unix.SockFilter) {
	var fails []int // jumps whose target is the end
	for _, t := range tests {
		for half := range 2 {
			shift := 32 * half
			mask, want := uint32(t.mask>>shift), uint32(t.want>>shift)
			if mask == 0 {
				continue
			}
			code = append(code, loadWord(uint32(dataArgs+8*t.arg+4*half)))
			if mask != ^uint32(0) {
				code = append(code, unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: mask})
			}
			fails = append(fails, len(code))
			code = append(code, jump(unix.BPF_JEQ, want, 0, 0))
		}
	}
	code = append(code, ret(verdictAllow))
	i := 0
	for _, t := range tests {
		for half := range 2 {
			if uint32(t.mask>>(32*half)) == 0 {
				continue
			}
			at := fails[i]
			i++
			distance := uint8(len(code) - at - 1)
			if t.differ {
				code[at].Jt = distance
			} else {
				code[at].Jf = distance
			}
		}
	}
	return code
}

func loadWord(offset uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
}

func jump(op uint16, k uint32, yes, no uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | op | unix.BPF_K, Jt: yes, Jf: no, K: k}
}

func ret(verdict uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: verdict}
}
