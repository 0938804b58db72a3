package soak

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// MountDisk gives dir a disk of its own, in memory, that may be filled up. It
// needs the right to mount; unmount gives the memory back.
func MountDisk(dir string, bytes int64) (unmount func() error, err error) {
	if err := unix.Mount("soak", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, fmt.Sprintf("size=%d,mode=700", bytes)); err != nil {
		return nil, fmt.Errorf("cannot mount a disk of its own: %w", err)
	}
	return func() error { return unix.Unmount(dir, unix.MNT_DETACH) }, nil
}
