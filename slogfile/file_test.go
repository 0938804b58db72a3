package slogfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func path(t *testing.T) string { return filepath.Join(t.TempDir(), "slog") }

func open(t *testing.T, path string, o Options) *File {
	t.Helper()
	if o.Bytes == 0 {
		o.Bytes = MinBytes
	}
	f, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

func numbered(n int) *VatEvent {
	return &VatEvent{Type: TypeVatEvent, Event: "test", VatID: "v1", Deliveries: int64(n)}
}

// numbers gives those of the events in files, and checks that each gap is told.
func numbers(t *testing.T, files ...string) (all []int64) {
	t.Helper()
	gap := int64(0)
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(content) {
			var e struct {
				Type              string
				Deliveries, Lines int64
			}
			if json.Unmarshal(line, &e) != nil {
				continue // torn
			}
			if e.Type == TypeMissing {
				gap += e.Lines
				continue
			}
			if n := len(all); n > 0 && e.Deliveries != all[n-1]+1+gap {
				t.Fatalf("%d follows %d, missing are said to be %d", e.Deliveries, all[n-1], gap)
			}
			all, gap = append(all, e.Deliveries), 0
		}
	}
	return all
}

func TestFile(t *testing.T) {
	p := path(t)
	for round := range 2 {
		f := open(t, p, Options{})
		f.Write(numbered(2*round + 1))
		f.Write(numbered(2*round + 2))
		f.Close()
		f.Close()
		f.Write(numbered(9)) // is dropped
	}
	if got := numbers(t, p); len(got) != 4 {
		t.Errorf("%v", got)
	}
	info, err := os.Stat(p)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	var none *File
	none.Write(numbered(1))
	none.Close()
}

