package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"vatworkerd/control"
	"vatworkerd/internal/crashpoint"
	"vatworkerd/pipeproto"
	"vatworkerd/snapshots"
	"vatworkerd/store"
	"vatworkerd/transcripts"
	"vatworkerd/xsnap"
)

// Serve speaks with one kernel host over a pipe until it says shutdown or goes
// away; an open block is then dropped. It locks its goroutine to an OS thread:
// that thread runs every delivery.
func Serve(r io.Reader, w io.Writer, opts Options) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if opts.CPU >= 0 {
		unpin, err := xsnap.PinThread(opts.CPU)
		if err != nil {
			return fmt.Errorf("cannot run deliveries on CPU %d: %w", opts.CPU, err)
		}
		defer unpin()
	}
	conn := pipeproto.NewConn(r, w, pipeproto.DefaultMaxFrameBytes)
	host := &pipeHost{conn: conn}
	var s *Supervisor
	var socket *control.Server
	err := pipeproto.ServeHello(conn, func(hello pipeproto.Hello) (reply pipeproto.HelloReply, err error) {
		if s, err = Open(opts, host, hello.Height); err != nil {
			return reply, wire(err)
		}
		s.live.note(func() { s.live.now.Host = hello.Peer })
		if socket, err = s.listen(opts); err != nil {
			return reply, wire(err)
		}
		return s.helloReply(), nil
	})
	if s == nil {
		return err
	}
	if err == nil {
		err = conn.Serve(&handler{s: s})
	}
	if socket != nil {
		err = errors.Join(err, socket.Close())
	}
	return errors.Join(err, s.Close())
}

func (s *Supervisor) helloReply() pipeproto.HelloReply {
	return pipeproto.HelloReply{
		Peer: fmt.Sprintf("vatworkerd (pid %d)", os.Getpid()), Height: s.db.Height(), ActivityHash: s.db.ActivityHash(), StoreID: s.storeID,
		EngineSHA256: s.image.Engine.SHA256, EngineVersion: s.image.Engine.Version, ImageID: s.image.ID(), Slog: s.slog != nil,
	}
}

// pipeHost is the host at the other end of the pipe.
type pipeHost struct{ conn *pipeproto.Conn }

func (h *pipeHost) Call(msgType string, req, reply any) error {
	return h.conn.Call(msgType, req, reply, nil)
}
func (h *pipeHost) Event(msgType string, body any) error { return h.conn.Event(msgType, body) }

// handler answers the host's requests.
type handler struct{ s *Supervisor }

// HandleEvent implements pipeproto.Handler: hosts tell nothing.
func (h *handler) HandleEvent(string, pipeproto.Body) {}

// HandleRequest implements pipeproto.Handler.
func (h *handler) HandleRequest(msgType string, body pipeproto.Body) (any, error) {
	h.s.baton.take()
	defer h.s.baton.give()
	h.s.live.begin(msgType)
	defer h.s.live.end()
	if err := h.s.ready(msgType); err != nil {
		return nil, wire(err)
	}
	serve, ok := h.s.verbs()[msgType]
	if !ok {
		return nil, pipeproto.UnknownType(msgType)
	}
	reply, err := serve(body)
	if err != nil {
		return nil, wire(err)
	}
	return reply, nil
}

// verb serves one type of request.
type verb func(body pipeproto.Body) (any, error)

// serve makes a verb of a function from a request to a reply.
func serve[Req, Reply any](f func(Req) (Reply, error)) verb {
	return func(body pipeproto.Body) (any, error) {
		var req Req
		if err := body.Decode(&req); err != nil {
			return nil, err
		}
		return f(req)
	}
}

// act makes a verb of a function that answers nothing.
func act[Req any](f func(Req) error) verb {
	return serve(func(req Req) (pipeproto.Empty, error) { return pipeproto.Empty{}, f(req) })
}

func (s *Supervisor) verbs() map[string]verb {
	control := func(msgType string) verb {
		return serve(func(req pipeproto.VatControl) (pipeproto.VatStatus, error) { return s.control(msgType, req) })
	}
	return map[string]verb{
		pipeproto.ReqConfigure:      act(s.configure),
		pipeproto.ReqAddBundle:      act(s.addBundle),
		pipeproto.ReqCreateVat:      serve(s.createVat),
		pipeproto.ReqCreateVats:     serve(s.createVats),
		pipeproto.ReqEnqueue:        act(s.enqueue),
		pipeproto.ReqRun:            serve(s.run),
		pipeproto.ReqPrepare:        act(s.prepare),
		pipeproto.ReqCommit:         act(s.commitBlock),
		pipeproto.ReqRollback:       act(s.rollback),
		pipeproto.ReqStatus:         serve(s.status),
		pipeproto.ReqVat:            serve(func(r pipeproto.VatRef) (pipeproto.VatStatus, error) { return s.vatStatus(r.VatID) }),
		pipeproto.ReqSnapshotTake:   serve(s.snapshotNow),
		pipeproto.ReqSnapshotList:   serve(s.listSnapshots),
		pipeproto.ReqSnapshotVerify: serve(s.verifySnapshots),
		pipeproto.ReqSpans:          serve(s.listSpans),
		pipeproto.ReqReplay:         serve(s.replay),
		pipeproto.ReqPause:          control(pipeproto.ReqPause),
		pipeproto.ReqResume:         control(pipeproto.ReqResume),
		pipeproto.ReqSuspend:        control(pipeproto.ReqSuspend),
		pipeproto.ReqUnsuspend:      control(pipeproto.ReqUnsuspend),
		pipeproto.ReqTerminate:      control(pipeproto.ReqTerminate),
		pipeproto.ReqUpgrade:        serve(s.controlUpgrade),
		pipeproto.ReqRefill:         serve(s.controlRefill),
		pipeproto.ReqPin:            serve(s.pin),
		pipeproto.ReqRestartAll:     serve(s.restartAll),
		pipeproto.ReqRehearse:       serve(s.rehearse),
		pipeproto.ReqExplicitFlags: serve(func(pipeproto.Empty) (pipeproto.Count, error) {
			n, err := s.writeExplicitFlags()
			return pipeproto.Count{Count: n}, err
		}),
		pipeproto.ReqShutdown: act(func(pipeproto.Empty) error { return nil }),
	}
}

