package kernelhost

import (
	"encoding/json"
	"errors"
	"fmt"

	"vatworkerd/internal/crashpoint"
	"vatworkerd/kernelhost/capdata"
	"vatworkerd/pipeproto"
)

// HandleRequest implements pipeproto.Handler for vatworkerd's callbacks. It is
// called by Call, on the goroutine that holds k.mu.
func (h *callbacks) HandleRequest(msgType string, body pipeproto.Body) (any, error) {
	serve, ok := h.verbs[msgType]
	if !ok {
		return nil, pipeproto.UnknownType(msgType)
	}
	reply, err := serve(body)
	if err != nil {
		h.k.remember(err)
		return nil, err
	}
	return reply, nil
}

// callbacks answers what vatworkerd asks while it serves a request. The crank
// that its requests open together is the host's half of vatworkerd's crank.
type callbacks struct {
	k     *Kernel
	verbs map[string]func(pipeproto.Body) (any, error)
	crank *crank // open between a first callback and the deciding one
	// begun is the vat whose incarnation began last, and problem why that
	// failed if a delivery said so; started are those whose startVat is committed.
	begun   string
	problem string
	started map[string]bool
}

func newCallbacks(k *Kernel) *callbacks {
	h := &callbacks{k: k, started: map[string]bool{}}
	h.verbs = map[string]func(pipeproto.Body) (any, error){
		pipeproto.ReqTurn:             verb(h.turn),
		pipeproto.ReqBeginIncarnation: verb(h.beginIncarnation),
		pipeproto.ReqEndIncarnation:   verb(h.endIncarnation),
		pipeproto.ReqDelivered:        verb(h.delivered),
		pipeproto.ReqCallNow:          verb(h.callNow),
		pipeproto.ReqActed:            verb(h.acted),
		pipeproto.ReqVatState:         verb(h.vatState),
		pipeproto.ReqCrankEnd:         verb(h.crankEnd),
		pipeproto.ReqCrankAbort:       verb(h.crankAbort),
	}
	return h
}

func verb[Req, Reply any](f func(Req) (Reply, error)) func(pipeproto.Body) (any, error) {
	return func(body pipeproto.Body) (any, error) {
		var req Req
		if err := body.Decode(&req); err != nil {
			return nil, err
		}
		return f(req)
	}
}

// open gives the open crank, or opens one.
func (h *callbacks) open() (*crank, error) {
	if h.crank != nil {
		return h.crank, nil
	}
	kv, err := h.k.db.BeginCrank()
	if err != nil {
		return nil, fmt.Errorf("cannot begin the host's half of a crank: %w", err)
	}
	h.crank = newCrank(kv)
	if h.k.hello.Slog {
		h.crank.slog = &slogNote{}
	}
	crashpoint.Here(crashpoint.HostCrankBegun)
	return h.crank, nil
}

// commit closes the open crank and takes over what it leaves behind.
func (h *callbacks) commit() ([]pipeproto.Item, []byte, error) {
	c, err := h.open()
	if err != nil {
		return nil, nil, err
	}
	h.crank = nil
	items, digest, err := c.commit()
	if err != nil {
		return nil, nil, fmt.Errorf("cannot commit the host's half of a crank: %w", err)
	}
	crashpoint.Here(crashpoint.HostCrankKept)
	h.k.embargo(c)
	for _, vatID := range c.started {
		h.started[vatID] = true
	}
	return items, digest, nil
}

// forget undoes the open crank.
func (h *callbacks) forget() {
	if h.crank != nil {
		h.crank.kv.Abort()
		h.crank = nil
	}
}

// turn makes an item into a delivery, or is the whole crank of one that makes
// none.
func (h *callbacks) turn(req pipeproto.Turn) (pipeproto.TurnReply, error) {
	reply, err := h.translate(req)
	if err != nil || reply.Delivery != nil || reply.Action != nil {
		return reply, err
	}
	note := h.crank.slog.take()
	items, digest, err := h.commit()
	return pipeproto.TurnReply{Drop: true, Enqueue: items, Digest: digest, Slog: note}, err
}

