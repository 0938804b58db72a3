package store

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"

	"github.com/mattn/go-sqlite3"
)

// This file is all that knows the SQLite driver. It goes around database/sql:
// one connection, prepared statements that live as long as it, no goroutines.

// conn is one connection. It is not safe for concurrent use.
type conn struct{ c *sqlite3.SQLiteConn }

// stmt is a prepared statement of a conn.
type stmt struct {
	s *sqlite3.SQLiteStmt
	// columns is the number of result columns, learnt at the first row.
	columns int
}

// openConn opens or creates the file. Whether it is a database at all is found
// out by the first statement.
func openConn(path string) (*conn, error) {
	// A URI, so that no character of the path is taken for an option.
	dsn := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: "_mutex=no&_busy_timeout=1000"}
	c, err := (&sqlite3.SQLiteDriver{}).Open(dsn.String())
	if err != nil {
		return nil, err
	}
	sc, ok := c.(*sqlite3.SQLiteConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("unexpected connection type %T", c), c.Close())
	}
	return &conn{sc}, nil
}

// script runs any number of statements that take no arguments and give no rows.
func (c *conn) script(sql string) error {
	_, err := c.c.Exec(sql, nil)
	return err
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

func (c *conn) close() error { return c.c.Close() }

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
)

func classOf(err error) errorClass {
	var se sqlite3.Error
	if !errors.As(err, &se) {
		return classIO
	}
	switch se.Code {
	case sqlite3.ErrFull:
		return classFull
	case sqlite3.ErrCorrupt, sqlite3.ErrNotADB:
		return classCorrupt
	case sqlite3.ErrIoErr, sqlite3.ErrCantOpen, sqlite3.ErrReadonly, sqlite3.ErrNomem,
		sqlite3.ErrPerm, sqlite3.ErrProtocol, sqlite3.ErrBusy, sqlite3.ErrLocked:
		return classIO
	}
	return classOther
}
