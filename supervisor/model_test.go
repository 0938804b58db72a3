package supervisor

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"vatworkerd/pipeproto"
)

// modelVat is what the reference model knows of a vat: nothing but its state,
// its queue and its numbers.
type modelVat struct {
	state       state
	incarnation int64
	bad         bool // its bundle does not start
	queue       []modelItem
	allowance   int64 // -1 = none
	ephemeral   int64
	commits     bool // overrunPolicy
}

type modelItem struct {
	seq    int
	method string
}

// model predicts flags, queues, incarnations and which deliveries run in which
// order.
type model struct {
	vats  map[string]*modelVat
	ids   []string
	seq   int
	order []string // committed deliveries
}

func (m *model) next() (string, *modelVat) {
	var best string
	for _, id := range m.ids {
		v := m.vats[id]
		if v.state.holds() || len(v.queue) == 0 {
			continue
		}
		if best == "" || v.queue[0].seq < m.vats[best].queue[0].seq {
			best = id
		}
	}
	return best, m.vats[best]
}

func (m *model) run() {
	for {
		id, v := m.next()
		if v == nil {
			return
		}
		switch v.state {
		case terminated:
			if v.queue[0].method != "start" {
				m.order = append(m.order, "splat "+id+" "+v.queue[0].method)
			}
			v.queue = v.queue[1:]
		case suspended:
			m.start(v, running)
		default:
			m.deliver(id, v)
		}
	}
}

// start begins an incarnation; startVat costs 10 computrons of the allowance.
func (m *model) start(v *modelVat, next state) bool {
	if v.bad {
		v.state = deliberate
		return false
	}
	v.state = next
	v.incarnation++
	v.ephemeral = 1
	v.spend(10)
	return true
}

func (v *modelVat) spend(n int64) {
	if v.allowance >= 0 {
		v.allowance = max(0, v.allowance-n)
	}
}

func (m *model) deliver(id string, v *modelVat) {
	item := v.queue[0]
	cost := 10 + v.ephemeral
	switch item.method {
	case "start":
		v.queue = v.queue[1:]
		return
	case "fail", "limit":
		v.state = deliberate
		return
	case "burn":
		cost += 1000
	}
	overrun := v.allowance >= 0 && cost > v.allowance
	if overrun && !v.commits {
		v.state = paused
		return
	}
	m.order = append(m.order, "deliver "+id+" "+item.method)
	v.queue = v.queue[1:]
	v.ephemeral++
	v.spend(cost)
	if overrun {
		v.state = paused
	}
}

// pair runs everything on supervisors that differ in all that is local.
type pair struct {
	t     *rapid.T
	rigs  []*rig
	fakes []*fakeStarter
	m     *model
	image int
	token int
}

func (p *pair) each(f func(*rig)) {
	for _, r := range p.rigs {
		f(r)
	}
}

// both runs a request on all supervisors and wants the same kind of answer.
func (p *pair) both(refused bool, f func(*rig) error) {
	p.each(func(r *rig) {
		err := f(r)
		var no *RefusedError
		if errors.As(err, &no) != refused {
			p.t.Fatalf("refused = %v, want %v (%v)", !refused, refused, err)
		}
		if err != nil && !refused && faultOf(err) == "" {
			p.t.Fatal(err)
		}
	})
}

func (p *pair) pick() (string, *modelVat) {
	if len(p.m.ids) == 0 {
		p.t.Skip("no vat yet")
	}
	id := rapid.SampledFrom(p.m.ids).Draw(p.t, "vat")
	return id, p.m.vats[id]
}

