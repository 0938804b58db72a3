package pipeproto

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"os/exec"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"vatworkerd/internal/testrig"
)

// stream is what the C reader of native workers is given.
type stream struct {
	data   []byte
	limit  uint32 // bytes of a frame
	most   uint32 // bytes that a read gives; 0 for all
	memory uint32 // how often memory is to be had
}

const enoughMemory = 1 << 31

// nativeReader is the program build/native-sanitized/frame-reader.
type nativeReader struct {
	process *exec.Cmd
	fields  []string // that it tells of
	in      io.WriteCloser
	out     *bufio.Reader
	stderr  bytes.Buffer
}

func startNativeReader(t testing.TB) *nativeReader {
	t.Helper()
	n := &nativeReader{process: exec.Command(testrig.FrameReader(t)), fields: nativeFields()}
	n.process.Stderr = &n.stderr
	var err error
	if n.in, err = n.process.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := n.process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	n.out = bufio.NewReader(out)
	if err := n.process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		n.in.Close()
		if err := n.process.Wait(); err != nil {
			t.Errorf("the frame reader: %v\n%s", err, n.stderr.String())
		}
	})
	return n
}

// check has the program read streams and compares each with what this package
// reads. It returns how many were right to their end.
func (n *nativeReader) check(t *testing.T, all []stream) (right int) {
	t.Helper()
	var b []byte
	for _, s := range all {
		for _, number := range []uint32{uint32(len(s.data)), s.limit, s.most, s.memory} {
			b = binary.BigEndian.AppendUint32(b, number)
		}
		b = append(b, s.data...)
	}
	written := make(chan error, 1)
	go func() {
		_, err := n.in.Write(b)
		written <- err
	}()
	for _, s := range all {
		got, err := n.out.ReadString('\n')
		if err != nil {
			<-written
			t.Fatalf("the frame reader ended at the stream %s: %v", s, err)
		}
		if got = strings.TrimSuffix(got, "\n"); !s.fits(got, s.read(n.fields)) {
			t.Errorf("stream %s\nread in C  %s\nread in Go %s", s, got, s.read(n.fields))
		}
		if strings.HasSuffix(got, "end") {
			right++
		}
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	return right
}

func (s stream) String() string {
	return fmt.Sprintf("%x (%d bytes), limit %d, at most %d a read, memory %d times", s.data[:min(len(s.data), 2000)], len(s.data), s.limit, s.most, s.memory)
}

// fits: with little memory the C reader may give up at any frame.
func (s stream) fits(got, want string) bool {
	if frames, gaveUp := strings.CutSuffix(got, "no memory"); gaveUp && s.memory < enoughMemory {
		return strings.HasPrefix(want, frames)
	}
	return got == want
}

// read says of a stream what the program should, which knows these fields.
func (s stream) read(fields []string) string {
	var line []byte
	var lastSeen uint64
	for r := bytes.NewReader(s.data); ; {
		frame, err := readFrame(r, nil, int(s.limit))
		if errors.Is(err, io.EOF) {
			return string(append(line, "end"...))
		}
		var m Message
		if err == nil {
			m, err = ParseMessage(frame)
		}
		if err != nil || m.Kind == kindRequest && m.ID <= lastSeen {
			return string(append(line, "wrong"...))
		}
		if m.Kind == kindRequest {
			lastSeen = m.ID
		}
		line = appendMessage(line, m, fields)
	}
}

func appendMessage(line []byte, m Message, fields []string) []byte {
	line = strconv.AppendUint(line, uint64(m.Kind), 10)
	line = strconv.AppendUint(append(line, ' '), m.ID, 10)
	line = appendSum(line, m.Type, nil)
	line = appendSum(line, m.body, nil)
	_, _, noMap := m.field("")
	for _, name := range fields {
		switch {
		case noMap != nil:
			line = append(line, " -,-,-,-"...)
		case !bytes.Contains(m.body, []byte(name)): // saves most of the time
			line = append(line, " 0,false,0:811c9dc5,0:811c9dc5"...)
		default:
			line = appendField(line, m, name)
		}
	}
	return append(line, "; "...)
}

// nativeFields are those that a native worker reads.
func nativeFields() (names []string) {
	for _, body := range []any{WorkerHello{}, WorkerCode{}, WorkerCommand{}, WorkerAnswer{}, WorkerFork{}} {
		for _, field := range reflect.VisibleFields(reflect.TypeOf(body)) {
			names = append(names, field.Tag.Get("msgpack"))
		}
	}
	return names
}

// appendField reads a field as all that it could be.
func appendField(line []byte, m Message, name string) []byte {
	line = append(line, ' ')
	if number, err := m.Int(name); err == nil {
		line = strconv.AppendInt(line, number, 10)
	} else {
		line = append(line, '-')
	}
	line = append(line, ',')
	if truth, err := boolField(m, name); err == nil {
		line = strconv.AppendBool(line, truth)
	} else {
		line = append(line, '-')
	}
	data, err := m.Binary(name)
	line = appendSum(line, data, err)
	text, err := m.Text(name)
	return appendSum(line, []byte(text), err)
}

// boolField is what Message needs nowhere else: workers say nothing that is
// true or false.
func boolField(m Message, name string) (bool, error) {
	s, found, err := m.field(name)
	if err != nil || !found {
		return false, err
	}
	if code := s.data[s.pos]; code != 0xc2 && code != 0xc3 {
		return false, frameErrorf("the field %q is no boolean", name)
	}
	return s.data[s.pos] == 0xc3, nil
}

func appendSum(line, data []byte, err error) []byte {
	if err != nil {
		return append(line, ",-"...)
	}
	sum := fnv.New32a()
	_, _ = sum.Write(data)
	line = strconv.AppendInt(append(line, ','), int64(len(data)), 10)
	return hex.AppendEncode(append(line, ':'), sum.Sum(nil))
}

// TestNativeReader has the C reader and this package's read the same streams:
// frames of all messages, most of them damaged, in pieces, with little memory.
// They must take and refuse the same, and see the same in what they take; and the
// sanitizers that the C reader is built with find nothing. VATWORKERD_STREAMS
// says how many.
func TestNativeReader(t *testing.T) {
	total := 200_000
	if text := os.Getenv("VATWORKERD_STREAMS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		total = n
	}
	n := startNativeReader(t)
	n.check(t, tellingStreams())
	m := newStreamMaker(t, 7)
	right := 0
	for range total / 1000 {
		all := make([]stream, 1000)
		for i := range all {
			all[i] = m.stream()
		}
		if right += n.check(t, all); t.Failed() {
			return
		}
	}
	t.Logf("%d streams, %d of them right to their end", total, right)
}

// FuzzNativeReader is the same, guided by what this package's reader comes to.
func FuzzNativeReader(f *testing.F) {
	for _, frame := range newStreamMaker(f, 1).frames {
		f.Add(frame, uint16(0))
	}
	n := startNativeReader(f)
	f.Fuzz(func(t *testing.T, data []byte, most uint16) {
		n.check(t, []stream{{data: data, limit: 1 << 20, most: uint32(most), memory: enoughMemory}})
	})
}

// tellingStreams are at the bounds of what a frame may hold.
func tellingStreams() (all []stream) {
	nest := func(depth int) []byte { return append(bytes.Repeat([]byte{0x91}, depth), codeNil) }
	pairs := func(n int) []byte {
		return append(binary.BigEndian.AppendUint32([]byte{0xdf}, uint32(n)), bytes.Repeat([]byte{0xa0, codeNil}, n)...)
	}
	for _, body := range [][]byte{
		nest(MaxNesting - 1), nest(MaxNesting), nest(MaxNesting + 1), nest(5000), {0xdd, 0xff, 0xff, 0xff, 0xff}, {0xdf, 0xff, 0xff, 0xff, 0xff},
		{0xc6, 0xff, 0xff, 0xff, 0xff}, {0xdb, 0x80, 0, 0, 0}, {0xc1}, append([]byte{0xc6, 0, 1, 0, 0}, make([]byte, 1<<16)...),
	} {
		frame := framed(append([]byte{0x94, 1, 1, 0xa1, 'x'}, body...))
		size := uint32(len(frame) - headerBytes)
		for _, most := range []uint32{0, 61} {
			all = append(all, stream{frame, size, most, enoughMemory}, stream{frame, size - 1, most, enoughMemory},
				stream{append(bytes.Clone(frame), frame...), size, most, enoughMemory})
		}
	}
	for _, frame := range [][]byte{manyNils(15, MaxElements), manyNils(16, MaxElements), manyNils(1, MaxElements+1)} {
		all = append(all, stream{framed(frame), DefaultMaxFrameBytes, 0, enoughMemory})
	}
	for _, n := range []int{MaxElements, MaxElements + 1} {
		all = append(all, stream{framed(append([]byte{0x94, 1, 1, 0xa1, 'x'}, pairs(n)...)), DefaultMaxFrameBytes, 1 << 16, enoughMemory})
	}
	return all
}
