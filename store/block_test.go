package store

import (
	"errors"
	"fmt"
	"testing"
)

// work is a block that touches every consensus table in every way.
func work(t testing.TB, d *DB, n int) {
	t.Helper()
	inCrank(t, d, func(c *Crank) {
		c.Set("count", fmt.Sprint(n))
		c.Set(fmt.Sprintf("new%d", n), "x")
		c.Delete(fmt.Sprintf("new%d", n-1))
		must(t, c.Exec("INSERT INTO transcriptItems VALUES ('v1', ?, ?, 0)", n, fmt.Sprint("item ", n)))
		must(t, c.Exec("UPDATE transcriptItems SET item = 'changed' WHERE position = ?", n-1))
		must(t, c.Exec("DELETE FROM transcriptItems WHERE position = ?", n-2))
		must(t, c.Exec("UPDATE transcriptSpans SET isCurrent = NULL"))
		must(t, c.Exec("INSERT INTO transcriptSpans VALUES ('v1', ?, ?, 'hash', 1, 0)", n, n))
		must(t, c.Exec("UPDATE snapshots SET inUse = NULL"))
		must(t, c.Exec("INSERT OR REPLACE INTO snapshots VALUES ('v1', ?, 1, 'hash', 10, 0, 5)", n%3))
		must(t, c.PutBundle(fmt.Sprintf("b1-%d", n), []byte{byte(n)}))
	})
	inCrank(t, d, func(c *Crank) { // the same rows again, and a moved key
		c.Set("count", fmt.Sprint(n, " again"))
		must(t, c.Exec("UPDATE transcriptItems SET position = position + 1000 WHERE position = ?", n-1))
		must(t, c.Exec("UPDATE transcriptItems SET position = position - 1000 WHERE position = ?", n+999))
		must(t, c.Exec("DELETE FROM bundles WHERE id = ?", fmt.Sprintf("b1-%d", n-1)))
	})
}

func commitBlock(t testing.TB, d *DB, n int) {
	t.Helper()
	work(t, d, n)
	if d.opts.Undo {
		must(t, d.Prepare(int64(n)))
	}
	must(t, d.Commit(int64(n)))
}

func TestRollbackRestoresEveryTable(t *testing.T) {
	path := testPath(t)
	d := openTest(t, path, true)
	for n := 1; n <= 4; n++ {
		commitBlock(t, d, n)
	}
	before, hash := dump(t, d), d.ActivityHash()
	isBefore := func(what string) {
		t.Helper()
		if got := dump(t, d); got != before || d.ActivityHash() != hash || d.Height() != 4 {
			t.Errorf("%s: height %d, hash %s\n%s\nwant %s", what, d.Height(), d.ActivityHash(), got, before)
		}
		must(t, d.Check())
	}
	work(t, d, 5)
	must(t, d.Rollback())
	isBefore("open block")

	work(t, d, 5)
	must(t, d.Prepare(5))
	if h, ok := d.Prepared(); h != 5 || !ok || d.Height() != 4 {
		t.Errorf("prepared %d, %t at height %d", h, ok, d.Height())
	}
	must(t, d.Rollback())
	isBefore("prepared block")

	work(t, d, 5)
	must(t, d.Prepare(5))
	must(t, d.Close())
	d = openTest(t, path, true)
	if h, ok := d.Prepared(); h != 5 || !ok || d.Height() != 4 {
		t.Errorf("reopened: prepared %d, %t at height %d", h, ok, d.Height())
	}
	must(t, d.Check())
	must(t, d.Rollback())
	isBefore("prepared block after reopening")
	must(t, d.Rollback())
	isBefore("nothing")

	commitBlock(t, d, 5)
	if d.Height() != 5 {
		t.Errorf("height %d", d.Height())
	}
}

func TestABlockRepeatedAfterRollbackHasTheSameHash(t *testing.T) {
	d := openTest(t, testPath(t), true)
	commitBlock(t, d, 1)
	work(t, d, 2)
	first := d.ActivityHash()
	must(t, d.Prepare(2))
	must(t, d.Rollback())
	work(t, d, 2)
	if d.ActivityHash() != first {
		t.Error("the hash differs")
	}
	must(t, d.Prepare(2))
	must(t, d.Commit(2))
	must(t, d.Commit(2)) // again is harmless
	if d.ActivityHash() != first {
		t.Error("the hash differs after commit")
	}
}

