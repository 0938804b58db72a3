// Package pipeproto is the protocol between a kernel host and vatworkerd:
// msgpack frames on a pair of pipes, carrying nested synchronous calls.
// docs/protocol.md has the wire form.
package pipeproto

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"sync"
	"syscall"

	"github.com/vmihailenco/msgpack/v5"
)

// MaxDepth bounds how many requests may be open inside each other on a connection.
const MaxDepth = 16

const readBufferBytes = 64 << 10

// Handler answers what arrives. It runs on the goroutine that is in Call or
// Serve, and may itself Call the peer while it handles a request.
type Handler interface {
	// HandleRequest answers a request. An error goes back as an error frame
	// (see ErrorOf). body is good until HandleRequest returns.
	HandleRequest(msgType string, body Body) (reply any, err error)
	// HandleEvent takes note of an event. body is good until it returns.
	HandleEvent(msgType string, body Body)
}

// Body is the not yet decoded body of a message.
type Body interface {
	// Decode fills v, a pointer to the message's struct; it may be called more
	// than once. Fields that v does not have are ignored, fields that did not
	// come keep their value. Errors are *Error of CodeBadRequest, fit to be
	// returned from HandleRequest.
	Decode(v any) error
}

// Conn is one end of a connection. Calls are synchronous and nest: while one
// end waits for a reply it answers the requests the other makes on its behalf,
// and replies come in the reverse order of the requests. Conn has no goroutine
// of its own. Call and Serve belong to one goroutine, Event to any.
type Conn struct {
	limit int // bytes of a frame this end accepts

	// The rest of this block belongs to the goroutine that calls Call and Serve.
	r         *bufio.Reader
	buffers   [][]byte // by depth: an outer request's body outlives nested frames
	depth     int      // requests open on this connection, of both ends
	nextID    uint64   // id of this end's next request
	lastSeen  uint64   // id of the peer's last request
	readErr   error    // sticky: what made the reading side useless
	bodies    *msgpack.Decoder
	bodyBytes bytes.Reader
	shapes    shapes

	writeLock sync.Mutex // guards the rest
	w         io.Writer
	enc       *encoder
	sendMax   int   // bytes of a frame this end ever sends
	sendLimit int   // bytes of a frame the peer accepts
	writeErr  error // sticky: a frame may have gone out in part
}

// NewConn makes a connection end that reads r and writes w, each frame with one
// Write. maxFrameBytes bounds the frames of both directions; 0 means
// DefaultMaxFrameBytes. Closing r and w stays the caller's business.
func NewConn(r io.Reader, w io.Writer, maxFrameBytes int) *Conn {
	limit := maxFrameBytes
	if limit <= 0 {
		limit = DefaultMaxFrameBytes
	}
	limit = max(limit, MinFrameBytes)
	c := &Conn{
		limit:     limit,
		r:         bufio.NewReaderSize(r, readBufferBytes),
		nextID:    1,
		w:         w,
		enc:       newEncoder(),
		sendMax:   limit,
		sendLimit: limit,
		shapes:    shapes{},
	}
	c.bodies = msgpack.NewDecoder(&c.bodyBytes)
	c.bodies.DisableAllocLimit(true) // checkMsgpack has held every length to the frame
	return c
}

// Call sends a request and waits for its answer, which it decodes into reply
// unless reply is nil. Meanwhile the peer's requests and events go to h; with a
// nil h requests are refused and events dropped. Errors: *Error when the peer
// answered with one; *FrameError when a frame was broken, or req too large (the
// connection survives only that); *ClosedError when the peer is gone; else the
// error of the read or write.
func (c *Conn) Call(msgType string, req, reply any, h Handler) error {
	if c.readErr == io.EOF {
		return c.closed(msgType, io.EOF)
	}
	if c.readErr != nil {
		return c.readErr
	}
	if c.depth >= MaxDepth {
		return Errorf(CodeRefused, "cannot call %q: %d requests are open inside each other", msgType, c.depth)
	}
	id := c.nextID
	c.nextID++
	if err := c.send(envelope{kind: kindRequest, id: id, msgType: msgType}, req); err != nil {
		return c.explainWrite(msgType, err, h)
	}
	c.depth++
	defer func() { c.depth-- }()
	for {
		env, err := c.receive()
		if err == io.EOF {
			return c.closed(msgType, err)
		}
		if err != nil {
			return err
		}
		if env.kind == kindReply || env.kind == kindError {
			return c.answer(env, id, msgType, reply)
		}
		if err := c.dispatch(env, h); err != nil {
			return err
		}
	}
}

