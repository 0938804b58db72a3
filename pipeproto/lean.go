package pipeproto

import (
	"encoding/binary"
	"math"
)

// Conn suits ends that send many kinds of messages. The functions here suit the
// end of a worker's pipe: few messages of known form, each waited for by one
// locked thread, where every microsecond counts. They allocate nothing and
// speak the same frames.

// Message is a frame taken apart. Type and the body's fields lie in the frame.
type Message struct {
	Kind Kind
	ID   uint64
	Type []byte
	body []byte
}

// Kind is what a frame is.
type Kind = kind

// The kinds of frames.
const (
	KindRequest = kindRequest
	KindReply   = kindReply
	KindError   = kindError
	KindEvent   = kindEvent
)

// FrameLength reads the header of the frame at the begin of b: the bytes of its
// header and body. head is 0 while more is needed. Errors are *FrameError.
func FrameLength(b []byte, limit int) (size, head int, err error) {
	if len(b) < headerBytes {
		return 0, 0, nil
	}
	claimed := binary.BigEndian.Uint32(b)
	if claimed == 0 {
		return 0, 0, frameErrorf("a frame of length 0")
	}
	if uint64(claimed) > uint64(limit) {
		return 0, 0, frameErrorf("a frame of %d bytes is over the limit of %d", claimed, limit)
	}
	return int(claimed), headerBytes, nil
}

// ParseMessage takes a frame's body apart and checks all of it. Errors are
// *FrameError.
func ParseMessage(frame []byte) (Message, error) {
	if m, ok := parseFlat(frame); ok {
		return m, m.check()
	}
	if err := checkMsgpack(frame); err != nil {
		return Message{}, err
	}
	return splitEnvelope(frame)
}

// Binary is the field of that name in the body; missing or nil reads as empty.
// Errors are *FrameError, for another type of value.
func (m Message) Binary(name string) ([]byte, error) {
	if value, ok := m.onlyBinary(name); ok {
		return value, nil
	}
	s, found, err := m.field(name)
	if err != nil || !found {
		return nil, err
	}
	code := s.data[s.pos]
	sh, err := s.head()
	if err != nil || code < 0xc4 || code > 0xc6 {
		return nil, frameErrorf("the field %q of the %s %q is no binary", name, m.Kind, m.Type)
	}
	return s.data[s.pos : s.pos+sh.payload], nil
}

// Text is like Binary, for a string.
func (m Message) Text(name string) (string, error) {
	s, found, err := m.field(name)
	if err != nil || !found {
		return "", err
	}
	text, ok := s.str()
	if !ok {
		return "", frameErrorf("the field %q of the %s %q is no string", name, m.Kind, m.Type)
	}
	return string(text), nil
}

// Int is like Binary, for an integer that is not negative.
func (m Message) Int(name string) (int64, error) {
	s, found, err := m.field(name)
	if err != nil || !found {
		return 0, err
	}
	n, ok := s.uint()
	if !ok || n > math.MaxInt64 {
		return 0, frameErrorf("the field %q of the %s %q is no integer from 0 to 2^63-1", name, m.Kind, m.Type)
	}
	return int64(n), nil
}

// field finds a field's value; of two with one name the last counts.
func (m Message) field(name string) (at scanner, found bool, err error) {
	s := scanner{data: m.body}
	if m.body[0] == codeNil {
		return at, false, nil
	}
	sh, err := s.head()
	if err != nil || !sh.isMap {
		return at, false, frameErrorf("the body of the %s %q is no map", m.Kind, m.Type)
	}
	for range sh.pairs {
		key, ok := s.str()
		if !ok {
			return at, false, frameErrorf("the body of the %s %q has a key that is no string", m.Kind, m.Type)
		}
		if string(key) == name {
			at, found = s, s.data[s.pos] != codeNil
		}
		if err := s.skip(1); err != nil {
			return at, false, err
		}
	}
	return at, found, nil
}

// BeginFrame begins a frame in dst, which it overwrites, with a body of so many
// fields. The fields follow, then EndFrame.
func BeginFrame(dst []byte, k Kind, id uint64, msgType string, fields int) []byte {
	dst = append(dst[:0], 0, 0, 0, 0, 0x94, byte(k))
	dst = appendUint(dst, id)
	dst = appendText(dst, msgType)
	return append(dst, 0x80|byte(fields))
}

// AppendInt adds a field. value must not be negative.
func AppendInt(frame []byte, name string, value int64) []byte {
	return appendUint(appendText(frame, name), uint64(value))
}

// AppendText adds a field.
func AppendText(frame []byte, name, value string) []byte {
	return appendText(appendText(frame, name), value)
}

// AppendBool adds a field.
func AppendBool(frame []byte, name string, value bool) []byte {
	code := byte(0xc2)
	if value {
		code = 0xc3
	}
	return append(appendText(frame, name), code)
}

// AppendBinary adds a field whose size bytes the caller appends, or sends after
// the frame: then it must be the last.
func AppendBinary(frame []byte, name string, size int) []byte {
	frame = appendText(frame, name)
	switch {
	case size <= math.MaxUint8:
		return append(frame, 0xc4, byte(size))
	case size <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(frame, 0xc5), uint16(size))
	}
	return binary.BigEndian.AppendUint32(append(frame, 0xc6), uint32(size))
}

// EndFrame writes the length of a frame of which so many bytes are not in it:
// they are sent after it.
func EndFrame(frame []byte, payload int) {
	binary.BigEndian.PutUint32(frame, uint32(len(frame)-headerBytes+payload))
}

func appendText(b []byte, text string) []byte {
	n := len(text)
	switch {
	case n < 32:
		b = append(b, 0xa0|byte(n))
	case n <= math.MaxUint8:
		b = append(b, 0xd9, byte(n))
	case n <= math.MaxUint16:
		b = binary.BigEndian.AppendUint16(append(b, 0xda), uint16(n))
	default:
		b = binary.BigEndian.AppendUint32(append(b, 0xdb), uint32(n))
	}
	return append(b, text...)
}

func appendUint(b []byte, n uint64) []byte {
	switch {
	case n <= 0x7f:
		return append(b, byte(n))
	case n <= math.MaxUint8:
		return append(b, 0xcc, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, 0xcd), uint16(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, 0xce), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, 0xcf), n)
}
