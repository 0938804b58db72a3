package supervisor

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"vatworkerd/pipeproto"
	"vatworkerd/slogfile"
	"vatworkerd/transcripts"
)

func withSlogFile(o *Options) { o.Slog, o.SlogBytes = filepath.Join(o.Dir, "slog"), DefaultSlogBytes }

// slogLine is what a line of a slog may have.
type slogLine struct {
	Type         string `json:"type"`
	VatID        string `json:"vatID"`
	CrankNum     *int64 `json:"crankNum"`
	DeliveryNum  int64  `json:"deliveryNum"`
	SyscallNum   int    `json:"syscallNum"`
	Replay       bool   `json:"replay"`
	VD, VSC, VSR json.RawMessage
	DR           []json.RawMessage
	ActivityHash string   `json:"activityhash"`
	PID          int      `json:"pid"`
	Args         []string `json:"args"`
	Reason       string   `json:"reason"`
	Event        string   `json:"event"`
	Name         string   `json:"name"`
	Hash         string   `json:"hash"`
	SnapPos      int64    `json:"snapPos"`
	EndPosition  int64    `json:"endPosition"`
	SnapshotID   string   `json:"snapshotID"`
	Time         float64  `json:"time"`
	Seconds      *float64 `json:"seconds"`
}

// slogLines reads the slog; the supervisor must be closed.
func (r *rig) slogLines() (all []slogLine) {
	r.t.Helper()
	content, err := os.ReadFile(r.opts.Slog)
	r.must(err)
	for line := range bytes.Lines(content) {
		var l slogLine
		r.must(json.Unmarshal(line, &l))
		all = append(all, l)
	}
	return all
}

// fromSlog makes transcript entries of a slog in the way of SwingSet's
// extract-transcript-from-slogfile: it knows nothing but deliveries, syscalls and
// their results. Replays are kept apart.
func fromSlog(t *testing.T, all []slogLine, vatID string, replay bool) map[int64]string {
	t.Helper()
	items := map[int64]string{}
	var open *transcripts.Entry
	for _, l := range all {
		if l.VatID != vatID || l.Replay != replay {
			continue
		}
		switch l.Type {
		case slogfile.TypeDeliver:
			if open != nil {
				t.Fatalf("%s begins delivery %d in another", vatID, l.DeliveryNum)
			}
			open = &transcripts.Entry{Delivery: l.VD}
		case slogfile.TypeSyscall:
			if l.SyscallNum != len(open.Syscalls) {
				t.Fatalf("%s makes syscall %d after %d others", vatID, l.SyscallNum, len(open.Syscalls))
			}
			open.Syscalls = append(open.Syscalls, transcripts.Syscall{Request: l.VSC})
		case slogfile.TypeSyscallResult:
			open.Syscalls[len(open.Syscalls)-1].Response = l.VSR
		case slogfile.TypeDeliverResult:
			var meter struct{ Compute int64 }
			if json.Unmarshal(l.DR[0], &open.Result.Status) != nil || json.Unmarshal(l.DR[2], &meter) != nil || l.Seconds == nil {
				t.Fatalf("%s has the result %s", vatID, l.DR)
			}
			open.Result.Computrons = &meter.Compute
			items[l.DeliveryNum] = string(open.Encode())
			open = nil
		}
	}
	return items
}

// typesOf gives the types of a vat's lines, syscalls left out.
func typesOf(all []slogLine, vatID string) (types []string) {
	for _, l := range all {
		if l.VatID != vatID || l.Type == slogfile.TypeSyscall || l.Type == slogfile.TypeSyscallResult {
			continue
		}
		name := l.Type
		if l.Event != "" {
			name += " " + l.Event
		}
		if l.Replay {
			name += " again"
		}
		types = append(types, name)
	}
	return types
}

// What a slog says of deliveries is what the transcript says, also of replays.
func TestSlogHasTheTranscript(t *testing.T) {
	r := newRig(t, withSlogFile)
	r.printing()
	hash := r.s.db.ActivityHash()
	recorded := map[int64]string{}
	span, ok, err := transcripts.Current(r.s.db, "v1")
	r.must(err)
	if !ok {
		t.Fatal("v1 has no transcript")
	}
	items, err := transcripts.Items(r.s.db, "v1", span.StartPos, span.EndPos)
	r.must(err)
	for i, item := range items {
		recorded[span.StartPos+int64(i)] = item
	}
	r.close()
	all := r.slogLines()
	live, again := fromSlog(t, all, "v1", false), fromSlog(t, all, "v1", true)
	found := 0
	for position, item := range recorded {
		if got, ok := live[position]; ok {
			found++
			if got != item {
				t.Errorf("position %d is\n%s in the slog, and\n%s in the transcript", position, got, item)
			}
		}
	}
	if found != len(recorded)-1 { // initialize-worker is no delivery
		t.Errorf("%d of %d items are in the slog", found, len(recorded))
	}
	for position, item := range again {
		if live[position] != item {
			t.Errorf("position %d is replayed as\n%s, and was\n%s", position, item, live[position])
		}
	}
	if len(again) == 0 {
		t.Error("nothing was replayed")
	}
	silent := newRig(t, nil)
	silent.printing()
	if got := silent.s.db.ActivityHash(); got != hash {
		t.Errorf("the slog shows in the activity hash: %s and %s", got, hash)
	}
}

