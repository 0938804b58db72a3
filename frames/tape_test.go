package frames

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"vatworkerd/pipeproto"
)

// A Tape has the last frames, as many as fit, whatever their sizes.
func TestTapeKeepsTheLast(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		tape := NewTape("stock", Netstrings)
		type sent struct {
			bytes []byte
			torn  bool
		}
		var all []sent
		sizes := rapid.SliceOfN(rapid.OneOf(rapid.IntRange(0, 40), rapid.IntRange(0, 2*maxKept)), 0, 500).Draw(rt, "sizes")
		for i, size := range sizes {
			f := sent{bytes: bytes.Repeat([]byte{byte(i), byte(i >> 8), 7}, size)[:size], torn: i%5 == 0}
			all = append(all, f)
			if i%2 == 0 {
				tape.Received(f.bytes, f.torn)
				continue
			}
			all[i].torn = false
			cut := size / 3
			tape.Sent(f.bytes[:cut], [][]byte{f.bytes[cut:], nil}, "")
		}
		_, got := tape.Last()
		kept := 0
		for i, f := range got {
			want := all[len(all)-len(got)+i]
			n := min(len(want.bytes), maxKept)
			kept += n
			if f.Size != len(want.bytes) || f.Torn != want.torn || !bytes.Equal(f.Bytes, want.bytes[:n]) {
				rt.Fatalf("frame %d of %d has %d bytes of %d", i, len(got), len(f.Bytes), f.Size)
			}
			if before := len(all) - len(got) + i; f.Direction != Direction((before+1)%2) {
				rt.Fatalf("frame %d goes %v", i, f.Direction)
			}
		}
		if len(got) < min(len(all), maxFrames) && kept < ringBytes-3*maxKept {
			rt.Fatalf("only %d frames of %d bytes are kept", len(got), kept)
		}
	})
}

