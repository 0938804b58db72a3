package xsnap

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"vatworkerd/internal/testrig"
)

// contestant is one kind of worker of several that must not differ in anything.
type contestant struct {
	name string
	rig  *rig
	w    *Worker
	k    *fakeKernel
}

// contest has all of them do the same and compares them after every step.
type contest struct {
	t      *testing.T
	all    []*contestant
	random *rand.Rand

	deliveries, snapshots, reloads int
}

func newContest(t *testing.T, seed uint64, all ...*contestant) *contest {
	return &contest{t: t, random: rand.New(rand.NewPCG(seed, 0)), all: all}
}

// engines are all ways to have a worker.
func engines(t *testing.T) []*contestant {
	return []*contestant{{name: "stock", rig: newRig(t)}, {name: "native", rig: nativeRig(t)}, {name: "forked", rig: nativeRig(t).forking()}}
}

// agree runs f for each and fails the test if what they return differs.
func (c *contest) agree(what string, f func(*contestant) any) {
	c.t.Helper()
	var want string
	for i, one := range c.all {
		got := fmt.Sprintf("%+v", f(one))
		if i == 0 {
			want = got
		} else if got != want {
			c.t.Fatalf("after %d deliveries, %s: %s and %s differ\n%s\n%s", c.deliveries, what, c.all[0].name, one.name, want, got)
		}
	}
}

// startVat gives everyone a new worker with the vat.
func (c *contest) startVat(bundle []byte) {
	c.t.Helper()
	for _, one := range c.all {
		one.end(c.t)
		one.w, one.k = one.rig.fromBase(), newFakeKernel()
	}
	c.agree("setBundle", func(one *contestant) any {
		meter, err := one.w.SetBundle("v1", bundle, nil, one.k)
		return fmt.Sprint(meter, err)
	})
	c.deliver(startVatDelivery)
}

func (one *contestant) end(t *testing.T) {
	if one.w == nil {
		return
	}
	if err := one.w.Close(); err != nil {
		t.Error(one.name, err)
	}
}

// seen is all that can be seen of one delivery. Allocate is not in consensus,
// but engines that count it alike fill their memory alike.
type seen struct {
	Status, Problem string
	WorkerGone      bool
	Meter           Meter
	Err             string
	Said            []string
}

func (c *contest) deliver(delivery string) {
	c.t.Helper()
	c.deliveries++
	c.agree("delivery "+delivery, func(one *contestant) any {
		one.k.syscalls, one.k.console, one.k.testLog = nil, nil, nil
		res, err := one.w.Deliver(json.RawMessage(delivery), one.k)
		s := seen{Status: res.Status, Problem: res.Problem, WorkerGone: res.WorkerGone}
		if res.Meter != nil {
			s.Meter = *res.Meter
		}
		if err != nil {
			s.Err = err.Error()
		}
		s.Said = slices.Concat(one.k.syscalls, one.k.console, one.k.testLog)
		return s
	})
}

// snapshot compares the heaps; reload goes on in workers loaded from them, each
// from a heap that another one wrote.
func (c *contest) snapshot(reload bool) {
	c.t.Helper()
	c.deliver(boydDelivery)
	c.snapshots++
	heaps := make([][]byte, 0, len(c.all))
	c.agree("snapshot", func(one *contestant) any {
		heaps = append(heaps, snapshotOf(c.t, one.w))
		return fmt.Sprintf("%x", sha256.Sum256(heaps[len(heaps)-1]))
	})
	if !reload {
		return
	}
	c.reloads++
	for i, one := range c.all {
		one.end(c.t)
		heap := heaps[(i+1)%len(heaps)]
		one.w = one.rig.start(StartOptions{From: bytes.NewReader(heap), MeterLimit: DefaultMeterLimit})
		if err := one.w.Ready(); err != nil {
			c.t.Fatal(one.name, err)
		}
	}
}

// exercise makes n deliveries to the vat that runs, with snapshots between.
func (c *contest) exercise(n int, methods map[string]int) {
	c.t.Helper()
	names := slices.Sorted(maps.Keys(methods))
	for range n {
		name := names[c.random.IntN(len(names))]
		c.deliver(message(name, c.random.IntN(methods[name])))
		switch c.random.IntN(60) {
		case 0, 1, 2:
			c.deliver(boydDelivery)
		case 3:
			c.snapshot(false)
		case 4:
			c.snapshot(true)
		}
	}
	c.snapshot(true)
}