// Every event has the fields that SwingSet's has, in their order.
func TestShapes(t *testing.T) {
	seconds := func() Stamp { var s Stamp; s.Took(time.Now()); return s }
	crank, deliveries := int64(7), int64(3)
	p := path(t)
	f := open(t, p, Options{})
	for _, e := range []Event{
		&CreateVat{Type: TypeCreateVat, VatID: "v1", Dynamic: true, Description: "bob (from bundleID: b1-00)", Name: "bob", ManagerType: "xsnap"},
		&OfVat{Type: TypeStarted, VatID: "v1", Stamp: seconds()},
		&Crank{Type: TypeCrankStart, CrankType: "delivery", CrankNum: 0},
		&Crank{Type: TypeCrankFinish, CrankType: "delivery", CrankNum: 7, ActivityHash: "ab", Stamp: seconds()},
		&Delivery{Type: TypeDeliver, CrankNum: &crank, VatID: "v1", DeliveryNum: 0, Dispatch: "notify", VD: json.RawMessage(`["notify",[]]`)},
		&Delivery{Type: TypeDeliverResult, VatID: "v1", DeliveryNum: 2, Replay: true, Dispatch: "notify", DR: &Result{Status: "ok", Meter: &Metering{MeterType, 1, 2, 3}}, Stamp: seconds()},
		&Delivery{Type: TypeDeliverResult, VatID: "v1", DeliveryNum: 2, DR: &Result{Status: "error", Problem: "no"}, Stamp: seconds()},
		&Syscall{Type: TypeSyscall, CrankNum: &crank, VatID: "v1", DeliveryNum: 2, SyscallNum: 0, Syscall: "vatstoreGet", VSC: json.RawMessage(`["vatstoreGet","a"]`)},
		&Syscall{Type: TypeSyscallResult, CrankNum: &crank, VatID: "v1", DeliveryNum: 2, SyscallNum: 0, Syscall: "vatstoreGet", VSR: json.RawMessage(`["ok",null]`), Stamp: seconds()},
		&Replay{Type: TypeReplay, VatID: "v1", Deliveries: &deliveries},
		&Replay{Type: TypeReplayed, VatID: "v1", Stamp: seconds()},
		&HeapLoad{Type: TypeHeapLoad, VatID: "v1", SnapPos: 4, Hash: "cd"},
		&HeapSave{Type: TypeHeapSave, VatID: "v1", SnapshotID: "cd", EndPosition: 4, UncompressedSize: 5, RestartWorker: true},
		&Console{Type: TypeConsole, Source: "vat", State: "delivery", CrankNum: &crank, VatID: "v1", DeliveryNum: 2, Level: "log", Args: []string{"a\x1b", "\u202eb"}},
		&Terminate{Type: TypeTerminate, VatID: "v1", Info: "done"},
		&Worker{Type: TypeWorkerStart, VatID: "v1", PID: 4, Argv: []string{"xsnap-worker", "v1:bob"}, Engine: "ef"},
	} {
		f.Write(e)
	}
	f.Close()
	got, err := os.ReadFile(p)
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`"(time|monotime|seconds)":[0-9.e-]+`).ReplaceAllString(string(got), `"$1":N`)
	want := `{"type":"create-vat","vatID":"v1","dynamic":true,"description":"bob (from bundleID: b1-00)","name":"bob","managerType":"xsnap","time":N,"monotime":N}
{"type":"vat-startup-finish","vatID":"v1","time":N,"monotime":N,"seconds":N}
{"type":"crank-start","crankType":"delivery","crankNum":0,"time":N,"monotime":N}
{"type":"crank-finish","crankType":"delivery","crankNum":7,"activityhash":"ab","time":N,"monotime":N,"seconds":N}
{"type":"deliver","crankNum":7,"vatID":"v1","deliveryNum":0,"replay":false,"dispatch":"notify","vd":["notify",[]],"time":N,"monotime":N}
{"type":"deliver-result","vatID":"v1","deliveryNum":2,"replay":true,"dispatch":"notify","dr":["ok",null,{"meterType":"xs-meter-36","currentHeapCount":1,"compute":2,"allocate":3}],"time":N,"monotime":N,"seconds":N}
{"type":"deliver-result","vatID":"v1","deliveryNum":2,"replay":false,"dr":["error","no",null],"time":N,"monotime":N,"seconds":N}
{"type":"syscall","crankNum":7,"vatID":"v1","deliveryNum":2,"syscallNum":0,"replay":false,"syscall":"vatstoreGet","vsc":["vatstoreGet","a"],"time":N,"monotime":N}
{"type":"syscall-result","crankNum":7,"vatID":"v1","deliveryNum":2,"syscallNum":0,"replay":false,"syscall":"vatstoreGet","vsr":["ok",null],"time":N,"monotime":N,"seconds":N}
{"type":"start-replay","vatID":"v1","deliveries":3,"time":N,"monotime":N}
{"type":"finish-replay","vatID":"v1","time":N,"monotime":N,"seconds":N}
{"type":"heap-snapshot-load","vatID":"v1","snapPos":4,"hash":"cd","time":N,"monotime":N}
{"type":"heap-snapshot-save","vatID":"v1","snapshotID":"cd","endPosition":4,"uncompressedSize":5,"restartWorker":true,"time":N,"monotime":N}
{"type":"console","source":"vat","state":"delivery","crankNum":7,"vatID":"v1","deliveryNum":2,"level":"log","args":["a\u001b","\u202eb"],"time":N,"monotime":N}
{"type":"terminate","vatID":"v1","info":"done","time":N,"monotime":N}
{"type":"worker-start","vatID":"v1","pid":4,"argv":["xsnap-worker","v1:bob"],"engine":"ef","time":N,"monotime":N}
`
	if text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
}

func TestBounds(t *testing.T) {
	if _, err := Open(path(t), Options{Bytes: MinBytes - 1}); err == nil {
		t.Error("too few bytes were taken")
	}
	if _, err := Open(filepath.Join(path(t), "none"), Options{Bytes: MinBytes}); err == nil {
		t.Error("a directory that is not there was taken")
	}
	p := path(t)
	open(t, p, Options{})
	if _, err := Open(p, Options{Bytes: MinBytes}); !errors.Is(err, ErrInUse) {
		t.Errorf("it was opened twice: %v", err)
	}
}

