package swingstore

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"

	"github.com/mattn/go-sqlite3"

	"vatworkerd/store"
)

// conn is one read-only connection. Its Query methods make it a store.Reader:
// the transcript tables of a swing-store have the columns of our own, so
// package transcripts reads them too. Not safe for concurrent use.
type conn struct {
	path       string
	files      files
	c          *sqlite3.SQLiteConn
	statements map[string]*sqlite3.SQLiteStmt // of constant query texts
}

// openConn opens the database at path, in the way that leaves nothing behind.
func openConn(path string) (*conn, error) {
	files, err := lookAt(path)
	if err != nil {
		return nil, err
	}
	// A URI, so that no character of the path is taken for an option.
	dsn := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: "mode=ro&_mutex=no&_busy_timeout=1000"}
	if files.frozen() {
		dsn.RawQuery += "&immutable=1"
	}
	opened, err := (&sqlite3.SQLiteDriver{}).Open(dsn.String())
	if err != nil {
		return nil, typedError("open", path, err)
	}
	sc, ok := opened.(*sqlite3.SQLiteConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("unexpected connection type %T", opened), opened.Close())
	}
	c := &conn{path: path, files: files, c: sc, statements: map[string]*sqlite3.SQLiteStmt{}}
	// One transaction for all reads: whoever writes beside us is not seen.
	const prepare = "PRAGMA query_only = 1; PRAGMA trusted_schema = 0; PRAGMA cell_size_check = 1; BEGIN"
	if _, err := sc.Exec(prepare, nil); err != nil {
		return nil, errors.Join(typedError("open", path, err), c.close())
	}
	return c, nil
}

func (c *conn) close() error {
	var errs []error
	for _, s := range c.statements {
		errs = append(errs, s.Close())
	}
	errs = append(errs, c.c.Close())
	c.files.tidy()
	return errors.Join(errs...)
}

// Query runs a SELECT and gives all its rows. The query text must be a constant
// of the program: it stays prepared.
func (c *conn) Query(query string, args ...any) ([]store.Row, error) { return c.rows(-1, query, args) }

// QueryRow is Query for the first row only; ok tells whether there is one.
func (c *conn) QueryRow(query string, args ...any) (row store.Row, ok bool, err error) {
	rows, err := c.rows(1, query, args)
	if err != nil || len(rows) == 0 {
		return nil, false, err
	}
	return rows[0], true, nil
}

func (c *conn) rows(most int, query string, args []any) ([]store.Row, error) {
	s, err := c.statement(query)
	if err != nil {
		return nil, typedError("query", c.path, err)
	}
	values := make([]driver.Value, len(args))
	for i, arg := range args {
		if values[i], err = driver.DefaultParameterConverter.ConvertValue(arg); err != nil {
			return nil, fmt.Errorf("cannot query %s: %w", c.path, err)
		}
	}
	rows, err := readRows(s, most, values)
	if err != nil {
		return nil, typedError("query", c.path, err)
	}
	return rows, nil
}

func (c *conn) statement(query string) (*sqlite3.SQLiteStmt, error) {
	if s, ok := c.statements[query]; ok {
		return s, nil
	}
	prepared, err := c.c.Prepare(query)
	if err != nil {
		return nil, err
	}
	s, ok := prepared.(*sqlite3.SQLiteStmt)
	if !ok {
		return nil, errors.Join(fmt.Errorf("unexpected statement type %T", prepared), prepared.Close())
	}
	c.statements[query] = s
	return s, nil
}

func readRows(s *sqlite3.SQLiteStmt, most int, args []driver.Value) (rows []store.Row, err error) {
	r, err := s.Query(args)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	columns := len(r.Columns())
	for most < 0 || len(rows) < most {
		row := make(store.Row, columns)
		if err := r.Next(row); err == io.EOF {
			break
		} else if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// typedError gives an error of the driver its type.
func typedError(op, path string, err error) error {
	var se sqlite3.Error
	if !errors.As(err, &se) {
		return &store.IOError{Op: op, Path: path, Err: err}
	}
	switch se.Code {
	case sqlite3.ErrNotADB:
		return &NotSwingStoreError{Path: path, Why: "it is no SQLite database"}
	case sqlite3.ErrCorrupt:
		return &store.CorruptError{Path: path, Err: err}
	case sqlite3.ErrError:
		return fmt.Errorf("cannot %s in database %s: %w", op, path, err)
	}
	return &store.IOError{Op: op, Path: path, Err: err}
}
