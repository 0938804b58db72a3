package control

import (
	"fmt"
	"os"

	"vatworkerd/pipeproto"
)

// Verb is one type of request on a control socket.
type Verb struct {
	// Access is what a connection needs: pipeproto.AccessRead or AccessAdmin.
	Access string
	// Serve answers a request. Its error goes back as an error frame.
	Serve func(c *Caller, body pipeproto.Body) (any, error)
	// Refused is why nobody is served, if that is so; Serve is nil then.
	Refused *pipeproto.Error
}

// Verbs are the requests that a server knows, by their types.
type Verbs map[string]Verb

func (v Verbs) serve(c *Caller, msgType string, body pipeproto.Body) (any, error) {
	verb, ok := v[msgType]
	switch {
	case !ok:
		return nil, pipeproto.UnknownType(msgType)
	case verb.Refused != nil:
		return nil, verb.Refused
	case verb.Access != pipeproto.AccessRead && c.hello.Access != pipeproto.AccessAdmin:
		return nil, &pipeproto.Error{
			Code:    pipeproto.CodeRefused,
			Message: fmt.Sprintf("this connection may only look, and %q changes something", msgType),
			Hint:    fmt.Sprintf("open one with access %q", pipeproto.AccessAdmin),
		}
	}
	return verb.Serve(c, body)
}

// Answer makes a verb's Serve of a function from a request to a reply.
func Answer[Req, Reply any](f func(*Caller, Req) (Reply, error)) func(*Caller, pipeproto.Body) (any, error) {
	return func(c *Caller, body pipeproto.Body) (any, error) {
		var req Req
		if err := body.Decode(&req); err != nil {
			return nil, err
		}
		return f(c, req)
	}
}

func (s *Server) helloReply() pipeproto.ControlHelloReply {
	return pipeproto.ControlHelloReply{
		Peer: fmt.Sprintf("vatworkerd (pid %d)", os.Getpid()), Serves: s.opts.Serves, PID: os.Getpid(),
	}
}