// testWriter writes without a goroutine.
func testWriter(t *testing.T, p string, fault func(string) error) *writer {
	t.Helper()
	w := &writer{path: p, bound: Options{Bytes: MinBytes, Fault: fault}.orDefault()}
	if err := w.open(); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestTurnsOver(t *testing.T) {
	p := path(t)
	w := testWriter(t, p, nil)
	defer w.close()
	line := []byte(`{"pad":"` + strings.Repeat("x", 10_000) + "\"}\n")
	for range 500 {
		if lost, err := w.write(line); lost > 0 || err != nil {
			t.Fatal(lost, err)
		}
		total := int64(0)
		for _, file := range []string{p, p + oldSuffix} {
			if info, err := os.Stat(file); err == nil {
				total += info.Size()
			}
		}
		if total > MinBytes || total < int64(len(line)) {
			t.Fatalf("%d bytes", total)
		}
	}
}

// A line that a crash has torn costs that line only.
func TestTornEnd(t *testing.T) {
	p := path(t)
	whole := `{"deliveries":1}` + "\n" + `{"deliveries":2}`
	for end := range len(whole) + 1 {
		if err := os.WriteFile(p, []byte(whole[:end]), 0o600); err != nil {
			t.Fatal(err)
		}
		f := open(t, p, Options{})
		f.Write(numbered(3))
		f.Close()
		content, err := os.ReadFile(p)
		if err != nil || !strings.Contains("\n"+string(content), "\n"+`{"type":"vat-event"`) {
			t.Fatalf("torn at %d: %q, %v", end, content, err)
		}
	}
}

// Every operation fails at every index: each line is written or counted.
func TestFaultsAtEveryOperation(t *testing.T) {
	for at := 1; ; at++ { // 0 is the opening itself
		p := path(t)
		ops, met := 0, false
		w := testWriter(t, p, func(string) error {
			if ops++; ops-1 == at {
				met = true
				return errors.New("injected")
			}
			return nil
		})
		line := []byte(strings.Repeat("x", 200_000) + "\n")
		lost := int64(0)
		for range 12 {
			n, err := w.write(line)
			if lost += n; (n > 0) != (err != nil) {
				t.Fatalf("%d lost with %v", n, err)
			}
		}
		w.close()
		if (lost > 0) != met {
			t.Fatalf("fault %d: %d lost", at, lost)
		}
		if !met {
			t.Logf("%d operations", at)
			return
		}
	}
}

// A full disk costs lines; they are counted and told where they are missing.
func TestFullDisk(t *testing.T) {
	mount := t.TempDir()
	if err := unix.Mount("none", mount, "tmpfs", 0, "size=256k,mode=0700"); err != nil {
		t.Skipf("NOT RUN: no small file system can be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(mount, unix.MNT_DETACH) })
	p, ballast := filepath.Join(mount, "slog"), filepath.Join(mount, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 240<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	told := make(chan error, 10)
	f := open(t, p, Options{Tell: func(err error) { told <- err }})
	const lines = 500
	for n := range lines {
		f.Write(numbered(n))
	}
	if err := <-told; !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("told is %v", err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	f.Write(numbered(lines))
	if err := <-told; err != nil {
		t.Fatalf("told is %v", err)
	}
	f.Close()
	if got := numbers(t, p); len(got) < 10 || len(got) > lines || got[len(got)-1] != lines {
		t.Errorf("%d lines, the last is %d", len(got), got[len(got)-1])
	}
}

func BenchmarkWrite(b *testing.B) {
	f, err := Open(filepath.Join(b.TempDir(), "slog"), Options{Bytes: 1 << 30})
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	crank := int64(7)
	for b.Loop() {
		f.Write(&Syscall{Type: TypeSyscall, CrankNum: &crank, VatID: "v1", DeliveryNum: 2, Syscall: "vatstoreGet", VSC: json.RawMessage(`["vatstoreGet","vom.rc.o+d12/34"]`)})
	}
}
