package pipeproto

import "fmt"

// DialHello opens the connection from the kernel host's side: it sends hello,
// checks the daemon's version and keeps frames within the daemon's limit.
// Version and MaxFrameBytes are filled in. Events that arrive meanwhile go to
// h, which may be nil. Errors: *Error of CodeVersion for another version, and
// those of Call.
func DialHello(c *Conn, hello Hello, h Handler) (HelloReply, error) {
	hello.Version = Version
	hello.MaxFrameBytes = c.limit
	var reply HelloReply
	if err := c.Call(ReqHello, &hello, &reply, h); err != nil {
		return HelloReply{}, err
	}
	if reply.Version != Version {
		return HelloReply{}, versionError("this kernel host", Version, "vatworkerd", reply.Peer, reply.Version)
	}
	if err := c.setPeerLimit(reply.MaxFrameBytes); err != nil {
		return HelloReply{}, err
	}
	return reply, nil
}

// ServeHello answers the first frame of a connection, which must be a Hello of
// this version; answer fills the reply (Version and MaxFrameBytes are filled
// in afterwards). Whatever else comes first is answered with an error frame
// and returned as an error: the caller then closes the connection.
func ServeHello(c *Conn, answer func(Hello) (HelloReply, error)) error {
	greeter := &greeter{conn: c, answer: answer}
	served, err := c.serveOne(greeter)
	if err != nil {
		return err
	}
	if !served {
		return &ClosedError{During: ReqHello}
	}
	return greeter.err
}

// greeter is the Handler of a connection that has not said hello yet.
type greeter struct {
	conn   *Conn
	answer func(Hello) (HelloReply, error)
	err    error
}

func (g *greeter) HandleRequest(msgType string, body Body) (any, error) {
	reply, err := g.hello(msgType, body)
	if err != nil {
		g.err = err
		return nil, err
	}
	return reply, nil
}

func (g *greeter) hello(msgType string, body Body) (*HelloReply, error) {
	if msgType != ReqHello {
		return nil, &Error{
			Code:    CodeRefused,
			Message: fmt.Sprintf("the first request must be %q, not %q", ReqHello, clip(msgType, 64)),
			Hint:    "say hello first; docs/protocol.md shows how a connection opens",
		}
	}
	// Of another version only the version can be relied on.
	var first struct {
		Version int    `msgpack:"version"`
		Peer    string `msgpack:"peer"`
	}
	if err := body.Decode(&first); err != nil {
		return nil, err
	}
	if first.Version != Version {
		return nil, versionError("this vatworkerd", Version, "the kernel host", first.Peer, first.Version)
	}
	var hello Hello
	if err := body.Decode(&hello); err != nil {
		return nil, err
	}
	if err := g.conn.setPeerLimit(hello.MaxFrameBytes); err != nil {
		return nil, err
	}
	reply, err := g.answer(hello)
	if err != nil {
		return nil, err
	}
	reply.Version = Version
	reply.MaxFrameBytes = g.conn.limit
	return &reply, nil
}

// HandleEvent ignores events: a peer has nothing to tell before hello.
func (g *greeter) HandleEvent(string, Body) {}

func versionError(here string, version int, there, peer string, peerVersion int) *Error {
	if peer != "" {
		there = fmt.Sprintf("%s (%q)", there, clip(peer, 100))
	}
	return &Error{
		Code: CodeVersion,
		Message: fmt.Sprintf("%s speaks version %d of the pipe protocol, %s speaks version %d",
			here, version, there, peerVersion),
		Hint: fmt.Sprintf("use a kernel host and a vatworkerd of the same release: replace the one that speaks version %d",
			min(version, peerVersion)),
	}
}
