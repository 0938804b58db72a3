package kernelhost

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"vatworkerd/pipeproto"
)

// fakeDaemon is a vatworkerd whose vats do what a test scripts. It speaks
// pipeproto over pipes in this process and keeps the rules of vatworkerd's
// cranks and blocks, but none of its work.
type fakeDaemon struct {
	conn      *pipeproto.Conn
	disk      *fakeDisk
	state     fakeState
	perform   func(vat *fakeVat, delivery string) fakeOutcome
	log       func(format string, args ...any)
	closePipe func()
	killed    chan struct{}          // closed by kill
	afterUnit func(items []fakeItem) // sees each unit that the host has committed
}

// fakeDisk is what survives a daemon: the last committed state, and one that
// is prepared.
type fakeDisk struct {
	committed fakeState
	prepared  *fakeState
}

// fakeOutcome is how a vat answers a delivery.
type fakeOutcome struct {
	syscalls []string
	status   string // "" = ok
	problem  string
	testLog  []string
	callNow  string // a device vref to call
	lose     bool   // the worker dies first: the crank is tried again
	die      bool   // the daemon dies
	hook     func(*fakeDaemon)
}

type fakeVat struct {
	ID, Name, Bundle   string
	Options            pipeproto.VatOptions
	Incarnation        int64
	Suspended, Paused  bool
	Terminated         bool
	LastError, LastEnd string
}

type fakeItem struct {
	pipeproto.Item
	Seq int
}

type fakeState struct {
	Height  int64
	Seq     int
	Digests string
	Vats    map[string]fakeVat
	Items   []fakeItem
	Bundles map[string]bool
}

func (s fakeState) clone() fakeState {
	s.Vats, s.Bundles, s.Items = maps.Clone(s.Vats), maps.Clone(s.Bundles), slices.Clone(s.Items)
	return s
}

func newFakeDisk() *fakeDisk {
	return &fakeDisk{committed: fakeState{Vats: map[string]fakeVat{}, Bundles: map[string]bool{}}}
}

var errFakeDeath = errors.New("the fake daemon dies")

// dialFake starts a fake daemon on a disk and gives the host's end.
func dialFake(disk *fakeDisk, perform func(*fakeVat, string) fakeOutcome, log func(string, ...any), afterUnit func([]fakeItem)) *link {
	toDaemonR, toDaemonW := io.Pipe()
	toHostR, toHostW := io.Pipe()
	d := &fakeDaemon{conn: pipeproto.NewConn(toDaemonR, toHostW, 0), disk: disk, perform: perform, log: log, killed: make(chan struct{}), afterUnit: afterUnit}
	d.closePipe = func() {
		_ = toHostW.Close()
		_ = toDaemonR.Close()
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer d.closePipe()
		_ = d.serve()
	}()
	return &link{
		conn:   pipeproto.NewConn(toHostR, toDaemonW, 0),
		close:  func() error { _ = toDaemonW.Close(); _ = toHostR.Close(); <-done; return nil },
		kill:   sync.OnceFunc(func() { d.closePipe(); close(d.killed) }),
		exited: func() (string, string) { return "exit status 9", "the fake said so" },
	}
}

func (d *fakeDaemon) serve() error {
	err := pipeproto.ServeHello(d.conn, func(hello pipeproto.Hello) (pipeproto.HelloReply, error) {
		if p := d.disk.prepared; p != nil {
			if p.Height == hello.Height {
				d.disk.committed = *p
			}
			d.disk.prepared = nil
		}
		d.state = d.disk.committed.clone()
		if d.state.Height != hello.Height {
			return pipeproto.HelloReply{}, pipeproto.Errorf(pipeproto.CodeRefused, "heights differ: %d and %d", hello.Height, d.state.Height)
		}
		return pipeproto.HelloReply{Height: d.state.Height, ActivityHash: d.state.Digests}, nil
	})
	if err != nil {
		return err
	}
	return d.conn.Serve(d)
}

func (d *fakeDaemon) HandleEvent(string, pipeproto.Body) {}

func (d *fakeDaemon) HandleRequest(msgType string, body pipeproto.Body) (any, error) {
	reply, err := d.handle(msgType, body)
	if errors.Is(err, errFakeDeath) {
		d.closePipe()
	}
	return reply, err
}