// Serve answers requests until the peer closes the connection, which gives nil.
// A broken frame gives *FrameError, after an error frame has told the peer; any
// other error is that of the read or write.
func (c *Conn) Serve(h Handler) error {
	for {
		served, err := c.serveOne(h)
		if err != nil {
			return err
		}
		if !served {
			return nil
		}
	}
}

// serveOne handles events up to the next request and that request. It returns
// false when the stream has ended cleanly instead.
func (c *Conn) serveOne(h Handler) (bool, error) {
	if c.readErr != nil {
		return false, c.readErr
	}
	for {
		env, err := c.receive()
		if err == io.EOF {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if env.kind == kindReply || env.kind == kindError {
			return false, c.answer(env, 0, "", nil)
		}
		if err := c.dispatch(env, h); err != nil {
			return false, err
		}
		if env.kind == kindRequest {
			return true, nil
		}
	}
}

// Event sends an event; any goroutine may call it. It waits while the peer does
// not read, so nothing the peer waits for may wait for an Event.
func (c *Conn) Event(msgType string, body any) error {
	return c.send(envelope{kind: kindEvent, msgType: msgType}, body)
}

// receive reads the next frame. An error is sticky; a broken frame is told to
// the peer first.
func (c *Conn) receive() (envelope, error) {
	for len(c.buffers) <= c.depth {
		c.buffers = append(c.buffers, nil)
	}
	buf := c.buffers[c.depth]
	if cap(buf) > keepBufferBytes {
		buf = nil
	}
	frame, err := readFrame(c.r, buf, c.limit)
	c.buffers[c.depth] = frame[:0]
	if err != nil {
		return envelope{}, c.fail(err)
	}
	env, err := decodeEnvelope(frame)
	if err != nil {
		return envelope{}, c.fail(err)
	}
	return env, nil
}

// fail makes err sticky. The peer is told of its broken frame, if it can still
// hear it: an error frame with id 0 answers nothing but says why this end closes.
func (c *Conn) fail(err error) error {
	c.readErr = err
	var broken *FrameError
	if errors.As(err, &broken) && !broken.FromPeer {
		told := &Error{Code: CodeBadRequest, Message: broken.Error(), Hint: "the connection is closed; docs/protocol.md describes the frames"}
		_ = c.Refuse(told)
	}
	return err
}

// Refuse tells the peer why this end closes the connection, which is left to the
// caller; any goroutine may call it.
func (c *Conn) Refuse(why *Error) error {
	return c.send(envelope{kind: kindError}, why.clipped(MinFrameBytes))
}

// answer ends a call with the reply or error env. Call waits for id; 0 means
// that no call is open.
func (c *Conn) answer(env envelope, id uint64, msgType string, reply any) error {
	if env.kind == kindError && env.id == 0 {
		return c.fail(c.refusedByPeer(env))
	}
	if env.id != id {
		return c.fail(frameErrorf("a %s to request %d, but %s", env.kind, env.id, waitingFor(id)))
	}
	if env.msgType != msgType {
		return c.fail(frameErrorf("a %s of type %q to request %d of type %q", env.kind, env.msgType, id, msgType))
	}
	if env.kind == kindReply {
		return c.decodeReply(env, reply)
	}
	e := &Error{}
	if err := (&rawBody{conn: c, env: env}).Decode(e); err != nil {
		return c.fail(frameErrorf("an error frame whose body is no error: %v", err))
	}
	return e
}

func waitingFor(id uint64) string {
	if id == 0 {
		return "no request is open"
	}
	return fmt.Sprintf("the innermost open request is %d", id)
}

func (c *Conn) decodeReply(env envelope, reply any) error {
	if reply == nil {
		return nil
	}
	if err := (&rawBody{conn: c, env: env}).Decode(reply); err != nil {
		return fmt.Errorf("cannot use the reply to %q: %w", env.msgType, err)
	}
	return nil
}

func (c *Conn) refusedByPeer(env envelope) *FrameError {
	e := &Error{}
	if err := (&rawBody{conn: c, env: env}).Decode(e); err != nil {
		return &FrameError{Reason: "it gave no reason", FromPeer: true, Err: err}
	}
	return &FrameError{Reason: e.Error(), FromPeer: true, Err: e}
}

// dispatch hands a request or event to h and answers the request.
func (c *Conn) dispatch(env envelope, h Handler) error {
	body := &rawBody{conn: c, env: env}
	if env.kind == kindEvent {
		if h != nil {
			c.depth++
			h.HandleEvent(env.msgType, body)
			c.depth--
		}
		return c.readErr
	}
	if env.id <= c.lastSeen {
		return c.fail(frameErrorf("request %d comes after request %d; ids must rise", env.id, c.lastSeen))
	}
	c.lastSeen = env.id
	reply, err := c.handle(env, body, h)
	if c.readErr != nil {
		return c.readErr
	}
	return c.respond(env, reply, err)
}

func (c *Conn) handle(env envelope, body Body, h Handler) (any, error) {
	if h == nil {
		return nil, UnknownType(env.msgType)
	}
	if c.depth >= MaxDepth {
		return nil, Errorf(CodeRefused, "cannot serve %q: %d requests are open inside each other", env.msgType, c.depth)
	}
	c.depth++
	defer func() { c.depth-- }()
	return h.HandleRequest(env.msgType, body)
}

// respond sends the answer to env. A reply that cannot be sent becomes an error
// frame, so that the peer is never left waiting.
func (c *Conn) respond(env envelope, reply any, err error) error {
	answer := envelope{kind: kindReply, id: env.id, msgType: env.msgType}
	if err == nil {
		err = c.send(answer, reply)
		if err == nil || c.broken() {
			return err
		}
	}
	answer.kind = kindError
	return c.send(answer, ErrorOf(err).clipped(c.peerLimit()))
}

// send writes one frame. A failed write is sticky, a body that cannot be
// encoded is not.
func (c *Conn) send(env envelope, body any) error {
	c.writeLock.Lock()
	defer c.writeLock.Unlock()
	if c.writeErr != nil {
		return c.writeErr
	}
	frame, err := c.enc.frame(env, body, c.sendLimit)
	if err != nil {
		return err
	}
	if _, err := c.w.Write(frame); err != nil {
		c.writeErr = fmt.Errorf("cannot send the %s %q: %w", env.kind, env.msgType, err)
		return c.writeErr
	}
	return nil
}

// explainWrite finds out why a request could not be sent: a peer that refused
// an earlier frame says so before it closes.
func (c *Conn) explainWrite(msgType string, err error, h Handler) error {
	if !errors.Is(err, syscall.EPIPE) && !errors.Is(err, io.ErrClosedPipe) && !errors.Is(err, os.ErrClosed) {
		return err
	}
	for c.readErr == nil {
		env, readErr := c.receive()
		if readErr != nil {
			break
		}
		if env.kind == kindError && env.id == 0 {
			return c.fail(c.refusedByPeer(env))
		}
		if env.kind == kindEvent && h != nil {
			h.HandleEvent(env.msgType, &rawBody{conn: c, env: env})
		}
	}
	return c.closed(msgType, err)
}

// closed makes the peer's disappearance during a call sticky.
func (c *Conn) closed(msgType string, err error) error {
	c.readErr = &ClosedError{During: msgType, Err: err}
	return c.readErr
}

func (c *Conn) broken() bool {
	c.writeLock.Lock()
	defer c.writeLock.Unlock()
	return c.writeErr != nil
}

func (c *Conn) peerLimit() int {
	c.writeLock.Lock()
	defer c.writeLock.Unlock()
	return c.sendLimit
}

// setPeerLimit keeps frames within what the peer said it accepts.
func (c *Conn) setPeerLimit(limit int) error {
	if limit < MinFrameBytes {
		return Errorf(CodeBadRequest, "the other end accepts frames of %d bytes; %d is the least", limit, MinFrameBytes)
	}
	c.writeLock.Lock()
	defer c.writeLock.Unlock()
	c.sendLimit = min(limit, c.sendMax)
	return nil
}

// rawBody is the Body of a received frame.
type rawBody struct {
	conn *Conn
	env  envelope
}

func (b *rawBody) Decode(v any) error {
	c := b.conn
	t := reflect.TypeOf(v)
	if t == nil || t.Kind() != reflect.Pointer || reflect.ValueOf(v).IsNil() {
		return Errorf(CodeInternal, "cannot decode the %s %q into a %T: it must be a pointer", b.env.kind, b.env.msgType, v)
	}
	f := fitter{scanner: scanner{data: b.env.body}, shapes: c.shapes}
	if m := f.fit(t.Elem()); m != nil {
		return &Error{Code: CodeBadRequest, Place: m.place,
			Message: fmt.Sprintf("the body of the %s %q does not fit: %s", b.env.kind, b.env.msgType, m.reason)}
	}
	c.bodyBytes.Reset(b.env.body)
	c.bodies.Reset(&c.bodyBytes)
	if err := c.bodies.Decode(v); err != nil {
		return Errorf(CodeBadRequest, "the body of the %s %q does not fit: %v", b.env.kind, b.env.msgType, err)
	}
	return nil
}