func TestTapeAllocatesNothing(t *testing.T) {
	tape := NewTape("stock", Netstrings)
	content := [][]byte{make([]byte, 100), make([]byte, 5000)}
	if n := testing.AllocsPerRun(1000, func() {
		tape.Sent([]byte("5100:?"), content, ",")
		tape.Received(content[0], false)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
	var none *Tape
	none.Sent(nil, nil, "")
	none.Received(nil, true)
	none.Rename("x")
	none.RecordTo(nil)
	if w, all := none.Last(); w != (Worker{}) || all != nil {
		t.Errorf("%v, %v", w, all)
	}
}

func tapeOf(name string, pid int) *Tape {
	t := NewTape("stock", Netstrings)
	t.Begin(pid)
	t.Rename(name)
	return t
}

// read gives the frames of a file.
func read(t *testing.T, path string) (all []Recorded, end *End) {
	t.Helper()
	end, err := Open(path, func(r Recorded) error { all = append(all, r); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return all, end
}

func TestRecording(t *testing.T) {
	path := filepath.Join(t.TempDir(), "frames")
	r, err := Create(path, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Create(path, 1<<20); !errors.Is(err, os.ErrExist) {
		t.Errorf("a file is overwritten: %v", err)
	}
	one, two := tapeOf("v1:a", 1), tapeOf("v2:b", 2)
	one.Sent([]byte("early"), nil, "")
	one.RecordTo(r)
	one.RecordTo(r)
	long := bytes.Repeat([]byte("x"), 3*maxKept)
	one.Sent([]byte("12289:?"), [][]byte{long}, ",")
	two.RecordTo(r)
	two.Received([]byte("\x00\xff"), true)
	two.Received(bytes.Repeat([]byte("y"), 2<<20), false) // no room
	one.Sent([]byte("too late"), nil, "")
	end, err := r.Close()
	if again, _ := r.Close(); err != nil || end != again || end != (End{Frames: 2, Bytes: int64(len(long)) + 10, Full: true}) {
		t.Errorf("%+v, %+v, %v", end, again, err)
	}
	one.Sent([]byte("after the end"), nil, "")
	all, last := read(t, path)
	if len(all) != 2 || last == nil || *last != end {
		t.Fatalf("%d frames, end %v", len(all), last)
	}
	if f := all[0]; f.Worker.Name != "v1:a" || f.Size != len(long)+8 || len(f.Bytes) != f.Size || f.Direction != ToWorker || f.Torn {
		t.Errorf("%+v", f)
	}
	if f := all[1]; f.Worker.PID != 2 || string(f.Bytes) != "\x00\xff" || f.Direction != FromWorker || !f.Torn {
		t.Errorf("%+v", f)
	}
	// A writer that was killed has torn its last line, at any byte.
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := len(whole) - 1; cut > len(whole)-200; cut-- {
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		if all, _ := read(t, path); len(all) < 1 {
			t.Fatalf("torn at %d there are %d frames", cut, len(all))
		}
	}
}

func TestSave(t *testing.T) {
	path := filepath.Join(t.TempDir(), "frames")
	tape := tapeOf("v1:a", 1)
	tape.Sent([]byte("2:"), [][]byte{[]byte("?x")}, ",")
	if err := Save(path, tape); err != nil {
		t.Fatal(err)
	}
	if all, end := read(t, path); len(all) != 1 || string(all[0].Bytes) != "2:?x," || end == nil || end.Frames != 1 {
		t.Errorf("%+v, %v", all, end)
	}
}

func TestOpenRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none")
	if _, err := Open(path, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if err := os.WriteFile(path, []byte("{}\nno\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, nil); err == nil || !strings.Contains(err.Error(), "no recording") {
		t.Errorf("got %v", err)
	}
}

func TestWhat(t *testing.T) {
	deliver := pipeproto.AppendBinary(pipeproto.BeginFrame(nil, pipeproto.KindRequest, 4, pipeproto.ReqWorkerDeliver, 1), "command", 9)
	deliver = append(deliver, "[deliver]"...)
	pipeproto.EndFrame(deliver, 0)
	for _, c := range []struct {
		dialect       string
		direction     Direction
		bytes         string
		size          int // 0 = all
		what, content string
		meter         string
	}{
		{Netstrings, ToWorker, "1:R,", 0, "ready", "", ""},
		{Netstrings, ToWorker, "3:?[],", 0, "deliver", "[]", ""},
		{Netstrings, ToWorker, "999:?[,", 1003, "deliver", "[,", ""},
		{Netstrings, ToWorker, "4:w@7,", 0, "snapshot", "@7", ""},
		{Netstrings, FromWorker, "9:.{}\x01reply,", 0, "reply", "reply", "{}"},
		{Netstrings, FromWorker, "2:!x,", 0, "uncaught", "x", ""},
		{Netstrings, FromWorker, "2:?x,", 0, "issueCommand", "x", ""},
		{Netstrings, FromWorker, "2:zx,", 0, "unknown", "zx", ""},
		{Netstrings, FromWorker, "0:,", 0, "empty", "", ""},
		{Netstrings, FromWorker, "huh", 0, "unknown", "huh", ""},
		{Msgpack, ToWorker, string(deliver), 0, "deliver", "[deliver]", ""},
		{Msgpack, ToWorker, string(deliver[:len(deliver)-3]), len(deliver), "deliver", "[deliv", ""},
		{Msgpack, FromWorker, "\x00\x00\x00\x01\xc1", 0, "unknown", "\xc1", ""},
	} {
		f := Frame{Direction: c.direction, Size: c.size, Bytes: []byte(c.bytes)}
		if c.size == 0 {
			f.Size = len(c.bytes)
		}
		what, content, meter := f.What(c.dialect)
		if what != c.what || string(content) != c.content || string(meter) != c.meter {
			t.Errorf("%q is %q with %q and %q", c.bytes, what, content, meter)
		}
	}
}

func FuzzWhat(f *testing.F) {
	f.Add([]byte("9:.{}\x01reply,"), 30, true)
	f.Add([]byte("\x00\x00\x00\x01\xc1"), 5, false)
	f.Fuzz(func(t *testing.T, b []byte, size int, isNative bool) {
		dialect := Netstrings
		if isNative {
			dialect = Msgpack
		}
		size = len(b) + max(0, size)%100_000
		for _, d := range []Direction{ToWorker, FromWorker} {
			frame := Frame{Direction: d, Size: size, Bytes: b}
			if what, content, meter := frame.What(dialect); what == "" && len(b) > 0 || len(content)+len(meter) > len(b) {
				t.Fatalf("%q is %q with %q", b, what, content)
			}
		}
	})
}

func BenchmarkTape(b *testing.B) {
	tape := NewTape("stock", Netstrings)
	content := [][]byte{make([]byte, 100)}
	for b.Loop() {
		tape.Sent([]byte("101:/"), content, ",")
		tape.Received(content[0], false)
	}
}
