package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Kinds of problems of the store itself, besides KindDatabase and KindBundle.
const (
	KindBlock ProblemKind = "block" // heights, activity hash, the undo of a prepared block
	KindState ProblemKind = "state" // all keys and values together
)

// Names under which an audit counts.
const (
	CountFiles = "files"
	CountUndo  = "undo images"
	CountKeys  = "keys"
)

// CheckFile checks a database file of this package: the file itself, its schema,
// the heights, the undo, and the hash of all keys and values. undo says that the store is one that keeps an undo;
// name is the file's in the places of problems. A problem does not stop it.
// Errors: that of the audit's context, those of the disk.
func CheckFile(a *Audit, s Source, name string, undo bool) error {
	c := &fileCheck{Audit: a, s: s, name: name, undo: undo}
	_, c.mayUndo = s.Prepared()
	if err := c.Step(name); err != nil {
		return err
	}
	c.Count(CountFiles, 1)
	return c.run(c.integrity, c.schema, c.standing, c.images, c.sum)
}

// Check is CheckFile for a database that is open for writing, in a block or not,
// as one error; the schema is what Open has made it. Damage of the file is a
// *CorruptError.
func (d *DB) Check() error {
	d.mu.Lock()
	inBlock, prepared, err := d.inBlock, d.prepared, d.readable()
	d.mu.Unlock()
	if err != nil {
		return err
	}
	c := &fileCheck{
		Audit: NewAudit(context.Background(), nil), s: d, name: filepath.Base(d.path),
		undo: d.opts.Undo, mayUndo: inBlock || prepared != 0,
	}
	if err := c.run(c.integrity, c.standing, c.images, c.sum); err != nil {
		return err
	}
	if at, err := readStanding(readerAsker{d}); err == nil && at.prepared != prepared {
		c.wrong(KindBlock, " prepared", "the prepared height in memory", strconv.FormatInt(at.prepared, 10), strconv.FormatInt(prepared, 10))
	}
	err = c.Err()
	if slices.ContainsFunc(c.Problems(), func(p Problem) bool { return p.Kind == KindDatabase }) {
		return &CorruptError{Path: d.path, Err: err}
	}
	return err
}

type fileCheck struct {
	*Audit
	s       Source
	name    string
	undo    bool // the store keeps an undo
	mayUndo bool // there may be one now
}

func (c *fileCheck) run(checks ...func() error) error {
	for _, check := range checks {
		if err := c.Survive("", c.name, check()); err != nil {
			return err
		}
	}
	return nil
}

func (c *fileCheck) wrong(kind ProblemKind, place, what, expected, got string) {
	c.Add(Problem{Kind: kind, Place: c.name + place, What: what, Expected: expected, Got: got})
}

func (c *fileCheck) integrity() error {
	rows, err := c.s.Query("PRAGMA integrity_check")
	for _, row := range rows {
		for line := range strings.Lines(row.Text(0)) {
			if line = strings.TrimSpace(line); line != "ok" && line != "" {
				c.wrong(KindDatabase, "", line, "", "")
			}
		}
	}
	return err
}

