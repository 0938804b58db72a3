package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"vatworkerd/internal/testrig"
)

// spinning is a rig with a send that never ends, and its process.
func spinning(t *testing.T) (*rig, *exec.Cmd, *bytes.Buffer) {
	t.Helper()
	r := newRig(t)
	r.writeConfig("config.json", `{"bootstrap": {"bundleName": "probe", "creationOptions": {"metered": false}}}`)
	r.ok("run", "config.json", "--db", "db")
	var stderr bytes.Buffer
	cmd := r.command("send", "bootstrap", "spin", "--db", "db")
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a worker", func() bool { return len(descendants(t, cmd.Process.Pid)) >= 2 })
	return r, cmd, &stderr
}

// eventually polls for what another process does; there is nothing to wait on.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("there is no %s", what)
		}
	}
}

// descendants lists the processes below one.
func descendants(t testing.TB, pid int) []int {
	t.Helper()
	parents := map[int]int{}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		child, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		parents[child], _ = strconv.Atoi(fields[1])
	}
	var found []int
	for child := range parents {
		for p := child; p > 1; p = parents[p] {
			if parents[p] == pid {
				found = append(found, child)
				break
			}
		}
	}
	return found
}

// alive tells which processes are neither gone nor dead.
func alive(pids []int) (still []int) {
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue
		}
		if state := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))[0]; state != "Z" && state != "X" {
			still = append(still, pid)
		}
	}
	return still
}

func TestKilledHostLeavesNoProcess(t *testing.T) {
	r, cmd, _ := spinning(t)
	pids := descendants(t, cmd.Process.Pid)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	eventually(t, "end of all processes", func() bool { return len(alive(pids)) == 0 })
	var doc statusDoc
	r.json(&doc, "status", "--db", "db")
	if doc.Vats[0].Deliveries == 0 || doc.ActivityHash == "" {
		t.Errorf("the database is not what it was: %+v", doc)
	}
}

func TestInterrupt(t *testing.T) {
	r, cmd, stderr := spinning(t)
	before := r.contents("db/snapshots")
	pids := descendants(t, cmd.Process.Pid)
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
		t.Errorf("exit code %d, want %d", code, exitInterrupted)
	}
	if want := "vatworkerd: interrupted; the state is as of the last committed block\n"; stderr.String() != want {
		t.Errorf("stderr is %q, want %q", stderr, want)
	}
	eventually(t, "end of all processes", func() bool { return len(alive(pids)) == 0 })
	if after := r.contents("db/snapshots"); after != before {
		t.Errorf("snapshots were %s, are %s", before, after)
	}
}

func TestTwoProcessesOnOneDatabase(t *testing.T) {
	r, cmd, _ := spinning(t)
	out := r.run("vat", "pause", "bootstrap", "--db", "db")
	holder := fmt.Sprintf("process %d", cmd.Process.Pid)
	if out.code != exitFailed || !strings.Contains(out.stderr, holder) || strings.Count(out.stderr, "vatworkerd: ") != 1 || out.stdout != "" {
		t.Errorf("exit %d, stderr %q, want one error that names %s", out.code, out.stderr, holder)
	}
	var doc errorDoc
	out = r.run("vat", "pause", "bootstrap", "--db", "db", "--json")
	if err := oneDocument(out.stdout, &doc); err != nil || !strings.Contains(doc.Error.Message, holder) || out.stderr != "" {
		t.Errorf("--json: %v %q %q", err, out.stdout, out.stderr)
	}
	r.ok("replay", "bootstrap", "--db", "db") // only reads
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
}

