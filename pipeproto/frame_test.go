package pipeproto

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/vmihailenco/msgpack/v5"
)

// framed puts a length in front of a body.
func framed(body []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

// packed encodes an envelope by its elements.
func packed(t testing.TB, elements ...any) []byte {
	t.Helper()
	body, err := msgpack.Marshal(elements)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestReadFrame(t *testing.T) {
	const limit = 5000
	long := bytes.Repeat([]byte{0xc0}, limit)
	for _, c := range []struct {
		name   string
		stream []byte
		want   []byte
		err    string // part of the text of a *FrameError
		cause  error
	}{
		{name: "nothing", cause: io.EOF},
		{name: "one byte", stream: framed([]byte{0xc0}), want: []byte{0xc0}},
		{name: "at the limit", stream: framed(long), want: long},
		{name: "over the limit", stream: framed(append(long, 0)), err: "5001 bytes is over the limit of 5000"},
		{name: "absurd length", stream: []byte{0xff, 0xff, 0xff, 0xff}, err: "over the limit"},
		{name: "no length", stream: framed(nil), err: "length 0"},
		{name: "half a header", stream: []byte{0, 0}, err: "middle of a frame (2 of 4", cause: io.ErrUnexpectedEOF},
		{name: "header only", stream: []byte{0, 0, 0, 9}, err: "middle of a frame (0 of 9", cause: io.ErrUnexpectedEOF},
		{name: "half a body", stream: framed(long)[:1000], err: "middle of a frame (996 of 5000", cause: io.ErrUnexpectedEOF},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, r := range []io.Reader{bytes.NewReader(c.stream), iotest.OneByteReader(bytes.NewReader(c.stream))} {
				got, err := readFrame(r, nil, limit)
				var broken *FrameError
				if isBroken := errors.As(err, &broken); isBroken != (c.err != "") || isBroken && !strings.Contains(err.Error(), c.err) {
					t.Fatalf("got %v, want a *FrameError with %q", err, c.err)
				}
				if c.cause != nil && !errors.Is(err, c.cause) {
					t.Errorf("got %v, want %v", err, c.cause)
				}
				if !bytes.Equal(got, c.want) {
					t.Errorf("read % x", got)
				}
			}
		})
	}
}

func TestReadFrameReportsOtherErrors(t *testing.T) {
	cause := errors.New("the disk of the pipe is on fire")
	_, err := readFrame(iotest.ErrReader(cause), nil, 100)
	var broken *FrameError
	if !errors.Is(err, cause) || errors.As(err, &broken) {
		t.Errorf("got %v", err)
	}
}

// A length that lies costs no memory.
func TestLyingLengthAllocatesLittle(t *testing.T) {
	stream := append([]byte{0x03, 0xff, 0xff, 0xff}, make([]byte, 100)...) // claims 64 MB
	if got := allocated(func() { _, _ = readFrame(bytes.NewReader(stream), nil, DefaultMaxFrameBytes) }); got > 1<<20 {
		t.Errorf("%d bytes allocated for a frame of 100", got)
	}
}

