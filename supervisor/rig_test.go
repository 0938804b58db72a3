package supervisor

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"vatworkerd/internal/testrig"
	"vatworkerd/pipeproto"
	"vatworkerd/transcripts"
	"vatworkerd/xsnap"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// testHost is a kernel host without a kernel: an item's payload is the
// vat-space delivery itself, and every delivery that succeeds is committed.
type testHost struct {
	t          *testing.T
	results    map[string]string // result promise → "fulfilled BODY" or "rejected BODY"
	log        []string          // what the host was asked, for order checks
	testLog    []string
	events     []pipeproto.VatEvent
	console    []string
	warnings   []string
	verdict    func(pipeproto.Delivered) (pipeproto.Verdict, bool)
	callNow    func(pipeproto.CallNow) string // gives the capdata body of the answer
	parameters map[string]string              // vat → startVat capdata body
	onLost     func()                         // is told of each lost worker
	onConsole  func()                         // is told of each line
	unit       []func()                       // what the open unit does when it closes
	unitOpen   bool
	noAhead    bool                        // take no turn before it comes
	foretell   func(pipeproto.Turn) []byte // what a later turn would be now; nil: what it will be
	asked      map[string]int              // how often the supervisor has called, by type
	mu         sync.Mutex                  // guards events, console and warnings: workers print from goroutines of their own
}

