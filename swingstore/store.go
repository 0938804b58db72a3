package swingstore

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"vatworkerd/store"
)

// FileName is the database's name in a swing-store's directory.
const FileName = "swingstore.sqlite"

// Store is an open swing-store. It belongs to one goroutine.
type Store struct {
	path string
	db   *conn
	// frozen: SQLite takes the files for unchanging, so we have to look.
	frozen bool
	stamps []stamp // of the files at the opening
}

// Open opens the swing-store in dir for reading. Nothing in dir is changed, and
// no file is made there. The store is seen as of its last commit before Open,
// also while a node goes on writing to it. Errors: *NotSwingStoreError,
// *store.CorruptError, *store.IOError.
func Open(dir string) (*Store, error) {
	path, err := databaseIn(dir)
	if err != nil {
		return nil, err
	}
	stamps, err := stampsOf(path)
	if err != nil {
		return nil, err
	}
	db, frozen, err := openConn(path)
	if err != nil {
		return nil, err
	}
	s := &Store{path: path, db: db, frozen: frozen, stamps: stamps}
	if err := s.checkTables(); err != nil {
		db.close()
		return nil, err
	}
	return s, nil
}

// Close closes the database.
func (s *Store) Close() error {
	if err := s.db.close(); err != nil {
		return &store.IOError{Op: "close", Path: s.path, Err: err}
	}
	return nil
}

// Path is the database file.
func (s *Store) Path() string { return s.path }

func databaseIn(dir string) (string, error) {
	info, err := os.Stat(dir)
	switch {
	case os.IsNotExist(err):
		return "", &NotSwingStoreError{Path: dir, Why: "there is no such directory"}
	case err != nil:
		return "", &store.IOError{Op: "open", Path: dir, Err: err}
	case !info.IsDir():
		return "", &NotSwingStoreError{Path: dir, Why: "it is no directory"}
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", &store.IOError{Op: "open", Path: dir, Err: err}
	}
	path := filepath.Join(abs, FileName)
	info, err = os.Stat(path)
	switch {
	case os.IsNotExist(err):
		return "", &NotSwingStoreError{Path: dir, Why: "there is no file " + FileName + " in it"}
	case err != nil:
		return "", &store.IOError{Op: "open", Path: path, Err: err}
	case !info.Mode().IsRegular():
		return "", &NotSwingStoreError{Path: dir, Why: FileName + " is no regular file"}
	}
	return path, nil
}

// checkTables tells a swing-store from another SQLite database.
func (s *Store) checkTables() error {
	for _, table := range []struct{ name, columns string }{
		{"kvStore", "key, value"},
		{"transcriptItems", "vatID, position, item, incarnation"},
		{"transcriptSpans", "vatID, startPos, endPos, hash, isCurrent, incarnation"},
		{"snapshots", "vatID, snapPos, inUse, hash, uncompressedSize, compressedSize, compressedSnapshot"},
		{"bundles", "bundleID, bundle"},
	} {
		_, ok, err := s.db.QueryRow("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", table.name)
		if err != nil {
			return err
		}
		if !ok {
			return &NotSwingStoreError{Path: s.path, Why: "it has no table " + table.name}
		}
		// Also with no rows the statement names every column.
		if _, err := s.db.statement("SELECT " + table.columns + " FROM " + table.name); err != nil {
			return &NotSwingStoreError{Path: s.path, Why: fmt.Sprintf("its table %s is of another form: %v", table.name, err)}
		}
	}
	return nil
}

// stamp tells cheaply whether a file is as it was.
type stamp struct {
	size     int64
	modified time.Time
}

// stampsOf looks at the database and its log. The log's stamp counts only where
// it has content: a reader elsewhere may make an empty one.
func stampsOf(path string) ([]stamp, error) {
	var stamps []stamp
	for _, name := range []string{path, path + "-wal"} {
		info, err := os.Stat(name)
		if os.IsNotExist(err) || err == nil && info.Size() == 0 {
			stamps = append(stamps, stamp{})
			continue
		}
		if err != nil {
			return nil, &store.IOError{Op: "open", Path: name, Err: err}
		}
		stamps = append(stamps, stamp{info.Size(), info.ModTime()})
	}
	return stamps, nil
}

// settle turns a result into a *ChangedError if it may be a mixture of two
// states of the database.
func (s *Store) settle(err error) error {
	if !s.frozen {
		return err
	}
	now, stampErr := stampsOf(s.path)
	if stampErr != nil {
		return stampErr
	}
	for i := range now {
		if now[i] != s.stamps[i] {
			return &ChangedError{Path: s.path}
		}
	}
	return err
}
