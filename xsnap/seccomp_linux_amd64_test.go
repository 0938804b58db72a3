package xsnap

import (
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// sysCall is struct seccomp_data.
type sysCall struct {
	nr, arch uint32
	args     [6]uint64
}

func (c sysCall) word(offset uint32) uint32 {
	switch {
	case offset == dataNumber:
		return c.nr
	case offset == dataArch:
		return c.arch
	}
	i := (offset - dataArgs) / 4
	return uint32(c.args[i/2] >> (32 * (i % 2)))
}

// verdictOf runs a filter as the kernel does.
func verdictOf(t interface{ Fatalf(string, ...any) }, prog []unix.SockFilter, c sysCall) uint32 {
	var a uint32
	for pc := 0; pc < len(prog); pc++ {
		i := prog[pc]
		yes := false
		switch i.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			a = c.word(i.K)
			continue
		case unix.BPF_ALU | unix.BPF_AND | unix.BPF_K:
			a &= i.K
			continue
		case unix.BPF_RET | unix.BPF_K:
			return i.K
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			yes = a == i.K
		case unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K:
			yes = a >= i.K
		default:
			t.Fatalf("instruction %d has the unknown code %#x", pc, i.Code)
		}
		if yes {
			pc += int(i.Jt)
		} else {
			pc += int(i.Jf)
		}
	}
	t.Fatalf("the filter ends without a verdict")
	return 0
}

// judge says what the table means, without any BPF.
func judge(rules []syscallRule, c sysCall) uint32 {
	if c.arch != auditArch || c.nr >= foreignNumbers {
		return verdictKill
	}
	for _, r := range rules {
		if r.nr == c.nr && !slices.ContainsFunc(r.tests, func(a argTest) bool { return (c.args[a.arg]&a.mask == a.want) == a.differ }) {
			return verdictAllow
		}
	}
	known := slices.ContainsFunc(rules, func(r syscallRule) bool { return r.nr == c.nr })
	if c.nr >= firstUnknownNumber && !known {
		return verdictUnknown
	}
	return verdictRefuse
}

// TestFilterIsTheTable compares the programs with the tables on random calls.
func TestFilterIsTheTable(t *testing.T) {
	for name, rules := range map[string][]syscallRule{
		"engine": engineSyscalls(gateLow), "zygote": zygoteSyscalls(gateLow), "forked": forkedSyscalls(),
	} {
		t.Run(name, func(t *testing.T) { compareFilter(t, rules) })
	}
}

func compareFilter(t *testing.T, rules []syscallRule) {
	prog, err := compileFilter(rules)
	if err != nil {
		t.Fatal(err)
	}
	words := []uint64{0, 1, 2, 3, 4, 5, 7, 0x22, 0x802, 0x812, gateLow, gateLow - 4096, 1 << 32, 1<<32 | gateLow, 1<<47 - 4096, allBits, archSetFS, forkSibling, unix.PR_SET_PDEATHSIG, unix.TCGETS, unix.O_CLOEXEC, unix.O_CREAT}
	rapid.Check(t, func(t *rapid.T) {
		c := sysCall{nr: uint32(rapid.IntRange(0, 600).Draw(t, "nr")), arch: auditArch}
		if rapid.IntRange(0, 20).Draw(t, "odd") == 0 {
			c.arch = rapid.Uint32().Draw(t, "arch")
		}
		if rapid.IntRange(0, 2).Draw(t, "listed") > 0 {
			c.nr = rapid.SampledFrom(rules).Draw(t, "rule").nr
		}
		for i := range c.args {
			c.args[i] = rapid.OneOf(rapid.SampledFrom(words), rapid.Uint64()).Draw(t, "arg")
		}
		if got, want := verdictOf(t, prog, c), judge(rules, c); got != want {
			t.Fatalf("%+v: the filter says %#x, the table %#x", c, got, want)
		}
	})
}

// TestFilterRefusesTheRest lists what must never come into the table by chance.
func TestFilterRefusesTheRest(t *testing.T) {
	prog, err := compileFilter(engineSyscalls(gateLow))
	if err != nil {
		t.Fatal(err)
	}
	for name, nr := range map[string]uint32{
		"socket": unix.SYS_SOCKET, "connect": unix.SYS_CONNECT, "sendmsg": unix.SYS_SENDMSG, "fork": unix.SYS_FORK, "clone": unix.SYS_CLONE,
		"clone3": unix.SYS_CLONE3, "execveat": unix.SYS_EXECVEAT, "ptrace": unix.SYS_PTRACE, "kill": unix.SYS_KILL, "tgkill": unix.SYS_TGKILL,
		"prctl": unix.SYS_PRCTL, "seccomp": unix.SYS_SECCOMP, "setuid": unix.SYS_SETUID, "unlink": unix.SYS_UNLINK, "open": unix.SYS_OPEN,
		"openat2": unix.SYS_OPENAT2, "io_uring_setup": unix.SYS_IO_URING_SETUP, "bpf": unix.SYS_BPF, "userfaultfd": unix.SYS_USERFAULTFD,
		"memfd_create": unix.SYS_MEMFD_CREATE, "setrlimit": unix.SYS_SETRLIMIT, "remap_file_pages": unix.SYS_REMAP_FILE_PAGES, "shmat": unix.SYS_SHMAT,
	} {
		if got := verdictOf(t, prog, sysCall{nr: nr, arch: auditArch}); got != verdictRefuse {
			t.Errorf("%s: got %#x", name, got)
		}
	}
}

// TestTableIsDocumented keeps docs/containment.md in step with the tables.
func TestTableIsDocumented(t *testing.T) {
	doc, err := os.ReadFile("../docs/containment.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, rules := range [][]syscallRule{zygoteSyscalls(gateLow), forkedSyscalls()} {
		for i, r := range rules {
			if r.why == "" { // an alternative of the rule before
				if prior := rules[i-1]; prior.nr != r.nr {
					t.Errorf("%s has no reason", r.name)
				}
				continue
			}
			if row := "| `" + r.name + "` | " + r.why + " |"; !strings.Contains(string(doc), row) {
				t.Errorf("docs/containment.md lacks the row:\n%s", row)
			}
		}
	}
}
