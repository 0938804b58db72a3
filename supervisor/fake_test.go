package supervisor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"vatworkerd/frames"
	"vatworkerd/xsnap"
)

// fakeStarter starts workers without an engine: tiny vats in Go whose whole
// heap is a JSON object. They exist for the faults and the numbers of steps
// that real engines cannot be made to show in a test's time; everything they
// are used for also runs on real ones elsewhere.
type fakeStarter struct {
	mu     sync.Mutex // guards the rest: the supervisor starts from several goroutines
	deaths int        // how many of the next deliveries find their worker dead
	live   int
	bytes  int64    // memory that a delivery adds to a worker
	flukes []string // with which syscall, or "none", the next incr meet a limit

	// Hooks, set before they are needed; they may wait.
	started func()               // a worker was started
	loading func(p *fakeProcess) // … and is not ready yet
}

func fakeImage(name string) xsnap.Image {
	return xsnap.Image{Engine: xsnap.Engine{Path: name, SHA256: name}}
}

func (f *fakeStarter) cpus() []int { return nil }
func (f *fakeStarter) close()      {}

func (f *fakeStarter) start(o xsnap.StartOptions) *fakeProcess {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.live++
	if f.started != nil {
		f.started()
	}
	return &fakeProcess{starter: f, name: o.Name, exited: make(chan struct{})}
}

func (f *fakeStarter) base(image xsnap.Image) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader("the base of " + image.ID())), nil
}

// load is what all starts have in common.
func (f *fakeStarter) load(p *fakeProcess, o xsnap.StartOptions) (process, error) {
	if o.Started != nil {
		o.Started(p.Kill)
	}
	if f.loading != nil {
		f.loading(p)
	}
	if p.gone() {
		return nil, p.killed()
	}
	return p, nil
}

func (f *fakeStarter) fresh(_ xsnap.Image, o xsnap.StartOptions) (process, error) {
	return f.load(f.start(o), o)
}

func (f *fakeStarter) fromHeap(_ xsnap.Image, o xsnap.StartOptions, heap io.Reader) (process, error) {
	p := f.start(o)
	text, err := io.ReadAll(heap)
	if err == nil {
		err = json.Unmarshal(text, &p.heap)
	}
	if err != nil {
		p.end()
		return nil, err
	}
	return f.load(p, o)
}

func (f *fakeStarter) hull(_ xsnap.Image, o xsnap.StartOptions, _ xsnap.Shape) (process, error) {
	return nil, errors.New("a fake has no hulls")
}

func (f *fakeStarter) bytesOf(heap fakeHeap) int64 { return f.bytes * int64(1+heap.Ephemeral) }

// kill plans deaths.
func (f *fakeStarter) kill(deaths int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.deaths = deaths
}

// dies takes one death from the plan.
func (f *fakeStarter) dies() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.deaths == 0 {
		return false
	}
	f.deaths--
	return true
}

// fluke takes the next way to meet a limit from the plan.
func (f *fakeStarter) fluke(delivery []byte) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.flukes) == 0 || methodOf(delivery) != "incr" {
		return ""
	}
	next := f.flukes[0]
	f.flukes = f.flukes[1:]
	return next
}

// fakeHeap is what a fake vat forgets between incarnations.
type fakeHeap struct {
	Bundle    string
	Ephemeral int
}

type fakeProcess struct {
	starter *fakeStarter
	name    string
	heap    fakeHeap
	closed  bool
	exited  chan struct{}
	once    sync.Once
}

func (p *fakeProcess) gone() bool              { return isGone(p) }
func (p *fakeProcess) killed() error           { return &xsnap.ExitError{Name: p.name, Signal: syscall.SIGKILL} }
func (p *fakeProcess) Rename(name string)      { p.name = name }
func (p *fakeProcess) Exited() <-chan struct{} { return p.exited }
func (p *fakeProcess) Ending() string          { return "code 0" }
func (p *fakeProcess) Tape() *frames.Tape      { return nil }

func (p *fakeProcess) SetBundle(_ string, bundle []byte, _ json.RawMessage, _ xsnap.Handler) (xsnap.Meter, error) {
	p.heap.Bundle = string(bundle)
	if p.gone() {
		return xsnap.Meter{}, p.killed()
	}
	return xsnap.Meter{}, nil
}

func (p *fakeProcess) Fill(io.Reader) error { return errors.New("a fake has no hulls") }

