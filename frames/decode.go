package frames

import (
	"bytes"

	"vatworkerd/pipeproto"
)

// What says what a frame is, in the words of the native worker's protocol for both
// dialects, and gives its content: the begin of that, where the frame is cut.
// meter is the engine's record in front of a stock worker's reply, else nil.
// Whatever the bytes are, something is said of them.
func (f Frame) What(dialect string) (what string, content, meter []byte) {
	if f.Torn {
		return "torn", f.Bytes, nil
	}
	if dialect == Msgpack {
		what, content = f.message()
		return what, content, nil
	}
	return f.netstring()
}

// stockCommands and stockMessages are the tags of xsnap-worker.c.
var (
	stockCommands = map[byte]string{'R': "ready", 'e': "evaluate", '?': "deliver", '/': "answer", 'w': "snapshot", 'q': "quit"}
	stockMessages = map[byte]string{'?': "issueCommand", '!': "uncaught", '.': "reply"}
)

func (f Frame) netstring() (what string, content, meter []byte) {
	_, payload, ok := bytes.Cut(f.Bytes, []byte{':'})
	if !ok {
		return "unknown", f.Bytes, nil
	}
	if len(f.Bytes) == f.Size {
		payload = bytes.TrimSuffix(payload, []byte{','})
	}
	if len(payload) == 0 {
		return "empty", nil, nil
	}
	names := stockCommands
	if f.Direction == FromWorker {
		names = stockMessages
	}
	what, ok = names[payload[0]]
	if !ok {
		return "unknown", payload, nil
	}
	content = payload[1:]
	if record, rest, ok := bytes.Cut(content, []byte{1}); ok && what == "reply" {
		return what, rest, record
	}
	return what, content, nil
}

// kindNames are put behind the type of what is no request.
var kindNames = map[pipeproto.Kind]string{pipeproto.KindReply: " reply", pipeproto.KindError: " error", pipeproto.KindEvent: " event"}

// contentFields are the fields that hold a message's content.
var contentFields = []string{"command", "code", "result"}

func (f Frame) message() (what string, content []byte) {
	body := f.Bytes
	if _, head, err := pipeproto.FrameLength(body, 1<<31-1); err == nil {
		body = body[head:]
	}
	// The content comes last, so a frame that is cut is cut there, as a rule.
	cut := f.Size - len(f.Bytes)
	m, err := pipeproto.ParseMessage(append(bytes.Clone(body), make([]byte, cut)...))
	if err != nil {
		return "unknown", body
	}
	what = string(m.Type) + kindNames[m.Kind]
	for _, field := range contentFields {
		if content, err := m.Binary(field); err == nil && content != nil {
			return what, content[:max(0, len(content)-cut)]
		}
	}
	for _, field := range []string{"message", "reason"} {
		if text, err := m.Text(field); err == nil && text != "" {
			return what, []byte(text)
		}
	}
	return what, nil
}
