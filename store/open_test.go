package store

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// No table can be forgotten: what sqlite_master holds is either undone or own.
func TestEveryTableIsUndoneOrKnownNotToBe(t *testing.T) {
	d := openTest(t, testPath(t), true)
	rows, err := d.Query("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
	must(t, err)
	var found, want []string
	for _, r := range rows {
		found = append(found, r.Text(0))
	}
	want = append(want, ownTables()...)
	for _, table := range consensusTables() {
		want = append(want, table.name)
		var columns []string
		info, err := d.Query("SELECT name FROM pragma_table_info('" + table.name + "')")
		must(t, err)
		for _, r := range info {
			columns = append(columns, r.Text(0))
		}
		listed := slices.Concat(table.keys, table.values)
		slices.Sort(columns)
		slices.Sort(listed)
		if !slices.Equal(columns, listed) {
			t.Errorf("table %s has columns %v, the undo keeps %v", table.name, columns, listed)
		}
		triggers, err := d.Query("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = '" + table.name + "'")
		must(t, err)
		if len(triggers) != 3 {
			t.Errorf("table %s has %d triggers", table.name, len(triggers))
		}
	}
	slices.Sort(found)
	slices.Sort(want)
	if !slices.Equal(found, want) {
		t.Errorf("the file has tables %v, the lists have %v", found, want)
	}
}

func TestDurabilitySettings(t *testing.T) {
	path := testPath(t)
	d := openTest(t, path, true)
	commitBlock(t, d, 1) // switches synchronous forth and back
	for pragma, want := range map[string]string{
		"journal_mode": "wal", "synchronous": "2", "wal_autocheckpoint": "0", "recursive_triggers": "1",
	} {
		row, _, err := d.QueryRow("PRAGMA " + pragma)
		must(t, err)
		if got := fmt.Sprint(row[0]); got != want {
			t.Errorf("%s is %s, want %s", pragma, got, want)
		}
	}
	for _, file := range []string{path, path + "-wal", path + ".lock"} {
		info, err := os.Stat(file)
		must(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o", file, info.Mode().Perm())
		}
	}
}

func TestASecondOpenIsRefused(t *testing.T) {
	path := testPath(t)
	d := openTest(t, path, true)
	var locked *LockedError
	if _, err := Open(path, Options{}); !errors.As(err, &locked) || locked.PID != os.Getpid() {
		t.Fatalf("got %v", err)
	}
	if pid, err := Holder(path); pid != os.Getpid() || err != nil {
		t.Errorf("the holder is %d, %v", pid, err)
	}
	must(t, d.Close())
	must(t, d.Close()) // again is harmless
	for _, path := range []string{path, path + "none"} {
		if pid, err := Holder(path); pid != 0 || err != nil {
			t.Errorf("the holder is %d, %v, and nobody has it open", pid, err)
		}
	}
	openTest(t, path, true)
}

// A holder that is about to end is waited for: whoever was killed a moment ago
// may still hold the file.
func TestOpenWaitsForAHolderThatGoes(t *testing.T) {
	path := testPath(t)
	holder, err := takeLock(path+".lock", 0)
	must(t, err)
	var locked *LockedError
	if _, err := Open(path, Options{LockWait: 2 * lockPoll}); !errors.As(err, &locked) {
		t.Fatalf("got %v", err)
	}
	opened := make(chan error, 1)
	go func() {
		d, err := Open(path, Options{LockWait: time.Hour})
		if err == nil {
			err = d.Close()
		}
		opened <- err
	}()
	must(t, holder.Close())
	must(t, <-opened)
}

func TestFilesThatAreRefusedStayAsTheyAre(t *testing.T) {
	rewrite := func(sql string) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			d, err := Open(path, Options{})
			must(t, err)
			must(t, d.conn.script(sql))
			must(t, d.Close())
		}
	}
	is := func(target any) func(error) bool {
		return func(err error) bool { return errors.As(err, target) }
	}
	for name, c := range map[string]struct {
		make    func(t *testing.T, path string)
		matches func(error) bool
		says    string
	}{
		"newer schema":    {rewrite("PRAGMA user_version = 99"), is(new(*NewerSchemaError)), "newer program"},
		"another program": {rewrite("PRAGMA application_id = 5"), is(new(*ForeignFileError)), "another path"},
		"no database": {func(t *testing.T, path string) {
			must(t, os.WriteFile(path, []byte(strings.Repeat("this is no database ", 500)), 0o600))
		}, is(new(*CorruptError)), "backup"},
		"a directory": {func(t *testing.T, path string) { must(t, os.Mkdir(path, 0o700)) }, is(new(*IOError)), "open"},
	} {
		t.Run(name, func(t *testing.T) {
			path := testPath(t)
			c.make(t, path)
			before, _ := os.ReadFile(path)
			_, err := Open(path, Options{Undo: true})
			if err == nil || !c.matches(err) || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("got %T: %v", err, err)
			}
			if after, _ := os.ReadFile(path); string(before) != string(after) {
				t.Error("the file was changed")
			}
		})
	}
}

