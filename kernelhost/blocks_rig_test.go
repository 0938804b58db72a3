package kernelhost

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"

	"vatworkerd/pipeproto"
	"vatworkerd/supervisor"
	"vatworkerd/xsnap"
)

var errDied = errors.New("the process died here")

// mortal stands for a process that dies at an operation of its database: what
// the file is at that instant is what a kill would leave, and nothing that the
// process does from then on counts.
type mortal struct {
	file string // the database

	mu    sync.Mutex // guards the rest
	left  int        // operations until it dies; negative = it does not
	image string     // where the file is as of its death; "" while it lives
	last  func()     // what its death does to others
	err   error      // of making the image
}

// at is the store's fault hook.
func (m *mortal) at(string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.image != "" {
		return errDied
	}
	if m.left != 0 {
		m.left--
		return nil
	}
	m.die()
	return errDied
}

// die is called with mu held.
func (m *mortal) die() {
	m.image = m.file + ".image"
	m.err = errors.Join(copyFiles(m.file, m.image), m.err)
	if m.last != nil {
		m.last()
	}
}

// kill lets the process die now, between operations.
func (m *mortal) kill() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.image == "" {
		m.die()
	}
}

func (m *mortal) died() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.image != ""
}

// bury puts the file back to what it was when the process died. One that lives is
// to die no more.
func (m *mortal) bury() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left = -1
	if m.image == "" {
		return nil
	}
	err := errors.Join(m.err, removeFiles(m.file), copyFiles(m.image, m.file), removeFiles(m.image))
	m.image = ""
	return err
}

// copyFiles copies a database: the file and its log; the rest is made of them.
func copyFiles(from, to string) error {
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(from + suffix)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.WriteFile(to+suffix, data, 0o600)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func removeFiles(path string) error {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// ends are a kernel and a supervisor in this process, each of which can die.
type ends struct {
	dir          string
	image        xsnap.Image
	k            *Kernel
	host, daemon *mortal
}

func newEnds(dir string, image xsnap.Image) *ends {
	return &ends{
		dir: dir, image: image,
		host:   &mortal{file: filepath.Join(dir, DatabaseFile), left: -1},
		daemon: &mortal{file: filepath.Join(dir, supervisor.DatabaseFile), left: -1},
	}
}

// open opens both ends anew. After an error they are as close leaves them.
func (e *ends) open(ctx context.Context) (err error) {
	e.k, err = Open(ctx, Options{DBDir: e.dir, storeFault: e.host.at, connect: e.connect})
	if err != nil {
		e.k = nil
		return errors.Join(err, e.bury())
	}
	return nil
}

// connect runs a supervisor beside this goroutine. Its death closes its ends of
// the pipes, as that of a process does, and the host's death is its own.
func (e *ends) connect() (*link, error) {
	requests, toDaemon, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	fromDaemon, replies, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	hangUp := sync.OnceFunc(func() { _, _ = requests.Close(), replies.Close() })
	e.daemon.last, e.host.last = hangUp, e.daemon.kill
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer hangUp()
		// What goes wrong shows at the other end.
		_ = supervisor.Serve(requests, replies, supervisor.Options{
			Dir: e.dir, CacheDir: filepath.Join(e.dir, "base"), Image: e.image, MaxOnline: 1, CPU: -1, StoreFault: e.daemon.at,
		})
	}()
	return &link{
		conn: pipeproto.NewConn(fromDaemon, toDaemon, 0),
		close: func() error {
			err := toDaemon.Close()
			<-done
			return errors.Join(err, fromDaemon.Close())
		},
		kill:   e.daemon.kill,
		exited: func() (string, string) { <-done; return "", "" },
	}, nil
}

// close ends both, in peace or as they died.
func (e *ends) close() error {
	err := e.k.Close()
	e.k = nil
	if e.host.died() || e.daemon.died() {
		err = nil // what the dead say does not count
	}
	return errors.Join(err, e.bury())
}

func (e *ends) bury() error { return errors.Join(e.host.bury(), e.daemon.bury()) }
