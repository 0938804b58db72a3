package xsnap

import (
	"strconv"

	"golang.org/x/sys/unix"

	"vatworkerd/frames"
)

// stockWire speaks the dialect of xsnap-worker (xsnap-worker.c): netstrings
// whose first byte says what they are.
type stockWire struct {
	commands  frameWriter
	replies   *frameReader
	repliesFD rawFD
}

func newStockWire(p *plumbing) *stockWire {
	p.tape = frames.NewTape(EngineStock.String(), frames.Netstrings)
	w := &stockWire{
		commands:  frameWriter{fd: p.commands, tape: p.tape},
		replies:   newFrameReader(p.replies, netstrings(), MaxFromWorker),
		repliesFD: p.replies,
	}
	w.replies.tape = p.tape
	return w
}

// stockTags begin the netstring of each command.
var stockTags = [...]string{
	cmdReady: "R", cmdEvaluate: "e", cmdHandle: "?", cmdSnapshot: "w@" + strconv.Itoa(fdSnapshotSave), cmdQuit: "q",
}

func (w *stockWire) send(c command, parts ...[]byte) error {
	if left := w.replies.left(); len(left) > 0 {
		return &wireError{"a message that nobody asked for", left}
	}
	if c == cmdQuit {
		// A worker that has not read what it was sent must not block its owner.
		_ = unix.SetNonblock(int(w.commands.fd), true)
	}
	return w.commands.writeNetstring(stockTags[c], parts...)
}

func (w *stockWire) answer(parts ...[]byte) error { return w.commands.writeNetstring("/", parts...) }

func (w *stockWire) receive() (wireMessage, error) {
	frame, err := w.replies.next()
	if err != nil {
		return wireMessage{}, err
	}
	if len(frame) == 0 {
		return wireMessage{}, &wireError{reason: "empty message"}
	}
	switch frame[0] {
	case '?':
		return wireMessage{kind: msgUpcall, body: frame[1:]}, nil
	case '!':
		return wireMessage{kind: msgUncaught, body: frame[1:]}, nil
	case '.':
		meter, reply, ok := splitReply(frame[1:])
		if !ok {
			return wireMessage{}, &wireError{"malformed meter record", frame}
		}
		return wireMessage{kind: msgReply, body: reply, meter: meter}, nil
	}
	return wireMessage{}, &wireError{"unknown message", frame}
}

func (w *stockWire) heapBytes(reply []byte) (int64, bool) {
	n, err := strconv.ParseInt(string(reply), 10, 64)
	return n, err == nil && n >= 0
}

// lastWords: the stock worker says nothing on its pipe.
func (w *stockWire) lastWords() string { return "" }

func (w *stockWire) close() {
	_ = unix.Close(int(w.commands.fd))
	_ = unix.Close(int(w.repliesFD))
}