func (d *fakeDaemon) handle(msgType string, body pipeproto.Body) (any, error) {
	switch msgType {
	case pipeproto.ReqConfigure, pipeproto.ReqShutdown:
		return pipeproto.Empty{}, nil
	case pipeproto.ReqAddBundle:
		return fakeServe(body, func(r pipeproto.AddBundle) (any, error) {
			d.state.Bundles[r.ID] = true
			return pipeproto.Empty{}, nil
		})
	case pipeproto.ReqCreateVats:
		return fakeServe(body, d.createVats)
	case pipeproto.ReqEnqueue:
		return fakeServe(body, func(r pipeproto.Enqueue) (any, error) { d.enqueue(r.Items); return pipeproto.Empty{}, nil })
	case pipeproto.ReqRun:
		return fakeServe(body, d.run)
	case pipeproto.ReqPrepare:
		return fakeServe(body, func(r pipeproto.Height) (any, error) {
			p := d.state.clone()
			p.Height = r.Height
			d.disk.prepared = &p
			return pipeproto.Empty{}, nil
		})
	case pipeproto.ReqCommit:
		d.disk.committed, d.disk.prepared = *d.disk.prepared, nil
		d.state = d.disk.committed.clone()
		return pipeproto.Empty{}, nil
	case pipeproto.ReqRollback:
		d.disk.prepared = nil
		d.state = d.disk.committed.clone()
		return pipeproto.Empty{}, nil
	case pipeproto.ReqVat:
		return fakeServe(body, func(r pipeproto.VatRef) (any, error) { return d.status(r.VatID), nil })
	case pipeproto.ReqStatus:
		return fakeServe(body, d.listStatus)
	case pipeproto.ReqUpgrade:
		return fakeServe(body, d.upgrade)
	case pipeproto.ReqPause, pipeproto.ReqResume, pipeproto.ReqSuspend, pipeproto.ReqUnsuspend, pipeproto.ReqTerminate:
		return fakeServe(body, func(r pipeproto.VatControl) (any, error) { return d.control(msgType, r) })
	}
	return nil, pipeproto.UnknownType(msgType)
}

func fakeServe[Req any](body pipeproto.Body, f func(Req) (any, error)) (any, error) {
	var req Req
	if err := body.Decode(&req); err != nil {
		return nil, err
	}
	return f(req)
}

func (d *fakeDaemon) createVats(r pipeproto.CreateVats) (any, error) {
	var reply pipeproto.CreateVatsReply
	for _, v := range r.Vats {
		if !d.state.Bundles[v.BundleID] {
			return nil, pipeproto.Errorf(pipeproto.CodeBadRequest, "no bundle %s", v.BundleID)
		}
	}
	for _, v := range r.Vats {
		d.state.Vats[v.VatID] = fakeVat{ID: v.VatID, Name: v.Name, Bundle: v.BundleID, Options: v.Options, Suspended: true, Incarnation: -1}
		reply.Admins = append(reply.Admins, pipeproto.AdminNode{VatID: v.VatID, Key: "key of " + v.VatID})
	}
	return reply, nil
}

func (d *fakeDaemon) enqueue(items []pipeproto.Item) {
	for _, item := range items {
		d.state.Seq++
		d.state.Items = append(d.state.Items, fakeItem{Item: item, Seq: d.state.Seq})
	}
	slices.SortFunc(d.state.Items, func(a, b fakeItem) int {
		if a.Priority != b.Priority {
			return int(a.Priority) - int(b.Priority)
		}
		return a.Seq - b.Seq
	})
}

func (d *fakeDaemon) take(seq int) {
	d.state.Items = slices.DeleteFunc(d.state.Items, func(i fakeItem) bool { return i.Seq == seq })
}

func (d *fakeDaemon) status(vatID string) pipeproto.VatStatus {
	v := d.state.Vats[vatID]
	st := pipeproto.VatStatus{
		VatID: v.ID, Name: v.Name, Incarnation: v.Incarnation, Suspended: v.Suspended, Paused: v.Paused,
		LastError: v.LastError, LastEnd: v.LastEnd, BundleID: v.Bundle, Options: v.Options,
	}
	for _, item := range d.state.Items {
		if item.VatID == vatID && v.Paused {
			st.Held++
		}
	}
	return st
}

