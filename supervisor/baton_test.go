package supervisor

import (
	"context"
	"sync"
	"testing"
	"time"
)

// Two never have the baton at once, and the owner's work goes on between those
// who borrow. The race detector sees state that is not handed over.
func TestBatonIsOne(t *testing.T) {
	b := newBaton()
	state, borrowed := 0, 0
	stop := make(chan struct{})
	var borrowers sync.WaitGroup
	for range 4 {
		borrowers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if b.borrow(t.Context()) {
					state++
					borrowed++
					b.giveBack()
				}
			}
		})
	}
	worked := 0
	for enough := false; !enough; {
		b.take()
		for range 100 {
			state++
			worked++
			b.rest = time.Time{} // lend whenever somebody waits
			b.lend()
		}
		enough = borrowed >= 50
		b.give()
	}
	close(stop)
	borrowers.Wait()
	if state != worked+borrowed {
		t.Errorf("state %d after %d steps of the owner and %d of others", state, worked, borrowed)
	}
}

func TestBatonIsWaitedForInVain(t *testing.T) {
	b := newBaton()
	b.take()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 3 { // who gives up leaves nothing behind
		if b.borrow(ctx) {
			t.Fatal("the baton was had twice")
		}
	}
	b.give()
	if !b.borrow(t.Context()) {
		t.Fatal("a free baton is not to be had")
	}
	if b.borrow(ctx) {
		t.Fatal("the baton was had twice")
	}
	b.giveBack()
}

// After it has lent for some time the owner works nine times as long.
func TestBatonRests(t *testing.T) {
	b := newBaton()
	b.take()
	lent := make(chan struct{})
	go func() {
		if b.borrow(t.Context()) {
			b.giveBack()
		}
		close(lent)
	}()
	for !b.wanted.Load() {
		time.Sleep(time.Millisecond) // a poll of what nobody tells of
	}
	b.lend()
	for b.rest.IsZero() { // wanted is set a moment before it is waited for
		b.lend()
	}
	<-lent
	if !b.rest.After(time.Now().Add(-time.Minute)) {
		t.Errorf("no rest after lending: %v", b.rest)
	}
	b.rest = time.Now().Add(time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	refused := make(chan bool, 1)
	go func() { refused <- !b.borrow(ctx) }()
	for done := false; !done; {
		select {
		case no := <-refused:
			if !no {
				t.Error("the baton was lent in its rest")
			}
			done = true
		default:
			b.lend()
		}
	}
	b.give()
}

// BenchmarkBatonLend is what a crank pays while nobody waits.
func BenchmarkBatonLend(b *testing.B) {
	baton := newBaton()
	baton.take()
	for b.Loop() {
		baton.lend()
	}
}

// BenchmarkLiveDelivery is what a delivery pays to be seen.
func BenchmarkLiveDelivery(b *testing.B) {
	l := newLive()
	l.workerUp(&worker{vatID: "v1", process: &fakeProcess{}})
	rec := &record{ID: "v1", Name: "counter"}
	for b.Loop() {
		l.leave(l.enter(stepDelivery, rec))
		l.recorded("v1", 1, 1)
		l.kept("hash", nil)
	}
}