// The order of a vat's lines, over a snapshot, a page-in and an incarnation.
func TestSlogOfALife(t *testing.T) {
	r := newRig(t, withSlogFile)
	r.create("v1", "probe", pipeproto.VatOptions{})
	r.run()
	for range 3 {
		r.print("v1", "log", "hello")
	}
	r.reopen()
	r.print("v1", "log", "late")
	r.must(r.control(pipeproto.ReqTerminate, "v1", "enough"))
	last := r.s.db.ActivityHash()
	r.close()
	all := r.slogLines()
	printed := []string{"deliver", "console", "deliver-result"}
	want := slices.Concat(
		[]string{"vat-event create", "create-vat", "vat-startup-start", "worker-start", "vat-startup-finish", "deliver", "deliver-result", "vat-event unsuspend"},
		printed, // then the snapshot's BOYD
		[]string{"deliver", "deliver-result", "vat-startup-start", "heap-snapshot-save", "heap-snapshot-load", "worker-start", "vat-startup-finish", "vat-event snapshot", "worker-exit"},
		printed, printed, []string{"worker-exit"},
		[]string{"create-vat", "heap-snapshot-load", "vat-startup-start", "worker-start", "vat-startup-finish", "start-replay", "deliver again", "deliver-result again"},
		[]string{"deliver again", "deliver-result again", "finish-replay", "vat-event page-in"},
		printed, []string{"vat-event page-out", "terminate", "worker-exit"})
	got := typesOf(all, "v1")
	// The new worker of a snapshot starts beside, and the old one ends beside.
	beside := []string{"vat-startup-start", "vat-startup-finish", "worker-start", "worker-exit"}
	inOrder := func(types []string) []string {
		return slices.DeleteFunc(slices.Clone(types), func(name string) bool { return slices.Contains(beside, name) })
	}
	if !slices.Equal(inOrder(got), inOrder(want)) {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(inOrder(got), "\n  "), strings.Join(inOrder(want), "\n  "))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("in all, got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
	r.wantCranks(all, last)
	r.wantHeaps(all)
}

// wantCranks checks that cranks are numbered, that live deliveries are inside of
// them, and the last one's hash.
func (r *rig) wantCranks(all []slogLine, hash string) {
	r.t.Helper()
	next, running, last := int64(0), false, ""
	for _, l := range all {
		switch {
		case l.Type == slogfile.TypeCrankStart:
			if *l.CrankNum == 0 {
				next = 0 // another process
			}
			if running || *l.CrankNum != next {
				r.t.Fatalf("crank %d begins, %d was to", *l.CrankNum, next)
			}
			running = true
		case l.Type == slogfile.TypeCrankFinish:
			if !running || *l.CrankNum != next || l.Seconds == nil {
				r.t.Fatalf("crank %d ends, %d was to", *l.CrankNum, next)
			}
			running, last = false, l.ActivityHash
			next++
		case l.Type == slogfile.TypeDeliver && !l.Replay && (!running || *l.CrankNum != next):
			r.t.Fatalf("a delivery is in crank %d, not in %d", *l.CrankNum, next)
		}
	}
	if last != hash {
		r.t.Errorf("the last crank ended with %q, not %q", last, hash)
	}
}

// wantHeaps checks that what is loaded was saved.
func (r *rig) wantHeaps(all []slogLine) {
	r.t.Helper()
	saved := map[string]int64{}
	for _, l := range all {
		switch l.Type {
		case slogfile.TypeHeapSave:
			saved[l.SnapshotID] = l.EndPosition
		case slogfile.TypeHeapLoad:
			if at, ok := saved[l.Hash]; !ok || at != l.SnapPos {
				r.t.Errorf("a heap of position %d is loaded that was saved at %d, %v", l.SnapPos, at, ok)
			}
		}
	}
}

// A worker that is lost in a delivery ends it with an error, and its crank without a
// hash; what ended it is told.
func TestSlogOfADeath(t *testing.T) {
	r := newRig(t, withSlogFile)
	r.create("v1", "probe", pipeproto.VatOptions{})
	r.run()
	pid := r.s.pool.peek("v1").process.PID()
	r.must(syscall.Kill(pid, syscall.SIGKILL))
	r.print("v1", "log", "after")
	last := r.s.db.ActivityHash()
	r.close()
	all := r.slogLines()
	r.wantCranks(all, last)
	died := slices.IndexFunc(all, func(l slogLine) bool { return l.Type == slogfile.TypeWorkerExit && l.PID == pid })
	if died < 0 || all[died].Reason != "signal 9 (killed)" {
		t.Fatalf("its end is not told: %d", died)
	}
	if !slices.ContainsFunc(all, func(l slogLine) bool {
		return l.Type == slogfile.TypeVatEvent && l.Event == pipeproto.VatWorkerLost && l.Name != ""
	}) {
		t.Error("the loss is not told")
	}
	if !slices.ContainsFunc(all, func(l slogLine) bool { return l.Type == slogfile.TypeCrankFinish && l.ActivityHash == "" }) {
		t.Error("no crank was undone")
	}
}

// A rehearsal is no crank: what it asked the host for never was.
func TestSlogOfARehearsal(t *testing.T) {
	r := newFakeRig(t, &fakeStarter{}, 10)
	r.createFake("v1", false, pipeproto.VatOptions{})
	r.run()
	r.reopenWith(withSlogFile)
	reply, err := r.s.rehearse(pipeproto.Rehearse{})
	r.must(err)
	r.close()
	if len(reply.Rehearsals) != 1 || !reply.Rehearsals[0].OK {
		t.Errorf("rehearsals %+v", reply.Rehearsals)
	}
	for _, l := range r.slogLines() {
		switch l.Type {
		case slogfile.TypeCrankStart, slogfile.TypeCrankFinish, slogfile.TypeCList, slogfile.TypeDeliver:
			t.Errorf("the slog has %+v", l)
		}
	}
}