func (p *fakeProcess) Snapshot(dst io.Writer) (int64, error) {
	if p.gone() {
		return 0, p.killed()
	}
	text, err := json.Marshal(p.heap)
	if err != nil {
		return 0, err
	}
	n, err := dst.Write(text)
	return int64(n), err
}

func (p *fakeProcess) end() {
	p.once.Do(func() {
		close(p.exited)
		p.starter.mu.Lock()
		p.starter.live--
		p.starter.mu.Unlock()
	})
}
func (p *fakeProcess) PID() int                    { return 0 }
func (p *fakeProcess) PinTo(int) error             { return nil }
func (p *fakeProcess) KeepOff(int) error           { return nil }
func (p *fakeProcess) Unpin() error                { return nil }
func (p *fakeProcess) MemoryBytes() (int64, error) { return p.starter.bytesOf(p.heap), nil }
func (p *fakeProcess) Close() error                { p.closed = true; p.end(); return nil }
func (p *fakeProcess) Kill()                       { p.end() }

// Deliver runs startVat, bringOutYourDead and messages named after what they do.
func (p *fakeProcess) Deliver(delivery json.RawMessage, h xsnap.Handler) (xsnap.DeliveryResult, error) {
	if p.closed {
		return xsnap.DeliveryResult{}, errors.New("delivery to a worker that was closed")
	}
	if p.starter.dies() {
		p.end()
	}
	if p.gone() {
		return xsnap.DeliveryResult{}, p.killed()
	}
	if at := p.starter.fluke(delivery); at != "" {
		var err error
		if at != "none" {
			_, err = h.Syscall(fmt.Appendf(nil, `["vatstoreGet",%q]`, at))
		}
		p.end()
		return xsnap.DeliveryResult{Status: xsnap.StatusError, Problem: "Allocate meter exceeded", WorkerGone: true, ExitCode: xsnap.ExitNotEnoughMemory}, err
	}
	var d []json.RawMessage
	if err := json.Unmarshal(delivery, &d); err != nil {
		return xsnap.DeliveryResult{}, err
	}
	compute := int64(10 + p.heap.Ephemeral)
	switch string(d[0]) {
	case `"startVat"`:
		if strings.Contains(p.heap.Bundle, "bad") {
			return p.result("vat code does not start", compute), nil
		}
		return p.bump(h, "starts", compute)
	case `"bringOutYourDead"`:
		return p.result("", compute), nil
	}
	if times, ok := strings.CutPrefix(methodOf(delivery), "flood"); ok {
		return p.flood(h, times)
	}
	switch methodOf(delivery) {
	case "fail":
		_, err := h.Syscall(json.RawMessage(`["vatstoreSet","lost","yes"]`))
		return p.result("the vat failed", compute), err
	case "limit":
		p.end()
		return xsnap.DeliveryResult{Status: xsnap.StatusError, Problem: "Compute meter exceeded", WorkerGone: true, ExitCode: xsnap.ExitTooMuchComputation}, nil
	case "burn":
		return p.bump(h, "count", compute+1000)
	}
	return p.bump(h, "count", compute)
}

// flood sets the largest value there can be and reads it so many times.
func (p *fakeProcess) flood(h xsnap.Handler, times string) (xsnap.DeliveryResult, error) {
	n, _ := strconv.Atoi(times)
	_, err := h.Syscall(fmt.Appendf(nil, `["vatstoreSet","large",%q]`, strings.Repeat("x", 11_900_000)))
	for range n {
		if err == nil {
			_, err = h.Syscall(json.RawMessage(`["vatstoreGet","large"]`))
		}
	}
	return p.result("", 10), err
}

// bump adds one to a durable number and to the ephemeral one.
func (p *fakeProcess) bump(h xsnap.Handler, key string, compute int64) (xsnap.DeliveryResult, error) {
	p.heap.Ephemeral++
	reply, err := h.Syscall(fmt.Appendf(nil, `["vatstoreGet",%q]`, key))
	if err != nil {
		return xsnap.DeliveryResult{}, err
	}
	var n int
	_, _ = fmt.Sscanf(string(reply), `["ok","%d"]`, &n)
	_, err = h.Syscall(fmt.Appendf(nil, `["vatstoreSet",%q,"%d"]`, key, n+1))
	return p.result("", compute), err
}

func (p *fakeProcess) result(problem string, compute int64) xsnap.DeliveryResult {
	r := xsnap.DeliveryResult{Status: xsnap.StatusOK, Meter: &xsnap.Meter{Compute: compute}}
	if problem != "" {
		r.Status, r.Problem = xsnap.StatusError, problem
	}
	return r
}
