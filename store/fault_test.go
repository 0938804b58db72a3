package store

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// snapshotOf is what must be one of the states between blocks, never another.
type snapshotOf struct {
	tables, hash string
	height       int64
}

func stateOf(t testing.TB, d *DB) snapshotOf {
	return snapshotOf{dump(t, d), d.ActivityHash(), d.Height()}
}

// faultBlock is a block with an aborted crank and local writes; its first
// error ends it.
func faultBlock(d *DB, n int64) error {
	c, err := d.BeginCrank()
	if err != nil {
		return err
	}
	c.Set("count", fmt.Sprint(n))
	c.Get("count")
	c.NextKey("", "c")
	c.Set(fmt.Sprint("key", n), "x")
	c.Delete(fmt.Sprint("key", n-1))
	// Errors stick, so only Commit is asked.
	_ = c.Exec("INSERT INTO transcriptItems VALUES ('v1', ?, 'item', 0)", n)
	_ = c.Exec("DELETE FROM transcriptItems WHERE position = ?", n-1)
	_ = c.PutBundle(fmt.Sprint("b1-", n), []byte("data"))
	if _, err := c.Commit(nil); err != nil {
		return err
	}
	if c, err = d.BeginCrank(); err != nil {
		return err
	}
	c.Set("count", "aborted")
	_ = c.Exec("DELETE FROM transcriptItems")
	c.Abort()
	if err := d.LocalSet("n", fmt.Sprint(n)); err != nil {
		return err
	}
	if c, err = d.BeginCrank(); err != nil {
		return err
	}
	c.Set("count", fmt.Sprint(n, " again"))
	c.Set("other", fmt.Sprint(n))
	if _, err := c.Commit(nil); err != nil {
		return err
	}
	if d.opts.Undo {
		if err := d.Prepare(n); err != nil {
			return err
		}
	}
	return d.Commit(n)
}

// An error at every operation in turn: what is left, both in the process after
// a rollback and in the reopened file, is the state before or after the block.
func TestFaultAtEveryOperation(t *testing.T) {
	errs := map[string]error{"io": errors.New("injected"), "full": syscall.ENOSPC}
	for name, injected := range errs {
		for _, undo := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s undo=%t", name, undo), func(t *testing.T) {
				before, after := referenceStates(t, undo)
				n := 0
				for ; faultRun(t, undo, n, injected, before, after); n++ {
					if n > 500 {
						t.Fatal("the block never succeeds")
					}
				}
				t.Logf("%d faults injected", n)
				if n < 24 {
					t.Errorf("only %d operations were seen", n)
				}
			})
		}
	}
}

func referenceStates(t *testing.T, undo bool) (before, after snapshotOf) {
	d := openTest(t, testPath(t), undo)
	must(t, faultBlock(d, 1))
	before = stateOf(t, d)
	must(t, faultBlock(d, 2))
	return before, stateOf(t, d)
}

// faultRun tells whether the fault was reached.
func faultRun(t *testing.T, undo bool, at int, injected error, before, after snapshotOf) bool {
	path := testPath(t)
	count, armed := 0, false
	d, err := Open(path, Options{Undo: undo, CheckpointBytes: 1, Fault: func(string) error {
		count++
		if armed && count-1 == at {
			return injected
		}
		return nil
	}})
	must(t, err)
	must(t, faultBlock(d, 1))
	count, armed = 0, true
	runErr := faultBlock(d, 2)
	reached := count > at
	armed = false
	want := map[snapshotOf]bool{before: true, after: true}
	if runErr == nil {
		delete(want, before)
	} else {
		if errors.Is(injected, syscall.ENOSPC) != errors.Is(runErr, ErrDiskFull) {
			t.Errorf("fault %d: a full disk comes out as %v", at, runErr)
		}
		rollErr := d.Rollback()
		var broken *BrokenError
		switch {
		case errors.As(rollErr, &broken):
		case rollErr != nil:
			t.Errorf("fault %d: rollback: %v", at, rollErr)
		default:
			checkState(t, d, at, "after rollback", map[snapshotOf]bool{before: true})
			must(t, faultBlock(d, 2)) // it goes on
			want = map[snapshotOf]bool{after: true}
		}
	}
	must(t, d.Close())
	d = openTest(t, path, undo)
	if h, ok := d.Prepared(); ok {
		// The host decides; here it has not committed.
		must(t, d.Align(h-1))
		want = map[snapshotOf]bool{before: true}
	}
	checkState(t, d, at, "reopened", want)
	must(t, d.Check())
	must(t, d.Close())
	return reached
}

