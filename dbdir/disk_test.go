package dbdir

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// disk is a real file system of its own, for real faults.
type disk struct {
	t     testing.TB
	at    string // where it is mounted
	image string // the file it lies in; empty = tmpfs
}

// notMounted skips a test that needs a file system of its own, loudly: it must
// not be taken for one that passed.
func notMounted(t testing.TB, what string, err error) {
	t.Helper()
	t.Skipf("DISK FAULTS ARE NOT TESTED HERE: cannot mount %s (%v); run this test as root", what, err)
}

// newTmpfs mounts a file system in memory that holds so many bytes.
func newTmpfs(t testing.TB, bytes int64) *disk {
	t.Helper()
	d := &disk{t: t, at: t.TempDir()}
	if err := unix.Mount("tmpfs", d.at, "tmpfs", 0, sizeOption(bytes)); err != nil {
		notMounted(t, "a tmpfs", err)
	}
	t.Cleanup(d.remove)
	return d
}

func sizeOption(bytes int64) string { return fmt.Sprintf("mode=0700,size=%d", bytes) }

// resize changes how many bytes a tmpfs holds.
func (d *disk) resize(bytes int64) {
	d.t.Helper()
	must(d.t, unix.Mount("", d.at, "", unix.MS_REMOUNT, sizeOption(bytes)))
}

// used gives how many bytes are taken.
func (d *disk) used() int64 {
	d.t.Helper()
	var stat unix.Statfs_t
	must(d.t, unix.Statfs(d.at, &stat))
	return int64(stat.Blocks-stat.Bfree) * stat.Bsize
}

// newExt4 mounts an ext4 that lies in a file, and becomes read-only after an
// error, as those of most machines do.
func newExt4(t testing.TB) *disk {
	t.Helper()
	dir := t.TempDir()
	d := &disk{t: t, at: filepath.Join(dir, "mounted"), image: filepath.Join(dir, "image")}
	must(t, os.Mkdir(d.at, 0o700))
	f, err := os.Create(d.image)
	must(t, err)
	must(t, errors.Join(f.Truncate(64<<20), f.Close()))
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", d.image).CombinedOutput(); err != nil {
		notMounted(t, "an ext4", fmt.Errorf("mkfs.ext4: %w %s", err, out))
	}
	if err := d.mount(); err != nil {
		notMounted(t, "an ext4", err)
	}
	t.Cleanup(d.remove)
	return d
}

func (d *disk) mount() error {
	out, err := exec.Command("mount", "-o", "loop,errors=remount-ro", d.image, d.at).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w %s", err, out)
	}
	return nil
}

// again takes the disk away and mounts it anew: the file system recovers, and
// what was not on the disk is gone.
func (d *disk) again() {
	d.t.Helper()
	// A process that is ending may still have files open; nothing tells when it has not.
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		err := unix.Unmount(d.at, 0)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) {
			d.t.Fatal(err)
		}
	}
	must(d.t, d.mount())
}

func (d *disk) remove() { _ = unix.Unmount(d.at, unix.MNT_DETACH) }

// goReadOnly makes the file system find an error, as on damaged metadata, and
// become read-only under whoever has files open.
func (d *disk) goReadOnly() error {
	out, err := exec.Command("findmnt", "-no", "SOURCE", d.at).Output()
	if err != nil {
		return err
	}
	device := filepath.Base(strings.TrimSpace(string(out)))
	return os.WriteFile(filepath.Join("/sys/fs/ext4", device, "trigger_fs_error"), []byte("1"), 0)
}

// EXT4_IOC_SHUTDOWN and its flag that drops what the journal has not written
// (fs/ext4/ext4.h).
const (
	ext4Shutdown  = 0x8004587d
	withoutTheLog = 2
)

// losePower makes every further operation fail with EIO; what has not been synced
// is lost when the disk is mounted again.
func (d *disk) losePower() error {
	f, err := os.Open(d.at)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.IoctlSetPointerInt(int(f.Fd()), ext4Shutdown, withoutTheLog)
}
