package swingstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"vatworkerd/store"
)

// FileName is the database's name in a swing-store's directory.
const FileName = "swingstore.sqlite"

// Store is an open swing-store. It belongs to one goroutine.
type Store struct {
	path string
	dir  string // what was opened
	temp string // directory to remove; empty unless it was an export
	db   *store.ReadOnly
}

// Open opens the swing-store in dir for reading. Nothing in dir is changed, and
// no file stays there that was not there before. The store is seen as of its last commit before Open,
// also while a node goes on writing to it. Errors: *NotSwingStoreError,
// *store.CorruptError, *store.IOError.
func Open(dir string) (*Store, error) {
	path, err := databaseIn(dir)
	if err != nil {
		return nil, err
	}
	db, err := store.OpenReadOnly(path)
	var damage *store.CorruptError
	if errors.As(err, &damage) && damage.NoDatabase {
		return nil, &NotSwingStoreError{Path: path, Why: "it is no SQLite database"}
	}
	if err != nil {
		return nil, err
	}
	s := &Store{path: path, dir: filepath.Dir(path), db: db}
	if err := s.checkTables(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

// Close closes the database.
func (s *Store) Close() error {
	err := s.db.Close()
	if s.temp != "" {
		err = errors.Join(err, os.RemoveAll(s.temp))
	}
	return err
}

// Path is the database file.
func (s *Store) Path() string { return s.path }

// Dir is the directory that was opened.
func (s *Store) Dir() string { return s.dir }

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
		if _, _, err := s.db.QueryRow("SELECT " + table.columns + " FROM " + table.name + " LIMIT 0"); err != nil {
			return &NotSwingStoreError{Path: s.path, Why: fmt.Sprintf("its table %s is of another form: %v", table.name, err)}
		}
	}
	return nil
}

// settle turns a result into a *ChangedError if it may be a mixture of two
// states of the database.
func (s *Store) settle(err error) error {
	changed, lookErr := s.db.Changed()
	if lookErr != nil {
		return lookErr
	}
	if changed {
		return &ChangedError{Path: s.path}
	}
	return err
}
