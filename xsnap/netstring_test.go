package xsnap

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"testing"
	"testing/iotest"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// slowNetstrings is the obvious reader: it has the whole input at hand.
func slowNetstrings(in []byte, limit int) (frames []string, err error) {
	for len(in) > 0 {
		digits := 0
		for digits < len(in) && in[digits] >= '0' && in[digits] <= '9' {
			digits++
		}
		size, convErr := strconv.Atoi(string(in[:digits]))
		switch {
		case digits > 1 && in[0] == '0', digits < len(in) && (digits == 0 || in[digits] != ':'):
			return frames, &FrameError{}
		case digits > 0 && (convErr != nil || size > limit):
			return frames, &FrameError{}
		case digits == len(in) || len(in) < digits+1+size+1:
			return frames, io.ErrUnexpectedEOF
		case in[digits+1+size] != ',':
			return frames, &FrameError{}
		}
		frames = append(frames, string(in[digits+1:digits+1+size]))
		in = in[digits+1+size+1:]
	}
	return frames, io.EOF
}

func readAll(r io.Reader, limit int) (frames []string, err error) {
	f := newFrameReader(r, netstrings(), limit)
	for {
		frame, err := f.next()
		if err != nil {
			return frames, err
		}
		frames = append(frames, string(frame))
	}
}

func FuzzNetstring(f *testing.F) {
	for _, seed := range []string{
		"", "0:,", "1:.,", "3:abc,5:hello,", "3:abc", "3:abcd", "03:abc,", "00:,", ":,", "12000001:", "1001:",
		"99999999999999999999999:", "3abc", "-1:,", "2:,,,1:x,", "10:0123456789,9", " 1:x,", "1 :x,",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		const limit = 1000
		want, wantErr := slowNetstrings(in, limit)
		for name, r := range map[string]io.Reader{
			"whole": bytes.NewReader(in), "bytes": iotest.OneByteReader(bytes.NewReader(in)),
			"halves": iotest.HalfReader(bytes.NewReader(in)),
		} {
			got, err := readAll(r, limit)
			var a, b *FrameError
			if fmt.Sprint(got) != fmt.Sprint(want) || errors.As(err, &a) != errors.As(wantErr, &b) || a == nil && err != wantErr {
				t.Fatalf("%s: %q gives %q, %v; want %q, %v", name, in, got, err, want, wantErr)
			}
		}
	})
}

// TestFramesSurviveAPipe writes frames of all sizes with a frameWriter.
func TestFramesSurviveAPipe(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SliceOfN(rapid.OneOf(rapid.IntRange(0, 300), rapid.IntRange(gatherWriteBytes-20, gatherWriteBytes+20), rapid.IntRange(0, 3<<20)), 1, 5).Draw(t, "sizes")
		cuts := rapid.IntRange(1, 4).Draw(t, "parts")
		var ends [2]int
		if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		defer unix.Close(ends[0])
		written := make(chan error, 1)
		go func() {
			defer unix.Close(ends[1])
			w := frameWriter{fd: rawFD(ends[1])}
			for i, size := range sizes {
				if err := w.writeNetstring("", split(pattern(i, size), cuts)...); err != nil {
					written <- err
					return
				}
			}
			written <- nil
		}()
		r := newFrameReader(rawFD(ends[0]), netstrings(), 3<<20)
		for i, size := range sizes {
			frame, err := r.next()
			if err != nil || !bytes.Equal(frame, pattern(i, size)) {
				t.Fatalf("frame %d of %d bytes came as %d bytes, %v", i, size, len(frame), err)
			}
		}
		if _, err := r.next(); err != io.EOF {
			t.Fatalf("at the end: %v", err)
		}
		if err := <-written; err != nil {
			t.Fatal(err)
		}
	})
}

func pattern(seed, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i*7 + seed)
	}
	return b
}

func split(b []byte, parts int) (all [][]byte) {
	for i := range parts {
		all = append(all, b[i*len(b)/parts:(i+1)*len(b)/parts])
	}
	return all
}

// TestLargeBufferIsGivenBack: one long message must not cost memory for ever.
func TestLargeBufferIsGivenBack(t *testing.T) {
	in := netstring(string(pattern(1, 5<<20))) + netstring("x")
	r := newFrameReader(iotest.HalfReader(bytes.NewReader([]byte(in))), netstrings(), MaxFromWorker)
	if frame, err := r.next(); err != nil || len(frame) != 5<<20 {
		t.Fatal(len(frame), err)
	}
	if frame, err := r.next(); err != nil || string(frame) != "x" {
		t.Fatal(string(frame), err)
	}
	if _, err := r.next(); err != io.EOF || len(r.buf) != readBufferBytes {
		t.Fatalf("the buffer has %d bytes, %v", len(r.buf), err)
	}
}

func TestTooLongCommand(t *testing.T) {
	w := frameWriter{fd: -1}
	part := make([]byte, 1<<28)
	var frame *FrameError
	if err := w.writeNetstring("", part, part, part, part); !errors.As(err, &frame) {
		t.Fatalf("got %v", err)
	}
}

func FuzzMeter(f *testing.F) {
	f.Add([]byte(someMeter))
	f.Add([]byte(`{"currentHeapCount":1,"compute":99999999999999999999,"allocate":3,"timestamps":[]}`))
	f.Add([]byte(`{"currentHeapCount":,"compute":2,"allocate":3,"timestamps":[]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		got, ok := parseMeter(in)
		if !ok || !json.Valid(in) {
			return
		}
		var want struct{ CurrentHeapCount, Compute, Allocate int64 }
		if err := json.Unmarshal(in, &want); err != nil {
			t.Fatalf("%q: %v", in, err)
		}
		if got != (Meter{Compute: want.Compute, Allocate: want.Allocate, CurrentHeapCount: want.CurrentHeapCount}) {
			t.Fatalf("%q gives %+v, want %+v", in, got, want)
		}
	})
}

func TestMeterOfEngineFormat(t *testing.T) {
	m, ok := parseMeter([]byte(someMeter))
	if !ok || m != (Meter{Compute: 2, Allocate: 3, CurrentHeapCount: 1}) {
		t.Fatalf("got %+v, %v", m, ok)
	}
}

// FuzzCutSyscall: whatever is cut without decoding is what decoding gives.
func FuzzCutSyscall(f *testing.F) {
	for _, seed := range []string{
		`["syscall",["vatstoreGet","x"]]`, `["syscall",[]]`, `["syscall",[],[]]`, `["syscall",["a]"]]`,
		`["syscall", ["a"]]`, `["syscall",7]`, `["syscall",["a"]`, `["testLog","x"]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		vso, ok := cutSyscall(in)
		var parts []json.RawMessage
		if !ok || json.Unmarshal(in, &parts) != nil || len(parts) != 2 {
			return
		}
		if string(bytes.TrimSpace(vso)) != string(parts[1]) {
			t.Fatalf("%q: cut %q, decoded %q", in, vso, parts[1])
		}
	})
}
