package supervisor

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"vatworkerd/pipeproto"
	"vatworkerd/xsnap"
)

// manyTurns gives three vats deliveries in turn, with snapshots, a restart of
// the process, an incarnation that ends and one that is upgraded in between. It
// gives all that nodes compare.
func (r *rig) manyTurns() string {
	r.t.Helper()
	vats := []string{"v1", "v2", "v3"}
	r.host.parameters["v3"] = `#{"owner":"dana"}`
	r.create("v1", "counter", pipeproto.VatOptions{Static: true})
	r.create("v2", "counter", pipeproto.VatOptions{Unmetered: true})
	r.create("v3", "upgradable-v1", pipeproto.VatOptions{})
	turns := func(n int) {
		for range n {
			for _, vatID := range vats[:2] {
				r.send(vatID, "increment")
			}
			r.send("v3", "deposit", "1")
		}
		r.run()
	}
	turns(2)
	r.reopen()
	turns(1)
	r.must(r.control(pipeproto.ReqSuspend, "v2", ""))
	_, err := r.s.controlUpgrade(pipeproto.Upgrade{Admin: r.admins["v3"], BundleID: r.addBundle("upgradable-v2")})
	r.must(err)
	turns(1)
	r.commit()
	list, err := r.s.listSnapshots(pipeproto.VatRef{})
	r.must(err)
	var b strings.Builder
	for _, snapshot := range list.Snapshots {
		if snapshot.InUse {
			fmt.Fprintln(&b, snapshot.VatID, snapshot.Position, snapshot.Hash)
		}
	}
	return r.hashes() + "\n" + r.spanHashes() + b.String()
}

// TestLocalSettingsDoNotShow does the same work on real workers under settings
// that differ in everything that is local, and in how many workers are killed.
func TestLocalSettingsDoNotShow(t *testing.T) {
	settings := []struct {
		name  string
		local func(*Options)
	}{
		{"plain", func(o *Options) { o.MaxOnline = 50 }},
		{"one worker", func(o *Options) { o.MaxOnline, o.Spares, o.Hulls, o.LookAhead, o.Preload = 1, 4, 2, 2, PreloadAll }},
		{"everything", func(o *Options) {
			o.MaxOnline, o.Spares, o.LookAhead, o.Preload, o.Pins = 2, 4, 1, PreloadAll, []string{"v2"}
			o.Hulls, o.HugePages, o.EarlyRuns = 1, true, 3
		}},
		{"early runs", func(o *Options) { o.EarlyRuns = 3 }},
		{"no memory, with kills", func(o *Options) {
			o.MaxMemoryBytes, o.LookAhead, o.Preload, o.Hulls = 1, 1, 2, 1
			o.wrap = killEvery(29)
		}},
		{"early runs, with kills", func(o *Options) { o.EarlyRuns, o.wrap = 2, killEvery(13) }},
	}
	want := ""
	for _, setting := range settings {
		r := newRig(t, setting.local)
		got := r.manyTurns()
		r.close()
		if want == "" {
			want = got
		}
		if got != want {
			t.Errorf("%s:\n%s\n%s:\n%s", settings[0].name, want, setting.name, got)
		}
	}
}

// killEvery kills the worker of every nth delivery, replayed ones included.
func killEvery(n int64) func(starter) starter {
	count := &atomic.Int64{}
	return func(s starter) starter { return killing{s, count, n} }
}

type killing struct {
	starter
	count *atomic.Int64
	every int64
}

func (k killing) fresh(image xsnap.Image, o xsnap.StartOptions) (process, error) {
	p, err := k.starter.fresh(image, o)
	return killed{p, k}, err
}

func (k killing) fromHeap(image xsnap.Image, o xsnap.StartOptions, heap io.Reader) (process, error) {
	p, err := k.starter.fromHeap(image, o, heap)
	return killed{p, k}, err
}

func (k killing) hull(image xsnap.Image, o xsnap.StartOptions, shape xsnap.Shape) (process, error) {
	p, err := k.starter.hull(image, o, shape)
	return killed{p, k}, err
}

type killed struct {
	process
	by killing
}

func (p killed) Deliver(delivery json.RawMessage, h xsnap.Handler) (xsnap.DeliveryResult, error) {
	if p.by.count.Add(1)%p.by.every == 0 {
		p.Kill()
	}
	return p.process.Deliver(delivery, h)
}
