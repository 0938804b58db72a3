package store

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"syscall"

	"github.com/mattn/go-sqlite3"
)

// This file is all that knows the SQLite driver. It goes around database/sql:
// one connection, prepared statements that live as long as it, no goroutines.

// busyMillis is how long a connection waits for what another has locked.
const busyMillis = 1000

// conn is one connection. It is not safe for concurrent use.
type conn struct {
	c *sqlite3.SQLiteConn
	// statements are those that were prepared. Queries are constants of the
	// program, so there are few of them and none is ever dropped.
	statements map[string]*stmt
}

// stmt is a prepared statement of a conn.
type stmt struct {
	s *sqlite3.SQLiteStmt
	// columns is the number of result columns, learnt at the first row.
	columns int
}

// openConn opens or creates the file, or with more options of a URI does what
// they say. Whether it is a database at all is found out by the first statement.
func openConn(path, options string) (*conn, error) {
	// A URI, so that no character of the path is taken for an option.
	dsn := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: fmt.Sprintf("_mutex=no&_busy_timeout=%d%s", busyMillis, options)}
	c, err := (&sqlite3.SQLiteDriver{}).Open(dsn.String())
	if err != nil {
		return nil, err
	}
	sc, ok := c.(*sqlite3.SQLiteConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("unexpected connection type %T", c), c.Close())
	}
	return &conn{c: sc, statements: map[string]*stmt{}}, nil
}

// script runs any number of statements that take no arguments and give no rows.
func (c *conn) script(sql string) error {
	_, err := c.c.Exec(sql, nil)
	return err
}

// statement gives the prepared statement of a query.
func (c *conn) statement(sql string) (*stmt, error) {
	if s, ok := c.statements[sql]; ok {
		return s, nil
	}
	s, err := c.prepare(sql)
	if err != nil {
		return nil, err
	}
	c.statements[sql] = s
	return s, nil
}

func (c *conn) prepare(sql string) (*stmt, error) {
	s, err := c.c.Prepare(sql)
	if err != nil {
		return nil, err
	}
	ss, ok := s.(*sqlite3.SQLiteStmt)
	if !ok {
		return nil, errors.Join(fmt.Errorf("unexpected statement type %T", s), s.Close())
	}
	return &stmt{s: ss}, nil
}

// inTransaction tells what SQLite thinks: some errors end a transaction.
func (c *conn) inTransaction() bool { return !c.c.AutoCommit() }

// copyPages bounds what one step of a copy reads and writes, in pages.
const copyPages = 256

// copyTo copies the database into the file at path, which must be empty. A
// transaction that is open decides what is read.
func (c *conn) copyTo(path string, step func(done, total int) error) (err error) {
	to, err := openConn(path, "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.close()) }()
	// Whoever wants the copy syncs it, and throws away half a one.
	if err := to.script("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF"); err != nil {
		return err
	}
	b, err := to.c.Backup("main", c.c, "main")
	if err != nil {
		return err
	}
	if err := copySteps(b, step); err != nil {
		_ = b.Finish() // tells the same again
		return err
	}
	return b.Finish()
}

func copySteps(b *sqlite3.SQLiteBackup, step func(done, total int) error) error {
	for {
		done, err := b.Step(copyPages)
		var se sqlite3.Error
		if errors.As(err, &se) {
			return sqlite3.Error{Code: se.Code & 0xff, ExtendedCode: sqlite3.ErrNoExtended(se.Code)}
		}
		if err != nil {
			return err
		}
		if err := step(b.PageCount()-b.Remaining(), b.PageCount()); err != nil || done {
			return err
		}
	}
}

// impatiently runs f without waiting for what others have locked.
func (c *conn) impatiently(f func() error) error {
	if err := c.script("PRAGMA busy_timeout = 0"); err != nil {
		return err
	}
	return errors.Join(f(), c.script(fmt.Sprintf("PRAGMA busy_timeout = %d", busyMillis)))
}

func (c *conn) close() error {
	var errs []error
	for _, s := range c.statements {
		errs = append(errs, s.close())
	}
	return errors.Join(append(errs, c.c.Close())...)
}

// rows runs a query and gives at most `most` rows, all of them if it is negative.
func (c *conn) rows(most int, query string, args []any) ([]Row, error) {
	s, err := c.statement(query)
	if err != nil {
		return nil, err
	}
	values, err := driverValues(args)
	if err != nil {
		return nil, err
	}
	return s.rows(values, most)
}

// run executes a statement for its effect and gives the number of rows it changed.
func (c *conn) run(query string, args []any) (int64, error) {
	s, err := c.statement(query)
	if err != nil {
		return 0, err
	}
	values, err := driverValues(args)
	if err != nil {
		return 0, err
	}
	return s.run(values)
}

// driverValues lets the callers pass the usual Go types.
func driverValues(args []any) ([]driver.Value, error) {
	values := make([]driver.Value, len(args))
	for i, a := range args {
		switch v := a.(type) {
		case nil, string, int64, []byte:
			values[i] = v
		case int:
			values[i] = int64(v)
		case bool:
			values[i] = int64(0)
			if v {
				values[i] = int64(1)
			}
		default:
			return nil, &bindError{at: i, value: a}
		}
	}
	return values, nil
}

// bindError is a fault of the caller's, not of the disk's.
type bindError struct {
	at    int
	value any
}

func (e *bindError) Error() string {
	return fmt.Sprintf("argument %d is of type %T: use string, []byte, int, int64, bool or nil", e.at, e.value)
}

// run executes a statement for its effect and gives the number of rows it changed.
func (s *stmt) run(args []driver.Value) (int64, error) {
	r, err := s.s.Exec(args)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// rows executes a statement and reads all rows it gives.
func (s *stmt) rows(args []driver.Value, most int) (rows []Row, err error) {
	r, err := s.s.Query(args)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if s.columns == 0 {
		s.columns = len(r.Columns())
	}
	for most < 0 || len(rows) < most {
		row := make(Row, s.columns)
		if err := r.Next(row); err == io.EOF {
			break
		} else if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func (s *stmt) close() error { return s.s.Close() }

// errorClass is what the rest of the package wants to know of an error.
type errorClass int

const (
	classOther errorClass = iota
	classFull
	classIO
	classCorrupt
	classNoDatabase
)

// foundNoSpace tells errors for which a full disk is to blame, also where SQLite
// cannot tell, as it can for classFull, that nothing was written.
func foundNoSpace(err error) bool {
	var se sqlite3.Error
	return errors.As(err, &se) && (se.SystemErrno == syscall.ENOSPC || se.SystemErrno == syscall.EDQUOT)
}

func classOf(err error) errorClass {
	var bind *bindError
	if errors.As(err, &bind) {
		return classOther
	}
	var se sqlite3.Error
	if !errors.As(err, &se) {
		return classIO
	}
	switch se.Code {
	case sqlite3.ErrFull:
		return classFull
	case sqlite3.ErrCorrupt:
		return classCorrupt
	case sqlite3.ErrNotADB:
		return classNoDatabase
	case sqlite3.ErrIoErr, sqlite3.ErrCantOpen, sqlite3.ErrReadonly, sqlite3.ErrNomem,
		sqlite3.ErrPerm, sqlite3.ErrProtocol, sqlite3.ErrBusy, sqlite3.ErrLocked:
		return classIO
	}
	return classOther
}
