package store

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// files are the files of a database as they were found. In WAL mode even a reader
// makes the files -wal and -shm unless it is told that nobody writes.
type files struct {
	path    string
	stamps  [2]stamp // of the database and its log
	journal bool     // an old journal has content: a transaction to be undone
	index   bool     // there is an index of the log: somebody has it open, or was killed
}

// stamp tells cheaply whether a file is as it was; an absent file and an empty
// one have none, because a reader elsewhere may make an empty log.
type stamp struct {
	size     int64
	modified time.Time
}

func lookAt(path string) (f files, err error) {
	f.path = path
	for i, name := range [...]string{path, path + "-wal"} {
		if f.stamps[i], _, err = stampOf(name); err != nil {
			return f, err
		}
	}
	journal, _, err := stampOf(path + "-journal")
	if err != nil {
		return f, err
	}
	f.journal = journal.size > 0
	_, f.index, err = stampOf(path + "-shm")
	return f, err
}

func stampOf(path string) (s stamp, exists bool, err error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return stamp{}, false, nil
	case err != nil:
		return stamp{}, false, &IOError{Op: "open", Path: path, Err: err}
	case info.Size() == 0:
		return stamp{}, true, nil
	}
	return stamp{info.Size(), info.ModTime()}, true, nil
}

// frozen: nobody has the database open, and all of it is in its file. SQLite
// then reads the file alone, takes no locks and makes no files.
func (f files) frozen() bool { return f.stamps[1].size == 0 && !f.journal && !f.index }

// changed tells whether somebody wrote a frozen database meanwhile, which
// SQLite would not notice.
func (f files) changed() (bool, error) {
	if !f.frozen() {
		return false, nil
	}
	now, err := lookAt(f.path)
	return now.stamps != f.stamps, err
}

// Where SQLite locks the database file (os.h: PENDING_BYTE + 2, SHARED_SIZE).
const (
	sharedFirst = 0x40000000 + 2
	sharedSize  = 510
)

// tidy removes the log's index if our reading made it, as of a copy of the
// files of a killed process. Whoever else has the database open holds a lock on it; then the
// index is theirs too and stays. It is a cache: SQLite builds it anew.
func (f files) tidy() {
	if f.index || f.frozen() {
		return
	}
	db, err := os.OpenFile(f.path, os.O_RDWR, 0)
	if err != nil {
		return
	}
	defer db.Close()
	lock := unix.Flock_t{Type: unix.F_WRLCK, Start: sharedFirst, Len: sharedSize}
	if unix.FcntlFlock(db.Fd(), unix.F_OFD_SETLK, &lock) == nil {
		_ = os.Remove(f.path + "-shm")
	}
}