// schema compares the tables, indices and triggers with those that the
// migrations the file has taken make.
func (c *fileCheck) schema() error {
	version, _, err := c.s.QueryRow("PRAGMA user_version")
	if err != nil {
		return err
	}
	want, err := schemaOf(int(version.Int64(0)), c.undo)
	if err != nil {
		return err
	}
	got, err := objectsOf(c.s)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if _, ok := got[name]; !ok {
			c.wrong(KindDatabase, " "+name, "it is missing in the schema", "", "")
		} else if got[name] != want[name] {
			c.wrong(KindDatabase, " "+name, "its definition", want[name], got[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[name]; !ok {
			c.wrong(KindDatabase, " "+name, "no such thing belongs into the schema", "", "")
		}
	}
	return nil
}

// objectsOf gives the SQL of all that the schema has, by type and name. What
// SQLite makes by itself has none.
func objectsOf(r Reader) (map[string]string, error) {
	rows, err := r.Query("SELECT type, name, sql FROM main.sqlite_master WHERE sql IS NOT NULL")
	objects := map[string]string{}
	for _, row := range rows {
		objects[row.Text(0)+" "+row.Text(1)] = strings.Join(strings.Fields(row.Text(2)), " ")
	}
	return objects, err
}

// schemaOf gives what objectsOf finds in a file of a version.
func schemaOf(version int, undo bool) (objects map[string]string, err error) {
	c, err := openConn("schema", "&mode=memory")
	if err != nil {
		return nil, fmt.Errorf("cannot make the schema of version %d: %w", version, err)
	}
	r := &ReadOnly{path: "schema", conn: c}
	defer func() { err = errors.Join(err, c.close()) }()
	sql := ""
	for _, m := range migrations[:version] {
		sql += m.sql
	}
	if undo {
		for _, t := range consensusTables() {
			sql += createTriggers(t)
		}
	}
	if err := c.script(sql); err != nil {
		return nil, fmt.Errorf("cannot make the schema of version %d: %w", version, err)
	}
	return objectsOf(r)
}

// standing: the heights and the activity hash are such things, and the prepared
// height is the one in meta.
func (c *fileCheck) standing() error {
	rows, err := c.s.Query("SELECT key, typeof(value), value FROM meta")
	if err != nil {
		return err
	}
	for _, row := range rows {
		key, kind, text := row.Text(0), row.Text(1), row.Text(2)
		switch {
		case key == "height" && (kind != "integer" || row.Int64(2) < 0):
			c.wrong(KindBlock, " meta.height", "it is no height", "", fmt.Sprint(row[2]))
		case key == "activityHash" && !isHash(text):
			c.wrong(KindBlock, " meta.activityHash", "it is no hash", "", text)
		case !slices.Contains(metaKeys(), key):
			c.wrong(KindBlock, " meta."+key, "there is no such key", "", "")
		}
	}
	at, err := readStanding(readerAsker{c.s})
	if err != nil {
		return err
	}
	if at.prepared != 0 && at.prepared != at.height {
		c.wrong(KindBlock, " prepared", "the height of the prepared block", strconv.FormatInt(at.height, 10), strconv.FormatInt(at.prepared, 10))
	}
	if at.prepared != 0 && !c.undo {
		c.wrong(KindBlock, " prepared", "a block is prepared in a store that keeps no undo", "", "")
	}
	return nil
}

// metaKeys lists the keys of the table meta.
func metaKeys() []string { return []string{"activityHash", "height", sumKey} }

func isHash(text string) bool {
	return len(text) == 64 && strings.Trim(text, "0123456789abcdef") == ""
}

// images: there is an undo only for a block that may be undone, it is of known
// tables, and it leads back to the height before.
func (c *fileCheck) images() error {
	rows, err := c.s.Query("SELECT tbl, count(*), sum(existed NOT IN (0, 1)) FROM undo GROUP BY tbl ORDER BY tbl")
	if err != nil {
		return err
	}
	for _, row := range rows {
		table, n := row.Text(0), row.Int64(1)
		c.Count(CountUndo, n)
		switch {
		case !c.mayUndo:
			c.wrong(KindBlock, " undo."+table, fmt.Sprintf("there are %d images and no prepared block", n), "", "")
		case !slices.ContainsFunc(consensusTables(), func(t consensusTable) bool { return t.name == table }):
			c.wrong(KindBlock, " undo."+table, "there is no such table", "", "")
		case row.Int64(2) != 0:
			c.wrong(KindBlock, " undo."+table, fmt.Sprintf("%d images are neither of a row that was there nor of one that was not", row.Int64(2)), "", "")
		}
	}
	prepared, ok := c.s.Prepared()
	if !ok {
		return nil
	}
	row, ok, err := c.s.QueryRow("SELECT existed, v0 FROM undo WHERE tbl = 'meta' AND k0 = 'height'")
	if err != nil {
		return err
	}
	before := "none"
	if ok {
		before = strconv.FormatInt(row.Int64(1), 10)
	}
	if want := strconv.FormatInt(prepared-1, 10); before != want {
		c.wrong(KindBlock, " undo.meta", "the height that the undo leads back to", want, before)
	}
	return nil
}

// readerAsker makes queries of a Reader without an operation's name.
type readerAsker struct{ r Reader }

func (a readerAsker) rows(_ string, most int, query string, args ...any) ([]Row, error) {
	if most == 1 {
		row, ok, err := a.r.QueryRow(query, args...)
		if err != nil || !ok {
			return nil, err
		}
		return []Row{row}, nil
	}
	return a.r.Query(query, args...)
}
