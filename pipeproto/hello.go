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
		return HelloReply{}, pipeVersions("this kernel host", "vatworkerd").mismatch(reply.Peer, reply.Version)
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
	return greet(c, &greeter{
		versions: pipeVersions("this vatworkerd", "the kernel host"),
		answer: func(body Body) (any, error) {
			var hello Hello
			if err := body.Decode(&hello); err != nil {
				return nil, err
			}
			if err := c.setPeerLimit(hello.MaxFrameBytes); err != nil {
				return nil, err
			}
			reply, err := answer(hello)
			if err != nil {
				return nil, err
			}
			reply.Version, reply.MaxFrameBytes = Version, c.limit
			return &reply, nil
		},
	})
}

func greet(c *Conn, g *greeter) error {
	served, err := c.serveOne(g)
	if err != nil {
		return err
	}
	if !served {
		return &ClosedError{During: ReqHello}
	}
	return g.err
}

// greeter is the Handler of a connection that has not said hello yet.
type greeter struct {
	versions versions
	answer   func(hello Body) (any, error)
	err      error
}

func (g *greeter) HandleRequest(msgType string, body Body) (any, error) {
	reply, err := g.hello(msgType, body)
	if err != nil {
		g.err = err
		return nil, err
	}
	return reply, nil
}

func (g *greeter) hello(msgType string, body Body) (any, error) {
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
	if first.Version != g.versions.here {
		return nil, g.versions.mismatch(first.Peer, first.Version)
	}
	return g.answer(body)
}

// HandleEvent ignores events: a peer has nothing to tell before hello.
func (g *greeter) HandleEvent(string, Body) {}

// versions says, to people, which ends of which protocol differ in its version.
type versions struct {
	protocol  string
	here      int // the version spoken at this end
	near, far string
	remedy    string
}

func pipeVersions(near, far string) versions {
	return versions{protocol: "pipe protocol", here: Version, near: near, far: far, remedy: "use a kernel host and a vatworkerd of the same release"}
}

// mismatch is the error about a peer of another version.
func (v versions) mismatch(peer string, version int) *Error {
	far := v.far
	if peer != "" {
		far = fmt.Sprintf("%s (%q)", far, clip(peer, 100))
	}
	return &Error{
		Code:    CodeVersion,
		Message: fmt.Sprintf("%s speaks version %d of the %s, %s speaks version %d", v.near, v.here, v.protocol, far, version),
		Hint:    fmt.Sprintf("%s: replace the one that speaks version %d", v.remedy, min(v.here, version)),
	}
}
