package xsnap

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"vatworkerd/frames"
	"vatworkerd/pipeproto"
)

// nativeWire speaks the pipe protocol with a native worker (xsnap/native).
type nativeWire struct {
	commands  frameWriter
	replies   *frameReader
	repliesFD rawFD

	greeted  bool   // the hello was answered
	asked    uint64 // id of the last request
	askedFor string // its type
	upcall   uint64 // id of the worker's last request
	reason   string // of its end, from its last frame

	announced, heap int64 // bytes of its snapshot, said before and after
	forked          int64 // process ID of a zygote's last worker
}

// envelopeBytes is more than a frame from a worker has around its content.
const envelopeBytes = 256

func pipeFrames() framing { return framing{cut: pipeproto.FrameLength} }

// newNativeWire sends the hello: the worker reads it as soon as it runs, and
// answers when its machine is there. A worker that is gone already is found when
// that answer is wanted.
func newNativeWire(p *plumbing, o StartOptions) *nativeWire {
	w := openNativeWire(p)
	frame := w.hello(4, o)
	_ = w.finish(pipeproto.AppendBool(frame, "area", p.area != nil))
	return w
}

func openNativeWire(p *plumbing) *nativeWire {
	p.tape = frames.NewTape(EngineNative.String(), frames.Msgpack)
	w := &nativeWire{
		commands:  frameWriter{fd: p.commands, tape: p.tape},
		replies:   newFrameReader(p.replies, pipeFrames(), MaxFromWorker+envelopeBytes),
		repliesFD: p.replies,
	}
	w.replies.tape = p.tape
	return w
}

// hello begins the first request.
func (w *nativeWire) hello(fields int, o StartOptions) []byte {
	frame := w.begin(pipeproto.ReqWorkerHello, fields)
	frame = pipeproto.AppendInt(frame, "version", pipeproto.WorkerVersion)
	frame = pipeproto.AppendInt(frame, "meterLimit", o.MeterLimit)
	return pipeproto.AppendBool(frame, "heap", o.From != nil)
}

func (w *nativeWire) begin(msgType string, fields int) []byte {
	w.asked++
	w.askedFor = msgType
	return pipeproto.BeginFrame(w.commands.buf, pipeproto.KindRequest, w.asked, msgType, fields)
}

func (w *nativeWire) finish(frame []byte, parts ...[]byte) error {
	size := sizeOf(parts)
	if size > MaxToWorker {
		return &pipeproto.FrameError{Reason: fmt.Sprintf("%d bytes to a worker are more than the %d it can read", size, MaxToWorker)}
	}
	pipeproto.EndFrame(frame, size)
	w.commands.buf = frame
	return w.commands.flush(parts, "")
}

// nativeRequests are the requests of the commands, and the field for content.
var nativeRequests = [...]struct{ msgType, field string }{
	cmdReady:    {pipeproto.ReqWorkerReady, ""},
	cmdEvaluate: {pipeproto.ReqWorkerEvaluate, "code"},
	cmdHandle:   {pipeproto.ReqWorkerDeliver, "command"},
	cmdSnapshot: {pipeproto.ReqWorkerSnapshot, ""},
	cmdQuit:     {pipeproto.ReqWorkerQuit, ""},
}

// send waits for the answer to the hello before it sends anything else. To a
// worker that has not answered it yet, cmdReady sends nothing: that answer is
// the one that is wanted; and cmdQuit is the end of its pipe.
func (w *nativeWire) send(c command, parts ...[]byte) error {
	if left := w.replies.left(); len(left) > 0 {
		return &wireError{"a message that nobody asked for", left}
	}
	switch {
	case w.greeted:
	case c == cmdReady:
		return nil
	case c == cmdQuit:
		w.closeCommands()
		return nil
	default:
		if _, err := w.receive(); err != nil {
			return err
		}
	}
	if c == cmdQuit {
		// A worker that has not read what it was sent must not block its owner.
		_ = unix.SetNonblock(int(w.commands.fd), true)
	}
	request := nativeRequests[c]
	if request.field == "" {
		return w.finish(w.begin(request.msgType, 0))
	}
	frame := w.begin(request.msgType, 1)
	return w.finish(pipeproto.AppendBinary(frame, request.field, sizeOf(parts)), parts...)
}

func (w *nativeWire) answer(parts ...[]byte) error {
	frame := pipeproto.BeginFrame(w.commands.buf, pipeproto.KindReply, w.upcall, pipeproto.ReqWorkerCommand, 1)
	return w.finish(pipeproto.AppendBinary(frame, "result", sizeOf(parts)), parts...)
}