func allocated(work func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	work()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestMalformedEnvelopes(t *testing.T) {
	deep := append(bytes.Repeat([]byte{0x91}, MaxNesting+1), 0xc0)
	valid := packed(t, 1, 1, "run", nil)
	for name, c := range map[string]struct {
		frame []byte
		want  string
	}{
		"no array":            {packed(t, 1, 1, "run", nil)[1:2], "array of 4"},
		"three elements":      {packed(t, 1, 1, "run"), "array of 4"},
		"five elements":       {packed(t, 1, 1, "run", nil, nil), "array of 4"},
		"a map":               {[]byte{0x80}, "array of 4"},
		"kind 0":              {packed(t, 0, 1, "run", nil), "kind"},
		"kind 5":              {packed(t, 5, 1, "run", nil), "kind"},
		"kind a string":       {packed(t, "1", 1, "run", nil), "kind"},
		"kind negative":       {packed(t, -1, 1, "run", nil), "kind"},
		"id a string":         {packed(t, 1, "1", "run", nil), "id"},
		"id negative":         {packed(t, 1, -7, "run", nil), "id"},
		"id fractional":       {packed(t, 1, 1.5, "run", nil), "id"},
		"type a number":       {packed(t, 1, 1, 3, nil), "type"},
		"type too long":       {packed(t, 1, 1, strings.Repeat("x", 65), nil), "type"},
		"request without id":  {packed(t, 1, 0, "run", nil), "needs an id"},
		"reply without id":    {packed(t, 2, 0, "run", nil), "needs an id"},
		"event with id":       {packed(t, 4, 1, "vat", nil), "id 0"},
		"request, no type":    {packed(t, 1, 1, "", nil), "needs a type"},
		"event, no type":      {packed(t, 4, 0, "", nil), "needs a type"},
		"rest behind":         {append(bytes.Clone(valid), 0xc0), "too many"},
		"cut":                 {valid[:len(valid)-1], "ends where a value"},
		"cut in a length":     {[]byte{0x94, 1, 1, 0xdb, 0, 0}, "begins no value"},
		"string beyond":       {[]byte{0x94, 1, 1, 0xdb, 0xff, 0xff, 0xff, 0xff}, "claims more"},
		"binary beyond":       {[]byte{0x94, 1, 1, 0xa1, 'x', 0xc6, 0x7f, 0xff, 0xff, 0xff}, "claims more"},
		"array beyond":        {[]byte{0x94, 1, 1, 0xa1, 'x', 0xdd, 0xff, 0xff, 0xff, 0xff}, "claims more"},
		"map beyond":          {[]byte{0x94, 1, 1, 0xa1, 'x', 0xdf, 0xff, 0xff, 0xff, 0xff}, "claims more"},
		"byte 0xc1":           {[]byte{0x94, 1, 1, 0xa1, 'x', 0xc1}, "begins no value"},
		"extension type":      {[]byte{0x94, 1, 1, 0xa1, 'x', 0xd4, 1, 1}, "begins no value"},
		"number as a map key": {[]byte{0x94, 1, 1, 0xa1, 'x', 0x81, 0x01, 0x02}, "no string"},
		"too deep":            {append([]byte{0x94, 1, 1, 0xa1, 'x'}, deep...), "deep"},
		"too many elements":   {manyNils(1, MaxElements+1), "elements"},
		"too many values":     {manyNils(17, MaxElements-1), "values in one frame"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := decodeEnvelope(c.frame)
			var broken *FrameError
			if !errors.As(err, &broken) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want a *FrameError with %q", err, c.want)
			}
		})
	}
	if _, err := decodeEnvelope(valid); err != nil {
		t.Errorf("the sound frame: %v", err)
	}
}

// manyNils is a request with so many arrays of so many nils.
func manyNils(arrays, each int) []byte {
	frame := []byte{0x94, 1, 1, 0xa1, 'x', 0xdc, 0, byte(arrays)}
	for range arrays {
		frame = append(frame, 0xdd)
		frame = binary.BigEndian.AppendUint32(frame, uint32(each))
		frame = append(frame, bytes.Repeat([]byte{codeNil}, each)...)
	}
	return frame
}

func TestMisfits(t *testing.T) {
	type m = map[string]any
	for name, c := range map[string]struct {
		body  any
		into  any
		place string
		want  string
	}{
		"number too large":  {m{"items": []any{m{"vatID": "v1"}, m{"priority": 300}}}, &Enqueue{}, "items[1].priority", "uint8"},
		"negative unsigned": {m{"items": []any{m{"priority": -1}}}, &Enqueue{}, "items[0].priority", "uint8"},
		"over int64":        {m{"height": uint64(1 << 63)}, &Height{}, "height", "int64"},
		"fraction":          {m{"height": 1.0}, &Height{}, "height", "integer"},
		"text for number":   {m{"height": "1"}, &Height{}, "height", "integer"},
		"number for text":   {m{"vatID": 1}, &VatRef{}, "vatID", "string"},
		"binary for text":   {m{"vatID": []byte("v1")}, &VatRef{}, "vatID", "string"},
		"text for binary":   {m{"data": "x"}, &AddBundle{}, "data", "binary"},
		"number for bool":   {m{"full": 1}, &Replay{}, "full", "true or false"},
		"map for array":     {m{"items": m{}}, &Enqueue{}, "items", "array"},
		"array for map":     {[]any{1}, &Run{}, "", "map"},
		"inside a pointer":  {m{"allowance": "x"}, &VatOptions{}, "allowance", "integer"},
		"array in array":    {m{"syscalls": []any{[]byte("x"), 7}}, &Delivered{}, "syscalls[1]", "binary"},
		"embedded":          {m{"vatID": 7}, &SnapshotCheck{}, "vatID", "string"},
	} {
		t.Run(name, func(t *testing.T) {
			err := through(c.body, c.into)
			var e *Error
			if !errors.As(err, &e) || e.Code != CodeBadRequest || e.Place != c.place || !strings.Contains(e.Message, c.want) {
				t.Errorf("got %#v, want place %q and %q", err, c.place, c.want)
			}
		})
	}
	var got Height
	if err := through(m{"height": int64(-3), "later": []any{m{"x": 1}}}, &got); err != nil || got.Height != -3 {
		t.Errorf("an unknown field must be ignored: %+v, %v", got, err)
	}
	if err := through(nil, &got); err != nil || got.Height != 0 {
		t.Errorf("nil reads as the zero value: %+v, %v", got, err)
	}
	for _, bad := range []any{nil, got, (*Height)(nil)} {
		if err := through(nil, bad); err == nil {
			t.Errorf("decoding into %T succeeds", bad)
		}
	}
}

