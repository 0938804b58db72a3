package supervisor

import (
	"context"
	"sync/atomic"
	"time"
)

// batonShare is how many times as long as a request of the control socket the
// supervisor then works undisturbed, if it has work: whoever asks again and
// again gets a tenth of its time at most.
const batonShare = 9

// baton is the right to touch a supervisor's state. The supervisor's own
// goroutine has it while it serves a request of the host, and lends it between
// two cranks; in between requests it lies there for the taking. Control
// requests borrow it one at a time.
type baton struct {
	held   chan struct{} // is full while somebody has the baton
	next   chan struct{} // is full while a control request is the one to have it next
	wanted atomic.Bool   // that request waits for it
	rest   time.Time     // not lent before; the owner's alone
}

func newBaton() *baton {
	return &baton{held: make(chan struct{}, 1), next: make(chan struct{}, 1)}
}

// take is for the owner, when the host asks for something.
func (b *baton) take() { b.held <- struct{}{} }

// give is for the owner, when the host has its answer.
func (b *baton) give() { <-b.held }

// lend lets a control request go first, if one waits. Only between cranks: it
// may use all of the supervisor's state meanwhile.
func (b *baton) lend() {
	if !b.wanted.Load() {
		return
	}
	began := time.Now()
	if began.Before(b.rest) {
		return
	}
	b.give() // a full channel passes on to who waits for it, in order
	b.take()
	now := time.Now()
	b.rest = now.Add(batonShare * now.Sub(began))
}

// borrow is for control requests; it gives up, with false, when ctx ends. Who
// has borrowed must return.
func (b *baton) borrow(ctx context.Context) bool {
	select {
	case b.next <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	b.wanted.Store(true)
	defer b.wanted.Store(false)
	select {
	case b.held <- struct{}{}:
		return true
	case <-ctx.Done():
		<-b.next
		return false
	}
}

// giveBack ends a borrow.
func (b *baton) giveBack() {
	<-b.held
	<-b.next
}
