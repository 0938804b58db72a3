package pipeproto

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/vmihailenco/msgpack/v5"
)

// kind is the first element of an envelope.
type kind uint8

const (
	kindRequest kind = 1
	kindReply   kind = 2
	kindError   kind = 3
	kindEvent   kind = 4
)

func (k kind) String() string {
	switch k {
	case kindRequest:
		return "request"
	case kindReply:
		return "reply"
	case kindError:
		return "error"
	case kindEvent:
		return "event"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// maxTypeBytes bounds the name of a message.
const maxTypeBytes = 64

// envelope is a frame taken apart: the msgpack array [kind, id, type, body].
// body aliases the frame's buffer.
type envelope struct {
	kind    kind
	id      uint64
	msgType string
	body    []byte
}

// decodeEnvelope takes a frame apart. It checks the whole frame first: whatever
// is decoded later is well-formed, shallow, and holds what it claims to hold.
func decodeEnvelope(frame []byte) (envelope, error) {
	m, err := ParseMessage(frame)
	if err != nil {
		return envelope{}, err
	}
	return envelope{kind: m.Kind, id: m.ID, msgType: string(m.Type), body: m.body}, nil
}

// splitEnvelope takes a frame apart that has been checked.
func splitEnvelope(frame []byte) (Message, error) {
	s := scanner{data: frame}
	if s.data[0] != 0x94 {
		return Message{}, frameErrorf("a frame must hold an array of 4 elements [kind, id, type, body]")
	}
	s.pos = 1
	k, ok := s.uint()
	if !ok || k < uint64(kindRequest) || k > uint64(kindEvent) {
		return Message{}, frameErrorf("element 0 of a frame must be a kind from 1 to 4")
	}
	id, ok := s.uint()
	if !ok {
		return Message{}, frameErrorf("element 1 of a frame must be an id, an unsigned integer")
	}
	msgType, ok := s.str()
	if !ok || len(msgType) > maxTypeBytes {
		return Message{}, frameErrorf("element 2 of a frame must be a message type, a string of at most %d bytes", maxTypeBytes)
	}
	m := Message{Kind: kind(k), ID: id, Type: msgType, body: frame[s.pos:]}
	return m, m.check()
}

// check holds a message to the rules of its kind.
func (m Message) check() error {
	switch {
	case m.Kind == kindEvent && m.ID != 0:
		return frameErrorf("an event has id 0, not %d", m.ID)
	case (m.Kind == kindRequest || m.Kind == kindReply) && m.ID == 0:
		return frameErrorf("a %s needs an id from 1 on", m.Kind)
	case m.Kind != kindError && len(m.Type) == 0:
		return frameErrorf("a %s needs a type", m.Kind)
	}
	return nil
}

// encoder builds frames in one buffer that it uses again and again.
type encoder struct {
	buf     bytes.Buffer
	msgpack *msgpack.Encoder
}

func newEncoder() *encoder {
	e := &encoder{}
	e.msgpack = msgpack.NewEncoder(&e.buf)
	e.msgpack.UseCompactInts(true)
	return e
}

// frame encodes one frame, header included. The result is good until the next
// call. Errors: a body that cannot be encoded, or a *FrameError for a frame
// that a peer with this limit would refuse.
func (e *encoder) frame(env envelope, body any, limit int) ([]byte, error) {
	if e.buf.Cap() > keepBufferBytes {
		e.buf = bytes.Buffer{}
	}
	e.buf.Reset()
	e.buf.Write(make([]byte, headerBytes))
	if err := e.encode(env, body); err != nil {
		return nil, fmt.Errorf("cannot encode the %s %q: %w", env.kind, env.msgType, err)
	}
	frame := e.buf.Bytes()
	size := len(frame) - headerBytes
	if size > limit {
		return nil, frameErrorf("the %s %q takes %d bytes, over the limit of %d bytes a frame", env.kind, env.msgType, size, limit)
	}
	if err := checkMsgpack(frame[headerBytes:]); err != nil {
		return nil, fmt.Errorf("cannot send the %s %q: %w", env.kind, env.msgType, err)
	}
	binary.BigEndian.PutUint32(frame, uint32(size))
	return frame, nil
}

func (e *encoder) encode(env envelope, body any) error {
	if err := e.msgpack.EncodeArrayLen(4); err != nil {
		return err
	}
	if err := e.msgpack.EncodeUint(uint64(env.kind)); err != nil {
		return err
	}
	if err := e.msgpack.EncodeUint(env.id); err != nil {
		return err
	}
	if err := e.msgpack.EncodeString(env.msgType); err != nil {
		return err
	}
	return e.msgpack.Encode(body)
}
