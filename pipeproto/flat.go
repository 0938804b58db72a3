package pipeproto

import "encoding/binary"

// What workers say while a vat runs is nearly always the same: a short envelope
// around a map of a few plain fields. parseFlat takes that apart in one go; it
// admits nothing that checkMsgpack would not.

// parseFlat returns false for a frame that is wrong, or only not so simple.
func parseFlat(frame []byte) (Message, bool) {
	const least = 5 // array, kind, id, type, body
	if len(frame) < least || frame[0] != 0x94 || frame[1] < byte(kindRequest) || frame[1] > byte(kindEvent) {
		return Message{}, false
	}
	m := Message{Kind: kind(frame[1])}
	rest, ok := flatUint(frame[2:], &m.ID)
	if !ok || len(rest) == 0 || rest[0] < 0xa0 || rest[0] > 0xbf {
		return Message{}, false
	}
	n := int(rest[0] & 0x1f)
	if len(rest) < 1+n {
		return Message{}, false
	}
	m.Type, m.body = rest[1:1+n], rest[1+n:]
	return m, isFlatMap(m.body)
}

func flatUint(b []byte, value *uint64) (rest []byte, ok bool) {
	switch {
	case b[0] <= 0x7f:
		*value = uint64(b[0])
		return b[1:], true
	case b[0] == 0xcc && len(b) > 1:
		*value = uint64(b[1])
		return b[2:], true
	case b[0] == 0xcd && len(b) > 2:
		*value = uint64(binary.BigEndian.Uint16(b[1:]))
		return b[3:], true
	case b[0] == 0xce && len(b) > 4:
		*value = uint64(binary.BigEndian.Uint32(b[1:]))
		return b[5:], true
	}
	return nil, false
}

// isFlatMap is true for a whole map of less than 16 plain fields with short names.
func isFlatMap(b []byte) bool {
	if len(b) == 0 || b[0]&0xf0 != 0x80 {
		return false
	}
	at := 1
	for range b[0] & 0x0f {
		if at >= len(b) || b[at] < 0xa0 || b[at] > 0xbf {
			return false
		}
		at += 1 + int(b[at]&0x1f)
		if at >= len(b) {
			return false
		}
		size, ok := flatSize(b[at:])
		if !ok || size > len(b)-at {
			return false
		}
		at += size
	}
	return at == len(b)
}

// flatSize is how many bytes a plain value takes, if it is an integer, a short
// text or a binary.
func flatSize(b []byte) (int, bool) {
	switch code := b[0]; {
	case code <= 0x7f:
		return 1, true
	case code >= 0xa0 && code <= 0xbf:
		return 1 + int(code&0x1f), true
	case code >= 0xcc && code <= 0xcf:
		return 1 + 1<<(code-0xcc), true
	case code == 0xc4 && len(b) > 1:
		return 2 + int(b[1]), true
	case code == 0xc5 && len(b) > 2:
		return 3 + int(binary.BigEndian.Uint16(b[1:])), true
	case code == 0xc6 && len(b) > 4:
		return 5 + int(binary.BigEndian.Uint32(b[1:])), true
	}
	return 0, false
}

// onlyBinary is the value of a field that is a body's only one, a binary.
func (m Message) onlyBinary(name string) ([]byte, bool) {
	at := 2 + len(name)
	if len(m.body) <= at || m.body[0] != 0x81 || m.body[1] != 0xa0|byte(len(name)) || string(m.body[2:at]) != name {
		return nil, false
	}
	head := 2
	switch m.body[at] {
	case 0xc4:
	case 0xc5:
		head = 3
	case 0xc6:
		head = 5
	default:
		return nil, false
	}
	return m.body[at+head:], true
}