func (d *fakeDaemon) listStatus(r pipeproto.StatusRequest) (any, error) {
	st := pipeproto.Status{Height: d.state.Height, ActivityHash: d.state.Digests, Counts: pipeproto.Counts{Vats: int64(len(d.state.Vats))}}
	for _, vatID := range slices.Sorted(maps.Keys(d.state.Vats)) {
		if vatID <= r.After {
			continue
		}
		if len(st.Vats) == r.Limit {
			st.More = true
			break
		}
		st.Vats = append(st.Vats, d.status(vatID))
	}
	return st, nil
}

func (d *fakeDaemon) ask(msgType string, req, reply any) error {
	return d.conn.Call(msgType, req, reply, nil)
}

// crank runs body; an error undoes it on both sides.
func (d *fakeDaemon) crank(body func() error) error {
	before := d.state.clone()
	err := body()
	if err == nil {
		return nil
	}
	d.state = before
	if errors.Is(err, errFakeDeath) {
		return err
	}
	var refused *fakeRefusal
	if errors.As(err, &refused) && refused.closed {
		return err
	}
	return errors.Join(err, d.ask(pipeproto.ReqCrankAbort, pipeproto.Empty{}, nil))
}

// end closes the unit and takes its items.
func (d *fakeDaemon) end() error {
	var v pipeproto.Verdict
	if err := d.ask(pipeproto.ReqCrankEnd, pipeproto.Empty{}, &v); err != nil {
		return err
	}
	d.close(v.Enqueue, v.Digest)
	return nil
}

func (d *fakeDaemon) close(items []pipeproto.Item, digest []byte) {
	sum := sha256.Sum256([]byte(d.state.Digests + "\n" + string(digest)))
	d.state.Digests = hex.EncodeToString(sum[:8])
	d.enqueue(items)
	if d.afterUnit != nil {
		d.afterUnit(d.state.Items)
	}
}

// fakeRefusal is a verdict that does not commit.
type fakeRefusal struct {
	verdict pipeproto.Verdict
	closed  bool // the unit is closed
}

func (r *fakeRefusal) Error() string { return r.verdict.Reason }

var errLost = errors.New("worker lost")

func (d *fakeDaemon) deliver(vatID, purpose, delivery string, last bool) (pipeproto.Verdict, error) {
	v := d.state.Vats[vatID]
	d.log("%s <- %s", vatID, delivery)
	out := d.perform(&v, delivery)
	if out.hook != nil {
		out.hook(d)
	}
	if out.die {
		return pipeproto.Verdict{}, errFakeDeath
	}
	if out.lose {
		d.log("   (worker lost)")
		return pipeproto.Verdict{}, errLost
	}
	if out.callNow != "" {
		var reply pipeproto.CallNowReply
		if err := d.ask(pipeproto.ReqCallNow, pipeproto.CallNow{VatID: vatID, Target: out.callNow, Method: "m", Args: []byte(`{"body":"#[]","slots":[]}`)}, &reply); err != nil {
			return pipeproto.Verdict{}, err
		}
		d.log("   callNow: %s", reply.Problem)
	}
	req := pipeproto.Delivered{VatID: vatID, Purpose: purpose, Status: pipeproto.StatusOK, Last: last, TestLog: out.testLog}
	if out.status != "" {
		req.Status, req.Problem = out.status, out.problem
	}
	for _, s := range out.syscalls {
		d.log("   -> %s", s)
		req.Syscalls = append(req.Syscalls, []byte(s))
	}
	var verdict pipeproto.Verdict
	if err := d.ask(pipeproto.ReqDelivered, req, &verdict); err != nil {
		return verdict, err
	}
	if req.Status != pipeproto.StatusOK || !verdict.Commit {
		d.log("   refused: %s (then %s)", verdict.Reason, verdict.Then)
		return verdict, &fakeRefusal{verdict: verdict, closed: last}
	}
	return verdict, nil
}

