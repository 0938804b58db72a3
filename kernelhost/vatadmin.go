package kernelhost

import (
	"encoding/json"
	"fmt"
	"strconv"

	"vatworkerd/internal/crashpoint"
	"vatworkerd/kernelhost/capdata"
	"vatworkerd/pipeproto"
)

// The vat-admin vat (vats/vat-admin.js) gives userspace its objects for vats
// and meters. It asks the kernel by its device, and hears of what comes of it by
// messages to its root object. What takes a vat's worker waits in the vat-admin
// vat's input queue as an adminRequest, and is done when its turn comes.

const (
	adminVat     = "vatAdmin" // its name
	adminDevice  = "vatAdmin"
	adminVatKey  = "vatAdmin.vatID"
	adminRootKey = "vatAdmin.root"
	epochKey     = "restart.epoch" // restart-alls that were applied
	upgradeIDKey = "vat.nextUpgradeID"
)

// Types of events that carry an adminRequest.
const (
	eventCreate    = "create-vat"
	eventUpgrade   = "upgrade-vat"
	eventSuspend   = "suspend-vat"
	eventBar       = "suspend-vat-deliberately"
	eventUnsuspend = "unsuspend-vat"
	eventOptions   = "changeVatOptions"
)

// adminRequest is what the vat-admin vat wants done to a vat. Parameters have
// krefs; they are counted while the request waits.
type adminRequest struct {
	VatID      string           `json:"vatID"`
	ID         string           `json:"id,omitempty"` // the request's own, for the answer
	BundleID   string           `json:"bundleID,omitempty"`
	Parameters *capdata.CapData `json:"parameters,omitempty"`
	Text       string           `json:"text,omitempty"` // upgrade message, or why
	Name       string           `json:"name,omitempty"` // create
	Critical   bool             `json:"critical,omitempty"`
	Options    *vatOptions      `json:"options,omitempty"`
}

func (r *adminRequest) appendJSON(b []byte) []byte {
	text, err := json.Marshal(r)
	if err != nil {
		panic(err) // it has nothing in it that JSON cannot hold
	}
	return append(b, text...)
}

// dynamicKey is there for vats that the vat-admin vat has made.
func dynamicKey(vatID string) string { return vatID + ".dynamic" }

// tellAdmin sends a message to the vat-admin vat, if there is one.
func (c *crank) tellAdmin(method string, args ...capdata.CapData) error {
	root, ok := c.kv.Get(adminRootKey)
	if !ok {
		return c.kv.Err()
	}
	list, err := capdata.List(args...)
	if err != nil {
		return brokenf("a message to vat-admin: %v", err)
	}
	methargs, err := capdata.MethArgs(method, list)
	if err != nil {
		return brokenf("a message to vat-admin: %v", err)
	}
	return c.acceptSend(root, message{Methargs: methargs})
}

// acceptRequest lets a request wait for its turn.
func (c *crank) acceptRequest(kind string, r adminRequest) error {
	c.accept(event{Type: kind, Request: &r})
	if r.Parameters == nil {
		return c.kv.Err()
	}
	return c.addRefs(r.Parameters.Slots)
}

func (c *crank) releaseRequest(r *adminRequest) error {
	if r.Parameters == nil {
		return c.kv.Err()
	}
	return c.dropRefs(r.Parameters.Slots)
}

// enqueueRequest puts a request into the vat-admin vat's input queue: its place
// among all items is what counts, and that queue is there whatever happens to
// the vat it is about.
func (c *crank) enqueueRequest(e event) error {
	vatID, err := c.require(adminVatKey)
	if err != nil {
		return err
	}
	c.enqueue(vatID, pipeproto.PriorityMessage, e)
	return nil
}

