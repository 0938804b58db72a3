package pipeproto

import "io"

// NewControlConn makes the daemon's end of a control socket's connection: it
// accepts frames of ControlRequestBytes and sends some of ControlReplyBytes.
func NewControlConn(r io.Reader, w io.Writer) *Conn {
	c := NewConn(r, w, ControlRequestBytes)
	c.sendMax = ControlReplyBytes
	return c
}

// DialControl opens a connection from the asking side, with NewConn's limit of
// ControlReplyBytes or less; Version and MaxFrameBytes are filled in. Errors are
// those of DialHello.
func DialControl(c *Conn, hello ControlHello) (ControlHelloReply, error) {
	hello.Version, hello.MaxFrameBytes = ControlVersion, c.limit
	var reply ControlHelloReply
	if err := c.Call(ReqControlHello, &hello, &reply, nil); err != nil {
		return ControlHelloReply{}, err
	}
	if reply.Version != ControlVersion {
		return ControlHelloReply{}, controlVersions("this program", "the daemon").mismatch(reply.Peer, reply.Version)
	}
	return reply, c.setPeerLimit(reply.MaxFrameBytes)
}

// ServeControlHello answers the first frame of a control socket's connection as
// ServeHello does that of a pipe; it gives what the peer said. In reply, Version
// and MaxFrameBytes are filled in.
func ServeControlHello(c *Conn, reply ControlHelloReply) (ControlHello, error) {
	var hello ControlHello
	err := greet(c, &greeter{
		versions: controlVersions("this daemon", "the program that asks"),
		answer: func(body Body) (any, error) {
			if err := body.Decode(&hello); err != nil {
				return nil, err
			}
			if hello.Access != AccessRead && hello.Access != AccessAdmin {
				return nil, &Error{
					Code: CodeBadRequest, Place: "access",
					Message: "it must be \"" + AccessRead + "\" or \"" + AccessAdmin + "\"",
					Hint:    "this is a control socket; kernel hosts speak to vatworkerd over pipes",
				}
			}
			if err := c.setPeerLimit(hello.MaxFrameBytes); err != nil {
				return nil, err
			}
			reply.Version, reply.MaxFrameBytes = ControlVersion, c.limit
			return &reply, nil
		},
	})
	return hello, err
}

func controlVersions(near, far string) versions {
	return versions{protocol: "control protocol", here: ControlVersion, near: near, far: far, remedy: "use the same release for both"}
}
