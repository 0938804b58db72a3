package pipeproto

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

// leanFrame writes a message's struct with the lean functions, its fields in
// the struct's order.
func leanFrame(k Kind, id uint64, msgType string, body any) []byte {
	v := reflect.ValueOf(body)
	frame := BeginFrame(nil, k, id, msgType, v.NumField())
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("msgpack")
		switch f := v.Field(i); f.Kind() {
		case reflect.Slice:
			frame = append(AppendBinary(frame, name, f.Len()), f.Bytes()...)
		case reflect.String:
			frame = AppendText(frame, name, f.String())
		case reflect.Bool:
			frame = AppendBool(frame, name, f.Bool())
		default:
			frame = AppendInt(frame, name, f.Int())
		}
	}
	EndFrame(frame, 0)
	return frame
}

// workerBodies are the messages that the lean functions are for.
func workerBodies() []any {
	return []any{
		WorkerHello{}, WorkerHelloReply{}, WorkerCode{}, WorkerCommand{}, WorkerAnswer{}, WorkerOutcome{}, WorkerHeap{}, WorkerExit{},
		WorkerFork{}, WorkerForked{},
	}
}

// TestLeanFramesAreFrames: byte for byte what Conn's encoder makes.
func TestLeanFramesAreFrames(t *testing.T) {
	sizes := rapid.OneOf(rapid.IntRange(0, 40), rapid.SampledFrom([]int{255, 256, 65535, 65536}))
	rapid.Check(t, func(rt *rapid.T) {
		body := reflect.New(reflect.TypeOf(rapid.SampledFrom(workerBodies()).Draw(rt, "type"))).Elem()
		for i := range body.NumField() {
			switch f := body.Field(i); f.Kind() {
			case reflect.Slice:
				f.SetBytes(bytes.Repeat([]byte{7}, sizes.Draw(rt, "size")))
			case reflect.String:
				f.SetString(string(bytes.Repeat([]byte{'x'}, sizes.Draw(rt, "size"))))
			case reflect.Bool:
				f.SetBool(rapid.Bool().Draw(rt, "bool"))
			default:
				f.SetInt(rapid.OneOf(rapid.Int64Range(0, 300), rapid.Int64Range(0, 1<<40), rapid.Int64Range(0, 1<<62)).Draw(rt, "number"))
			}
		}
		id := rapid.Uint64Range(1, 1<<63).Draw(rt, "id")
		want, err := newEncoder().frame(envelope{kind: kindRequest, id: id, msgType: "deliver"}, body.Interface(), DefaultMaxFrameBytes)
		if err != nil {
			rt.Fatal(err)
		}
		got := leanFrame(KindRequest, id, "deliver", body.Interface())
		if !bytes.Equal(got, want) {
			rt.Fatalf("%+v\nlean %x\nfull %x", body, got, want)
		}
		readLean(rt, got, body)
	})
}

// readLean reads the fields back.
func readLean(rt *rapid.T, frame []byte, want reflect.Value) {
	size, head, err := FrameLength(frame, DefaultMaxFrameBytes)
	if err != nil || head+size != len(frame) {
		rt.Fatalf("length is %d + %d, %v, want %d", head, size, err, len(frame))
	}
	m, err := ParseMessage(frame[head:])
	if err != nil || m.Kind != KindRequest || string(m.Type) != "deliver" {
		rt.Fatalf("got %+v, %v", m, err)
	}
	for i := range want.NumField() {
		name := want.Type().Field(i).Tag.Get("msgpack")
		var got any
		switch f := want.Field(i); f.Kind() {
		case reflect.Slice:
			got, err = m.Binary(name)
			if err == nil && !bytes.Equal(got.([]byte), f.Bytes()) {
				rt.Fatalf("%s is %x", name, got)
			}
		case reflect.String:
			if got, err = m.Text(name); got != f.String() {
				rt.Fatalf("%s is %q", name, got)
			}
		case reflect.Bool:
			continue // no worker sends one
		default:
			if got, err = m.Int(name); got != f.Int() {
				rt.Fatalf("%s is %d, want %d", name, got, f.Int())
			}
		}
		if err != nil {
			rt.Fatal(err)
		}
	}
}

func TestLeanFields(t *testing.T) {
	frame := BeginFrame(nil, KindRequest, 1, "x", 5)
	frame = AppendInt(frame, "n", 5)
	frame = AppendText(frame, "t", "text")
	frame = append(AppendBinary(frame, "b", 1), 9)
	frame = append(appendText(frame, "nil"), codeNil)
	frame = AppendInt(frame, "n", 7)
	EndFrame(frame, 0)
	m, err := ParseMessage(frame[headerBytes:])
	if err != nil {
		t.Fatal(err)
	}
	if n, err := m.Int("n"); n != 7 || err != nil {
		t.Errorf("the last of two fields does not count: %d, %v", n, err)
	}
	for _, absent := range []string{"nil", "missing"} {
		b, err1 := m.Binary(absent)
		s, err2 := m.Text(absent)
		n, err3 := m.Int(absent)
		if len(b) != 0 || s != "" || n != 0 || errors.Join(err1, err2, err3) != nil {
			t.Errorf("%s reads as %q, %q, %d, %v", absent, b, s, n, errors.Join(err1, err2, err3))
		}
	}
	_, asBinary := m.Binary("t")
	_, asText := m.Text("b")
	_, asInt := m.Int("b")
	for _, err := range []error{asBinary, asText, asInt} {
		var broken *FrameError
		if !errors.As(err, &broken) {
			t.Errorf("a field of another type gave %v", err)
		}
	}
	empty := BeginFrame(nil, KindEvent, 0, "x", 0)
	empty[len(empty)-1] = codeNil
	if m, err = ParseMessage(empty[headerBytes:]); err != nil {
		t.Fatal(err)
	}
	if n, err := m.Int("n"); n != 0 || err != nil {
		t.Errorf("a body of nil gave %d, %v", n, err)
	}
	list := append(empty[:len(empty)-1], 0x90)
	if m, err = ParseMessage(list[headerBytes:]); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Int("n"); err == nil {
		t.Error("an array passed for a body")
	}
}

func TestFrameLength(t *testing.T) {
	for _, tc := range []struct {
		in         []byte
		size, head int
		bad        bool
	}{
		{nil, 0, 0, false}, {[]byte{0, 0, 0}, 0, 0, false}, {[]byte{0, 0, 1, 0}, 256, 4, false},
		{[]byte{0, 0, 0, 0}, 0, 0, true}, {[]byte{0, 0, 4, 1}, 0, 0, true}, {[]byte{0xff, 0xff, 0xff, 0xff}, 0, 0, true},
	} {
		size, head, err := FrameLength(tc.in, 1024)
		if size != tc.size || head != tc.head || (err != nil) != tc.bad {
			t.Errorf("%x: got %d, %d, %v", tc.in, size, head, err)
		}
	}
}