// turnRequest begins what a request asks for. No action means that the request
// is dealt with.
func (c *crank) turnRequest(e event, dead bool) (*pipeproto.Action, error) {
	r := e.Request
	if dead {
		return nil, c.releaseRequest(r)
	}
	if e.Type != eventCreate && c.terminated(r.VatID) {
		if err := c.releaseRequest(r); err != nil {
			return nil, err
		}
		return nil, c.answerRequest(e, 0, "vat terminated")
	}
	switch e.Type {
	case eventCreate:
		return c.beginCreate(r)
	case eventOptions:
		return nil, c.changeOptions(r)
	}
	admin := pipeproto.AdminNode{VatID: r.VatID}
	var err error
	if admin.Key, err = c.require(adminKey(r.VatID)); err != nil {
		return nil, err
	}
	control := &pipeproto.VatControl{Admin: admin, Reason: r.Text}
	switch e.Type {
	case eventUpgrade:
		up := &pipeproto.Upgrade{Admin: admin, BundleID: r.BundleID, Parameters: appendCapData(nil, *r.Parameters), Message: r.Text}
		return &pipeproto.Action{Kind: pipeproto.ActionUpgrade, Upgrade: up}, nil
	case eventBar:
		control.Deliberate = true
		return &pipeproto.Action{Kind: pipeproto.ActionSuspend, Control: control}, nil
	case eventSuspend:
		return &pipeproto.Action{Kind: pipeproto.ActionSuspend, Control: control}, nil
	case eventUnsuspend:
		return &pipeproto.Action{Kind: pipeproto.ActionUnsuspend, Control: control}, nil
	}
	return nil, brokenf("a request for %s is of type %q", r.VatID, e.Type)
}

// beginCreate makes the tables of a vat whose ID was given out before.
func (c *crank) beginCreate(r *adminRequest) (*pipeproto.Action, error) {
	if err := c.makeVat(r.VatID, r.Name, *r.Options); err != nil {
		return nil, err
	}
	c.kv.Set(dynamicKey(r.VatID), "1")
	if err := c.setParameters(r.VatID, *r.Parameters); err != nil {
		return nil, err
	}
	create := &pipeproto.CreateVat{
		VatID: r.VatID, Name: r.Name, BundleID: r.BundleID,
		Options: pipeproto.VatOptions{Critical: r.Critical, FatalPolicy: r.Options.FatalPolicy},
	}
	return &pipeproto.Action{Kind: pipeproto.ActionCreate, Create: create}, nil
}

func (c *crank) changeOptions(r *adminRequest) error {
	opts, err := c.options(r.VatID)
	if err != nil {
		return err
	}
	opts.ReapInterval = r.Options.ReapInterval
	return c.setOptions(r.VatID, opts)
}

// acted hears what came of a request.
func (h *callbacks) acted(req pipeproto.Acted) (pipeproto.Empty, error) {
	c, err := h.open()
	if err != nil {
		return pipeproto.Empty{}, err
	}
	e, err := decodeEvent(req.Payload)
	if err != nil {
		return pipeproto.Empty{}, err
	}
	if e.Request == nil {
		return pipeproto.Empty{}, brokenf("%s was acted on without a request", req.VatID)
	}
	if e.Type == eventCreate && req.Problem == "" {
		c.kv.Set(adminKey(req.VatID), req.Admin.Key)
	}
	if err := c.releaseRequest(e.Request); err != nil {
		return pipeproto.Empty{}, err
	}
	err = c.answerRequest(e, req.Incarnation, req.Problem)
	crashpoint.Here(crashpoint.HostActed)
	return pipeproto.Empty{}, err
}