// translate gives what an item comes to: a delivery, an action or nothing. It is
// routed again first: what it is for may have moved while it waited.
func (h *callbacks) translate(req pipeproto.Turn) (pipeproto.TurnReply, error) {
	c, err := h.open()
	if err != nil {
		return pipeproto.TurnReply{}, err
	}
	e, err := decodeEvent(req.Payload)
	if err != nil {
		return pipeproto.TurnReply{}, err
	}
	if req.Dead {
		if err := c.terminate(req.VatID); err != nil {
			return pipeproto.TurnReply{}, err
		}
	}
	if e.Request != nil {
		action, err := c.turnRequest(e, req.Dead)
		if err != nil || action != nil {
			return pipeproto.TurnReply{Action: action}, err
		}
	}
	delivery, err := c.deliverEvent(req.VatID, e, req.Dead)
	if err != nil {
		return pipeproto.TurnReply{}, err
	}
	c.delivering = e.Type
	crashpoint.Here(crashpoint.HostTurn)
	if delivery == nil {
		return pipeproto.TurnReply{}, c.kv.Err()
	}
	return pipeproto.TurnReply{Delivery: delivery, Slog: c.slog.take()}, c.kv.Err()
}

// deliverEvent gives the delivery an event makes for a vat, or none when the
// event is dealt with without one.
func (c *crank) deliverEvent(vatID string, e event, dead bool) ([]byte, error) {
	if e.Request != nil {
		return nil, nil
	}
	switch e.Type {
	case eventSend:
		return c.deliverSend(vatID, e)
	case eventNotify:
		if err := c.dropRef(e.KPID); err != nil || dead {
			return nil, err
		}
		return c.deliverNotify(vatID, e.KPID)
	case eventGC:
		return c.deliverGC(vatID)
	case eventBOYD:
		c.kv.Delete(reapKey(vatID))
		if dead {
			return nil, nil
		}
		c.slog.bringOutYourDead()
		return []byte(bringOutYourDead), nil
	}
	return nil, brokenf("an item for %s is of type %q", vatID, e.Type)
}

func (c *crank) deliverSend(vatID string, e event) ([]byte, error) {
	now, target, err := c.route(e)
	if err != nil || now == "" {
		return nil, err
	}
	if now != vatID {
		return nil, c.pass(now, target, e)
	}
	if err := c.releaseMessage(e.Target, e.Msg); err != nil {
		return nil, err
	}
	return c.deliverMessage(vatID, target, e.Msg)
}

func (h *callbacks) beginIncarnation(req pipeproto.Incarnation) (pipeproto.TurnReply, error) {
	c, err := h.open()
	if err != nil {
		return pipeproto.TurnReply{}, err
	}
	h.begun, h.problem = req.VatID, ""
	delivery, err := c.begin(req)
	crashpoint.Here(crashpoint.HostIncarnation)
	return pipeproto.TurnReply{Delivery: delivery, Slog: c.slog.take()}, err
}

func (h *callbacks) endIncarnation(req pipeproto.Incarnation) (pipeproto.Empty, error) {
	c, err := h.open()
	if err != nil {
		return pipeproto.Empty{}, err
	}
	err = c.end(req)
	crashpoint.Here(crashpoint.HostIncarnationEnd)
	return pipeproto.Empty{}, err
}

// delivered decides what becomes of a delivery that ran.
func (h *callbacks) delivered(req pipeproto.Delivered) (pipeproto.Verdict, error) {
	c, err := h.open()
	if err != nil {
		return pipeproto.Verdict{}, err
	}
	verdict, err := c.judge(req)
	crashpoint.Here(crashpoint.HostJudged)
	if err != nil {
		return pipeproto.Verdict{}, err
	}
	verdict.Slog = c.slog.take()
	if req.Purpose == pipeproto.PurposeStart && !verdict.Commit {
		h.problem = verdict.Reason
	}
	if !req.Last {
		return verdict, nil
	}
	if !verdict.Commit {
		h.forget()
		return verdict, nil
	}
	verdict.Actions = c.actions
	if verdict.Enqueue, verdict.Digest, err = h.commit(); err != nil {
		return verdict, err
	}
	if req.Next != nil && verdict.Then == "" && len(verdict.Actions) == 0 {
		h.lookAhead(req, &verdict)
	}
	return verdict, nil
}

// lookAhead says in a verdict what turns to come make, as far as that is small.
func (h *callbacks) lookAhead(req pipeproto.Delivered, verdict *pipeproto.Verdict) {
	room := pipeproto.MaxAheadBytes / 2
	for _, turn := range req.Later {
		delivery := h.foretell(turn)
		if len(delivery) > room {
			delivery = nil
		}
		room -= len(delivery)
		verdict.Later = append(verdict.Later, delivery)
	}
	verdict.Next = h.turnAhead(*req.Next)
}

// foretell gives the delivery that an item's turn would make if it came now, and
// keeps nothing of it.
func (h *callbacks) foretell(later pipeproto.Turn) []byte {
	defer h.forget()
	reply, err := h.translate(later)
	if err != nil {
		return nil // met again, and told, when the turn comes
	}
	return reply.Delivery
}

