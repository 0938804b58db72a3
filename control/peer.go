package control

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// peer is the process at the other end of a connection.
type peer struct {
	pid int
	uid uint32
}

// peerOf asks the kernel who is there. For whom has dialled, that is who called
// listen.
func peerOf(conn *net.UnixConn) (peer, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return peer{}, err
	}
	var cred *unix.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) { cred, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err = errors.Join(err, failed); err != nil {
		return peer{}, fmt.Errorf("cannot find out who is at the other end of a socket: %w", err)
	}
	return peer{pid: int(cred.Pid), uid: cred.Uid}, nil
}

// isTrusted tells whether a process has this one's rights anyway: its own user's
// does, and root's.
func (p peer) isTrusted() bool { return p.uid == 0 || p.uid == uint32(os.Geteuid()) }