// answerRequest tells the vat-admin vat what came of a request. As in SwingSet
// an upgrade's caller does not learn why it failed.
func (c *crank) answerRequest(e event, incarnation int64, problem string) error {
	r := e.Request
	vatID, id := capdata.String(r.VatID), capdata.String(r.ID)
	switch e.Type {
	case eventCreate:
		return c.answerCreate(r.VatID, problem)
	case eventUpgrade:
		if problem != "" {
			return c.tellAdmin("vatUpgradeCallback", id, capdata.Bool(false), capdata.MakeError("vat-upgrade failure"), capdata.Int(incarnation))
		}
		return c.tellAdmin("vatUpgradeCallback", id, capdata.Bool(true), capdata.Undefined(), capdata.Int(incarnation))
	case eventSuspend, eventBar, eventUnsuspend:
		if problem != "" {
			return c.tellAdmin("vatControlCallback", id, capdata.Bool(false), capdata.MakeError(problem))
		}
		return c.tellAdmin("vatControlCallback", id, capdata.Bool(true), vatID)
	}
	return nil
}

func (c *crank) answerCreate(vatID, problem string) error {
	if problem != "" {
		return c.tellAdmin("vatTerminated", capdata.String(vatID), capdata.Bool(true), capdata.MakeError(problem))
	}
	root, err := c.rootOf(vatID)
	if err != nil {
		return err
	}
	results, err := capdata.Record(capdata.Field{Name: "rootObject", Data: capdata.Slot(root, "Alleged: root")})
	if err != nil {
		return err
	}
	return c.tellAdmin("newVatCallback", capdata.String(vatID), results)
}

// vatState is what the kernel knows of a dynamic vat's life, JSON under
// v7.state.
type vatState struct {
	State       string `json:"state"`
	Reason      string `json:"reason,omitempty"`
	LastError   string `json:"lastError,omitempty"`
	Incarnation int64  `json:"incarnation"`
	Epoch       int64  `json:"epoch,omitempty"`
}

func stateKey(vatID string) string { return vatID + ".state" }

// watchedKey is there for vats whose changes of state the vat-admin vat wants
// to hear of.
func watchedKey(vatID string) string { return vatID + ".watched" }

// vatState hears of a change in a vat's life.
func (h *callbacks) vatState(req pipeproto.VatState) (pipeproto.Empty, error) {
	c, err := h.open()
	if err != nil {
		return pipeproto.Empty{}, err
	}
	return pipeproto.Empty{}, c.changeState(req)
}

func (c *crank) changeState(req pipeproto.VatState) error {
	if c.has(dynamicKey(req.VatID)) {
		state := vatState{State: req.State, Reason: req.Reason, LastError: req.LastError, Incarnation: req.Incarnation, Epoch: req.Epoch}
		text, err := json.Marshal(state)
		if err != nil {
			return err
		}
		c.kv.Set(stateKey(req.VatID), string(text))
		if c.has(watchedKey(req.VatID)) {
			if err := c.tellAdmin("vatStateChanged", capdata.String(req.VatID), state.record()); err != nil {
				return err
			}
		}
	}
	if req.State != stateTerminated {
		return c.kv.Err()
	}
	if !c.terminated(req.VatID) {
		if err := c.terminate(req.VatID); err != nil {
			return err
		}
	}
	return c.tellTermination(req)
}

// States of a vat as the daemon spells them.
const (
	stateRunning         = "running"
	statePaused          = "paused"
	stateSuspended       = "suspended"
	statePausedSuspended = "paused-suspended"
	stateDeliberate      = "deliberately-suspended"
	stateTerminated      = "terminated"
)

// stateOf gives the state of a dynamic vat. A restart-all has suspended it if
// the vat has not been brought up to that.
func (t tables) stateOf(vatID string) (vatState, error) {
	var state vatState
	text, err := t.require(stateKey(vatID))
	if err != nil {
		return state, err
	}
	if err := json.Unmarshal([]byte(text), &state); err != nil {
		return state, brokenf("%s: %v", stateKey(vatID), err)
	}
	epoch, _ := t.kv.Get(epochKey)
	if n, _ := strconv.ParseInt(epoch, 10, 64); n <= state.Epoch {
		return state, t.kv.Err()
	}
	switch state.State {
	case stateRunning:
		state.State, state.Reason = stateSuspended, "restart-all"
	case statePaused:
		state.State = statePausedSuspended
	}
	return state, t.kv.Err()
}

