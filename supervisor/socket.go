package supervisor

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"vatworkerd/control"
	"vatworkerd/pipeproto"
	"vatworkerd/xsnap"
)

// ControlOff as Options.Control is no control socket.
const ControlOff = "off"

// ControlFile is the name of the control socket in a supervisor's directory.
const ControlFile = "vats.sock"

// controlPatience is how long a control request waits for the end of a crank.
const controlPatience = 3 * time.Second

// Bounds of what one control request does while it has the baton.
const (
	controlPageVats    = 200  // that are listed, or looked through
	controlPageEntries = 1000 // of spans or snapshots
	findPageVats       = 2000 // whose names are compared
	maxFound           = 10
)

// memoryEvery is how old the memory of workers may be in a picture: reading it
// takes a system call or three for each.
const memoryEvery = 200 * time.Millisecond

// socket serves the control socket: it looks at a supervisor beside the host's
// requests, and does what is local.
type socket struct {
	s         *Supervisor
	patience  time.Duration
	verifying chan struct{} // is full while a snapshot is read

	mu     sync.Mutex // guards the rest
	read   time.Time
	memory map[int]int64 // bytes, by process
}

// listen offers the control socket; nil if there is none.
func (s *Supervisor) listen(opts Options) (*control.Server, error) {
	if opts.Control == ControlOff {
		return nil, nil
	}
	k := &socket{s: s, patience: opts.patience, verifying: make(chan struct{}, 1)}
	if k.patience == 0 {
		k.patience = controlPatience
	}
	serving := control.Options{Path: opts.Control, Serves: pipeproto.ServesVats, Verbs: k.verbs(), Logger: s.log.Named("control")}
	isOwn := opts.Control == ""
	if isOwn {
		// Whoever has the database's lock is the only daemon of this directory.
		serving.Path, serving.Replace = filepath.Join(opts.Dir, ControlFile), true
	}
	server, err := control.Listen(serving)
	if err != nil && isOwn {
		s.warn("there is no control socket: %v", err)
		return nil, nil
	}
	return server, err
}

// verbs is all that may be asked there. What belongs to the kernel host is known
// and refused.
func (k *socket) verbs() control.Verbs {
	verbs := control.Verbs{
		pipeproto.ReqLive:                  {Access: pipeproto.AccessRead, Serve: control.Answer(k.live)},
		pipeproto.ReqControlStatus:         {Access: pipeproto.AccessRead, Serve: borrowed(k, k.status)},
		pipeproto.ReqControlVat:            {Access: pipeproto.AccessRead, Serve: borrowed(k, k.vat)},
		pipeproto.ReqFind:                  {Access: pipeproto.AccessRead, Serve: control.Answer(k.find)},
		pipeproto.ReqControlSpans:          {Access: pipeproto.AccessRead, Serve: borrowed(k, k.spans)},
		pipeproto.ReqControlSnapshotList:   {Access: pipeproto.AccessRead, Serve: borrowed(k, k.snapshotList)},
		pipeproto.ReqControlSnapshotVerify: {Access: pipeproto.AccessRead, Serve: control.Answer(k.snapshotVerify)},
		pipeproto.ReqFrames:                {Access: pipeproto.AccessAdmin, Serve: control.Answer(k.frames)},
		pipeproto.ReqPageOut:               {Access: pipeproto.AccessAdmin, Serve: borrowed(k, k.pageOut)},
		pipeproto.ReqControlPin:            {Access: pipeproto.AccessAdmin, Serve: borrowed(k, k.s.pin)},
	}
	for msgType := range k.s.verbs() {
		if _, ok := verbs[msgType]; !ok {
			verbs[msgType] = control.Verb{Refused: &pipeproto.Error{
				Code:    pipeproto.CodeRefused,
				Message: fmt.Sprintf("%q is the kernel host's to ask for, over its pipe", msgType),
				Hint:    "what changes vats goes through their kernel host: the commands of vatworkerd do, beside `run --stay`",
			}}
		}
	}
	return verbs
}

// borrowed makes a verb of a function that uses the supervisor's state.
func borrowed[Req, Reply any](k *socket, f func(Req) (Reply, error)) func(*control.Caller, pipeproto.Body) (any, error) {
	return control.Answer(func(c *control.Caller, req Req) (reply Reply, err error) {
		err = k.with(c.Context(), func() (err error) {
			reply, err = f(req)
			return err
		})
		return reply, err
	})
}

// with runs f between two cranks.
func (k *socket) with(ctx context.Context, f func() error) error {
	ctx, cancel := context.WithTimeout(ctx, k.patience)
	defer cancel()
	if !k.s.baton.borrow(ctx) {
		return k.busy()
	}
	defer k.s.baton.giveBack()
	if err := f(); err != nil {
		return wire(err)
	}
	return nil
}

// busy says what a control request would have to wait for.
func (k *socket) busy() error {
	what := "other control requests are being answered"
	if doing := k.s.live.picture().Doing; doing != nil {
		what = doing.String()
	}
	return &pipeproto.Error{
		Code: pipeproto.CodeBusy, Message: "vatworkerd is busy: " + what,
		Hint: "try again, or ask for less: what goes on is answered at any time",
	}
}

func (k *socket) live(*control.Caller, pipeproto.Empty) (pipeproto.Live, error) {
	picture := k.s.live.picture()
	picture.Spares, picture.Hulls, picture.ComingIn = k.s.spares.count(), k.s.hulls.count(), k.s.pager.count()
	picture.Counts.Online += int64(k.s.pager.takingOver())
	memory := k.memoryOf(picture.Workers)
	for i := range picture.Workers {
		picture.Workers[i].RSSBytes = memory[picture.Workers[i].PID]
	}
	return picture, nil
}

// memoryOf reads what workers have in memory, or gives what was read a moment
// ago.
func (k *socket) memoryOf(workers []pipeproto.LiveWorker) map[int]int64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	if time.Since(k.read) < memoryEvery {
		return k.memory
	}
	memory := make(map[int]int64, len(workers))
	for _, w := range workers {
		if bytes, err := xsnap.ResidentBytes(w.PID); err == nil {
			memory[w.PID] = bytes
		}
	}
	k.read, k.memory = time.Now(), memory
	return memory
}

func (k *socket) status(req pipeproto.StatusRequest) (pipeproto.Status, error) {
	req.Limit = min(req.Limit, controlPageVats)
	return k.s.status(req)
}

func (k *socket) vat(req pipeproto.VatRef) (pipeproto.VatStatus, error) {
	return k.s.vatStatus(req.VatID)
}

// pageOut ends a vat's worker. Nothing of the vat changes by that.
func (k *socket) pageOut(req pipeproto.VatRef) (pipeproto.Count, error) {
	if err := k.s.ready(pipeproto.ReqPageOut); err != nil {
		return pipeproto.Count{}, err
	}
	if _, err := k.s.recordOf(req.VatID); err != nil {
		return pipeproto.Count{}, err
	}
	if !k.s.isOnline(req.VatID) {
		return pipeproto.Count{}, nil
	}
	k.s.evict(req.VatID, "paged out by hand")
	return pipeproto.Count{Count: 1}, nil
}
