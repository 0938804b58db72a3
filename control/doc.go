// Package control is the Unix sockets on which running daemons are asked things
// from outside: made so that only their owner and root can use them, served with
// bounds on everything a caller could waste, and dialled.
//
// What is asked is the business of the daemons, which hand in a table of verbs;
// docs/protocol.md has the wire form. A tool that looks at a supervisor:
//
//	client, err := control.Dial(ctx, "state/vats.sock", pipeproto.AccessRead)
//	…
//	var live pipeproto.Live
//	err = client.Call(ctx, pipeproto.ReqLive, pipeproto.Empty{}, &live, nil)
package control
