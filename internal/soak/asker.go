package soak

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"vatworkerd/control"
	"vatworkerd/pipeproto"
	"vatworkerd/supervisor"
)

// asker asks the daemon things on its control socket, whoever it is at the
// moment: what goes on, about vats, and to page some out. None of it may change
// anything.
type asker struct {
	db       string
	vats     int
	answered atomic.Int64
	refused  atomic.Int64 // or nobody was there
	stop     context.CancelFunc
	done     sync.WaitGroup
}

// start begins to ask, until end.
func (a *asker) start(seed uint64) {
	ctx, cancel := context.WithCancel(context.Background())
	a.stop = cancel
	a.done.Go(func() {
		dice := rand.New(rand.NewPCG(seed, 1))
		for ctx.Err() == nil {
			a.visit(ctx, dice)
			select {
			case <-ctx.Done():
			case <-time.After(time.Duration(dice.IntN(200)) * time.Millisecond):
			}
		}
	})
}

func (a *asker) end() {
	a.stop()
	a.done.Wait()
}

// visit connects and asks a few things.
func (a *asker) visit(ctx context.Context, dice *rand.Rand) {
	client, err := control.Dial(ctx, filepath.Join(a.db, supervisor.ControlFile), pipeproto.AccessAdmin)
	if err != nil {
		a.refused.Add(1)
		return
	}
	defer client.Close()
	for range 1 + dice.IntN(5) {
		if err := a.ask(ctx, client, dice); err != nil {
			a.refused.Add(1)
			return
		}
		a.answered.Add(1)
	}
}

func (a *asker) ask(ctx context.Context, client *control.Client, dice *rand.Rand) error {
	vat := pipeproto.VatRef{VatID: fmt.Sprintf("v%d", 1+dice.IntN(a.vats))}
	switch dice.IntN(4) {
	case 0:
		return client.Call(ctx, pipeproto.ReqLive, pipeproto.Empty{}, &pipeproto.Live{}, nil)
	case 1:
		return client.Call(ctx, pipeproto.ReqControlStatus, pipeproto.StatusRequest{Limit: 20}, &pipeproto.Status{}, nil)
	case 2:
		return client.Call(ctx, pipeproto.ReqControlVat, vat, &pipeproto.VatStatus{}, nil)
	}
	return client.Call(ctx, pipeproto.ReqPageOut, vat, &pipeproto.Count{}, nil)
}