func TestNoDirectoryIsAClearError(t *testing.T) {
	_, err := Open(filepath.Join(t.TempDir(), "none", "x.sqlite"), Options{})
	if !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("got %v", err)
	}
}

func TestABitFlipIsFound(t *testing.T) {
	path := testPath(t)
	d, err := Open(path, Options{Undo: true})
	must(t, err)
	inCrank(t, d, func(c *Crank) {
		for i := range 2000 {
			c.Set(strings.Repeat("k", i%50)+string(rune('a'+i%26))+strings.Repeat("x", i/26), strings.Repeat("v", 40))
		}
	})
	must(t, d.Prepare(1))
	must(t, d.Commit(1))
	must(t, d.Close())
	raw, err := os.ReadFile(path)
	must(t, err)
	for i := 4096 * 12; i < 4096*12+64; i++ { // the head of a page
		raw[i] ^= 0x55
	}
	must(t, os.WriteFile(path, raw, 0o600))
	d, err = Open(path, Options{Undo: true})
	if err == nil {
		err = errors.Join(d.Check(), d.Close())
	}
	var corrupt *CorruptError
	if !errors.As(err, &corrupt) || corrupt.Path != path {
		t.Fatalf("got %v", err)
	}
}

// A real SQLITE_FULL in the middle of a block: a typed error, the block is
// lost, and the database goes on once there is room.
func TestAFullDiskCostsTheBlockOnly(t *testing.T) {
	t.Run("at its end", func(t *testing.T) {
		testFullDisk(t, 1<<20, func(d *DB) error { return d.Prepare(2) })
	})
	t.Run("when much is pending", func(t *testing.T) {
		testFullDisk(t, pendingBytes, func(d *DB) error {
			_, err := d.BeginCrank()
			var lost *BlockLostError
			if !errors.As(err, &lost) {
				t.Errorf("got %v, want that the block is lost", err)
			}
			return err
		})
	})
	t.Run("in an SQL statement", func(t *testing.T) {
		testFullDisk(t, 10, func(d *DB) error {
			c, err := d.BeginCrank()
			must(t, err)
			_ = c.Exec("INSERT INTO transcriptItems VALUES ('v1', 7, ?, 0)", strings.Repeat("x", 1<<20))
			_, err = c.Commit(nil)
			return err
		})
	})
}

// testFullDisk fills the disk in a block that has bytes pending, until fails does.
func testFullDisk(t *testing.T, bytes int, fails func(*DB) error) {
	d := openTest(t, testPath(t), true)
	commitBlock(t, d, 1)
	before, hash := dump(t, d), d.ActivityHash()
	work(t, d, 2)
	limit, err := d.rows("query", 1, "PRAGMA page_count")
	must(t, err)
	setLimit := func(pages int64) {
		s, err := d.conn.prepare("PRAGMA max_page_count = " + strconv.FormatInt(pages, 10))
		must(t, err)
		_, err = s.rows(nil, 1)
		must(t, errors.Join(err, s.close()))
	}
	setLimit(limit[0].Int64(0) + 2)
	c, err := d.BeginCrank()
	must(t, err)
	c.Set("big", strings.Repeat("x", bytes))
	_, err = c.Commit(nil)
	must(t, err)
	if err := fails(d); !errors.Is(err, ErrDiskFull) {
		t.Fatalf("got %v", err)
	}
	var lost *BlockLostError
	if _, err := d.BeginCrank(); !errors.As(err, &lost) {
		t.Errorf("a crank began after the block was lost: %v", err)
	}
	if err := d.Prepare(2); !errors.As(err, &lost) {
		t.Errorf("a lost block was prepared: %v", err)
	}
	must(t, d.Rollback())
	if dump(t, d) != before || d.ActivityHash() != hash {
		t.Error("the database is not as before the block")
	}
	setLimit(1 << 30)
	commitBlock(t, d, 2)
}

// Readers in other goroutines do not disturb a crank (the race detector looks on).
func TestReadersMayBeElsewhere(t *testing.T) {
	d := openTest(t, testPath(t), true)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, _, err := d.Get("count"); err != nil {
					t.Error(err)
					return
				}
				if _, err := d.Query("SELECT * FROM transcriptItems"); err != nil {
					t.Error(err)
					return
				}
				d.Height()
				d.ActivityHash()
			}
		})
	}
	for n := 1; n <= 5; n++ {
		commitBlock(t, d, n)
	}
	close(stop)
	wg.Wait()
}

// The lock is of the process: a child that inherits nothing cannot hold it.
func TestTheLockIsNotInherited(t *testing.T) {
	path := testPath(t)
	d, err := Open(path, Options{})
	must(t, err)
	child := exec.Command("sleep", "60")
	must(t, child.Start())
	must(t, d.Close())
	d, err = Open(path, Options{})
	must(t, err)
	must(t, d.Close())
	must(t, child.Process.Kill())
	_ = child.Wait()
}