func (d *fakeDaemon) run(r pipeproto.Run) (any, error) {
	var reply pipeproto.RunReply
	for r.MaxCranks == 0 || reply.Cranks < r.MaxCranks {
		ran, err := d.step()
		for errors.Is(err, errLost) {
			ran, err = d.step()
		}
		if err != nil {
			return nil, err
		}
		if !ran {
			reply.Idle = true
			break
		}
		reply.Cranks++
	}
	return reply, nil
}

func (d *fakeDaemon) step() (bool, error) {
	for _, item := range d.state.Items {
		v := d.state.Vats[item.VatID]
		switch {
		case v.Terminated:
			return true, d.crank(func() error { return d.turn(item, true) })
		case v.Paused:
			continue
		case v.Suspended && item.Priority < pipeproto.PriorityMessage:
			continue
		case v.Suspended:
			return true, d.startOnDemand(v)
		}
		return true, d.item(item)
	}
	return false, nil
}

func (d *fakeDaemon) item(item fakeItem) error {
	err := d.crank(func() error { return d.turn(item, false) })
	var refused *fakeRefusal
	if !errors.As(err, &refused) {
		return err
	}
	return d.crank(func() error { return d.fatal(item.VatID, refused.verdict) })
}

func (d *fakeDaemon) turn(item fakeItem, dead bool) error {
	d.take(item.Seq)
	if item.Start {
		return nil
	}
	var reply pipeproto.TurnReply
	if err := d.ask(pipeproto.ReqTurn, pipeproto.Turn{VatID: item.VatID, Payload: item.Payload, Dead: dead}, &reply); err != nil {
		return err
	}
	if reply.Drop {
		d.log("%s dropped %s", item.VatID, item.Payload)
		d.close(reply.Enqueue, reply.Digest)
		return nil
	}
	verdict, err := d.deliver(item.VatID, pipeproto.PurposeItem, string(reply.Delivery), true)
	if err != nil {
		return err
	}
	d.close(verdict.Enqueue, verdict.Digest)
	if verdict.Then == "" {
		return nil
	}
	return d.fatal(item.VatID, verdict)
}

// fatal ends a vat as a verdict says.
func (d *fakeDaemon) fatal(vatID string, verdict pipeproto.Verdict) error {
	v := d.state.Vats[vatID]
	if v.Options.Critical {
		return pipeproto.Errorf(pipeproto.CodePanic, "critical vat %s failed: %s", vatID, verdict.Reason)
	}
	reason := pipeproto.ReasonSuspended
	if verdict.Then == pipeproto.ThenTerminate {
		reason = pipeproto.ReasonTerminated
	}
	return d.endVat(vatID, reason, verdict.Reason)
}

func (d *fakeDaemon) endVat(vatID, reason, message string) error {
	v := d.state.Vats[vatID]
	if !v.Suspended {
		if err := d.endIncarnation(vatID, reason, message); err != nil {
			return err
		}
		if err := d.end(); err != nil {
			return err
		}
	}
	v.Suspended, v.Paused, v.LastError, v.LastEnd = true, true, message, reason
	v.Terminated = reason == pipeproto.ReasonTerminated
	d.log("%s is %s", vatID, reason)
	d.state.Vats[vatID] = v
	return nil
}

func (d *fakeDaemon) endIncarnation(vatID, reason, message string) error {
	d.state.Items = slices.DeleteFunc(d.state.Items, func(i fakeItem) bool {
		return i.VatID == vatID && i.Priority == pipeproto.PriorityReap
	})
	req := pipeproto.Incarnation{VatID: vatID, Incarnation: d.state.Vats[vatID].Incarnation, Reason: reason, Message: message}
	return d.ask(pipeproto.ReqEndIncarnation, req, nil)
}

func (d *fakeDaemon) startOnDemand(v fakeVat) error {
	reason := pipeproto.ReasonUnsuspend
	if v.Incarnation < 0 {
		reason = pipeproto.ReasonCreated
	}
	err := d.crank(func() error {
		if err := d.begin(v.ID, reason, nil); err != nil {
			return err
		}
		return d.end()
	})
	var refused *fakeRefusal
	if !errors.As(err, &refused) {
		return err
	}
	if v.Options.Critical {
		return pipeproto.Errorf(pipeproto.CodePanic, "critical vat %s failed: %s", v.ID, refused.verdict.Reason)
	}
	v.Paused, v.LastError = true, refused.verdict.Reason
	d.state.Vats[v.ID] = v
	return nil
}