func (w *nativeWire) receive() (wireMessage, error) {
	for {
		frame, err := w.replies.next()
		if err != nil {
			return wireMessage{}, err
		}
		m, err := pipeproto.ParseMessage(frame)
		if err != nil {
			return wireMessage{}, err
		}
		switch m.Kind {
		case pipeproto.KindRequest:
			return w.request(m)
		case pipeproto.KindReply:
			return w.reply(m)
		case pipeproto.KindError:
			return w.failure(m)
		}
		if err := w.event(m); err != nil {
			return wireMessage{}, err
		}
	}
}

func (w *nativeWire) request(m pipeproto.Message) (wireMessage, error) {
	if string(m.Type) != pipeproto.ReqWorkerCommand {
		return wireMessage{}, &wireError{"unknown message", m.Type}
	}
	if m.ID <= w.upcall {
		return wireMessage{}, &wireError{"the ids of its requests do not rise", m.Type}
	}
	w.upcall = m.ID
	body, err := m.Binary("command")
	if err == nil {
		err = withinLimit(body)
	}
	return wireMessage{kind: msgUpcall, body: body}, err
}

// withinLimit holds a worker to what the stock one may send: a netstring of one
// tag and the content.
func withinLimit(content []byte) error {
	if len(content)+1 > MaxFromWorker {
		return &pipeproto.FrameError{Reason: fmt.Sprintf("it is longer than the limit of %d bytes", MaxFromWorker)}
	}
	return nil
}

// isOpen reports whether m answers the request that is open.
func (w *nativeWire) isOpen(m pipeproto.Message) bool {
	return m.ID == w.asked && string(m.Type) == w.askedFor
}

func (w *nativeWire) reply(m pipeproto.Message) (_ wireMessage, err error) {
	if !w.isOpen(m) {
		return wireMessage{}, &wireError{"a reply to nothing that was asked", m.Type}
	}
	switch w.askedFor {
	case pipeproto.ReqWorkerHello:
		return w.helloReply(m)
	case pipeproto.ReqWorkerEvaluate, pipeproto.ReqWorkerDeliver:
		return outcome(m)
	case pipeproto.ReqWorkerSnapshot:
		w.heap, err = m.Int("bytes")
		return wireMessage{kind: msgReply}, err
	case pipeproto.ReqWorkerFork:
		w.forked, err = m.Int("pid")
		return wireMessage{kind: msgReply}, err
	}
	return wireMessage{kind: msgReply}, nil
}

func (w *nativeWire) helloReply(m pipeproto.Message) (wireMessage, error) {
	version, err := m.Int("version")
	if err == nil && version != pipeproto.WorkerVersion {
		err = fmt.Errorf("it speaks version %d of the pipe protocol, this vatworkerd version %d; run `make native`", version, pipeproto.WorkerVersion)
	}
	w.greeted = err == nil
	return wireMessage{kind: msgReply}, err
}

func outcome(m pipeproto.Message) (wireMessage, error) {
	compute, err1 := m.Int("compute")
	allocate, err2 := m.Int("allocate")
	heapCount, err3 := m.Int("heapCount")
	result, err4 := m.Binary("result")
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return wireMessage{}, err
	}
	meter := &Meter{Compute: compute, Allocate: allocate, CurrentHeapCount: heapCount}
	return wireMessage{kind: msgReply, body: result, meter: meter}, withinLimit(result)
}

// failure is the worker's answer to a request it could not serve, or its
// refusal of a frame (id 0), after which it ends.
func (w *nativeWire) failure(m pipeproto.Message) (wireMessage, error) {
	code, err1 := m.Text("code")
	text, err2 := m.Text("message")
	if err := errors.Join(err1, err2); err != nil {
		return wireMessage{}, err
	}
	switch {
	case !w.isOpen(m):
		return wireMessage{}, &wireError{"it refused what it was sent", []byte(code + ": " + text)}
	case code == pipeproto.CodeUncaught:
		return wireMessage{kind: msgUncaught, body: []byte(text)}, nil
	}
	return wireMessage{}, pipeproto.Errorf(code, "%s", text)
}

func (w *nativeWire) event(m pipeproto.Message) (err error) {
	switch string(m.Type) {
	case pipeproto.EventWorkerExit:
		w.reason, err = m.Text("reason")
	case pipeproto.EventWorkerHeap:
		w.announced, err = m.Int("bytes")
	default:
		err = &wireError{"unknown message", m.Type}
	}
	return err
}

func (w *nativeWire) heapBytes([]byte) (int64, bool) { return w.heap, w.heap == w.announced }

func (w *nativeWire) lastWords() string { return w.reason }

func (w *nativeWire) closeCommands() {
	if w.commands.fd >= 0 {
		_ = unix.Close(int(w.commands.fd))
		w.commands.fd = -1
	}
}

func (w *nativeWire) close() {
	w.closeCommands()
	_ = unix.Close(int(w.repliesFD))
}