func FuzzFrame(f *testing.F) {
	f.Add(framed([]byte{0xc0}))
	f.Add([]byte{0, 0, 0, 9, 1})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, stream []byte) {
		r := bytes.NewReader(stream)
		read := 0
		for {
			body, err := readFrame(r, nil, 1<<20)
			if err != nil {
				var broken *FrameError
				if clean := err == io.EOF; clean != (read == len(stream)) || !clean && !errors.As(err, &broken) {
					t.Fatalf("after %d of %d bytes: %v", read, len(stream), err)
				}
				return
			}
			read += headerBytes + len(body)
		}
	})
}

func FuzzEnvelope(f *testing.F) {
	f.Add(packed(f, 1, 1, "run", map[string]any{"maxCranks": 3}))
	f.Add(packed(f, 3, 1, "run", Error{Code: "io"}))
	f.Add(packed(f, 1, 1, "x", map[string]any{"vats": []any{nil, map[string]any{"options": map[string]any{"allowance": -1}}}}))
	f.Add([]byte{0x94, 1, 1, 0xa1, 'x', 0xdd, 0, 0, 0, 9})
	conn := NewConn(nil, nil, 0)
	f.Fuzz(func(t *testing.T, frame []byte) {
		env, err := decodeEnvelope(frame)
		var broken *FrameError
		if err != nil {
			if !errors.As(err, &broken) {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		for _, into := range []any{&Status{}, &Enqueue{}, &Delivered{}, &SnapshotVerifyReply{}, &Error{}} {
			body := rawBody{conn: conn, env: env}
			err := body.Decode(into)
			var e *Error
			if err != nil && !errors.As(err, &e) {
				t.Fatalf("%T %v", err, err)
			}
			// What passes the comparison with the type must decode.
			fit := fitter{scanner: scanner{data: env.body}, shapes: shapes{}}
			if m := fit.fit(reflectElem(into)); (m == nil) != (err == nil) {
				t.Fatalf("comparison says %v, decoder %v", m, err)
			}
		}
	})
}

func reflectElem(v any) reflect.Type { return reflect.TypeOf(v).Elem() }

// Many empty elements must not become many large structs.
func TestHostileCountsAllocateLittle(t *testing.T) {
	elements := func(key string, each byte) envelope {
		frame := append([]byte{0x94, 1, 1, 0xa1, 'x', 0x81, 0xa0 + byte(len(key))}, key...)
		frame = append(frame, 0xdd)
		frame = binary.BigEndian.AppendUint32(frame, MaxElements)
		frame = append(frame, bytes.Repeat([]byte{each}, MaxElements)...)
		env, err := decodeEnvelope(frame)
		if err != nil {
			t.Fatal(err)
		}
		return env
	}
	conn := NewConn(nil, nil, 0)
	var e *Error
	var err error
	env := elements("vats", 0x80)
	got := allocated(func() { err = (&rawBody{conn: conn, env: env}).Decode(&Status{}) })
	if !errors.As(err, &e) || e.Place != "vats" || !strings.Contains(e.Message, "too much memory") || got > 1<<20 {
		t.Errorf("%d bytes allocated, %v", got, err)
	}
	var d Delivered
	if err := (&rawBody{conn: conn, env: elements("testLog", 0xa0)}).Decode(&d); err != nil || len(d.TestLog) != MaxElements {
		t.Errorf("empty strings, which are honest: %d, %v", len(d.TestLog), err)
	}
}
