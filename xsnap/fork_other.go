//go:build !(linux && amd64)

package xsnap

// The assembly and the table of system calls exist for one architecture; on
// others containment is a gap that SandboxSupport names.
const (
	haveLauncher       = false
	auditArch          = 0
	foreignNumbers     = ^uint32(0)
	firstUnknownNumber = ^uint32(0)
)

func engineSyscalls(uintptr) []syscallRule { return nil }

func zygoteSyscalls(uintptr) []syscallRule { return nil }

func forkedSyscalls() []syscallRule { return nil }

func forkTable(uintptr, *callRow, uintptr, *callReport) uintptr { return ^uintptr(37) } // ENOSYS
