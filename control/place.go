package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"vatworkerd/internal/crashpoint"
)

const (
	// maxAddressBytes is the longest path a socket address holds (sun_path, less
	// the zero that ends it).
	maxAddressBytes = 107

	// freshSuffix marks a socket that is not published yet.
	freshSuffix = ".new"

	socketMode = 0o600

	// lockTime is how long a directory's lock is waited for, which everybody
	// holds for a moment only.
	lockTime  = time.Second
	lockEvery = 5 * time.Millisecond
)

// place is where a socket is: a name in an open directory. A path may be longer
// than an address holds; the directory's descriptor then stands for it.
type place struct {
	path string
	dir  *os.File
	name string
}

// openPlace opens the directory of path; with O_PATH in flags it need not be
// readable. The caller closes p.dir.
func openPlace(path string, flags int) (*place, error) {
	dir, name := filepath.Split(path)
	if name == "" || name == "." || name == ".." {
		return nil, fmt.Errorf("cannot use %q as a socket: it names no file", path)
	}
	fd, err := unix.Open(filepath.Clean(dir), unix.O_DIRECTORY|unix.O_CLOEXEC|flags, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: filepath.Clean(dir), Err: err}
	}
	return &place{path: path, dir: os.NewFile(uintptr(fd), dir), name: name}, nil
}

func (p *place) fd() int { return int(p.dir.Fd()) }

// address is what a name in the directory is bound or connected to.
func (p *place) address(name string) (string, error) {
	path := filepath.Join(filepath.Dir(p.path), name)
	if path[0] == '@' { // package net would take it for an abstract name
		path = "./" + path
	}
	if len(path) <= maxAddressBytes {
		return path, nil
	}
	path = fmt.Sprintf("/proc/self/fd/%d/%s", p.fd(), name)
	if len(path) > maxAddressBytes {
		return "", fmt.Errorf("cannot use %q as a socket: its name is too long", p.path)
	}
	return path, nil
}

// inode says which file a name is.
type inode struct{ dev, ino uint64 }

// look gives the file that a name is now, which must be a socket if it is there.
func (p *place) look(name string) (id inode, mode uint32, ok bool, err error) {
	var stat unix.Stat_t
	err = unix.Fstatat(p.fd(), name, &stat, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return inode{}, 0, false, nil
	}
	if err == nil && stat.Mode&unix.S_IFMT != unix.S_IFSOCK {
		err = errors.New("it exists and is no socket; name another path, or remove it")
	}
	if err != nil {
		return inode{}, 0, false, fmt.Errorf("cannot use %s as a socket: %w", filepath.Join(filepath.Dir(p.path), name), err)
	}
	return inode{dev: stat.Dev, ino: stat.Ino}, stat.Mode, true, nil
}

// lock keeps other daemons from publishing sockets in the directory until the
// descriptor is unlocked.
func (p *place) lock() (unlock func(), err error) {
	for deadline := time.Now().Add(lockTime); ; time.Sleep(lockEvery) {
		err = unix.Flock(p.fd(), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = unix.Flock(p.fd(), unix.LOCK_UN) }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) || time.Now().After(deadline) {
			return nil, fmt.Errorf("cannot lock the directory of %s: %w", p.path, err)
		}
	}
}

// TakenError says that a living daemon listens at a path.
type TakenError struct{ Path string }

func (e *TakenError) Error() string {
	return fmt.Sprintf("cannot listen at %s: another daemon does; name another path, or stop it", e.Path)
}

// ErrorCode gives "refused".
func (e *TakenError) ErrorCode() string { return "refused" }

// publish binds a socket that only its owner may use, and puts it in the place
// of a dead one. With replace, whatever listens there is dead in the caller's
// eyes; else it is asked.
func (p *place) publish(replace bool) (*net.UnixListener, inode, error) {
	unlock, err := p.lock()
	if err != nil {
		return nil, inode{}, err
	}
	defer unlock()
	_, _, exists, err := p.look(p.name)
	if err != nil {
		return nil, inode{}, err
	}
	if exists && !replace && p.answers() {
		return nil, inode{}, &TakenError{Path: p.path}
	}
	listener, id, err := p.bind(p.name + freshSuffix)
	if err != nil {
		return nil, inode{}, err
	}
	crashpoint.Here(crashpoint.SocketBound)
	if err := unix.Renameat(p.fd(), p.name+freshSuffix, p.fd(), p.name); err != nil {
		return nil, inode{}, errors.Join(fmt.Errorf("cannot name the socket %s: %w", p.path, err),
			listener.Close(), unix.Unlinkat(p.fd(), p.name+freshSuffix, 0))
	}
	crashpoint.Here(crashpoint.SocketPublished)
	return listener, id, nil
}

// answers tells whether somebody listens, as far as can be told: what refuses
// connections is dead.
func (p *place) answers() bool {
	address, err := p.address(p.name)
	if err != nil {
		return false
	}
	conn, err := net.DialTimeout("unix", address, time.Second)
	if err != nil {
		return !errors.Is(err, unix.ECONNREFUSED) && !errors.Is(err, unix.ENOENT)
	}
	_ = conn.Close()
	return true
}

// bind makes a socket of its final mode: it takes that of the descriptor, less
// the process's umask, so there is no moment in which others could use it.
func (p *place) bind(name string) (*net.UnixListener, inode, error) {
	if err := unix.Unlinkat(p.fd(), name, 0); err != nil && !errors.Is(err, unix.ENOENT) {
		return nil, inode{}, fmt.Errorf("cannot remove what a crash has left of %s: %w", p.path, err)
	}
	address, err := p.address(name)
	if err != nil {
		return nil, inode{}, err
	}
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) { failed = unix.Fchmod(int(fd), socketMode) })
		return errors.Join(err, failed)
	}}
	l, err := config.Listen(context.Background(), "unix", address)
	if err != nil {
		return nil, inode{}, fmt.Errorf("cannot listen at %s: %w", p.path, err)
	}
	listener := l.(*net.UnixListener)
	listener.SetUnlinkOnClose(false) // it is published under another name
	id, mode, ok, err := p.look(name)
	if err == nil && (!ok || mode&0o777&^socketMode != 0) {
		err = fmt.Errorf("cannot listen at %s: this file system gives the socket mode %o, others could use it", p.path, mode&0o777)
	}
	if err != nil {
		return nil, inode{}, errors.Join(err, listener.Close(), unix.Unlinkat(p.fd(), name, 0))
	}
	return listener, id, nil
}

// remove takes the socket away, unless it has become another's.
func (p *place) remove(own inode) error {
	unlock, err := p.lock()
	if err != nil {
		return err
	}
	defer unlock()
	id, _, ok, err := p.look(p.name)
	if err != nil || !ok || id != own {
		return err
	}
	if err := unix.Unlinkat(p.fd(), p.name, 0); err != nil {
		return fmt.Errorf("cannot remove the socket %s: %w", p.path, err)
	}
	crashpoint.Here(crashpoint.SocketRemoved)
	return nil
}
