package driverbench

import (
	"context"
	"database/sql/driver"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mattn/go-sqlite3"
	ncruces "github.com/ncruces/go-sqlite3"
	modernc "modernc.org/sqlite"
)

// statement is the little that the store needs of a driver.
type statement interface {
	exec(args ...any) error
	// text gives the first column of the first row.
	text(args ...any) (string, bool, error)
	Close() error
}

type connection interface {
	prepare(sql string) (statement, error)
	script(sql string) error
	Close() error
}

func drivers() map[string]func(path string) (connection, error) {
	return map[string]func(string) (connection, error){
		"mattn": func(path string) (connection, error) {
			c, err := (&sqlite3.SQLiteDriver{}).Open("file:" + path + "?_mutex=no")
			return stdConn{c}, err
		},
		"modernc": func(path string) (connection, error) {
			c, err := (&modernc.Driver{}).Open(path)
			return stdConn{c}, err
		},
		"ncruces": func(path string) (connection, error) {
			c, err := ncruces.Open(path)
			return ncrucesConn{c}, err
		},
	}
}

// stdConn uses a database/sql driver without database/sql.
type stdConn struct{ driver.Conn }

func (c stdConn) prepare(sql string) (statement, error) {
	s, err := c.Prepare(sql)
	return stdStmt{s}, err
}

func (c stdConn) script(sql string) error {
	_, err := c.Conn.(driver.ExecerContext).ExecContext(context.Background(), sql, nil)
	return err
}

type stdStmt struct{ driver.Stmt }

func named(args []any) []driver.NamedValue {
	out := make([]driver.NamedValue, len(args))
	for i, a := range args {
		out[i] = driver.NamedValue{Ordinal: i + 1, Value: a}
	}
	return out
}

func (s stdStmt) exec(args ...any) error {
	_, err := s.Stmt.(driver.StmtExecContext).ExecContext(context.Background(), named(args))
	return err
}

func (s stdStmt) text(args ...any) (string, bool, error) {
	r, err := s.Stmt.(driver.StmtQueryContext).QueryContext(context.Background(), named(args))
	if err != nil {
		return "", false, err
	}
	defer r.Close()
	row := make([]driver.Value, 1)
	if err := r.Next(row); err == io.EOF {
		return "", false, nil
	} else if err != nil {
		return "", false, err
	}
	text, ok := row[0].(string)
	return text, ok, nil
}

type ncrucesConn struct{ *ncruces.Conn }

func (c ncrucesConn) script(sql string) error { return c.Exec(sql) }

func (c ncrucesConn) prepare(sql string) (statement, error) {
	s, _, err := c.Prepare(sql)
	return ncrucesStmt{s}, err
}

type ncrucesStmt struct{ s *ncruces.Stmt }

func (s ncrucesStmt) Close() error { return s.s.Close() }

