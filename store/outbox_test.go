package store

import (
	"errors"
	"fmt"
	"reflect"
	"syscall"
	"testing"
)

func wantOutputs(t *testing.T, d *DB, want ...Output) {
	t.Helper()
	got, err := d.Outputs("d7", 0, 100)
	must(t, err)
	if len(got) != len(want) || len(want) > 0 && !reflect.DeepEqual(got, want) {
		t.Errorf("outputs %v, want %v", got, want)
	}
}

// An output is there when its block is committed, whatever else happened to
// cranks and blocks, and until it is forgotten.
func TestOutputsLeaveWithTheirBlock(t *testing.T) {
	path := testPath(t)
	d := openTest(t, path, false)
	put := func(id int64) func(*Crank) {
		return func(c *Crank) { must(t, c.PutOutput("d7", id, fmt.Sprint("output ", id))) }
	}
	output := func(id, height int64) Output {
		return Output{ID: id, Height: height, Sender: "d7", Data: fmt.Sprint("output ", id)}
	}
	inCrank(t, d, put(1))
	c, err := d.BeginCrank()
	must(t, err)
	put(2)(c)
	c.Abort()
	inCrank(t, d, put(2))
	wantOutputs(t, d) // the block is open
	if err := d.ForgetOutputs("d7", 1); err == nil {
		t.Error("outputs are forgotten inside of a block")
	}
	must(t, d.Commit(1))
	wantOutputs(t, d, output(1, 1), output(2, 1))
	inCrank(t, d, put(3))
	wantOutputs(t, d, output(1, 1), output(2, 1))
	must(t, d.Rollback())
	inCrank(t, d, put(3))
	must(t, d.Commit(2))
	must(t, d.ForgetOutputs("d7", 1))
	must(t, d.ForgetOutputs("d8", 3))
	must(t, d.Close())
	d = openTest(t, path, false)
	wantOutputs(t, d, output(2, 1), output(3, 2))
	if got, err := d.Outputs("d7", 3, 100); err != nil || len(got) != 0 {
		t.Errorf("outputs after 3: %v, %v", got, err)
	}
}

func TestOutputsAreInTheActivityHash(t *testing.T) {
	hash := func(data string) string {
		d := openTest(t, testPath(t), false)
		return inCrank(t, d, func(c *Crank) { must(t, c.PutOutput("d7", 1, data)) })
	}
	first, again, other := hash("a"), hash("a"), hash("b")
	if first != again || first == other {
		t.Error("the activity hash does not tell outputs apart")
	}
}

func TestAnUndoStoreTakesNoOutputs(t *testing.T) {
	d := openTest(t, testPath(t), true)
	c, err := d.BeginCrank()
	must(t, err)
	if err := c.PutOutput("d7", 1, "x"); err == nil {
		t.Error("it took one")
	}
	c.Abort()
}

// An error while outputs are forgotten leaves them there: they leave again.
func TestOutputsOutliveAFailedForgetting(t *testing.T) {
	for at := 0; ; at++ {
		count, armed := 0, false
		d, err := Open(testPath(t), Options{Fault: func(string) error {
			count++
			if armed && count-1 == at {
				return syscall.ENOSPC
			}
			return nil
		}})
		must(t, err)
		inCrank(t, d, func(c *Crank) {
			must(t, c.PutOutput("d7", 1, "x"))
			must(t, c.PutOutput("d7", 2, "y"))
		})
		must(t, d.Commit(1))
		count, armed = 0, true
		err = d.ForgetOutputs("d7", 2)
		armed = false
		if err == nil {
			wantOutputs(t, d)
		} else if !errors.Is(err, ErrDiskFull) {
			t.Errorf("fault %d: %v", at, err)
		} else {
			wantOutputs(t, d, Output{"d7", 1, 1, "x"}, Output{"d7", 2, 1, "y"})
		}
		must(t, d.Check())
		must(t, d.Close())
		if err == nil {
			break
		}
	}
}

// A file of the first schema is brought up to date; what is in it stays.
func TestMigrationFromTheFirstSchema(t *testing.T) {
	path := testPath(t)
	conn, err := openConn(path, "")
	must(t, err)
	must(t, conn.script(migrations[0].sql))
	must(t, conn.script(fmt.Sprintf("PRAGMA user_version = 1; PRAGMA application_id = %d; INSERT INTO kv VALUES ('old', 'value')", applicationID)))
	must(t, conn.close())
	d := openTest(t, path, false)
	wantKey(t, d, "old", "value")
	inCrank(t, d, func(c *Crank) { must(t, c.PutOutput("d7", 1, "x")) })
	must(t, d.Commit(1))
	wantOutputs(t, d, Output{"d7", 1, 1, "x"})
}
