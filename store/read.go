package store

import "fmt"

// Reader is what DB, View and Crank have in common: queries on the SQL tables.
type Reader interface {
	Query(query string, args ...any) ([]Row, error)
	QueryRow(query string, args ...any) (row Row, ok bool, err error)
}

// Source is what DB and View have in common: all that a check reads.
type Source interface {
	Reader
	Get(key string) (value string, ok bool, err error)
	NextKey(prior, prefix string) (key string, ok bool, err error)
	LocalGet(key string) (value string, ok bool, err error)
	Height() int64
	Prepared() (height int64, ok bool)
	ActivityHash() string
	StateHash() string
}

// keysAtOnce bounds how many values are in memory while keys are walked.
const keysAtOnce = 64

// EachKey calls f for every key that starts with prefix, in bytewise order, with
// its value. An error of f ends the walk and comes out as it is.
func EachKey(r Reader, prefix string, f func(key, value string) error) error {
	return eachPair(func(from string) ([]Row, error) { return keysFrom(r, from, prefix, keysAtOnce) }, prefix, f)
}

func eachKey(a asker, prefix string, f func(key, value string) error) error {
	query, args := firstKeys(prefix, keysAtOnce)
	return eachPair(func(from string) ([]Row, error) {
		args[0] = from
		return a.rows("query", -1, query, args...)
	}, prefix, f)
}

// eachPair calls f for the pairs of all pages, of which the last is not full.
func eachPair(page func(from string) ([]Row, error), prefix string, f func(key, value string) error) error {
	for from := prefix; ; {
		rows, err := page(from)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if err := f(row.Text(0), row.Text(1)); err != nil {
				return err
			}
		}
		if len(rows) < keysAtOnce {
			return nil
		}
		from = rows[len(rows)-1].Text(0) + "\x00" // the least key above
	}
}

// FirstKeys gives the first keys that start with prefix, at most so many, in
// bytewise order: rows of key and value.
func FirstKeys(r Reader, prefix string, most int) ([]Row, error) {
	return keysFrom(r, prefix, prefix, most)
}

// keysFrom gives the first pairs from a key of a prefix on. Of a database that
// writes it gives those of the open block.
func keysFrom(r Reader, from, prefix string, most int) ([]Row, error) {
	if d, ok := r.(*DB); ok {
		return d.pairs(from, prefix, most)
	}
	query, args := firstKeys(prefix, most)
	args[0] = from
	return r.Query(query, args...)
}

func (d *DB) pairs(from, prefix string, most int) ([]Row, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.readable(); err != nil {
		return nil, err
	}
	return d.page(from, prefix, most)
}

func firstKeys(prefix string, most int) (query string, args []any) {
	if end := PrefixEnd(prefix); end != "" {
		return "SELECT key, value FROM kv WHERE key >= ? AND key < ? ORDER BY key LIMIT ?", []any{prefix, end, most}
	}
	return "SELECT key, value FROM kv WHERE key >= ? ORDER BY key LIMIT ?", []any{prefix, most}
}

// asker runs queries; op names the operation for errors and faults.
type asker interface {
	rows(op string, most int, query string, args ...any) ([]Row, error)
}

func number(a asker, query string) (int64, error) {
	rows, err := a.rows("query", 1, query)
	if err != nil {
		return 0, err
	}
	if len(rows) != 1 {
		return 0, fmt.Errorf("cannot read a number: %q gave no row", query)
	}
	return rows[0].Int64(0), nil
}

// standing is where a file stands between cranks.
type standing struct {
	height   int64 // in meta: of the prepared block, else of the last committed
	prepared int64 // prepared and not committed, 0 if none
	activity string
}

// committed gives the last committed height.
func (s standing) committed() int64 {
	if s.prepared != 0 {
		return s.prepared - 1
	}
	return s.height
}

func readStanding(a asker) (s standing, err error) {
	if s.prepared, err = number(a, "SELECT coalesce(max(height), 0) FROM prepared"); err != nil {
		return s, err
	}
	if s.height, err = number(a, "SELECT coalesce((SELECT value FROM meta WHERE key = 'height'), 0)"); err != nil {
		return s, err
	}
	rows, err := a.rows("query", 1, "SELECT value FROM meta WHERE key = 'activityHash'")
	if err == nil && len(rows) == 1 {
		s.activity = rows[0].Text(0)
	}
	return s, err
}

// storedLocal reads a local value as it is in the file.
func storedLocal(a asker, key string) (value string, ok bool, err error) {
	rows, err := a.rows("query", 1, "SELECT value FROM local WHERE key = ?", key)
	if err != nil || len(rows) == 0 {
		return "", false, err
	}
	return rows[0].Text(0), true, nil
}

func kvGet(a asker, key string) (string, bool, error) {
	rows, err := a.rows("query", 1, "SELECT value FROM kv WHERE key = ?", key)
	if err != nil || len(rows) == 0 {
		return "", false, err
	}
	return rows[0].Text(0), true, nil
}

func kvNext(a asker, prior, prefix string) (string, bool, error) {
	query := "SELECT key FROM kv WHERE key > ? AND key < ? ORDER BY key LIMIT 1"
	from := prior
	if prior < prefix {
		query = "SELECT key FROM kv WHERE key >= ? AND key < ? ORDER BY key LIMIT 1"
		from = prefix
	}
	args := []any{from}
	if end := PrefixEnd(prefix); end != "" {
		args = append(args, end)
	} else {
		query = "SELECT key FROM kv WHERE key > ? ORDER BY key LIMIT 1"
		if prior < prefix {
			query = "SELECT key FROM kv WHERE key >= ? ORDER BY key LIMIT 1"
		}
	}
	rows, err := a.rows("query", 1, query, args...)
	if err != nil || len(rows) == 0 {
		return "", false, err
	}
	return rows[0].Text(0), true, nil
}

// PrefixEnd gives the least string above all that start with prefix, "" if none.
func PrefixEnd(prefix string) string {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xff {
			return prefix[:i] + string([]byte{prefix[i] + 1})
		}
	}
	return ""
}