func (s *Supervisor) addBundle(req pipeproto.AddBundle) error {
	if req.ID == "" || len(req.Data) == 0 {
		return badRequest("addBundle", "id and data are needed")
	}
	if ok, err := s.db.HasBundle(req.ID); err != nil || ok {
		return err
	}
	return s.runCrank(func(c *crank) error { return c.tx.PutBundle(req.ID, req.Data) })
}

func (s *Supervisor) enqueue(req pipeproto.Enqueue) error {
	err := s.runCrank(func(c *crank) error { return c.enqueue(req.Items) })
	crashpoint.Here(crashpoint.SupervisorEnqueued)
	return err
}

// prepare makes the block durable, after the files that its rows name, and with
// it who was online.
func (s *Supervisor) prepare(req pipeproto.Height) error {
	if err := s.snapshots.Settle(); err != nil {
		return s.spoil(fmt.Errorf("cannot store the heap snapshots of the block: %w", err))
	}
	crashpoint.Here(crashpoint.SupervisorFilesDurable)
	if err := s.rememberUsed(); err != nil {
		return err
	}
	return s.db.Prepare(req.Height)
}

// commitBlock finishes a prepared block; what it left unused may now go.
func (s *Supervisor) commitBlock(req pipeproto.Height) error {
	if err := s.db.Commit(req.Height); err != nil {
		return err
	}
	crashpoint.Here(crashpoint.SupervisorCommitted)
	s.live.note(func() { s.live.now.Totals.Blocks++ })
	s.forgetGone()
	s.tidy()
	crashpoint.Here(crashpoint.SupervisorTidied)
	s.hulls.fill() // not before: it would take a CPU from what the block waits for
	return s.noteBlock()
}

// tidy removes the files that the block which was just committed has left.
func (s *Supervisor) tidy() {
	err := s.removeDropped()
	if err == nil && s.sweepDue {
		err = s.sweepOrphans()
	}
	if err == nil {
		s.live.clear(alarmFiles, "")
		return
	}
	message := fmt.Sprintf("cannot remove snapshots that are no longer used: %v", err)
	s.warn("%s", message)
	s.live.raise(alarmFiles, "", message)
}

// rollback drops the block. Every worker may be ahead of the store and goes.
func (s *Supervisor) rollback(pipeproto.Empty) error {
	s.evictAll()
	s.foresight = foresight{}
	crashpoint.Here(crashpoint.SupervisorRollback)
	if err := s.db.Rollback(); err != nil {
		return err
	}
	_ = s.snapshots.Settle() // nothing names these files any more
	s.spoiled = nil
	s.live.clear(alarmBlock, "")
	s.live.note(func() { s.live.now.Totals.Rollbacks++ })
	s.tidy()
	return errors.Join(s.loadConfig(), s.noteBlock())
}

// badRequest is an error about a request's content.
func badRequest(place, message string) error {
	return &pipeproto.Error{Code: pipeproto.CodeBadRequest, Place: place, Message: message}
}

// wire gives an error the code under which a host can decide on it.
func wire(err error) error {
	e := *pipeproto.ErrorOf(err)
	if code := codeOf(err); code != "" {
		e.Code = code
	}
	return &e
}

func codeOf(err error) string {
	var (
		panicked  *PanicError
		unknown   *UnknownVatError
		exists    *ExistsError
		admin     *AdminError
		refused   *RefusedError
		image     *ImageError
		start     *startError
		fault     *vatFaultError
		lost      *lostError
		diverged  *transcripts.AnachrophobiaError
		heap      *SnapshotDivergedError
		locked    *store.LockedError
		corruptDB *store.CorruptError
		corrupt   *snapshots.CorruptError
		missing   *snapshots.MissingError
	)
	switch {
	case errors.As(err, &panicked):
		return pipeproto.CodePanic // whatever else came with it
	case errors.As(err, &unknown):
		return pipeproto.CodeNotFound
	case errors.As(err, &exists):
		return pipeproto.CodeExists
	case errors.As(err, &admin), errors.As(err, &refused), errors.As(err, &image), errors.As(err, &locked):
		return pipeproto.CodeRefused
	case errors.As(err, &start), errors.As(err, &fault):
		return pipeproto.CodeVatFault
	case errors.As(err, &diverged), errors.As(err, &heap):
		return pipeproto.CodeDiverged
	case errors.As(err, &corruptDB), errors.As(err, &corrupt), errors.As(err, &missing):
		return pipeproto.CodeCorrupt
	case errors.Is(err, store.ErrDiskFull):
		return pipeproto.CodeNoSpace
	case errors.As(err, &lost):
		return pipeproto.CodeWorkerLost
	case errors.Is(err, context.Canceled):
		return pipeproto.CodeExited
	}
	return ""
}
