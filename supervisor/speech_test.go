package supervisor

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"vatworkerd/pipeproto"
	"vatworkerd/transcripts"
	"vatworkerd/workerlogs"
)

func withLogs(o *Options) { o.VatLogBytes, o.LogBytes = DefaultVatLogBytes, DefaultLogBytes }

// logged gives the worker logs of a vat; the supervisor must be closed.
func (r *rig) logged(vatID string) (all []workerlogs.Entry) {
	r.t.Helper()
	logs := workerlogs.NewReader(filepath.Join(r.opts.Dir, LogDir), workerlogs.Query{VatIDs: []string{vatID}})
	defer logs.Close()
	for {
		e, err := logs.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		r.must(err)
		all = append(all, e)
	}
}

// brief gives incarnation, source, level and text of entries.
func brief(all []workerlogs.Entry) (lines []string) {
	for _, e := range all {
		again := ""
		if e.Replay {
			again = "again "
		}
		lines = append(lines, fmt.Sprintf("%d %s %s %s%s", e.Incarnation, e.Source, e.Level, again, e.Text))
	}
	return lines
}

func (r *rig) wantLogged(vatID string, want ...string) {
	r.t.Helper()
	if got := brief(r.logged(vatID)); !slices.Equal(got, want) {
		r.t.Errorf("%s has logged\n  %s\nwant\n  %s", vatID, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// wantPositions checks that each entry's position is that of a delivery of
// print, of which the transcript still has the items.
func (r *rig) wantPositions(vatID string, all []workerlogs.Entry) {
	r.t.Helper()
	for _, e := range all {
		items, err := transcripts.Items(r.s.db, vatID, e.Position, e.Position+1)
		r.must(err)
		entry, err := transcripts.Decode(items[0])
		r.must(err)
		if methodOf(entry.Delivery) != "print" || !strings.Contains(string(entry.Delivery), e.Text) {
			r.t.Errorf("%q is logged at position %d, which is %s", e.Text, e.Position, entry.Delivery)
		}
	}
}

// print has a probe vat print.
func (r *rig) print(vatID, level, text string) {
	r.t.Helper()
	r.send(vatID, "print", string(transcripts.JSString(level)), string(transcripts.JSString(text)))
	r.run()
}

// printing is a life of a vat that prints, over snapshots, another process and
// another incarnation.
func (r *rig) printing() {
	r.t.Helper()
	r.create("v1", "probe", pipeproto.VatOptions{})
	r.create("v2", "counter", pipeproto.VatOptions{}) // has nothing to say
	r.run()
	for i := range 5 {
		r.print("v1", "warn", fmt.Sprintf("early %d", i))
	}
	r.reopen()
	r.print("v1", "log", "late")
	r.must(r.control(pipeproto.ReqSuspend, "v1", "a rest"))
	r.print("v1", "error", "anew")
	r.commit()
}

func TestWorkerLogs(t *testing.T) {
	r := newRig(t, withLogs)
	r.printing()
	before := r.s.db.ActivityHash()
	r.close()
	r.wantLogged("v1", "0 vat warn early 0", "0 vat warn early 1", "0 vat warn early 2", "0 vat warn early 3", "0 vat warn early 4",
		"0 vat log late", "1 vat error anew")
	r.wantLogged("v2")
	all := r.logged("v1")
	r.open()
	r.wantPositions("v1", all[6:]) // items of the incarnation before are gone
	r.close()
	positions := []int64{}
	for _, e := range all[:6] {
		positions = append(positions, e.Position)
	}
	// initialize-worker, startVat, print, BOYD, save- and load-snapshot, print …
	if want := []int64{2, 6, 7, 8, 9, 10}; !slices.Equal(positions, want) {
		t.Errorf("positions %v, want %v", positions, want)
	}
	if files, _ := filepath.Glob(filepath.Join(r.opts.Dir, LogDir, "*")); len(files) != 1 {
		t.Errorf("files %q", files)
	}
	silent := newRig(t, nil)
	silent.printing()
	if got := silent.s.db.ActivityHash(); got != before {
		t.Errorf("logs show in the activity hash: %s and %s", got, before)
	}
	if _, err := os.Stat(filepath.Join(silent.opts.Dir, LogDir)); err == nil {
		t.Error("logs are kept that nobody wanted")
	}
}

func TestReplayedConsole(t *testing.T) {
	r := newRig(t, func(o *Options) { withLogs(o); o.ReplayConsole = true })
	r.create("v1", "probe", pipeproto.VatOptions{})
	r.run()
	for i := range 3 {
		r.print("v1", "log", fmt.Sprintf("early %d", i))
	}
	r.reopen()
	r.print("v1", "log", "late")
	r.close()
	r.wantLogged("v1", "0 vat log early 0", "0 vat log early 1", "0 vat log early 2",
		"0 vat log again early 1", "0 vat log again early 2", "0 vat log late")
	all := r.logged("v1")
	if all[1].Position != all[3].Position || all[2].Position != all[4].Position {
		t.Errorf("%+v", all)
	}
}

// What a worker's process writes is filed under the delivery it runs.
func TestStreamsAreFiledUnderTheDelivery(t *testing.T) {
	host := &testHost{t: t}
	for _, replayed := range []bool{false, true} {
		r := &rig{t: t, opts: Options{Dir: t.TempDir()}}
		logs, err := workerlogs.Open(filepath.Join(r.opts.Dir, LogDir), workerlogs.Options{VatBytes: 1 << 20, TotalBytes: 1 << 20})
		r.must(err)
		p := newSpeech(host, replayed)
		p.logs = logs
		rec := &record{ID: "v1", Name: "alice", Incarnation: 3}
		sink := p.sink(rec)
		sink("stderr", "before all")
		p.begins(rec, 7, true)
		sink("stdout", "silent")
		sink("stderr", "seven")
		p.begins(rec, 8, false)
		sink("stdout", "eight")
		p.note("v1", "error", "gone")
		p.forget("v1")
		logs.Close()
		want := []string{"0 stderr info before all", "3 stderr info again seven", "3 stdout info eight", "3 vatworkerd error gone"}
		if replayed {
			want = slices.Insert(want, 1, "3 stdout info again silent")
		}
		r.wantLogged("v1", want...)
		if all := r.logged("v1"); all[len(all)-1].Position != 8 || all[len(all)-1].Name != "alice" || all[len(all)-3].Position != 7 {
			t.Errorf("%+v", all)
		}
	}
}

// A worker's death is in its vat's log, at the delivery it died in.
func TestDeathIsLogged(t *testing.T) {
	r := newRig(t, withLogs)
	r.create("v1", "probe", pipeproto.VatOptions{})
	r.run()
	r.print("v1", "log", "before")
	w := r.worker("v1")
	at := r.s.live.positionOf("v1")
	r.must(syscall.Kill(w.process.PID(), syscall.SIGKILL))
	r.print("v1", "log", "after")
	r.close()
	all := r.logged("v1")
	if len(all) != 3 {
		t.Fatalf("%q", brief(all))
	}
	death := all[1]
	if death.Source != workerlogs.SourceOwn || death.Level != "error" || !strings.Contains(death.Text, "signal 9") || death.Position != at {
		t.Errorf("%+v, at %d", death, at)
	}
}

// Logs that cannot be written cost log entries and an alarm, and nothing else.
func TestLogsThatCannotBeWritten(t *testing.T) {
	r := newRig(t, nil)
	r.close()
	withLogs(&r.opts)
	path := filepath.Join(r.opts.Dir, LogDir)
	r.must(os.WriteFile(path, nil, 0o600))
	r.open()
	r.create("v1", "probe", pipeproto.VatOptions{})
	r.run()
	r.print("v1", "log", "lost")
	alarms := func() []pipeproto.Alarm { return r.s.live.picture().Alarms }
	waitUntil(t, "alarm", func() bool { return len(alarms()) == 1 })
	if a := alarms()[0]; a.Kind != alarmLogs || !strings.Contains(a.Message, "worker logs are not written") {
		t.Errorf("%+v", a)
	}
	r.must(os.Remove(path))
	r.print("v1", "log", "kept")
	waitUntil(t, "end of the alarm", func() bool { return len(alarms()) == 0 })
	r.close()
	all := r.logged("v1")
	if got := brief(all); len(got) != 2 || !strings.Contains(got[0], "1 entry is missing here: cannot make the directory") || got[1] != "0 vat log kept" {
		t.Errorf("%q", got)
	}
}

// waitUntil polls for what a goroutine does of which nobody tells.
func waitUntil(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("there is no %s", what)
		}
	}
}
