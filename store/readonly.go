package store

import "errors"

// ReadOnly is a SQLite file that is read as of its last commit before it was
// opened, whoever writes to it meanwhile. Nothing in its directory is changed,
// and no file stays there that was not there before. It belongs to one goroutine.
type ReadOnly struct {
	path  string
	files files
	conn  *conn
}

// OpenReadOnly opens the SQLite file at path, an absolute path. What it holds is
// up to the caller. Errors: *CorruptError, *IOError.
func OpenReadOnly(path string) (*ReadOnly, error) {
	files, err := lookAt(path)
	if err != nil {
		return nil, err
	}
	options := "&mode=ro"
	if files.frozen() {
		options += "&immutable=1"
	}
	c, err := openConn(path, options)
	if err != nil {
		return nil, typedError("open", path, err)
	}
	r := &ReadOnly{path: path, files: files, conn: c}
	// One transaction for all reads; it begins with the first of them.
	err = c.script("PRAGMA query_only = 1; PRAGMA trusted_schema = 0; PRAGMA cell_size_check = 1; PRAGMA temp_store = MEMORY; BEGIN")
	if err == nil {
		_, err = c.rows(1, "SELECT count(*) FROM sqlite_master", nil)
	}
	if err != nil {
		return nil, errors.Join(typedError("open", path, err), r.Close())
	}
	return r, nil
}

// Close ends the reading.
func (r *ReadOnly) Close() error {
	if r.conn == nil {
		return nil
	}
	err := r.conn.close()
	r.conn = nil
	r.files.tidy()
	if err != nil {
		return &IOError{Op: "close", Path: r.path, Err: err}
	}
	return nil
}

// Changed tells whether what was read may be a mixture of two states: somebody
// began to write to a file that nobody had open before. Only then; whoever had
// it open already is kept apart by SQLite.
func (r *ReadOnly) Changed() (bool, error) { return r.files.changed() }

// Query runs a SELECT and gives all its rows. The query text must be a constant
// of the program: it stays prepared.
func (r *ReadOnly) Query(query string, args ...any) ([]Row, error) {
	return r.rows("query", -1, query, args...)
}

// QueryRow is Query for the first row only; ok tells whether there is one.
func (r *ReadOnly) QueryRow(query string, args ...any) (row Row, ok bool, err error) {
	rows, err := r.rows("query", 1, query, args...)
	if err != nil || len(rows) == 0 {
		return nil, false, err
	}
	return rows[0], true, nil
}

func (r *ReadOnly) rows(op string, most int, query string, args ...any) ([]Row, error) {
	rows, err := r.conn.rows(most, query, args)
	if err != nil {
		return nil, typedError(op, r.path, err)
	}
	return rows, nil
}
