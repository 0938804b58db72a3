package supervisor

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"vatworkerd/frames"
	"vatworkerd/pipeproto"
)

// crashesOf lists what was saved, with the frames of each.
func (r *rig) crashesOf() (all []SavedCrash, last [][]frames.Recorded) {
	r.t.Helper()
	all, err := Crashes(r.opts.Dir)
	r.must(err)
	for _, c := range all {
		var list []frames.Recorded
		_, err := frames.Open(filepath.Join(c.Path, FramesFile), func(f frames.Recorded) error { list = append(list, f); return nil })
		r.must(err)
		last = append(last, list)
	}
	return all, last
}

// A worker that is killed leaves what it was told last.
func TestCrashOfAKilledWorker(t *testing.T) {
	r := newRig(t, nil)
	r.create("v1", "probe", pipeproto.VatOptions{})
	r.run()
	at := r.s.live.positionOf("v1")
	pid := r.s.pool.peek("v1").process.PID()
	r.must(syscall.Kill(pid, syscall.SIGKILL))
	r.print("v1", "log", "what it did not hear")
	all, last := r.crashesOf()
	if len(all) != 1 {
		t.Fatalf("%+v", all)
	}
	c := all[0]
	if c.VatID != "v1" || c.PID != pid || c.Position != at || c.Doing != DoingDelivery || !strings.Contains(c.Reason, "signal 9") {
		t.Errorf("%+v", c)
	}
	f := last[0][len(last[0])-1]
	what, content, _ := f.What(f.Worker.Dialect)
	if f.Worker.PID != pid || f.Direction != frames.ToWorker || what != "deliver" || !strings.Contains(string(content), "what it did not hear") {
		t.Errorf("the last frame is %s %s", what, content)
	}
	info, err := os.Stat(filepath.Join(c.Path, CrashFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

// A vat that meets a limit, and a replay that does not repeat, are crashes too; an
// eviction is none.
func TestWhatIsACrash(t *testing.T) {
	r := newRig(t, nil)
	r.create("v1", "probe", pipeproto.VatOptions{})
	r.run()
	r.print("v1", "log", "hello")
	r.s.evict("v1", "a test")
	r.print("v1", "log", "again")
	r.reopen()
	r.print("v1", "log", "and again")
	if all, _ := r.crashesOf(); len(all) != 0 {
		t.Fatalf("%+v", all)
	}
	r.send("v1", "spin")
	r.run()
	all, _ := r.crashesOf()
	if len(all) == 0 || !strings.Contains(all[0].Reason, "exit code 17") {
		t.Fatalf("%+v", all)
	}
}

// Only the newest are kept, and what was half written goes.
func TestCrashesAreBounded(t *testing.T) {
	r := &rig{t: t, opts: Options{Dir: t.TempDir()}}
	d := &crashes{dir: filepath.Join(r.opts.Dir, CrashDir)}
	r.must(os.MkdirAll(filepath.Join(d.dir, newCrashBegin+"2026"), 0o700))
	tape := frames.NewTape("stock", frames.Netstrings)
	began := time.Now()
	for n := range maxCrashes + 5 {
		c := Crash{Time: began.Add(time.Duration(n) * time.Millisecond), VatID: "../v" + strings.Repeat("1", 100), PID: n}
		if _, err := d.save(c, tape); err != nil {
			t.Fatal(err)
		}
	}
	files, err := os.ReadDir(d.dir)
	r.must(err)
	all, err := Crashes(r.opts.Dir)
	r.must(err)
	if len(files) != maxCrashes || len(all) != maxCrashes || all[0].PID != 5 || all[maxCrashes-1].PID != maxCrashes+4 {
		t.Errorf("%d files, %d crashes, from %d", len(files), len(all), all[0].PID)
	}
	// A disk that does not take it costs the crash only.
	d.dir = filepath.Join(d.dir, files[0].Name(), CrashFile)
	if _, err := d.save(Crash{VatID: "v1"}, tape); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("got %v", err)
	}
	if _, err := ReadCrash(r.opts.Dir); err == nil {
		t.Error("any directory is a crash")
	}
}
