package store

import (
	"fmt"
	"strings"

	"vatworkerd/internal/crashpoint"
)

// applicationID marks our files ("vwkd"), so that no other SQLite database is
// taken for one of them.
const applicationID = 0x76776b64

// migration is one step: SQL, or what SQL cannot say.
type migration struct {
	sql string
	run func(*DB) error
}

// migrations are the steps from an empty file to the present schema, in order.
// PRAGMA user_version counts the steps a file has taken. A step that was
// released is never changed; a new one is appended.
var migrations = [...]migration{
	// 1: the tables of the first release. Columns and constraints of the
	// transcript tables are those of the JavaScript store.
	{sql: `
CREATE TABLE kv (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE transcriptItems (
  vatID TEXT NOT NULL, position INTEGER NOT NULL, item TEXT NOT NULL, incarnation INTEGER NOT NULL,
  PRIMARY KEY (vatID, position));
CREATE TABLE transcriptSpans (
  vatID TEXT NOT NULL, startPos INTEGER NOT NULL, endPos INTEGER NOT NULL, hash TEXT NOT NULL,
  isCurrent INTEGER CHECK (isCurrent = 1), incarnation INTEGER NOT NULL,
  PRIMARY KEY (vatID, startPos), UNIQUE (vatID, isCurrent));
CREATE TABLE snapshots (
  vatID TEXT NOT NULL, snapPos INTEGER NOT NULL, inUse INTEGER CHECK (inUse = 1), hash TEXT NOT NULL,
  uncompressedSize INTEGER, incarnation INTEGER NOT NULL, storedSize INTEGER,
  PRIMARY KEY (vatID, snapPos), UNIQUE (vatID, inUse));
CREATE TABLE bundles (id TEXT NOT NULL PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE meta (key TEXT NOT NULL PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
CREATE TABLE undo (
  tbl TEXT NOT NULL, k0 NOT NULL, k1 NOT NULL, existed INTEGER NOT NULL, v0, v1, v2, v3, v4,
  PRIMARY KEY (tbl, k0, k1)) WITHOUT ROWID;
CREATE TABLE prepared (one INTEGER PRIMARY KEY CHECK (one = 1), height INTEGER NOT NULL);
CREATE TABLE local (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX snapshotsInUse ON snapshots (hash) WHERE inUse = 1;
`},
	// 2: what a kernel host's blocks send to the world outside.
	{sql: `
CREATE TABLE outbox (
  sender TEXT NOT NULL, id INTEGER NOT NULL, height INTEGER NOT NULL, data TEXT NOT NULL,
  PRIMARY KEY (sender, id));
`},
	// 3: whether the file of a snapshot that is no longer in use stays is asked
	// by its hash.
	{sql: `
CREATE INDEX snapshotsByHash ON snapshots (hash);
`},
	// 4: the hash of all keys and values.
	{run: (*DB).beginSum},
}

// consensusTable is a table whose changes a prepared block can take back.
type consensusTable struct {
	name   string
	keys   []string // at most 2
	values []string // at most 5
}

// consensusTables lists them all; every other table is in ownTables.
func consensusTables() []consensusTable {
	return []consensusTable{
		{"kv", []string{"key"}, []string{"value"}},
		{"transcriptItems", []string{"vatID", "position"}, []string{"item", "incarnation"}},
		{"transcriptSpans", []string{"vatID", "startPos"}, []string{"endPos", "hash", "isCurrent", "incarnation"}},
		{"snapshots", []string{"vatID", "snapPos"}, []string{"inUse", "hash", "uncompressedSize", "incarnation", "storedSize"}},
		{"bundles", []string{"id"}, []string{"data"}},
		{"meta", []string{"key"}, []string{"value"}},
	}
}

// ownTables lists the tables that are outside of the undo.
func ownTables() []string { return []string{"local", "outbox", "prepared", "undo"} }

// SchemaVersion is the version of the files that this program writes.
func SchemaVersion() int { return len(migrations) }

// migrate brings the file to the present schema, in one transaction.
func (d *DB) migrate() error {
	found, err := schemaVersion(d, d.path)
	if err != nil {
		return err
	}
	if found == len(migrations) {
		return nil
	}
	if err := d.begin(); err != nil {
		return err
	}
	for _, m := range migrations[found:] {
		if err := d.take(m); err != nil {
			return d.giveUp(err)
		}
	}
	mark := fmt.Sprintf("PRAGMA user_version = %d; PRAGMA application_id = %d", len(migrations), applicationID)
	if err := d.script("migrate", mark); err != nil {
		return d.giveUp(err)
	}
	crashpoint.Here(crashpoint.StoreOpenMigrated)
	return d.commitTransaction()
}

func (d *DB) take(m migration) error {
	if m.run != nil {
		return m.run(d)
	}
	return d.script("migrate", m.sql)
}

// schemaVersion reads the version of the file and refuses what is not ours. A
// new file has version 0.
func schemaVersion(a asker, path string) (int, error) {
	found, err := number(a, "PRAGMA user_version")
	if err != nil {
		return 0, err
	}
	app, err := number(a, "PRAGMA application_id")
	if err != nil {
		return 0, err
	}
	tables, err := number(a, "SELECT count(*) FROM sqlite_master")
	if err != nil {
		return 0, err
	}
	if app != applicationID && (tables != 0 || found != 0 || app != 0) {
		return 0, &ForeignFileError{Path: path}
	}
	if int(found) > len(migrations) {
		return 0, &NewerSchemaError{Path: path, Found: int(found), Supports: len(migrations)}
	}
	return int(found), nil
}

// setTriggers makes the undo triggers exist exactly if this store keeps an undo.
func (d *DB) setTriggers() error {
	have, err := d.number("SELECT count(*) FROM sqlite_master WHERE type = 'trigger'")
	if err != nil {
		return err
	}
	tables := consensusTables()
	if d.opts.Undo == (have == int64(3*len(tables))) && (d.opts.Undo || have == 0) {
		return nil
	}
	if err := d.begin(); err != nil {
		return err
	}
	for _, t := range tables {
		sql := dropTriggers(t)
		if d.opts.Undo {
			sql += createTriggers(t)
		}
		if err := d.script("migrate", sql); err != nil {
			return d.giveUp(err)
		}
	}
	crashpoint.Here(crashpoint.StoreOpenTriggers)
	return d.commitTransaction()
}

func columnList(prefix string, names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = prefix + n
	}
	return strings.Join(out, ", ")
}
