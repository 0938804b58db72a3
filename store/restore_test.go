package store

import (
	"errors"
	"testing"
)

// A database that is filled with another's rows stands where that one stands, and
// goes on from there as it does.
func TestRestored(t *testing.T) {
	original := openTest(t, testPath(t), true)
	for n := 1; n <= 3; n++ {
		inCrank(t, original, func(c *Crank) { c.Set("count", string(rune('0'+n))) })
		must(t, original.Prepare(int64(n)))
		must(t, original.Commit(int64(n)))
	}
	path := testPath(t)
	restored := openTest(t, path, false)
	inCrank(t, restored, func(c *Crank) { c.Set("count", "3") })
	must(t, restored.CommitRestored(original.Height(), original.ActivityHash()))
	must(t, restored.Check())
	must(t, restored.Close())

	restored = openTest(t, path, true)
	for _, d := range []*DB{original, restored} {
		inCrank(t, d, func(c *Crank) { c.Set("count", "4") })
		must(t, d.Prepare(4))
		must(t, d.Commit(4))
	}
	if original.ActivityHash() != restored.ActivityHash() || original.StateHash() != restored.StateHash() || restored.Height() != 4 {
		t.Errorf("restored: height %d, %s %s; original: %s %s", restored.Height(),
			restored.ActivityHash(), restored.StateHash(), original.ActivityHash(), original.StateHash())
	}
}

func TestRestoreRefuses(t *testing.T) {
	if err := openTest(t, testPath(t), true).CommitRestored(1, "hash"); err == nil {
		t.Error("a database with an undo was restored")
	}
	d := openTest(t, testPath(t), false)
	inCrank(t, d, func(c *Crank) { c.Set("count", "1") })
	must(t, d.Commit(1))
	var height *HeightError
	if err := d.CommitRestored(7, "hash"); !errors.As(err, &height) {
		t.Errorf("a database that is not new gave %v", err)
	}
}

// A fault of the disk leaves a database that is new.
func TestRestoreFault(t *testing.T) {
	broken, failing := errors.New("broken"), false
	d, err := Open(testPath(t), Options{Fault: func(op string) error {
		if failing && op == "exec" {
			return broken
		}
		return nil
	}})
	must(t, err)
	defer func() { must(t, d.Close()) }()
	inCrank(t, d, func(c *Crank) { c.Set("count", "1") })
	failing = true
	if err := d.CommitRestored(7, "hash"); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	failing = false
	must(t, d.Rollback())
	if d.Height() != 0 || d.ActivityHash() != "" {
		t.Errorf("height %d, hash %q are left", d.Height(), d.ActivityHash())
	}
}