func (p *pair) create(t *rapid.T) {
	if len(p.m.ids) == 4 {
		t.Skip("enough vats")
	}
	id := fmt.Sprintf("v%d", len(p.m.ids)+1)
	v := &modelVat{state: suspended, incarnation: noIncarnation, allowance: -1}
	v.bad = rapid.IntRange(0, 4).Draw(t, "bad") == 0
	options := pipeproto.VatOptions{Static: rapid.Bool().Draw(t, "static") && !v.bad}
	if rapid.Bool().Draw(t, "metered") {
		v.allowance = rapid.Int64Range(0, 3000).Draw(t, "allowance")
		options.Allowance = &v.allowance
		v.commits = rapid.Bool().Draw(t, "commits")
		if v.commits {
			options.OverrunPolicy = pipeproto.PolicyCommit
		}
	}
	if options.Allowance != nil {
		allowance := v.allowance
		options.Allowance = &allowance
	}
	p.m.vats[id], p.m.ids = v, append(p.m.ids, id)
	p.m.seq++
	v.queue = append(v.queue, modelItem{p.m.seq, "start"})
	p.each(func(r *rig) { r.createFake(id, v.bad, options) })
}

func (p *pair) enqueue(t *rapid.T) {
	id, v := p.pick()
	method := rapid.SampledFrom([]string{"incr", "incr", "incr", "burn", "fail", "limit"}).Draw(t, "method")
	p.m.seq++
	v.queue = append(v.queue, modelItem{p.m.seq, method})
	p.each(func(r *rig) { r.send(id, method) })
}

func (p *pair) run(*rapid.T) {
	p.m.run()
	p.each(func(r *rig) { r.run() })
}

func (p *pair) pause(*rapid.T) {
	id, v := p.pick()
	if v.state != terminated {
		v.state = map[state]state{running: paused, paused: paused, suspended: pausedSuspended,
			pausedSuspended: pausedSuspended, deliberate: deliberate}[v.state]
	}
	p.both(v.state == terminated, func(r *rig) error { return r.control(pipeproto.ReqPause, id, "model") })
}

func (p *pair) resume(*rapid.T) {
	id, v := p.pick()
	refused := v.state == terminated || v.state == deliberate
	switch v.state {
	case paused:
		v.state = running
	case pausedSuspended:
		v.state = suspended
	}
	p.both(refused, func(r *rig) error { return r.control(pipeproto.ReqResume, id, "model") })
}

func (p *pair) suspend(*rapid.T) {
	id, v := p.pick()
	refused := v.state == terminated
	v.state = map[state]state{running: suspended, paused: pausedSuspended, suspended: suspended,
		pausedSuspended: pausedSuspended, deliberate: deliberate, terminated: terminated}[v.state]
	p.both(refused, func(r *rig) error { return r.control(pipeproto.ReqSuspend, id, "model") })
}

func (p *pair) bar(*rapid.T) {
	id, v := p.pick()
	refused := v.state == terminated
	if !refused {
		v.state = deliberate
	}
	p.both(refused, func(r *rig) error { return r.bar(id, "model") })
}

func (p *pair) unsuspend(*rapid.T) {
	id, v := p.pick()
	refused := v.state == terminated
	switch v.state {
	case suspended, deliberate:
		p.m.start(v, running)
	case pausedSuspended:
		p.m.start(v, paused)
	}
	p.both(refused, func(r *rig) error { return r.control(pipeproto.ReqUnsuspend, id, "model") })
}

func (p *pair) upgrade(t *rapid.T) {
	id, v := p.pick()
	bad := rapid.Bool().Draw(t, "bad")
	refused := v.state == terminated
	switch {
	case refused:
	case bad && v.state.hasIncarnation(): // rolled back: nothing changes
	case bad:
		v.state = deliberate
	default:
		v.bad = false
		p.m.start(v, running)
	}
	p.both(refused, func(r *rig) error {
		bundle := "b1-good2"
		if bad {
			bundle = "b1-bad2"
		}
		_, err := r.s.controlUpgrade(pipeproto.Upgrade{Admin: r.admins[id], BundleID: r.fakeBundle(bundle)})
		return err
	})
}

func (p *pair) terminate(*rapid.T) {
	id, v := p.pick()
	refused := v.state == terminated
	v.state = terminated
	p.both(refused, func(r *rig) error { return r.control(pipeproto.ReqTerminate, id, "model") })
}

func (p *pair) refill(*rapid.T) {
	id, v := p.pick()
	if v.state == terminated || v.allowance < 0 {
		p.t.Skip("no meter")
	}
	v.allowance += 500
	p.both(false, func(r *rig) error { return r.s.refill(id, 500) })
}

