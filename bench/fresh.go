package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strconv"
	"time"

	"vatworkerd/xsnap"
)

// freshScenario measures workers that could take setBundle.
func (b *bench) freshScenario() scenario {
	return scenario{
		name: "fresh worker", rounds: 7, quick: 3, columns: everyColumn(),
		prepare: func() error {
			for _, image := range b.images {
				heap, err := b.base.Open(image)
				if err != nil {
					return err
				}
				if err := heap.Close(); err != nil {
					return err
				}
			}
			return nil
		},
		turn: func(column string) error {
			switch column {
			case peerColumn:
				return b.freshPeer()
			case limitColumn:
				return b.freshLimit()
			}
			if err := b.freshCold(column); err != nil {
				return err
			}
			return b.freshSpare(column)
		},
		finish: func() error { return nil },
	}
}

func (b *bench) freshPeer() error {
	s := b.system(peerColumn).(*peer)
	reply, err := s.ask("fresh", map[string]any{"count": 2})
	if err != nil {
		return err
	}
	// The first makes V8 compile what the second needs: a node that has run for a while.
	for _, measure := range []string{"fresh-cold", "fresh-spare"} {
		b.sample(measure, peerColumn, reply.Each[1]/1000)
	}
	return s.end()
}

// startWorker starts a worker on the base snapshot, as createVat does.
func (b *bench) startWorker(column string) (*xsnap.Worker, error) {
	heap, err := b.base.Open(b.images[column])
	if err != nil {
		return nil, err
	}
	defer heap.Close()
	return b.spawner.Start(b.images[column].Engine, xsnap.StartOptions{
		Name: "bench", MeterLimit: xsnap.DefaultMeterLimit, From: heap, CPU: -1, Sandbox: xsnap.SandboxAuto,
	})
}

func (b *bench) freshCold(column string) error {
	began := time.Now()
	w, err := b.startWorker(column)
	if err != nil {
		return err
	}
	defer w.Close()
	if err := w.Ready(); err != nil {
		return err
	}
	b.sample("fresh-cold", column, inMilliseconds(time.Since(began)))
	return nil
}

// freshSpare asks a worker that has come up long ago.
func (b *bench) freshSpare(column string) error {
	w, err := b.startWorker(column)
	if err != nil {
		return err
	}
	defer w.Close()
	if err := w.Ready(); err != nil {
		return err
	}
	began := time.Now()
	if err := w.Ready(); err != nil {
		return err
	}
	b.sample("fresh-spare", column, inMilliseconds(time.Since(began)))
	return nil
}

func (b *bench) freshLimit() error {
	base, err := b.basePath()
	if err != nil {
		return err
	}
	took, err := b.loadTime(base)
	b.sample("fresh-cold", limitColumn, inMilliseconds(took))
	return err
}

// loadTime is how long the engine takes from its start on a heap to an answer.
func (b *bench) loadTime(heap string) (time.Duration, error) {
	var s script
	s.ready()
	s.mark()
	laps, err := b.play(&s, heap, "")
	if err != nil {
		return 0, err
	}
	return laps[0].wall, nil
}

// callBack makes a worker of an engine alone: it calls back as often as the
// delivery says, as a vat's syscalls do.
const callBack = `globalThis.handleCommand = msg => {
  const [, n] = JSON.parse(new TextDecoder().decode(msg));
  const ask = new TextEncoder().encode('["syscall",["vatstoreGet","key"]]').buffer;
  for (let i = 0; i < n; i += 1) issueCommand(ask);
  return { result: new TextEncoder().encode('["ok",null,null]').buffer };
};`

// answering answers every syscall alike.
type answering struct{}

func (answering) Syscall(json.RawMessage) (json.RawMessage, error) {
	return json.RawMessage(`["ok",null]`), nil
}
func (answering) Console(string, string, []json.RawMessage) {}
func (answering) TestLog([]json.RawMessage)                 {}

const roundTrips = 20_000

// roundTripScenario measures a syscall without what the vat does for it.
func (b *bench) roundTripScenario() scenario {
	return scenario{
		name: "syscall round trip", rounds: 7, quick: 3, columns: everyColumn(),
		prepare: func() error { return nil },
		turn: func(column string) error {
			took, err := b.roundTrip(column)
			b.sample("roundtrip", column, float64(took)/roundTrips/float64(time.Microsecond))
			return err
		},
		finish: func() error { return nil },
	}
}

func (b *bench) roundTrip(column string) (time.Duration, error) {
	switch column {
	case peerColumn:
		s := b.system(peerColumn).(*peer)
		reply, err := s.ask("roundTrips", map[string]any{"code": callBack, "count": roundTrips})
		if err != nil {
			return 0, err
		}
		return reply.took(), s.end()
	case limitColumn:
		out, err := b.bare("pingpong", strconv.Itoa(b.cpu()), strconv.Itoa(roundTrips))
		if err != nil {
			return 0, err
		}
		var nanoseconds int64
		_, err = fmt.Sscan(out, &nanoseconds)
		return time.Duration(nanoseconds), err
	}
	return b.ourRoundTrips(column)
}

// ourRoundTrips has worker and thread where the supervisor has them: on one CPU.
func (b *bench) ourRoundTrips(column string) (took time.Duration, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	w, err := b.startWorker(column)
	if err != nil {
		return 0, err
	}
	defer w.Close()
	if err := w.Ready(); err != nil {
		return 0, err
	}
	if err := w.Evaluate([]byte(callBack), nil); err != nil {
		return 0, err
	}
	if b.cpu() >= 0 {
		if err := w.PinTo(b.cpu()); err != nil {
			return 0, err
		}
		unpin, err := xsnap.PinThread(b.cpu())
		if err != nil {
			return 0, err
		}
		defer unpin()
	}
	began := time.Now()
	result, err := w.Deliver(json.RawMessage(strconv.Itoa(roundTrips)), answering{})
	if err == nil && result.Status != xsnap.StatusOK {
		err = fmt.Errorf("the worker could not call back: %s", result.Problem)
	}
	return time.Since(began), err
}
