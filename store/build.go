package store

import "errors"

// Builder fills a new SQLite file of any form, in one transaction that ends with
// Close. The file is for this machine alone and for a while: nothing is synced. It
// belongs to one goroutine.
type Builder struct {
	path string
	conn *conn
}

// Build makes the file at path, which must not be there, with the tables of a
// schema.
func Build(path, schema string) (*Builder, error) {
	c, err := openConn(path, "")
	if err != nil {
		return nil, typedError("open", path, err)
	}
	b := &Builder{path: path, conn: c}
	if err := c.script("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN;" + schema); err != nil {
		return nil, errors.Join(typedError("build", path, err), c.close())
	}
	return b, nil
}

// Exec runs a statement. Its text must be a constant of the program: it stays
// prepared.
func (b *Builder) Exec(query string, args ...any) error {
	if _, err := b.conn.run(query, args); err != nil {
		return typedError("build", b.path, err)
	}
	return nil
}

// Close ends the transaction and closes the file, after an error too: of half a
// file the caller makes no use.
func (b *Builder) Close() error {
	err := b.conn.script("COMMIT")
	if err = errors.Join(err, b.conn.close()); err != nil {
		return typedError("close", b.path, err)
	}
	return nil
}