// restartAll suspends everything, on another engine half of the time.
func (p *pair) restartAll(t *rapid.T) {
	for _, id := range p.m.ids {
		if p.m.vats[id].bad {
			t.Skip("a vat that cannot start would panic if it were in the immediate set")
		}
	}
	if rapid.Bool().Draw(t, "engine") {
		p.image++
		p.each(func(r *rig) {
			r.opts.Image = fakeImage(fmt.Sprintf("engine%d", p.image))
			r.reopen()
		})
	}
	p.token++
	for _, id := range p.m.ids {
		v := p.m.vats[id]
		v.state = map[state]state{running: suspended, paused: pausedSuspended, suspended: suspended,
			pausedSuspended: pausedSuspended, deliberate: deliberate, terminated: terminated}[v.state]
	}
	var static []string
	p.each(func(r *rig) {
		reply, err := r.s.restartAll(pipeproto.RestartAll{Token: fmt.Sprint("t", p.token)})
		r.must(err)
		again, err := r.s.restartAll(pipeproto.RestartAll{Token: fmt.Sprint("t", p.token)})
		r.must(err)
		if !reply.Applied || again.Applied {
			p.t.Fatalf("token applied %v, then %v", reply.Applied, again.Applied)
		}
		static = reply.Unsuspended
	})
	for _, id := range static {
		p.m.start(p.m.vats[id], running)
	}
}

func (p *pair) killWorkers(t *rapid.T) {
	// The supervisors lose different numbers of workers; none loses three times in
	// one crank. The third loses some of them on their way in.
	p.fakes[0].kill(rapid.IntRange(0, 2).Draw(t, "deaths"))
	p.fakes[1].kill(0)
	p.fakes[2].kill(rapid.IntRange(0, 2).Draw(t, "deaths beside"))
}

func (p *pair) reopen(*rapid.T) { p.each(func(r *rig) { r.reopen() }) }

func (p *pair) cleanUp(t *rapid.T) {
	budget := rapid.Int64Range(0, 20).Draw(t, "budget")
	p.each(func(r *rig) {
		_, err := r.s.cleanUp(budget)
		r.must(err)
	})
}

// check compares every vat, the order of deliveries and the activity hashes.
func (p *pair) check(*rapid.T) {
	for _, id := range p.m.ids {
		v := p.m.vats[id]
		p.each(func(r *rig) {
			st := r.status(id)
			if st.State != v.state.String() || st.Incarnation != max(0, v.incarnation) {
				p.t.Fatalf("%s is %s in incarnation %d; the model says %s in %d", id, st.State, st.Incarnation, v.state, v.incarnation)
			}
			if want := heldOf(v); st.Held != want {
				p.t.Fatalf("%s holds %d; the model says %d", id, st.Held, want)
			}
			if v.allowance >= 0 && *st.Allowance != v.allowance {
				p.t.Fatalf("%s has %d computrons left; the model says %d", id, *st.Allowance, v.allowance)
			}
		})
	}
	p.each(func(r *rig) {
		if got := ranBy(r.host); !slices.Equal(got, p.m.order) {
			p.t.Fatalf("ran %v\nmodel %v", got, p.m.order)
		}
	})
	p.each(p.checkPool)
	a := p.rigs[0].hashes()
	p.each(func(r *rig) {
		if b := r.hashes(); a != b {
			p.t.Fatalf("activity hashes differ: %s, %s", a, b)
		}
	})
}

// checkPool looks at what holds for every pool at every time: its bound, and
// that only vats which may need one have a worker.
func (p *pair) checkPool(r *rig) {
	r.s.collect()
	workers, bytes := r.s.census.figures()
	if workers > max(2, r.opts.MaxOnline) {
		p.t.Fatalf("%d workers, %d are allowed", workers, r.opts.MaxOnline)
	}
	pinned := func(vatID string) bool { return slices.Contains(r.opts.Pins, vatID) }
	others := 0
	for _, vatID := range r.s.pool.vatIDs() {
		if v := p.m.vats[vatID]; v == nil || v.state != running {
			p.t.Fatalf("%s is online and %s", vatID, v.state)
		}
		if !pinned(vatID) {
			others++
		}
	}
	if limit := r.opts.MaxMemoryBytes; limit > 0 && bytes > limit && others > 1 {
		p.t.Fatalf("%d workers take %d bytes of %d", workers, bytes, limit)
	}
}

