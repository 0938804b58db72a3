package xsnap

import (
	"fmt"
	"runtime"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Sandbox is the policy of containing a worker; docs/containment.md says what
// is held back and how. It is a value for command line flags too.
type Sandbox int

const (
	// SandboxOff starts a worker with an empty environment and its pipes only,
	// and holds nothing else back. It takes any program as the engine.
	SandboxOff Sandbox = iota
	// SandboxAuto holds back what this kernel can hold back.
	SandboxAuto
	// SandboxRequire starts no worker where the kernel lacks a feature.
	SandboxRequire
)

// DefaultAddressSpaceBytes is the memory ceiling of a contained worker if
// Limits sets none: MinAddressSpaceBytes and ample room.
const DefaultAddressSpaceBytes = 8 << 30

// MaxAddressSpaceBytes keeps a contained worker from exhausting its virtual
// addresses, on which the gate (see gate.go) relies.
const MaxAddressSpaceBytes = 1 << 40

var sandboxNames = [...]string{SandboxOff: "off", SandboxAuto: "auto", SandboxRequire: "require"}

// ParseSandbox reads "off", "auto" or "require".
func ParseSandbox(text string) (Sandbox, error) {
	for policy, name := range sandboxNames {
		if text == name {
			return Sandbox(policy), nil
		}
	}
	return SandboxOff, fmt.Errorf("sandbox policy %q is not one of off, auto, require", text)
}

func (s Sandbox) String() string {
	if s < 0 || int(s) >= len(sandboxNames) {
		return fmt.Sprintf("Sandbox(%d)", int(s))
	}
	return sandboxNames[s]
}

// Set makes *Sandbox a flag's value.
func (s *Sandbox) Set(text string) (err error) {
	*s, err = ParseSandbox(text)
	return err
}

// Type is what a flag's help calls the value.
func (s *Sandbox) Type() string { return "policy" }

// Check reports, once at the start, what this kernel can hold back: under auto
// it logs a line for each thing it cannot, under require they are a *SandboxError.
func (s Sandbox) Check(log func(line string)) error {
	return s.check(DetectSandbox(), log)
}

func (s Sandbox) check(support SandboxSupport, log func(line string)) error {
	if s == SandboxOff {
		return nil
	}
	if s == SandboxRequire {
		return support.Require()
	}
	for _, missing := range support.missing() {
		if log != nil {
			log("workers are contained only in part: this system lacks " + missing)
		}
	}
	return nil
}

// SandboxError tells that containment was required and cannot be had.
type SandboxError struct {
	Missing []string // what the kernel or this build lacks, for people
}

func (e *SandboxError) Error() string {
	return fmt.Sprintf("cannot contain workers fully: this system lacks %s; use a Linux kernel of 5.13 or later with seccomp and Landlock enabled, or allow less with --sandbox auto",
		strings.Join(e.Missing, ", "))
}

// SandboxSupport is what can be used for containment on this system.
type SandboxSupport struct {
	Launcher    bool // this build can run code between fork and exec
	Seccomp     bool
	LandlockABI int // 0 if there is none
}

// DetectSandbox asks the kernel; it changes nothing.
func DetectSandbox() SandboxSupport {
	return SandboxSupport{Launcher: haveLauncher, Seccomp: detectSeccomp(), LandlockABI: detectLandlock()}
}

// Require returns a *SandboxError if something is missing.
func (s SandboxSupport) Require() error {
	if missing := s.missing(); len(missing) > 0 {
		return &SandboxError{Missing: missing}
	}
	return nil
}

// missing lists, for people, what there is no support for and what it is for.
func (s SandboxSupport) missing() (missing []string) {
	if !s.Launcher {
		missing = append(missing, "support in vatworkerd for "+runtime.GOARCH)
	}
	if !s.Seccomp {
		missing = append(missing, "seccomp filters (CONFIG_SECCOMP_FILTER)")
	}
	if s.LandlockABI < 1 {
		missing = append(missing, "Landlock (CONFIG_SECURITY_LANDLOCK, lsm=landlock)")
	}
	return missing
}

func (s SandboxSupport) String() string {
	if missing := s.missing(); missing != nil {
		return "this system lacks " + strings.Join(missing, ", ")
	}
	return "this system has what it takes"
}

// detectSeccomp asks for the one action that is not in the oldest interface.
func detectSeccomp() bool {
	action := uint32(unix.SECCOMP_RET_KILL_PROCESS)
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&action)))
	return errno == 0
}

func detectLandlock() int {
	abi, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0
	}
	return int(abi)
}

// addressSpace is the ceiling of a contained worker in bytes.
func (l Limits) addressSpace() (uint64, error) {
	if l.AddressSpaceBytes == 0 {
		return DefaultAddressSpaceBytes, nil
	}
	if l.AddressSpaceBytes > MaxAddressSpaceBytes {
		return 0, fmt.Errorf("address space limit of %d bytes is too large for a contained worker: at most %d", l.AddressSpaceBytes, uint64(MaxAddressSpaceBytes))
	}
	return l.AddressSpaceBytes, nil
}