func (s ncrucesStmt) bind(args []any) error {
	for i, a := range args {
		var err error
		switch v := a.(type) {
		case string:
			err = s.s.BindText(i+1, v)
		case int64:
			err = s.s.BindInt64(i+1, v)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s ncrucesStmt) exec(args ...any) error {
	if err := s.bind(args); err != nil {
		return err
	}
	return s.s.Exec()
}

func (s ncrucesStmt) text(args ...any) (string, bool, error) {
	if err := s.bind(args); err != nil {
		return "", false, err
	}
	defer s.s.Reset()
	if !s.s.Step() {
		return "", false, s.s.Err()
	}
	return s.s.ColumnText(0), true, nil
}

// rig is an open database with the statements of the workload.
type rig struct {
	get, set, next, item, begin, commit, savepoint, release statement
}

func open(b *testing.B, make func(string) (connection, error)) *rig {
	b.Helper()
	c, err := make(filepath.Join(b.TempDir(), "bench.sqlite"))
	must(b, err)
	b.Cleanup(func() { must(b, c.Close()) })
	must(b, c.script(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -32768;
CREATE TABLE kv (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE items (vatID TEXT NOT NULL, position INTEGER NOT NULL, item TEXT NOT NULL, PRIMARY KEY (vatID, position));`))
	r := &rig{}
	for sql, s := range map[string]*statement{
		"SELECT value FROM kv WHERE key = ?":                                            &r.get,
		"INSERT INTO kv VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value": &r.set,
		"SELECT key FROM kv WHERE key > ? AND key < ? ORDER BY key LIMIT 1":             &r.next,
		"INSERT INTO items VALUES (?, ?, ?)":                                            &r.item,
		"BEGIN IMMEDIATE":                                                               &r.begin, "COMMIT": &r.commit, "SAVEPOINT crank": &r.savepoint, "RELEASE crank": &r.release,
	} {
		prepared, err := c.prepare(sql)
		must(b, err)
		b.Cleanup(func() { must(b, prepared.Close()) })
		*s = prepared
	}
	must(b, r.begin.exec())
	for i := range 20000 {
		must(b, r.set.exec(key(i), strings.Repeat("v", 100)))
	}
	must(b, r.commit.exec())
	return r
}

func key(i int) string { return fmt.Sprintf("v1.vs.vom.o+d%06d", i%20000) }

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func each(b *testing.B, f func(b *testing.B, r *rig)) {
	for _, name := range []string{"mattn", "modernc", "ncruces"} {
		b.Run(name, func(b *testing.B) { f(b, open(b, drivers()[name])) })
	}
}

func inBlock(f func(b *testing.B, r *rig, i int)) func(*testing.B, *rig) {
	return func(b *testing.B, r *rig) {
		must(b, r.begin.exec())
		i := 0
		b.ReportAllocs()
		for b.Loop() {
			f(b, r, i)
			i++
		}
		b.StopTimer()
		must(b, r.commit.exec())
	}
}

func BenchmarkGet(b *testing.B) {
	each(b, inBlock(func(b *testing.B, r *rig, i int) {
		_, ok, err := r.get.text(key(i * 7919))
		if must(b, err); !ok {
			b.Fatal("not there")
		}
	}))
}

func BenchmarkSet(b *testing.B) {
	value := strings.Repeat("w", 100)
	each(b, inBlock(func(b *testing.B, r *rig, i int) { must(b, r.set.exec(key(i*7919), value)) }))
}

func BenchmarkNextKey(b *testing.B) {
	each(b, inBlock(func(b *testing.B, r *rig, i int) {
		_, _, err := r.next.text(key(i), "v1.vs.vom/")
		must(b, err)
	}))
}

func BenchmarkAppend4K(b *testing.B) {
	item := strings.Repeat("i", 4096)
	each(b, inBlock(func(b *testing.B, r *rig, i int) { must(b, r.item.exec("v1", int64(i), item)) }))
}

func BenchmarkSavepoint(b *testing.B) {
	each(b, inBlock(func(b *testing.B, r *rig, _ int) {
		must(b, r.savepoint.exec())
		must(b, r.release.exec())
	}))
}

// A block of 20 cranks with 10 reads, 5 writes and one item each.
func BenchmarkBlock(b *testing.B) {
	item, value := strings.Repeat("i", 4096), strings.Repeat("w", 100)
	each(b, func(b *testing.B, r *rig) {
		n := 0
		for b.Loop() {
			must(b, r.begin.exec())
			for range 20 {
				must(b, r.savepoint.exec())
				for j := range 10 {
					_, _, err := r.get.text(key(n*31 + j*977))
					must(b, err)
				}
				for j := range 5 {
					must(b, r.set.exec(key(n*31+j*977), value))
				}
				must(b, r.item.exec("v1", int64(n), item))
				must(b, r.release.exec())
				n++
			}
			must(b, r.commit.exec())
		}
	})
}

// One small write and its COMMIT, which waits for the disk.
func BenchmarkCommit(b *testing.B) {
	each(b, func(b *testing.B, r *rig) {
		i := 0
		for b.Loop() {
			must(b, r.begin.exec())
			must(b, r.set.exec(key(i), fmt.Sprint(i)))
			must(b, r.commit.exec())
			i++
		}
	})
}
