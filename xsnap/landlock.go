package xsnap

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What Landlock can hold back, by version of its interface.
const (
	landlockFSv1 = 1<<13 - 1 // LANDLOCK_ACCESS_FS_EXECUTE to _MAKE_SYM
	landlockFSv2 = unix.LANDLOCK_ACCESS_FS_REFER
	landlockFSv3 = unix.LANDLOCK_ACCESS_FS_TRUNCATE
	landlockFSv5 = unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	landlockNet  = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP                  // version 4
	landlockScop = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL                     // version 6
	accessRead   = unix.LANDLOCK_ACCESS_FS_READ_FILE                                                         // a library
	accessRun    = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_EXECUTE                       // the engine, its loader
	loaderCache  = "/etc/ld.so.cache"                                                                        // where its libraries are
	selfMaps     = "/proc/self/maps"                                                                         // the engine's own memory map
	rulesetBytes = unsafe.Offsetof(unix.LandlockRulesetAttr{}.Scoped) + unsafe.Sizeof(uint64(0))             // as of version 6
	rulesetNetV4 = unsafe.Offsetof(unix.LandlockRulesetAttr{}.Handled_access_net) + unsafe.Sizeof(uint64(0)) // as of version 4
	rulesetFSv1  = unsafe.Sizeof(uint64(0))                                                                  // the first field alone
)

// landlockAttr holds everything back that version abi can.
func landlockAttr(abi int) (attr unix.LandlockRulesetAttr, size uintptr) {
	attr.Handled_access_fs, size = landlockFSv1, rulesetFSv1
	if abi >= 2 {
		attr.Handled_access_fs |= landlockFSv2
	}
	if abi >= 3 {
		attr.Handled_access_fs |= landlockFSv3
	}
	if abi >= 4 {
		attr.Handled_access_net, size = landlockNet, rulesetNetV4
	}
	if abi >= 5 {
		attr.Handled_access_fs |= landlockFSv5
	}
	if abi >= 6 {
		attr.Scoped, size = landlockScop, rulesetBytes
	}
	return attr, size
}

// newRuleset admits the files of an engine; the caller closes it. It is made
// anew for each worker, so that a library replaced by its package is found,
// and because each worker adds its own memory map.
func newRuleset(abi int, files engineFiles) (fd int, err error) {
	attr, size := landlockAttr(abi)
	r, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), size, 0)
	if errno != 0 {
		return -1, fmt.Errorf("cannot create a Landlock ruleset: %w", errno)
	}
	fd = int(r)
	if err := files.admit(fd); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func (f engineFiles) admit(ruleset int) error {
	for _, path := range f.run {
		if err := admit(ruleset, path, accessRun); err != nil {
			return err
		}
	}
	for _, path := range f.read {
		if err := admit(ruleset, path, accessRead); err != nil {
			return err
		}
	}
	if err := admit(ruleset, loaderCache, accessRead); err != nil && !errors.Is(err, unix.ENOENT) {
		return err
	}
	return nil
}

func admit(ruleset int, path string, access uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("cannot open %s, which the engine needs: %w", path, err)
	}
	defer unix.Close(fd)
	rule := unix.LandlockPathBeneathAttr{Allowed_access: access, Parent_fd: int32(fd)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(ruleset), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0)
	runtime.KeepAlive(&rule)
	if errno != 0 {
		return fmt.Errorf("cannot admit %s to the engine: %w", path, errno)
	}
	return nil
}
