package supervisor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sync"

	"vatworkerd/snapshots"
	"vatworkerd/xsnap"
)

// saboteur comes between the supervisor and real workers. It knows at which
// step of its life a worker is, counts the steps, and does something to workers
// at some of them.
type saboteur struct {
	*realStarter

	mu      sync.Mutex                       // guards the rest
	acts    map[string]func(w *xsnap.Worker) // by the step
	always  bool                             // at every worker that comes there; else at the first
	acted   int
	reached []string // every step, in order
	size    int      // bytes of the heap, if they are known
}

// reach is called by whoever works with the worker at that moment.
func (s *saboteur) reach(step string, w *xsnap.Worker) {
	s.mu.Lock()
	s.reached = append(s.reached, step)
	act := s.acts[step]
	if act != nil {
		s.acted++
	}
	if !s.always {
		delete(s.acts, step)
	}
	s.mu.Unlock()
	if act != nil {
		act(w)
	}
}

// steps are those reached, each once, in the order of their first time.
func (s *saboteur) steps() (steps []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, step := range s.reached {
		if !slices.Contains(steps, step) {
			steps = append(steps, step)
		}
	}
	return steps
}

func (s *saboteur) fresh(image xsnap.Image, o xsnap.StartOptions) (process, error) {
	base, err := s.bases.Open(image)
	if err != nil {
		return nil, err
	}
	defer base.Close()
	return s.start("base", image, o, base)
}

func (s *saboteur) fromHeap(image xsnap.Image, o xsnap.StartOptions, heap io.Reader) (process, error) {
	if _, streams := heap.(*snapshots.Queue); streams { // while another worker writes it
		return s.start("successor", image, o, heap)
	}
	return s.start("heap", image, o, heap)
}

// start is realStarter.fromHeap with steps between.
func (s *saboteur) start(kind string, image xsnap.Image, o xsnap.StartOptions, heap io.Reader) (process, error) {
	load := &sabotagedLoad{s: s, kind: kind, heap: heap, known: make(chan struct{})}
	o.From, o.Watch = load, s.watch
	w, err := s.spawner.Start(image.Engine, o)
	if err != nil {
		return nil, err
	}
	s.reach(kind+": spawned", w)
	load.w = w
	close(load.known)
	if err := w.Ready(); err != nil {
		_ = w.Close()
		return nil, err
	}
	s.reach(kind+": ready", w)
	return &sabotaged{Worker: w, s: s}, nil
}

// sabotagedLoad feeds a heap and knows how far it is.
type sabotagedLoad struct {
	s     *saboteur
	kind  string
	heap  io.Reader
	known chan struct{} // closed once w is set
	w     *xsnap.Worker
	bytes int
}

// middleOfHeap is within every heap: the engine's own objects take 7 MB.
const middleOfHeap = 4 << 20

func (l *sabotagedLoad) Read(p []byte) (int, error) {
	<-l.known
	n, err := l.heap.Read(p)
	l.s.passBytes(l.kind+" loads: ", l.w, &l.bytes, n)
	if err == io.EOF {
		l.s.reach(l.kind+" loads: last byte", l.w)
	}
	return n, err
}

// passBytes reaches the steps that lie within the next n bytes of a heap.
func (s *saboteur) passBytes(what string, w *xsnap.Worker, before *int, n int) {
	after := *before + n
	if *before == 0 && n > 0 {
		s.reach(what+"first byte", w)
	}
	if *before < middleOfHeap && after >= middleOfHeap {
		s.reach(what+"middle", w)
	}
	*before = after
}

// sabotaged is a worker with steps before, in and after its commands.
type sabotaged struct {
	*xsnap.Worker
	s *saboteur
}

func (p *sabotaged) SetBundle(vatID string, bundle []byte, options json.RawMessage, h xsnap.Handler) (xsnap.Meter, error) {
	p.s.reach("setBundle: asked", p.Worker)
	meter, err := p.Worker.SetBundle(vatID, bundle, options, h)
	if err == nil {
		p.s.reach("setBundle: done", p.Worker)
	}
	return meter, err
}

func (p *sabotaged) Deliver(delivery json.RawMessage, h xsnap.Handler) (xsnap.DeliveryResult, error) {
	what := kindOf(delivery)
	if _, isReplay := h.(replayHandler); isReplay {
		what = "replay of " + what
	}
	p.s.reach(what+": asked", p.Worker)
	result, err := p.Worker.Deliver(delivery, &sabotagedCalls{Handler: h, p: p, what: what})
	if err == nil {
		p.s.reach(what+": done", p.Worker)
	}
	return result, err
}

// kindOf names a delivery: its type, of a message its method.
func kindOf(delivery json.RawMessage) string {
	var d []json.RawMessage
	_ = json.Unmarshal(delivery, &d)
	if len(d) > 0 && string(d[0]) == `"message"` {
		return methodOf(delivery)
	}
	var kind string
	if len(d) > 0 {
		_ = json.Unmarshal(d[0], &kind)
	}
	return kind
}

// sabotagedCalls are the steps of a delivery.
type sabotagedCalls struct {
	xsnap.Handler
	p     *sabotaged
	what  string
	calls int
}

// Syscall has the worker waiting for the answer at "syscall", and running on
// with it when the next comes.
func (h *sabotagedCalls) Syscall(vso json.RawMessage) (json.RawMessage, error) {
	h.calls++
	switch {
	case bytes.HasPrefix(vso, []byte(`["callNow"`)):
		h.p.s.reach(h.what+": callNow", h.p.Worker)
	case h.calls <= 2:
		h.p.s.reach(fmt.Sprintf("%s: syscall %d", h.what, h.calls), h.p.Worker)
	}
	return h.Handler.Syscall(vso)
}

func (h *sabotagedCalls) Console(source, level string, args []json.RawMessage) {
	if text := joinArgs(args, " "); source == "vat" {
		h.p.s.reach(h.what+": "+text, h.p.Worker)
	}
	h.Handler.Console(source, level, args)
}

func (p *sabotaged) Snapshot(dst io.Writer) (int64, error) {
	p.s.reach("snapshot: asked", p.Worker)
	size, err := p.Worker.Snapshot(&sabotagedSave{p: p, dst: dst})
	if err == nil {
		p.s.reach("snapshot: done", p.Worker)
	}
	return size, err
}

type sabotagedSave struct {
	p     *sabotaged
	dst   io.Writer
	bytes int
}

func (w *sabotagedSave) Write(b []byte) (int, error) {
	w.p.s.passBytes("snapshot: ", w.p.Worker, &w.bytes, len(b))
	if w.bytes == w.p.s.size { // only its length is still to be told
		w.p.s.reach("snapshot: last byte", w.p.Worker)
	}
	return w.dst.Write(b)
}

func (p *sabotaged) Close() error {
	p.s.reach("closing", p.Worker)
	return p.Worker.Close()
}
