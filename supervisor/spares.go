package supervisor

import (
	"fmt"
	"sync"
	"sync/atomic"

	"vatworkerd/xsnap"
)

// spares keeps workers ready that belong to nobody yet. A worker's meter limit is
// in its arguments, so each limit that was asked for has spares of its own. They
// are started beside the deliveries, only where the bounds have room, and are
// the first to go when a vat needs what they take. Which process a vat gets is
// never seen: all are the same. Safe for concurrent use.
type spares struct {
	kit  *kit
	want int // of each kind; 0 = none at all
	sort spareSort

	mu       sync.Mutex // guards the rest
	kinds    []int64    // meter limits, in the order they were first asked for
	idle     map[int64][]*spare
	starting *spare // on its way up, nil if none is
	made     int
	closed   bool
	work     sync.WaitGroup
}

// spareSort is what spares are.
type spareSort struct {
	name string
	seat func() *seat // nil where the bounds have no room
	// start gives one that is ready for its use, which weigh measures.
	start func(xsnap.StartOptions) (process, error)
	weigh func(process, *seat)
	eager bool // the next is started when one is taken, else by fill alone
}

// newWarmSpares keeps workers warm on the base snapshot of the current worker
// image: an incarnation that starts takes one and goes on with setBundle.
func newWarmSpares(k *kit, want int) *spares {
	return newSpares(k, want, spareSort{
		name: "spare", seat: k.census.takeIfFits, weigh: weigh, eager: true,
		start: func(o xsnap.StartOptions) (process, error) { return k.starter.fresh(k.image, o) },
	})
}

// spare is a worker that belongs to no vat yet.
type spare struct {
	name    string
	limit   int64
	process process
	seat    *seat
	sink    *lateSink
	leash   leash
}

// lateSink takes what a worker prints once it is known whose worker it is.
type lateSink struct{ to atomic.Pointer[xsnap.LogSink] }

func (l *lateSink) line(stream, line string) {
	if to := l.to.Load(); to != nil {
		(*to)(stream, line)
	}
}

// assign makes a spare what a worker started with these options would be.
func (sp *spare) assign(o xsnap.StartOptions) {
	sp.process.Rename(o.Name)
	sp.sink.to.Store(&o.Sink)
	if o.CPU >= 0 {
		_ = sp.process.PinTo(o.CPU) // one that cannot be pinned is only slower
	} else {
		_ = sp.process.Unpin()
	}
	if o.Started != nil {
		o.Started(sp.process.Kill)
	}
}

func newSpares(k *kit, want int, sort spareSort) *spares {
	return &spares{kit: k, want: want, sort: sort, kinds: []int64{meterLimit}, idle: map[int64][]*spare{}}
}

// take gives a spare with a meter limit, nil if none is ready. The next one of
// an eager sort is started at once.
func (p *spares) take(image xsnap.Image, limit int64) *spare {
	if p.want == 0 || image.ID() != p.kit.image.ID() {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ask(limit)
	if p.sort.eager {
		defer p.fillLocked()
	}
	for len(p.idle[limit]) > 0 {
		sp := p.pop(limit)
		if isGone(sp.process) {
			p.end(sp)
			continue
		}
		return sp
	}
	return nil
}

// giveBack takes back one that take gave, as it was.
func (p *spares) giveBack(sp *spare) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		p.end(sp)
		return
	}
	p.idle[sp.limit] = append(p.idle[sp.limit], sp)
}

func isGone(w process) bool {
	select {
	case <-w.Exited():
		return true
	default:
		return false
	}
}

// ask notes that spares of this limit are of use.
func (p *spares) ask(limit int64) {
	for _, known := range p.kinds {
		if known == limit {
			return
		}
	}
	p.kinds = append(p.kinds, limit)
}

func (p *spares) pop(limit int64) *spare {
	list := p.idle[limit]
	p.idle[limit] = list[1:]
	return list[0]
}

func (p *spares) end(sp *spare) { p.kit.reaper.end(&worker{process: sp.process, seat: sp.seat}) }

// fill starts what is missing, as far as there is room.
func (p *spares) fill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fillLocked()
}

func (p *spares) fillLocked() {
	if sp := p.next(); sp != nil {
		p.work.Go(func() { p.start(sp) })
	}
}

// next chooses the spare to be started now: one at a time, so that they do not
// take the machine from the deliveries.
func (p *spares) next() *spare {
	if p.closed || p.starting != nil {
		return nil
	}
	for _, limit := range p.kinds {
		if len(p.idle[limit]) >= p.want {
			continue
		}
		seat := p.sort.seat()
		if seat == nil {
			return nil
		}
		p.made++
		p.starting = &spare{name: fmt.Sprintf("%s-%d", p.sort.name, p.made), limit: limit, seat: seat, sink: &lateSink{}}
		return p.starting
	}
	return nil
}

func (p *spares) start(sp *spare) {
	process, err := p.sort.start(xsnap.StartOptions{
		Name: sp.name, MeterLimit: sp.limit, Sink: sp.sink.line, Started: sp.leash.hold,
		Limits: p.kit.limits, Sandbox: p.kit.sandbox, HugePages: p.kit.hugePages, CPU: p.kit.away(),
	})
	sp.process = process
	p.mu.Lock()
	defer p.mu.Unlock()
	p.starting = nil
	if err != nil {
		sp.seat.leave()
		if !sp.leash.isCut() {
			p.kit.log.Debug("cannot start a spare worker", "error", err) // whoever needs one meets the same
		}
		return
	}
	if sp.leash.isCut() {
		p.end(sp)
		return
	}
	p.sort.weigh(sp.process, sp.seat)
	p.idle[sp.limit] = append(p.idle[sp.limit], sp)
	p.fillLocked()
}

// shed gives a spare's place to somebody else; ok tells whether there was one.
func (p *spares) shed() (ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, limit := range p.kinds {
		if len(p.idle[limit]) > 0 {
			p.end(p.pop(limit))
			return true
		}
	}
	if sp := p.starting; sp != nil && !sp.leash.isCut() {
		sp.leash.cut()
		sp.seat.leave()
		return true
	}
	return false
}

// count gives how many spares are ready.
func (p *spares) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, list := range p.idle {
		n += len(list)
	}
	return n
}

// close ends all spares and starts no other.
func (p *spares) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	for p.shed() {
	}
	p.work.Wait()
}