func checkState(t *testing.T, d *DB, at int, when string, want map[snapshotOf]bool) {
	t.Helper()
	if got := stateOf(t, d); !want[got] {
		t.Errorf("fault %d, %s: height %d, hash %s:\n%s", at, when, got.height, got.hash, got.tables)
	}
}

// The environment of a child that kills itself at its Nth operation.
const (
	crashPathEnv = "STORE_TEST_CRASH_PATH"
	crashAtEnv   = "STORE_TEST_CRASH_AT"
	crashBlocks  = 3
)

// crashChild runs blocks as a kernel host would have them run, and notes the
// host's height in a file of its own, as the host's database does.
func crashChild(path string) int {
	at, err := strconv.Atoi(os.Getenv(crashAtEnv))
	if err != nil {
		return 2
	}
	count := 0
	point := func(string) error {
		if count == at {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		count++
		return nil
	}
	d, err := Open(path, Options{Undo: true, CheckpointBytes: 1, Fault: point})
	if err != nil {
		return 3
	}
	for n := int64(1); n <= crashBlocks; n++ {
		if err := crashChildBlock(d, path, n, point); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 4
		}
	}
	if err := d.Close(); err != nil {
		return 5
	}
	return 0
}

func crashChildBlock(d *DB, path string, n int64, point func(string) error) error {
	c, err := d.BeginCrank()
	if err != nil {
		return err
	}
	c.Set("count", fmt.Sprint(n))
	_ = c.Exec("INSERT INTO transcriptItems VALUES ('v1', ?, 'item', 0)", n)
	_ = c.Exec("UPDATE transcriptItems SET item = item || '+'")
	if _, err := c.Commit(nil); err != nil {
		return err
	}
	if err := d.Prepare(n); err != nil {
		return err
	}
	_ = point("before the host commits")
	if err := writeHostHeight(path, n); err != nil {
		return err
	}
	_ = point("after the host committed")
	return d.Commit(n)
}

func writeHostHeight(path string, n int64) error {
	tmp := path + ".host.tmp"
	if err := os.WriteFile(tmp, []byte(strconv.FormatInt(n, 10)), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path+".host")
}

// SIGKILL at every operation in turn. After each the file opens, aligns with
// the host's height, and equals the reference run at that height.
func TestKillAtEveryOperation(t *testing.T) {
	reference := crashReference(t)
	for at := 0; ; at++ {
		path := filepath.Join(t.TempDir(), "crash.sqlite")
		cmd := exec.Command(os.Args[0], "-test.run=^$")
		cmd.Env = append(os.Environ(), crashPathEnv+"="+path, crashAtEnv+"="+strconv.Itoa(at))
		out, err := cmd.CombinedOutput()
		killed := false
		if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok {
			killed = status.Signaled() && status.Signal() == syscall.SIGKILL
		}
		if err != nil && !killed {
			t.Fatalf("kill %d: %v: %s", at, err, out)
		}
		var host int64
		if raw, err := os.ReadFile(path + ".host"); err == nil {
			host, err = strconv.ParseInt(string(raw), 10, 64)
			must(t, err)
		}
		d := openTest(t, path, true)
		if err := d.Align(host); err != nil {
			t.Fatalf("kill %d: %v", at, err)
		}
		if got := stateOf(t, d); got != reference[host] {
			t.Errorf("kill %d: at height %d (host %d):\n%s\nwant\n%s", at, got.height, host, got.tables, reference[host].tables)
		}
		must(t, d.Check())
		must(t, d.Close())
		if !killed {
			t.Logf("%d kills", at)
			if at < 60 {
				t.Errorf("only %d operations were seen", at)
			}
			return
		}
	}
}

func crashReference(t *testing.T) []snapshotOf {
	path := testPath(t)
	d := openTest(t, path, true)
	states := []snapshotOf{stateOf(t, d)}
	for n := int64(1); n <= crashBlocks; n++ {
		must(t, crashChildBlock(d, path, n, func(string) error { return nil }))
		states = append(states, stateOf(t, d))
	}
	return states
}