func TestHeightsMustFit(t *testing.T) {
	d := openTest(t, testPath(t), true)
	var wrong *HeightError
	if err := d.Prepare(2); !errors.As(err, &wrong) {
		t.Errorf("prepare 2: %v", err)
	}
	if err := d.Commit(1); !errors.As(err, &wrong) {
		t.Errorf("commit 1: %v", err)
	}
	must(t, d.Prepare(1)) // an empty block
	if err := d.Commit(2); !errors.As(err, &wrong) {
		t.Errorf("commit 2: %v", err)
	}
	if _, err := d.BeginCrank(); err == nil {
		t.Error("a crank began while a block is prepared")
	}
	if err := d.Prepare(2); err == nil {
		t.Error("prepared over a prepared block")
	}
	must(t, d.Commit(1))

	host := openTest(t, testPath(t), false)
	if err := host.Prepare(1); err == nil {
		t.Error("prepared without undo")
	}
	if err := host.Commit(7); !errors.As(err, &wrong) {
		t.Errorf("commit 7: %v", err)
	}
	must(t, host.Commit(1))
}

func TestAlign(t *testing.T) {
	for _, c := range []struct {
		name         string
		prepare      bool
		host         int64
		wantHeight   int64
		wantMismatch bool
	}{
		{"host has the prepared block", true, 2, 2, false},
		{"host lacks the prepared block", true, 1, 1, false},
		{"host is ahead of the prepared block", true, 3, 1, true},
		{"host is behind the prepared block", true, 0, 1, true},
		{"equal", false, 1, 1, false},
		{"host is ahead", false, 2, 1, true},
		{"host is behind", false, 0, 1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := openTest(t, testPath(t), true)
			commitBlock(t, d, 1)
			work(t, d, 2)
			if c.prepare {
				must(t, d.Prepare(2))
			}
			err := d.Align(c.host)
			var mismatch *HeightError
			if errors.As(err, &mismatch) != c.wantMismatch || !c.wantMismatch && err != nil {
				t.Errorf("Align gives %v", err)
			}
			if d.Height() != c.wantHeight {
				t.Errorf("height %d", d.Height())
			}
			if _, ok := d.Prepared(); ok != c.wantMismatch && c.prepare {
				t.Errorf("prepared is %t", ok)
			}
		})
	}
}

func TestAHostStoreKeepsItsBlocks(t *testing.T) {
	path := testPath(t)
	d := openTest(t, path, false)
	for n := 1; n <= 3; n++ {
		commitBlock(t, d, n)
	}
	want, hash := dump(t, d), d.ActivityHash()
	work(t, d, 4)
	must(t, d.Close()) // discards block 4
	d = openTest(t, path, false)
	if dump(t, d) != want || d.ActivityHash() != hash || d.Height() != 3 {
		t.Error("the reopened database differs")
	}
}

func TestUndoCanBeSwitchedOnAndOff(t *testing.T) {
	path := testPath(t)
	for n, undo := range []bool{false, true, true, false, true} {
		d := openTest(t, path, undo)
		commitBlock(t, d, n+1)
		must(t, d.Check())
		must(t, d.Close())
	}
}

func TestLocalValuesOutliveRollbackAndAbort(t *testing.T) {
	path := testPath(t)
	d := openTest(t, path, true)
	want := func(key, want string) {
		t.Helper()
		got, ok, err := d.LocalGet(key)
		must(t, err)
		if got != want || ok != (want != "") {
			t.Errorf("%s is %q, %t, want %q", key, got, ok, want)
		}
	}
	must(t, d.LocalSet("no block", "1"))
	c, err := d.BeginCrank()
	must(t, err)
	must(t, d.LocalSet("in crank", "1"))
	must(t, d.LocalSet("gone", "1"))
	must(t, d.LocalDelete("gone"))
	hash := d.ActivityHash()
	c.Abort()
	want("in crank", "1")
	must(t, d.Rollback())
	inCrank(t, d, func(*Crank) {})
	must(t, d.LocalSet("in block", "1"))
	must(t, d.Prepare(1))
	must(t, d.LocalSet("prepared", "1"))
	must(t, d.LocalDelete("no block"))
	must(t, d.Rollback())
	inCrank(t, d, func(*Crank) {})
	must(t, d.LocalSet("closed", "1"))
	must(t, d.Close())
	d = openTest(t, path, true)
	for _, key := range []string{"in crank", "in block", "prepared", "closed"} {
		want(key, "1")
	}
	want("gone", "")
	want("no block", "")
	if hash != d.ActivityHash() {
		t.Error("local values changed the hash")
	}
}

func TestTheLogIsCheckpointedOnceLarge(t *testing.T) {
	d := openTest(t, testPath(t), true)
	checkpoints := 0
	d.opts.Fault = func(op string) error {
		if op == "checkpoint" {
			checkpoints++
			return errors.New("injected")
		}
		return nil
	}
	warned := 0
	d.opts.Warn = func(error) { warned++ }
	d.opts.CheckpointBytes = 1
	commitBlock(t, d, 1)
	d.opts.Fault = nil
	commitBlock(t, d, 2)
	d.opts.CheckpointBytes = 1 << 30
	commitBlock(t, d, 3)
	if checkpoints != 1 || warned != 1 || d.Height() != 3 {
		t.Errorf("%d checkpoints failed, %d warnings, height %d", checkpoints, warned, d.Height())
	}
}