// workouts are the methods of each vat that can be called at any time, with the
// bound of their argument.
func workouts() map[string]map[string]int {
	return map[string]map[string]int{
		"workout": {
			"texts": 12, "numbers": 12, "buffers": 12, "objects": 12, "errors": 20, "evaluated": 8, "promises": 6,
			"collections": 40, "names": 40, "hoard": 20, "release": 1, "remember": 12, "forget": 1, "say": 30, "fail": 9,
		},
		"counter": {"increment": 1, "read": 1, "sinceStart": 1, "missing": 1},
		"trial":   {"increment": 1, "burst": 30, "say": 9, "fail": 1},
	}
}

// faults end a worker; nothing of them may differ either.
var faults = []string{"spin", "recurse", "hog", "litter", "lengthen", "overflow"}

// TestConformance is bounded unless VATWORKERD_CONFORMANCE says how many
// deliveries to make (make conformance).
func TestConformance(t *testing.T) {
	total := 240
	if text := os.Getenv("VATWORKERD_CONFORMANCE"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		total = n
	}
	c := newContest(t, 1, engines(t)...)
	vats := workouts()
	names := slices.Sorted(maps.Keys(vats))
	for round := 0; c.deliveries < total; round++ {
		name := names[round%len(names)]
		c.startVat(vatBundle(t, name))
		c.exercise(min(400, total/len(names)), vats[name])
		if name == "workout" {
			c.deliver(message(faults[round/len(names)%len(faults)]))
		}
	}
	for _, one := range c.all {
		one.end(t)
	}
	t.Logf("%d deliveries, %d snapshots, %d reloads", c.deliveries, c.snapshots, c.reloads)
}

// TestConformanceOfFaults meets faults in a reloaded worker; those that take
// their time are left to the long form.
func TestConformanceOfFaults(t *testing.T) {
	c := newContest(t, 2, engines(t)...)
	for _, fault := range faults {
		if (fault == "litter" || fault == "lengthen") && os.Getenv("VATWORKERD_CONFORMANCE") == "" {
			continue
		}
		t.Run(fault, func(t *testing.T) {
			c.t = t
			c.startVat(vatBundle(t, "workout"))
			c.deliver(message("names", 20))
			c.snapshot(true)
			c.deliver(message(fault))
		})
	}
}

func vatBundle(t *testing.T, name string) []byte {
	t.Helper()
	if name == "trial" {
		return trialBundle(t)
	}
	return testrig.ReadBundle(t, name)
}

// TestGoingOnIsNotReloading is why no worker goes on after its snapshot, while a
// forked child writes it: the memory that counts towards the vat's limit is not
// what it is in a worker loaded from the snapshot.
func TestGoingOnIsNotReloading(t *testing.T) {
	for name, rigOf := range map[string]func(testing.TB) *rig{"stock": newRig, "native": nativeRig} {
		t.Run(name, func(t *testing.T) {
			r := rigOf(t)
			k := newFakeKernel()
			old := r.fromBase()
			startVat(t, old, k, vatBundle(t, "workout"))
			for range 4 { // until the heap has grown
				mustDeliver(t, old, k, message("hoard", 600))
			}
			mustDeliver(t, old, k, boydDelivery)
			next := r.start(StartOptions{From: bytes.NewReader(snapshotOf(t, old)), MeterLimit: DefaultMeterLimit})
			if err := next.Ready(); err != nil {
				t.Fatal(err)
			}
			a, b := mustDeliver(t, old, k, message("release")), mustDeliver(t, next, k, message("release"))
			if a.Compute != b.Compute || a.CurrentHeapCount != b.CurrentHeapCount {
				t.Errorf("meters are %+v and %+v", a, b)
			}
			if a.Allocate == b.Allocate {
				t.Errorf("both have allocated %d bytes: is docs/native-worker.md still true?", a.Allocate)
			}
		})
	}
}