func (h *testHost) Event(msgType string, body any) error {
	if ev, ok := body.(pipeproto.VatEvent); ok && ev.Kind == pipeproto.VatWorkerLost && h.onLost != nil {
		h.onLost()
	}
	if _, ok := body.(pipeproto.ConsoleEvent); ok && h.onConsole != nil {
		h.onConsole()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch ev := body.(type) {
	case pipeproto.VatEvent:
		h.events = append(h.events, ev)
	case pipeproto.ConsoleEvent:
		if len(h.console) < 1000 && len(ev.Text) < 1000 { // a hostile worker would fill the memory
			h.console = append(h.console, ev.Text)
		}
	case pipeproto.WarningEvent:
		h.warnings = append(h.warnings, ev.Message)
	}
	return nil
}

func (h *testHost) Call(msgType string, req, reply any) error {
	if h.asked == nil {
		h.asked = map[string]int{}
	}
	h.asked[msgType]++
	h.unitOpen = true
	switch r := req.(type) {
	case pipeproto.Turn:
		return h.turn(r, reply.(*pipeproto.TurnReply))
	case pipeproto.Incarnation:
		h.note("%s %s %d %s", msgType, r.VatID, r.Incarnation, r.Reason)
		if msgType == pipeproto.ReqBeginIncarnation {
			h.begin(r, reply.(*pipeproto.TurnReply))
		}
		return nil
	case pipeproto.VatState:
		return nil
	case pipeproto.CallNow:
		body := transcripts.JSString(h.callNow(r))
		reply.(*pipeproto.CallNowReply).Result = fmt.Appendf(nil, `{"body":%s,"slots":[]}`, body)
		return nil
	case pipeproto.Delivered:
		return h.delivered(r, reply.(*pipeproto.Verdict))
	case pipeproto.Empty:
		if msgType == pipeproto.ReqCrankEnd {
			*reply.(*pipeproto.Verdict) = pipeproto.Verdict{Commit: true}
			h.close()
		}
		h.unit, h.unitOpen = nil, false
		return nil
	}
	return fmt.Errorf("unexpected %s", msgType)
}

func (h *testHost) note(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	h.unit = append(h.unit, func() { h.log = append(h.log, line) })
}

func (h *testHost) close() {
	for _, f := range h.unit {
		f()
	}
	h.unit, h.unitOpen = nil, false
}

func (h *testHost) turn(r pipeproto.Turn, reply *pipeproto.TurnReply) error {
	if r.Dead {
		h.note("splat %s %s", r.VatID, methodOf(r.Payload))
		h.close()
		*reply = pipeproto.TurnReply{Drop: true}
		return nil
	}
	reply.Delivery = r.Payload
	h.note("deliver %s %s", r.VatID, methodOf(r.Payload))
	return nil
}

func (h *testHost) begin(r pipeproto.Incarnation, reply *pipeproto.TurnReply) {
	body := h.parameters[r.VatID]
	if len(r.Parameters) > 0 {
		body = string(r.Parameters)
		h.unit = append(h.unit, func() { h.parameters[r.VatID] = body })
	}
	if body == "" {
		body = "#{}"
	}
	reply.Delivery = fmt.Appendf(nil, `["startVat",{"body":%s,"slots":[]}]`, transcripts.JSString(body))
}

func (h *testHost) delivered(r pipeproto.Delivered, reply *pipeproto.Verdict) error {
	*reply = pipeproto.Verdict{Commit: r.Status == pipeproto.StatusOK}
	if h.verdict != nil {
		if verdict, decided := h.verdict(r); decided {
			*reply = verdict
		}
	}
	if reply.Commit {
		h.unit = append(h.unit, func() { h.take(r) })
	}
	if r.Last {
		if reply.Commit {
			h.close()
		}
		h.unit, h.unitOpen = nil, false
	}
	for _, turn := range r.Later {
		delivery := turn.Payload
		if h.foretell != nil {
			delivery = h.foretell(turn)
		}
		reply.Later = append(reply.Later, delivery)
	}
	if r.Next != nil && reply.Commit && reply.Then == "" && len(reply.Actions) == 0 && !h.noAhead {
		h.unitOpen, reply.Next = true, &pipeproto.TurnReply{}
		return h.turn(*r.Next, reply.Next)
	}
	return nil
}

// take keeps what a committed delivery did.
func (h *testHost) take(r pipeproto.Delivered) {
	h.testLog = append(h.testLog, r.TestLog...)
	for _, vso := range r.Syscalls {
		var call []json.RawMessage
		if json.Unmarshal(vso, &call) != nil || string(call[0]) != `"resolve"` {
			continue
		}
		var resolutions []struct {
			vpid     string
			rejected bool
			body     string
		}
		var raw [][]json.RawMessage
		_ = json.Unmarshal(call[1], &raw)
		for _, one := range raw {
			var data struct{ Body string }
			var vpid string
			_ = json.Unmarshal(one[0], &vpid)
			_ = json.Unmarshal(one[2], &data)
			resolutions = append(resolutions, struct {
				vpid     string
				rejected bool
				body     string
			}{vpid, string(one[1]) == "true", data.Body})
		}
		for _, res := range resolutions {
			how := "fulfilled "
			if res.rejected {
				how = "rejected "
			}
			h.results[res.vpid] = how + res.body
		}
	}
}

func methodOf(delivery []byte) string {
	var d []json.RawMessage
	if json.Unmarshal(delivery, &d) != nil || len(d) < 3 {
		return string(delivery)
	}
	var msg struct{ Methargs struct{ Body string } }
	_ = json.Unmarshal(d[2], &msg)
	body := strings.TrimPrefix(msg.Methargs.Body, "#")
	var methargs []json.RawMessage
	_ = json.Unmarshal([]byte(body), &methargs)
	if len(methargs) == 0 {
		return body
	}
	return strings.Trim(string(methargs[0]), `"`)
}

// rig is a supervisor on real workers with a test host.
type rig struct {
	t      *testing.T
	opts   Options
	host   *testHost
	s      *Supervisor
	admins map[string]pipeproto.AdminNode
	calls  int
	height int64
	broken bool // a fault was injected that only reopening mends
}

func newRig(t *testing.T, change func(*Options)) *rig {
	t.Helper()
	r := &rig{t: t, admins: map[string]pipeproto.AdminNode{}}
	r.host = &testHost{t: t, results: map[string]string{}, parameters: map[string]string{}}
	r.opts = Options{Dir: t.TempDir(), MaxOnline: 10, CPU: -1, CacheDir: baseCache(t), Sandbox: xsnap.SandboxAuto}
	if change != nil {
		change(&r.opts)
	}
	if r.opts.starter == nil && r.opts.Image.Engine.Path == "" {
		r.opts.Image = testImage(t)
	}
	r.open()
	t.Cleanup(r.close)
	return r
}

// baseCache is shared by all tests: it is content-addressed.
func baseCache(t *testing.T) string { return filepath.Join(testrig.BuildDir(t), "base") }

func testImage(t *testing.T) xsnap.Image {
	t.Helper()
	paths := testrig.Engine(t)
	image, err := xsnap.LoadImage(paths.Engine, paths.Lockdown, paths.Supervisor)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func (r *rig) open() {
	r.t.Helper()
	s, err := Open(r.opts, r.host, r.height)
	if err != nil {
		r.t.Fatal(err)
	}
	r.s = s
}

// close checks the store before it goes.
func (r *rig) close() {
	if r.s == nil {
		return
	}
	if err := r.s.Check(); err != nil && !r.broken {
		r.t.Errorf("consistency check: %v", err)
	}
	if err := r.s.Close(); err != nil {
		r.t.Errorf("close: %v", err)
	}
	r.s = nil
}

// reopen commits and starts again from the disk.
func (r *rig) reopen() {
	r.t.Helper()
	r.commit()
	r.close()
	r.open()
}

// hashes stand for all that was done, and for all keys and values.
func (r *rig) hashes() string { return r.s.db.ActivityHash() + " " + r.s.db.StateHash() }

func (r *rig) commit() {
	r.t.Helper()
	r.must(r.s.prepare(pipeproto.Height{Height: r.height + 1}))
	r.must(r.s.commitBlock(pipeproto.Height{Height: r.height + 1}))
	r.height++
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) addBundle(name string) string {
	r.t.Helper()
	data := testrig.ReadBundle(r.t, name)
	r.must(r.s.addBundle(pipeproto.AddBundle{ID: "b1-" + name, Data: data}))
	return "b1-" + name
}

func (r *rig) create(vatID, bundle string, options pipeproto.VatOptions) {
	r.t.Helper()
	reply, err := r.s.createVat(pipeproto.CreateVat{VatID: vatID, Name: bundle, BundleID: r.addBundle(bundle), Options: options})
	r.must(err)
	r.admins[vatID] = reply.Admin
	r.must(r.s.enqueue(pipeproto.Enqueue{Items: []pipeproto.Item{{VatID: vatID, Priority: pipeproto.PriorityMessage, Start: true}}}))
}

// send enqueues a message and names its result promise.
func (r *rig) send(vatID, method string, args ...string) string {
	r.t.Helper()
	return r.sendWith(vatID, method, args, "[]")
}

// sendWith is send with slots, JSON, in the arguments.
func (r *rig) sendWith(vatID, method string, args []string, slots string) string {
	r.t.Helper()
	r.calls++
	vpid := fmt.Sprintf("p-%d", 60+r.calls)
	body := fmt.Sprintf(`#[%q,[%s]]`, method, strings.Join(args, ","))
	delivery := fmt.Appendf(nil, `["message","o+0",{"methargs":{"body":%s,"slots":%s},"result":%q}]`, transcripts.JSString(body), slots, vpid)
	r.must(r.s.enqueue(pipeproto.Enqueue{Items: []pipeproto.Item{{VatID: vatID, Priority: pipeproto.PriorityMessage, Payload: delivery}}}))
	return vpid
}

func (r *rig) run() pipeproto.RunReply {
	r.t.Helper()
	reply, err := r.s.run(pipeproto.Run{})
	r.must(err)
	return reply
}

// worker gives a vat's worker, brought in if need be.
func (r *rig) worker(vatID string) *worker {
	r.t.Helper()
	rec, err := r.s.recordOf(vatID)
	r.must(err)
	w, err := r.s.online(r.s.db, rec)
	r.must(err)
	return w
}

func (r *rig) want(vpid, result string) {
	r.t.Helper()
	if got := r.host.results[vpid]; got != result {
		r.t.Errorf("result %s = %q, want %q", vpid, got, result)
	}
}

func (r *rig) status(vatID string) pipeproto.VatStatus {
	r.t.Helper()
	st, err := r.s.vatStatus(vatID)
	r.must(err)
	return st
}

// wantState checks flags the way a user sees them.
func (r *rig) wantState(vatID string, want state, incarnation int64) pipeproto.VatStatus {
	r.t.Helper()
	st := r.status(vatID)
	if st.State != want.String() || st.Incarnation != incarnation {
		r.t.Errorf("%s is %s in incarnation %d, want %s in %d", vatID, st.State, st.Incarnation, want, incarnation)
	}
	return st
}

func (r *rig) control(verb, vatID, reason string) error {
	_, err := r.s.control(verb, pipeproto.VatControl{Admin: r.admins[vatID], Reason: reason})
	return err
}

// bar suspends deliberately.
func (r *rig) bar(vatID, reason string) error {
	_, err := r.s.control(pipeproto.ReqSuspend, pipeproto.VatControl{Admin: r.admins[vatID], Reason: reason, Deliberate: true})
	return err
}

func skipUnless(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		t.Skipf("needs %s", path)
	}
}
