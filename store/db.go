package store

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"vatworkerd/internal/crashpoint"
)

// Options say how a database is opened.
type Options struct {
	// Undo keeps what a prepared block changed until it is committed.
	// vatworkerd sets it; a kernel host, whose commit decides, does not.
	Undo bool
	// Fault, if set, is called before each operation of the database with its
	// name; an error it returns is taken for that operation's. For tests.
	Fault func(op string) error
	// Warn, if set, is told of errors that cost nothing yet: a checkpoint that
	// failed leaves the data in the -wal file. It must not call the database.
	Warn func(error)
	// LockWait is how long Open waits for another process to release the file.
	LockWait time.Duration
	// CheckpointBytes is the size of the -wal file above which a commit moves
	// it into the database file. 0 means 8 MiB.
	CheckpointBytes int64
}

const defaultCheckpointBytes = 8 << 20

// DB is an open database. Its methods may be called from several goroutines;
// a Crank belongs to one.
type DB struct {
	path string
	opts Options

	mu       sync.Mutex // guards everything below, and the connection
	conn     *conn
	lock     *os.File
	height   int64  // last committed
	prepared int64  // prepared and not committed, 0 if none
	settled  hashes // to go back to if the open block is dropped
	now      hashes // as of the last committed crank; the sum without what is touched
	touched  touched
	numbers  *pairNumbers
	inBlock  bool
	crank    *Crank             // the open crank
	lost     error              // why the open block was lost, until Rollback
	broken   error              // why only Close is left
	recent   recent             // of kv
	pending  pending            // of kv
	local    map[string]*string // local writes since the block began; nil: deleted
}

// hashes are what stands for all that a database has gone through, and for what
// it holds.
type hashes struct {
	activity string
	sum      stateSum
}

// Open opens or creates the database file at path, brings its schema up to
// date and locks it for this process. Errors: *LockedError, *NewerSchemaError,
// *ForeignFileError, *CorruptError, *IOError.
func Open(path string, opts Options) (*DB, error) {
	if opts.CheckpointBytes == 0 {
		opts.CheckpointBytes = defaultCheckpointBytes
	}
	lock, err := takeLock(path+".lock", opts.LockWait)
	if err != nil {
		return nil, fmt.Errorf("cannot open database %s: %w", path, err)
	}
	crashpoint.Here(crashpoint.StoreOpenLocked)
	d := &DB{path: path, opts: opts, lock: lock, local: map[string]*string{}, numbers: newPairNumbers()}
	if err := d.open(); err != nil {
		return nil, errors.Join(err, d.closeAll())
	}
	return d, nil
}

func (d *DB) open() error {
	// Created here, so that nobody else may read it; -wal and -shm follow its mode.
	f, err := os.OpenFile(d.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return typedError("open", d.path, err)
	}
	if err := f.Close(); err != nil {
		return typedError("open", d.path, err)
	}
	d.conn, err = openConn(d.path, "")
	if err != nil {
		return typedError("open", d.path, err)
	}
	// Before the first write, so that a file that is refused stays as it is.
	if _, err := schemaVersion(d, d.path); err != nil {
		return err
	}
	if err := d.setPragmas(); err != nil {
		return err
	}
	if err := d.migrate(); err != nil {
		return err
	}
	if err := d.setTriggers(); err != nil {
		return err
	}
	return d.loadState()
}

// setPragmas sets what makes a commit durable: docs/store.md says why.
func (d *DB) setPragmas() error {
	mode, err := d.rows("open", 1, "PRAGMA journal_mode = WAL")
	if err != nil {
		return err
	}
	if len(mode) != 1 || mode[0].Text(0) != "wal" {
		return fmt.Errorf("cannot open database %s: no write-ahead log is possible there; use a local file system", d.path)
	}
	return d.script("open", `
PRAGMA synchronous = FULL;
PRAGMA wal_autocheckpoint = 0;
PRAGMA recursive_triggers = ON;
PRAGMA trusted_schema = OFF;
PRAGMA temp_store = MEMORY;
PRAGMA cache_size = -32768;`)
}

// loadState reads where the file stands.
func (d *DB) loadState() error {
	at, err := readStanding(d)
	if err != nil {
		return err
	}
	sum, err := readSum(d)
	if err != nil {
		return &CorruptError{Path: d.path, Err: err}
	}
	d.touched = touched{}
	d.now = hashes{activity: at.activity, sum: sum}
	d.settled = d.now
	d.prepared, d.height = at.prepared, at.committed()
	return nil
}

// Close closes the database and releases its lock. An open block is discarded;
// a prepared one stays prepared.
func (d *DB) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.conn == nil {
		return nil
	}
	if d.broken != nil {
		return d.closeAll() // SQLite ends the transaction itself
	}
	err := errors.Join(d.dropOpenBlock(), d.closeAll())
	crashpoint.Here(crashpoint.StoreClosed)
	return err
}

func (d *DB) closeAll() error {
	var errs []error
	if d.conn != nil {
		errs = append(errs, d.conn.close())
		d.conn = nil
	}
	errs = append(errs, d.lock.Close())
	return errors.Join(errs...)
}

// usable tells why nothing can be done now, if so.
func (d *DB) usable() error {
	switch {
	case d.conn == nil:
		return fmt.Errorf("database %s is closed", d.path)
	case d.broken != nil:
		return &BrokenError{d.broken}
	case d.lost != nil:
		return &BlockLostError{d.lost}
	}
	return nil
}

// readable is usable for reads, which a lost block does not hinder.
func (d *DB) readable() error {
	if d.conn == nil || d.broken != nil {
		return d.usable()
	}
	return nil
}

// fault asks the hook of the tests.
func (d *DB) fault(op string) error {
	if d.opts.Fault == nil {
		return nil
	}
	if err := d.opts.Fault(op); err != nil {
		return typedError(op, d.path, err)
	}
	return nil
}

func (d *DB) script(op, sql string) error {
	if err := d.fault(op); err != nil {
		return err
	}
	if err := d.conn.script(sql); err != nil {
		return typedError(op, d.path, err)
	}
	return nil
}

func (d *DB) exec(op, query string, args ...any) error {
	_, err := d.execCount(op, query, args)
	return err
}

func (d *DB) execCount(op, query string, args []any) (int64, error) {
	if err := d.fault(op); err != nil {
		return 0, err
	}
	n, err := d.conn.run(query, args)
	if err != nil {
		return 0, typedError(op, d.path, err)
	}
	return n, nil
}

// rows gives at most `most` rows, all of them if it is negative.
func (d *DB) rows(op string, most int, query string, args ...any) ([]Row, error) {
	if err := d.fault(op); err != nil {
		return nil, err
	}
	rows, err := d.conn.rows(most, query, args)
	if err != nil {
		return nil, typedError(op, d.path, err)
	}
	return rows, nil
}

func (d *DB) number(query string) (int64, error) { return number(d, query) }