// begin starts an incarnation within the open crank.
func (d *fakeDaemon) begin(vatID, reason string, params []byte) error {
	v := d.state.Vats[vatID]
	var reply pipeproto.TurnReply
	req := pipeproto.Incarnation{VatID: vatID, Incarnation: v.Incarnation + 1, Reason: reason, Parameters: params}
	if err := d.ask(pipeproto.ReqBeginIncarnation, req, &reply); err != nil {
		return err
	}
	if v.Bundle == "bad" {
		return &fakeRefusal{verdict: pipeproto.Verdict{Reason: "the bundle is no good"}}
	}
	if _, err := d.deliver(vatID, pipeproto.PurposeStart, string(reply.Delivery), false); err != nil {
		return err
	}
	v.Incarnation++
	v.Suspended, v.Paused, v.LastError = false, false, ""
	d.state.Vats[vatID] = v
	return nil
}

func (d *fakeDaemon) upgrade(r pipeproto.Upgrade) (any, error) {
	if err := d.admit(r.Admin); err != nil {
		return nil, err
	}
	vatID := r.Admin.VatID
	err := d.crank(func() error {
		v := d.state.Vats[vatID]
		if !v.Suspended {
			if _, err := d.deliver(vatID, pipeproto.PurposeBOYD, bringOutYourDead, false); err != nil {
				return err
			}
			if err := d.endIncarnation(vatID, pipeproto.ReasonUpgraded, r.Message); err != nil {
				return err
			}
		}
		if err := d.begin(vatID, pipeproto.ReasonUpgraded, r.Parameters); err != nil {
			return err
		}
		return d.end()
	})
	var refused *fakeRefusal
	if errors.As(err, &refused) {
		return nil, pipeproto.Errorf(pipeproto.CodeVatFault, "cannot upgrade %s: %s", vatID, refused.verdict.Reason)
	}
	return d.status(vatID), err
}

func (d *fakeDaemon) admit(admin pipeproto.AdminNode) error {
	if admin.Key != "key of "+admin.VatID {
		return pipeproto.Errorf(pipeproto.CodeRefused, "wrong admin node")
	}
	if d.state.Vats[admin.VatID].Terminated {
		return pipeproto.Errorf(pipeproto.CodeRefused, "the vat is terminated")
	}
	return nil
}

func (d *fakeDaemon) control(msgType string, r pipeproto.VatControl) (any, error) {
	if err := d.admit(r.Admin); err != nil {
		return nil, err
	}
	vatID := r.Admin.VatID
	v := d.state.Vats[vatID]
	var err error
	switch msgType {
	case pipeproto.ReqPause, pipeproto.ReqResume:
		v.Paused = msgType == pipeproto.ReqPause
		d.state.Vats[vatID] = v
	case pipeproto.ReqUnsuspend:
		err = d.startOnDemand(v)
	case pipeproto.ReqSuspend:
		err = d.crank(func() error { return d.endVat(vatID, pipeproto.ReasonSuspended, r.Reason) })
	case pipeproto.ReqTerminate:
		err = d.crank(func() error { return d.endVat(vatID, pipeproto.ReasonTerminated, r.Reason) })
	}
	return d.status(vatID), err
}

// deliveryName gives what a script is chosen by: the method of a message, or
// the type of the delivery.
func deliveryName(delivery string) string {
	var parts []json.RawMessage
	if err := json.Unmarshal([]byte(delivery), &parts); err != nil {
		return fmt.Sprintf("(%v)", err)
	}
	var name string
	_ = json.Unmarshal(parts[0], &name)
	if name != "message" {
		return name
	}
	var msg message
	_ = json.Unmarshal(parts[2], &msg)
	method, _, _ := strings.Cut(strings.TrimPrefix(msg.Methargs.Body, `#["`), `"`)
	return method
}