func heldOf(v *modelVat) int64 {
	if v.state.holds() {
		return int64(len(v.queue))
	}
	return 0
}

func ranBy(h *testHost) []string {
	var ran []string
	for _, line := range h.log {
		if strings.HasPrefix(line, "deliver ") || strings.HasPrefix(line, "splat ") {
			ran = append(ran, line)
		}
	}
	return ran
}

// localSettings are what the supervisors of a pair differ in.
func localSettings() []func(*Options) {
	return []func(*Options){
		func(o *Options) { o.MaxOnline = 1 },
		func(o *Options) { o.MaxOnline, o.EarlyRuns = 50, 2 },
		func(o *Options) {
			o.MaxOnline, o.MaxMemoryBytes, o.Spares, o.LookAhead, o.EarlyRuns = 3, 40, 2, 2, 3
			o.Preload, o.Pins = PreloadAll, []string{"v2"}
		},
	}
}

// TestLivesFollowTheModel drives supervisors with different pools and
// different worker deaths through random lives and compares all with the
// reference model after every step.
func TestLivesFollowTheModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := &pair{t: rt, m: &model{vats: map[string]*modelVat{}}}
		for _, local := range localSettings() {
			fake := &fakeStarter{bytes: 1}
			r := newRig(t, func(o *Options) {
				o.Image, o.starter, o.Dir = fakeImage("engine0"), fake, fastDir(t)
				local(o)
			})
			p.rigs, p.fakes = append(p.rigs, r), append(p.fakes, fake)
		}
		rt.Repeat(map[string]func(*rapid.T){
			"create": p.create, "enqueue": p.enqueue, "enqueueMore": p.enqueue, "run": p.run, "runAgain": p.run,
			"pause": p.pause, "resume": p.resume, "suspend": p.suspend, "bar": p.bar, "unsuspend": p.unsuspend,
			"upgrade": p.upgrade, "terminate": p.terminate, "refill": p.refill, "restartAll": p.restartAll,
			"killWorkers": p.killWorkers, "reopen": p.reopen, "cleanUp": p.cleanUp, "": p.check,
		})
		for i, r := range p.rigs {
			r.close()
			if p.fakes[i].live != 0 {
				rt.Fatalf("%d workers left", p.fakes[i].live)
			}
		}
	})
}

func newFakeRig(t *testing.T, fake *fakeStarter, maxOnline int) *rig {
	return newRig(t, func(o *Options) {
		o.Image, o.MaxOnline, o.starter = fakeImage("engine0"), maxOnline, fake
		o.Dir = fastDir(t)
	})
}

func (r *rig) fakeBundle(id string) string {
	r.must(r.s.addBundle(pipeproto.AddBundle{ID: id, Data: []byte(`"` + id + `"`)}))
	return id
}

func (r *rig) createFake(vatID string, bad bool, options pipeproto.VatOptions) {
	r.t.Helper()
	bundle := "b1-good"
	if bad {
		bundle = "b1-bad"
	}
	reply, err := r.s.createVat(pipeproto.CreateVat{VatID: vatID, Name: vatID, BundleID: r.fakeBundle(bundle), Options: options})
	r.must(err)
	r.admins[vatID] = reply.Admin
	r.must(r.s.enqueue(pipeproto.Enqueue{Items: []pipeproto.Item{{VatID: vatID, Priority: pipeproto.PriorityMessage, Start: true}}}))
}

// fastDir is a directory in memory where the machine has one: tests with fake
// workers do thousands of blocks, and what a sync costs is not their subject.
func fastDir(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "vatworkerd-test-*")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