// contents is a hash of all files in a directory but the locks, which hold the
// process ID of the last holder.
func (r *rig) contents(dir string) string {
	r.t.Helper()
	sum := sha256.New()
	err := filepath.WalkDir(filepath.Join(r.dir, dir), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || strings.HasSuffix(path, ".lock") {
			return err
		}
		data, err := os.ReadFile(path)
		fmt.Fprintf(sum, "%s %d\n", path, len(data))
		sum.Write(data)
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return fmt.Sprintf("%x", sum.Sum(nil))
}

func TestReadOnlyCommandsChangeNothing(t *testing.T) {
	r := started(t)
	r.ok("snapshot", "take", "alice", "--db", "db")
	r.ok("status", "--db", "db") // whatever the first opening tidies up
	before := r.contents("db")
	for _, command := range []string{
		"status", "vat list", "vat show alice", "snapshot list", "snapshot verify", "spans", "spans bob",
		"replay alice", "restart-all --rehearse", "doctor",
	} {
		r.ok(append(strings.Fields(command), "--db", "db")...)
		if after := r.contents("db"); after != before {
			t.Errorf("%s changes the database", command)
			before = after
		}
	}
}

// A full replay takes the heap snapshots of the past again and stores none.
func TestFullReplayLeavesNothing(t *testing.T) {
	r := started(t)
	r.ok("snapshot", "take", "alice", "--db", "db")
	r.ok("status", "--db", "db")
	before := r.contents("db")
	r.ok("replay", "alice", "--full", "--db", "db")
	if after := r.contents("db"); after != before {
		t.Error("replay --full changes the database")
	}
}

func TestTemporaryDatabaseGoes(t *testing.T) {
	r := newRig(t)
	r.writeConfig("config.json", threeVats)
	out := r.ok("run", "config.json")
	if !strings.Contains(out.stderr, "until this run ends") {
		t.Errorf("stderr does not say where the state is: %q", out.stderr)
	}
	left, err := filepath.Glob(filepath.Join(r.dir, "vatworkerd-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("%v is left behind (%v)", left, err)
	}
}

// The number of workers is a local matter: it must not show in what vats do.
func TestPoolSizeDoesNotMatter(t *testing.T) {
	r := newRig(t)
	r.writeConfig("config.json", threeVats)
	run := func(db, maxOnline, blockCranks string) (runDoc, string) {
		var doc runDoc
		r.json(&doc, "run", "config.json", "--db", db, "--max-online", maxOnline, "--block-cranks", blockCranks)
		var status statusDoc
		r.json(&status, "status", "--db", db)
		return doc, r.ok("spans", "--db", db, "--json").stdout + status.StateHash
	}
	small, smallSpans := run("one", "1", "1")
	large, largeSpans := run("many", "50", "0")
	if small.ActivityHash != large.ActivityHash || smallSpans != largeSpans {
		t.Errorf("pools of 1 and of 50 differ: %s and %s\n%s\n%s", small.ActivityHash, large.ActivityHash, smallSpans, largeSpans)
	}
	if small.Height <= large.Height {
		t.Errorf("heights %d and %d: --block-cranks is ignored", small.Height, large.Height)
	}
}

// A restart on another engine is remembered: later incarnations start on it too.
func TestRestartOnAnotherEngine(t *testing.T) {
	r := started(t)
	other := filepath.Join(testrig.BuildDir(t), "engine-debug")
	if _, err := os.Stat(other); err != nil {
		t.Fatalf("a test needs a second engine: %v; run: make engine-debug", err)
	}
	var before, after statusDoc
	r.json(&before, "status", "--db", "db")
	r.ok("send", "alice", "count", "--db", "db")
	r.ok("restart-all", "--rehearse", "--engine", other, "--db", "db")
	var restarted, again restartDoc
	r.json(&restarted, "restart-all", "--engine", other, "--db", "db")
	r.json(&again, "restart-all", "--db", "db")
	if !restarted.Applied || again.Applied || again.Token != restarted.Token || restarted.ImageID == before.ImageID {
		t.Errorf("restarts %+v and %+v", restarted, again)
	}
	if out := r.ok("send", "alice", "count", "--db", "db"); out.stdout != `{"durable":2,"sinceStart":1}`+"\n" {
		t.Errorf("after the restart count() is %s", out.stdout)
	}
	r.json(&after, "status", "--db", "db")
	for _, v := range after.Vats {
		if v.ImageID == nil || *v.ImageID != restarted.ImageID {
			t.Errorf("%s runs on image %v, want %s", v.Name, v.ImageID, restarted.ImageID)
		}
	}
	r.ok("replay", "alice", "--db", "db")
}

// An engine that vats run on and that is gone is refused by a clear error.
func TestMissingEngineOfAVat(t *testing.T) {
	r := newRig(t)
	r.writeConfig("config.json", threeVats)
	engine := filepath.Join(r.dir, "engine")
	if err := os.CopyFS(engine, os.DirFS(filepath.Join(testrig.BuildDir(t), "engine-debug"))); err != nil {
		t.Fatal(err)
	}
	r.ok("run", "config.json", "--db", "db", "--engine", engine)
	if err := os.RemoveAll(engine); err != nil {
		t.Fatal(err)
	}
	if out := r.run("status", "--db", "db"); out.code != exitUsage || !strings.Contains(out.stderr, "engine.json says that this database runs on that engine") {
		t.Errorf("exit %d: %s", out.code, out.stderr)
	}
	r.ok("status", "--db", "db", "--engine", filepath.Join(testrig.BuildDir(t), "engine"))
	out := r.run("send", "alice", "count", "--db", "db", "--engine", filepath.Join(testrig.BuildDir(t), "engine"))
	if out.code != exitFailed || !strings.Contains(out.stderr, "put that engine build back, or move the vats to the present engine with restart-all") {
		t.Errorf("exit %d: %s", out.code, out.stderr)
	}
}

// A panic of the daemon is exit code 3, and nothing of the block is kept.
func TestPanic(t *testing.T) {
	r := newRig(t)
	r.writeConfig("config.json", `{
		"bootstrap": {"bundleName": "probe"},
		"ledger": {"bundleName": "probe", "creationOptions": {"critical": true}}
	}`)
	r.ok("run", "config.json", "--db", "db")
	var before, after statusDoc
	r.json(&before, "status", "--db", "db")
	out := r.run("send", "ledger", "spin", "--db", "db", "--json")
	var doc errorDoc
	if err := oneDocument(out.stdout, &doc); err != nil || out.code != exitPanic || doc.Error.Code != "panic" {
		t.Errorf("exit %d, %v: %s%s", out.code, err, out.stdout, out.stderr)
	}
	r.json(&after, "status", "--db", "db")
	if after.ActivityHash != before.ActivityHash || after.Height != before.Height {
		t.Errorf("a panicked block was kept: %+v", after)
	}
}

func TestCorruptSnapshot(t *testing.T) {
	r := started(t)
	var list []struct{ Hash string }
	r.json(&list, "snapshot", "list", "alice", "--db", "db")
	path := filepath.Join(r.dir, "db", "snapshots", list[0].Hash+".delta.zst")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	out := r.run("snapshot", "verify", "--db", "db", "--json")
	var checks []struct{ VatID, Problem string }
	if err := oneDocument(out.stdout, &checks); err != nil || out.code != exitFailed || len(checks) != 3 || checks[1].Problem == "" || checks[0].Problem != "" {
		t.Errorf("exit %d, %v: %s", out.code, err, out.stdout)
	}
	if out := r.run("doctor", "--db", "db"); out.code != exitFailed || !strings.Contains(out.stdout, "bad") {
		t.Errorf("doctor: exit %d: %s", out.code, out.stdout)
	}
	// The vat mends it from its transcript.
	r.ok("send", "alice", "count", "--db", "db")
	r.ok("snapshot", "verify", "--db", "db")
}