// record is what userspace sees.
func (s vatState) record() capdata.CapData {
	isSuspended := s.State == stateSuspended || s.State == statePausedSuspended || s.State == stateDeliberate
	isPaused := s.State == statePaused || s.State == statePausedSuspended || s.State == stateDeliberate
	fields := []capdata.Field{
		{Name: "state", Data: capdata.String(s.State)},
		{Name: "suspended", Data: capdata.Bool(isSuspended)},
		{Name: "paused", Data: capdata.Bool(isPaused)},
		{Name: "incarnationNumber", Data: capdata.Int(s.Incarnation)},
	}
	if s.Reason != "" {
		fields = append(fields, capdata.Field{Name: "reason", Data: capdata.String(s.Reason)})
	}
	if s.LastError != "" {
		fields = append(fields, capdata.Field{Name: "lastError", Data: capdata.String(s.LastError)})
	}
	data, err := capdata.Record(fields...)
	if err != nil {
		panic(err) // made of nothing but strings
	}
	return data
}

// ending is why a vat is gone, as the kernel passes it through the daemon.
type ending struct {
	Reject bool            `json:"reject"`
	Info   capdata.CapData `json:"info"`
}

func (e ending) encode() []byte {
	text, err := json.Marshal(e)
	if err != nil {
		panic(err) // it has nothing in it that JSON cannot hold
	}
	return text
}

// exitInfo is the ending of a vat that exits. An exit with failure undoes the
// crank, and with it the krefs that only this crank has given out: an ending
// that refers to any becomes text.
func exitInfo(e *exitRequest) []byte {
	if e.failure && len(e.info.Slots) > 0 {
		nameless := capdata.CapData{Body: e.info.Body}
		for _, kref := range e.info.Slots {
			if isPromise(kref) {
				nameless.Slots = append(nameless.Slots, "promise")
			} else {
				nameless.Slots = append(nameless.Slots, "object")
			}
		}
		return ending{Reject: true, Info: capdata.MakeError(capdata.Legible(nameless))}.encode()
	}
	return ending{Reject: e.failure, Info: e.info}.encode()
}

// tellTermination lets those who wait for a vat's end hear of it.
func (c *crank) tellTermination(req pipeproto.VatState) error {
	end := ending{Reject: true, Info: capdata.MakeError(req.Reason)}
	if len(req.Info) > 0 {
		if err := json.Unmarshal(req.Info, &end); err != nil {
			return brokenf("why %s ended: %v", req.VatID, err)
		}
	}
	return c.tellAdmin("vatTerminated", capdata.String(req.VatID), capdata.Bool(end.Reject), end.Info)
}

// actNow asks for something to be done to a vat at the end of this crank.
func (c *crank) actNow(kind, vatID, reason string, info []byte) error {
	key, err := c.require(adminKey(vatID))
	if err != nil {
		return err
	}
	control := &pipeproto.VatControl{Admin: pipeproto.AdminNode{VatID: vatID, Key: key}, Reason: reason}
	c.actions = append(c.actions, pipeproto.Action{Kind: kind, Control: control, Info: info})
	return nil
}

func bundleKey(id string) string { return "bundle." + id }

// noteBundle remembers that a bundle is there, for the vat-admin vat, and tells
// it.
func (c *crank) noteBundle(id string) error {
	if !c.has(adminVatKey) || c.has(bundleKey(id)) {
		return c.kv.Err()
	}
	c.kv.Set(bundleKey(id), "1")
	return c.tellAdmin("bundleInstalled", capdata.String(id))
}

// noAdmin tells whether the kernel has no vat-admin vat.
func (k *Kernel) noAdmin() bool {
	_, ok, err := k.db.Get(adminVatKey)
	return err == nil && !ok
}

// requestID gives an ID for a request that will be answered.
func (t tables) requestID() (string, error) {
	n, err := t.allocate(upgradeIDKey)
	return fmt.Sprintf("up%s", n), err
}
