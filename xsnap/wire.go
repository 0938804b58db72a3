package xsnap

import "fmt"

// wire is how one kind of engine is talked to: the same commands and messages,
// each kind in its own form. It belongs to the Worker's owner.
type wire interface {
	// send gives the worker a command; parts together are its content. It blocks
	// while the worker does not read, except with cmdQuit.
	send(c command, parts ...[]byte) error
	// answer gives the worker what its upcall asked for.
	answer(parts ...[]byte) error
	// receive waits for the worker's next message. The error is io.EOF when the
	// worker has closed its pipe between two messages, io.ErrUnexpectedEOF when
	// it has inside one, a *FrameError, *pipeproto.FrameError or *wireError for
	// what is none, else that of the read.
	receive() (wireMessage, error)
	// heapBytes is the size in the reply to cmdSnapshot.
	heapBytes(reply []byte) (int64, bool)
	// lastWords is why the worker says it ended, or "".
	lastWords() string
	close()
}

// command is what a worker can be asked to do.
type command int

const (
	cmdReady    command = iota
	cmdEvaluate         // the content is code
	cmdHandle           // the content goes to the vat supervisor's handleCommand
	cmdSnapshot
	cmdQuit
)

// messageKind is what a worker can say.
type messageKind int

const (
	msgReply    messageKind = iota // the command is done
	msgUncaught                    // the command threw; body is the exception as text
	msgUpcall                      // body asks for an answer
)

// wireMessage is one message of a worker; body is valid until the next receive.
type wireMessage struct {
	kind  messageKind
	body  []byte
	meter *Meter // of a reply; nil if it had none
}

// wireError tells of a well-formed frame that is no message.
type wireError struct {
	reason string
	frame  []byte
}

func (e *wireError) Error() string { return fmt.Sprintf("%s: %q", e.reason, preview(e.frame)) }