// turnAhead takes the next item's turn before it comes, if that makes a delivery
// and nothing else; whatever stands in the way is met again when it comes.
func (h *callbacks) turnAhead(next pipeproto.Turn) *pipeproto.TurnReply {
	reply, err := h.translate(next)
	if err != nil || reply.Delivery == nil || len(reply.Delivery) > pipeproto.MaxAheadBytes/2 {
		h.forget()
		return nil
	}
	return &reply
}

// judge acts on the syscalls of a delivery and says whether it may stand.
func (c *crank) judge(req pipeproto.Delivered) (pipeproto.Verdict, error) {
	opts, err := c.options(req.VatID)
	if err != nil {
		return pipeproto.Verdict{}, err
	}
	c.testLog = append(c.testLog, req.TestLog...)
	if req.Status != pipeproto.StatusOK {
		return pipeproto.Verdict{Then: opts.policy(), Reason: orElse(req.Problem, "the delivery failed")}, nil
	}
	exit, err := c.perform(req.VatID, req.Syscalls)
	if exit == nil {
		exit = c.exiting
	}
	var illegal *illegalError
	if errors.As(err, &illegal) {
		c.illegal = illegal.reason
	} else if err != nil {
		return pipeproto.Verdict{}, err
	}
	if c.illegal != "" {
		return pipeproto.Verdict{Then: opts.policy(), Reason: c.illegal}, nil
	}
	if c.panicked != nil {
		return pipeproto.Verdict{}, c.panicked
	}
	verdict := pipeproto.Verdict{Commit: true}
	if exit != nil {
		if verdict = exit.verdict(req.Purpose); !verdict.Commit {
			return verdict, nil
		}
	}
	overrun, err := c.chargeMeter(req, opts)
	if overrun != "" || err != nil {
		return pipeproto.Verdict{Then: pipeproto.ThenPause, Reason: overrun}, err
	}
	if exit != nil {
		return verdict, nil
	}
	return verdict, c.countDelivery(req)
}

// verdict ends a vat that asked for it, with what its last delivery did unless
// it called that a failure. An incarnation that exits while it starts has not
// started.
func (e *exitRequest) verdict(purpose string) pipeproto.Verdict {
	if reason, ok := e.suspension(); ok {
		return pipeproto.Verdict{Then: pipeproto.ThenSuspend, Reason: "the vat asked to be suspended: " + reason}
	}
	return pipeproto.Verdict{
		Commit: !e.failure && purpose == pipeproto.PurposeItem,
		Then:   pipeproto.ThenTerminate,
		Reason: "the vat exited: " + capdata.Legible(e.info),
		Info:   exitInfo(e),
	}
}

// suspension tells whether a vat asked to be suspended, not ended: by an exit
// with failure whose information is {suspend: reason}. It is a convention of
// this kernel's; the syscall has no room for more.
func (e *exitRequest) suspension() (reason string, ok bool) {
	if !e.failure {
		return "", false
	}
	var info map[string]any
	if json.Unmarshal(capdata.ToJSON(e.info), &info) != nil || len(info) != 1 {
		return "", false
	}
	reason, ok = info["suspend"].(string)
	return reason, ok
}

// countDelivery keeps the reap count: bringOutYourDead, for whatever purpose,
// begins it anew; an upgrade's startVat does not count, as in SwingSet.
func (c *crank) countDelivery(req pipeproto.Delivered) error {
	switch {
	case req.Purpose == pipeproto.PurposeBOYD, req.Purpose == pipeproto.PurposeItem && c.delivering == eventBOYD:
		c.clearDirt(req.VatID)
		return c.kv.Err()
	case req.Purpose == pipeproto.PurposeStart:
		c.started = append(c.started, req.VatID)
		if c.beginning == pipeproto.ReasonUpgraded {
			return nil
		}
	}
	return c.addDirt(req.VatID, c.gcKrefs)
}

func (h *callbacks) crankEnd(pipeproto.Empty) (pipeproto.Verdict, error) {
	c, err := h.open()
	if err != nil {
		return pipeproto.Verdict{}, err
	}
	actions, note := c.actions, c.slog.take()
	items, digest, err := h.commit()
	return pipeproto.Verdict{Commit: err == nil, Enqueue: items, Digest: digest, Actions: actions, Slog: note}, err
}

func (h *callbacks) crankAbort(pipeproto.Empty) (pipeproto.Empty, error) {
	h.forget()
	crashpoint.Here(crashpoint.HostCrankAborted)
	return pipeproto.Empty{}, nil
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
