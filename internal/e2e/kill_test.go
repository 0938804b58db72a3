// Package e2e holds tests of the whole program: real processes, real engines,
// real kills.
package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"vatworkerd/dbdir"
	"vatworkerd/internal/procs"
	"vatworkerd/internal/testrig"
)

// program builds vatworkerd once for a test.
func program(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "vatworkerd")
	build := exec.Command("go", "build", "-o", bin, "vatworkerd/cmd/vatworkerd")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("cannot build vatworkerd: %v\n%s", err, out)
	}
	return bin
}

// config writes a config of the demo's vats that names their bundles.
func config(t *testing.T) string {
	t.Helper()
	vat := func(bundle, parameters string) string {
		return fmt.Sprintf(`{"bundleSpec": %q, "parameters": %s}`, testrig.Bundle(t, bundle), parameters)
	}
	text := fmt.Sprintf(`{"bootstrap": "bootstrap", "snapshotInitial": 4, "snapshotInterval": 12, "defaultReapInterval": 10, "vats": {
		"bootstrap": %s, "alice": %s, "bob": %s, "ledger": %s, "ticker": %s, "quiet": %s}}`,
		vat("demo-bootstrap", "{}"), vat("demo-trader", `{"name":"alice"}`), vat("demo-trader", `{"name":"bob"}`),
		vat("demo-ledger", "{}"), vat("demo-ticker", "{}"), vat("demo-quiet", "{}"))
	path := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// start runs the config on a database, a few cranks a block, so that there are
// many commits to be killed between and in.
func start(t *testing.T, bin, config, db string, maxOnline int) (*exec.Cmd, *strings.Builder) {
	t.Helper()
	engine := ownEngine(t, filepath.Dir(db))
	cmd := exec.Command(bin, "run", config, "--db", db, "--json", "--block-cranks", "7",
		"--max-online", strconv.Itoa(maxOnline), "--engine", engine, "--cache", filepath.Join(testrig.BuildDir(t), "base"))
	out := &strings.Builder{}
	cmd.Stdout = out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, out
}

func activityHash(t *testing.T, document string) string {
	t.Helper()
	var doc struct{ ActivityHash string }
	if err := json.Unmarshal([]byte(document), &doc); err != nil || doc.ActivityHash == "" {
		t.Fatalf("no activity hash in %q (%v)", document, err)
	}
	return doc.ActivityHash
}

// hashesOf gives the hashes of a database that must be sound: of all that was
// done, and of all keys and values.
func hashesOf(t *testing.T, db, document string) string {
	t.Helper()
	v, err := dbdir.Verify(context.Background(), db, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range v.Problems {
		t.Errorf("%s: %s", p.Kind, p)
	}
	return strings.Join([]string{activityHash(t, document), v.StateHash, v.HostStateHash}, " ")
}

// TestKilledAnywhereEndsTheSame kills the host, the daemon, a worker or all of
// them with SIGKILL at random instants, again and again, and lets the next run go
// on. No kill may leave a process, databases out of step, or half a block; the
// last run must end where an undisturbed one ends and leave no orphan.
func TestKilledAnywhereEndsTheSame(t *testing.T) {
	bin, config := program(t), config(t)
	reference := filepath.Join(t.TempDir(), "db")
	cmd, out := start(t, bin, config, reference, 50)
	began := time.Now()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	want, took := hashesOf(t, reference, out.String()), time.Since(began)

	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewSource(seed))
	kills := 0
	for round := range 3 {
		db := filepath.Join(t.TempDir(), "db")
		for attempt := 0; ; attempt++ {
			cmd, out := start(t, bin, config, db, round+1)
			killed := make(chan int, 1)
			stop := make(chan struct{})
			if attempt < 8 {
				go killSoon(cmd.Process.Pid, dice.Intn(4), time.Duration(dice.Int63n(int64(took))), stop, killed)
			} else {
				killed <- 0
			}
			err := cmd.Wait()
			close(stop)
			kills += <-killed
			wantNoProcess(t, filepath.Dir(db))
			standing(t, bin, db)
			if err == nil {
				if got := hashesOf(t, db, out.String()); got != want {
					t.Errorf("round %d ends in %s, undisturbed runs in %s", round, got, want)
				}
				break
			}
			if attempt >= 8 {
				t.Fatalf("an undisturbed run fails: %v", err)
			}
		}
		wantNoOrphans(t, db, "engine.json")
	}
	t.Logf("%d kills", kills)
}

// killSoon kills after a delay: the host itself (0), its daemon (1), one of the
// daemon's workers (2) or all three (3). The delay only spreads the kills over
// the run; no outcome depends on it.
func killSoon(host, which int, delay time.Duration, stop chan struct{}, killed chan<- int) {
	select {
	case <-stop:
		killed <- 0
		return
	case <-time.After(delay):
	}
	line := []int{host}
	for range 2 {
		child, ok := procs.Youngest(line[len(line)-1])
		if !ok {
			break
		}
		line = append(line, child)
	}
	victims := line
	if which < 3 {
		victims = line[min(which, len(line)-1):][:1]
	}
	n := 0
	for _, pid := range slices.Backward(victims) {
		if syscall.Kill(pid, syscall.SIGKILL) == nil {
			n++
		}
	}
	killed <- n
}

// wantNoProcess waits until no process names the database any more: those of a
// killed host die by their parent-death signal, which takes a moment.
func wantNoProcess(t *testing.T, db string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; {
		left := procs.Mentioning(db)
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("processes left: %q", left)
		}
		time.Sleep(10 * time.Millisecond) // a poll of the process table, which tells nobody of a change
	}
}
