package store

import "database/sql/driver"

// Row is one row of a query. A column is read by its index; NULL reads as the
// zero value.
type Row []driver.Value

// Int64 gives an INTEGER column.
func (r Row) Int64(i int) int64 {
	n, _ := r[i].(int64)
	return n
}

// Text gives a TEXT column.
func (r Row) Text(i int) string {
	switch v := r[i].(type) {
	case string:
		return v
	case []byte:
		return string(v)
	}
	return ""
}

// Blob gives a BLOB column, owned by the caller.
func (r Row) Blob(i int) []byte {
	switch v := r[i].(type) {
	case []byte:
		return v
	case string:
		return []byte(v)
	}
	return nil
}

// IsNull tells whether a column is NULL.
func (r Row) IsNull(i int) bool { return r[i] == nil }

// Query runs a SELECT and gives all its rows; it sees the open block and what
// an open crank did with Exec, but not the crank's own kv changes. The query
// text must be a constant of the program: it stays prepared.
func (d *DB) Query(query string, args ...any) ([]Row, error) {
	return d.query(-1, query, args)
}

// QueryRow is Query for the first row only; ok tells whether there is one.
func (d *DB) QueryRow(query string, args ...any) (row Row, ok bool, err error) {
	rows, err := d.query(1, query, args)
	if err != nil || len(rows) == 0 {
		return nil, false, err
	}
	return rows[0], true, nil
}

func (d *DB) query(most int, query string, args []any) ([]Row, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.readable(); err != nil {
		return nil, err
	}
	return d.rows("query", most, query, args...)
}

// Get gives the value of a key as of the last committed crank.
func (d *DB) Get(key string) (value string, ok bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.readable(); err != nil {
		return "", false, err
	}
	e, err := d.load(key)
	return e.value, e.exists, err
}

// NextKey gives the least key above prior that starts with prefix, in bytewise
// order, as of the last committed crank.
func (d *DB) NextKey(prior, prefix string) (key string, ok bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.readable(); err != nil {
		return "", false, err
	}
	return d.nextKey(prior, prefix)
}
