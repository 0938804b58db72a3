package control

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"vatworkerd/pipeproto"
)

func TestSocketIsItsOwnersAlone(t *testing.T) {
	for _, umask := range []int{0, 0o022, 0o077} {
		before := syscall.Umask(umask)
		r := newRig(t, nil)
		syscall.Umask(before)
		info, err := os.Lstat(r.path)
		if err != nil {
			t.Fatal(err)
		}
		stat := info.Sys().(*syscall.Stat_t)
		if info.Mode() != os.ModeSocket|socketMode || int(stat.Uid) != os.Geteuid() {
			t.Errorf("umask %o: mode %v of user %d", umask, info.Mode(), stat.Uid)
		}
		r.serves()
	}
}

// The mode must be right from the first moment on, before the socket has its
// name.
func TestModeBeforeTheName(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	p, err := openPlace(filepath.Join(t.TempDir(), "s"), unix.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	defer p.dir.Close()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	// What net.ListenConfig does between socket and listen.
	if err := errors.Join(unix.Fchmod(fd, socketMode), unix.Bind(fd, &unix.SockaddrUnix{Name: p.path})); err != nil {
		t.Fatal(err)
	}
	if _, mode, ok, err := p.look("s"); err != nil || !ok || mode&0o777 != socketMode {
		t.Errorf("bind gives mode %o (%v, %v)", mode, ok, err)
	}
}

// dead leaves the socket of a daemon that was killed.
func dead(t *testing.T, path string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestDeadSocketIsReplaced(t *testing.T) {
	for _, replace := range []bool{false, true} {
		r := newRig(t, func(o *Options) {
			o.Replace = replace
			dead(t, o.Path)
			dead(t, o.Path+freshSuffix) // killed before it was named
		})
		r.serves()
	}
}

func TestLivingSocketIsLeftAlone(t *testing.T) {
	r := newRig(t, nil)
	_, err := Listen(Options{Path: r.path})
	var taken *TakenError
	if !errors.As(err, &taken) || taken.ErrorCode() != pipeproto.CodeRefused || !strings.Contains(taken.Error(), r.path) {
		t.Errorf("got %v, want *TakenError", err)
	}
	r.serves()
}

// Who knows better takes the path, and the one before does not remove what is
// not its own any more.
func TestReplacedServerRemovesNothing(t *testing.T) {
	r := newRig(t, nil)
	next, err := Listen(Options{Path: r.path, Replace: true, Verbs: testVerbs()})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.server.Close(); err != nil {
		t.Error(err)
	}
	r.serves()
	if err := next.Close(); err != nil {
		t.Error(err)
	}
}

func TestOtherFilesAreLeftAlone(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "precious")
	if err := os.WriteFile(path, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ path, part string }{
		{path, "is no socket"},
		{dir, "is no socket"},
		{dir + "/", "names no file"},
		{filepath.Join(dir, "missing", "s"), "no such file"},
		{filepath.Join(path, "s"), "not a directory"},
		{filepath.Join(dir, strings.Repeat("x", 120)), "name is too long"},
	} {
		for _, replace := range []bool{false, true} {
			s, err := Listen(Options{Path: c.path, Replace: replace})
			if err == nil {
				t.Fatalf("%s: %v", c.path, s.Close())
			}
			if !strings.Contains(err.Error(), c.part) {
				t.Errorf("%s: %v, want %q", c.path, err, c.part)
			}
		}
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "text" {
		t.Errorf("the file is %q, %v", text, err)
	}
}

func TestLongPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long/", 40))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, func(o *Options) { o.Path = filepath.Join(dir, "vats.sock") })
	r.path = r.server.Path()
	r.serves()
	if _, err := Listen(Options{Path: r.path}); err == nil || !strings.Contains(err.Error(), "another daemon") {
		t.Errorf("a second server: %v", err)
	}
}

// No path may be taken for a name of the abstract namespace, which has no owner.
func TestPathThatLooksAbstract(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Mkdir("@dir", 0o700); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, func(o *Options) { o.Path = "@dir/s" })
	r.path = "@dir/s"
	if _, err := os.Lstat("@dir/s"); err != nil {
		t.Error(err)
	}
	r.serves()
}

func TestDirectoryLock(t *testing.T) {
	r := newRig(t, nil)
	p, err := openPlace(r.path, unix.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	defer p.dir.Close()
	unlock, err := p.lock()
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(filepath.Dir(r.path), "other")
	if _, err := Listen(Options{Path: other}); err == nil || !strings.Contains(err.Error(), "cannot lock the directory") {
		t.Errorf("beside the lock: %v", err)
	}
	unlock()
	s, err := Listen(Options{Path: other})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
