package kernelhost

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"go.uber.org/goleak"

	"vatworkerd/kernelhost/capdata"
	"vatworkerd/kernelhost/config"
)

// rig is a kernel on a fake daemon whose vats do what scripts say.
type rig struct {
	t       *testing.T
	dir     string
	disk    *fakeDisk
	k       *Kernel
	scripts map[string][]fakeOutcome // by "vat name/delivery name", first in first out
	out     strings.Builder
	fault   func(op string) error
	wild    func(*fakeVat, string) fakeOutcome // answers instead of scripts
	audits  int                                // cranks after which the counts were right
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, dir: t.TempDir(), disk: newFakeDisk(), scripts: map[string][]fakeOutcome{}}
	r.open()
	t.Cleanup(func() {
		if err := r.k.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return r
}

func (r *rig) open() {
	k, err := Open(context.Background(), Options{
		DBDir:      r.dir,
		connect:    func() (*link, error) { return dialFake(r.disk, r.perform, r.printf, r.afterUnit), nil },
		storeFault: func(op string) error { return r.fail(op) },
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.k = k
}

func (r *rig) fail(op string) error {
	if r.fault == nil {
		return nil
	}
	return r.fault(op)
}

func (r *rig) reopen() {
	if err := r.k.Close(); err != nil {
		r.t.Fatal(err)
	}
	r.open()
}

func (r *rig) printf(format string, args ...any) { fmt.Fprintf(&r.out, format+"\n", args...) }

// perform gives the next scripted outcome of a delivery; none = nothing.
func (r *rig) perform(v *fakeVat, delivery string) fakeOutcome {
	if r.wild != nil {
		return r.wild(v, delivery)
	}
	key := v.Name + "/" + deliveryName(delivery)
	queue := r.scripts[key]
	if len(queue) == 0 {
		return fakeOutcome{}
	}
	r.scripts[key] = queue[1:]
	return queue[0]
}

// script adds an outcome: lines of syscalls, or of "fail: problem",
// "log: line", "callNow: vref", "lose", "die".
func (r *rig) script(key, text string) {
	var out fakeOutcome
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		word, rest, _ := strings.Cut(line, ": ")
		switch word {
		case "fail":
			out.status, out.problem = "error", rest
		case "log":
			out.testLog = append(out.testLog, rest)
		case "callNow":
			out.callNow = rest
		case "lose":
			out.lose = true
		case "die":
			out.die = true
		default:
			out.syscalls = append(out.syscalls, line)
		}
	}
	r.scripts[key] = append(r.scripts[key], out)
}

// testConfig reads lines "NAME option…".
func testConfig(bootstrap, text string, reap config.ReapInterval) config.Config {
	cfg := config.Config{
		Bootstrap: bootstrap, Bundles: map[string][]byte{"good": []byte("{}"), "bad": []byte("{}")},
		NamedBundles: map[string]string{"spare": "good"}, SnapshotInitial: 3, SnapshotInterval: 200,
		DefaultReapInterval: reap, Digest: "digest of " + text,
	}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		vat := config.Vat{Name: words[0], BundleID: "good", Parameters: json.RawMessage(`{}`)}
		for _, word := range words[1:] {
			name, value, _ := strings.Cut(word, "=")
			switch name {
			case "bad":
				vat.BundleID = "bad"
			case "pipelining":
				vat.Options.EnablePipelining = true
			case "critical":
				vat.Options.Critical = true
			case "terminate":
				vat.Options.FatalPolicy = "terminate"
			case "reap":
				n, _ := strconv.ParseInt(value, 10, 64)
				vat.Options.ReapInterval = &config.ReapInterval{Deliveries: n}
			case "parameters":
				vat.Parameters = json.RawMessage(value)
			}
		}
		cfg.Vats = append(cfg.Vats, vat)
	}
	return cfg
}

// dump writes the tables, without what is the same in every kernel.
func (r *rig) dump(prefix string) {
	key, ok, err := r.k.db.NextKey("", prefix)
	for ; ok && err == nil; key, ok, err = r.k.db.NextKey(key, prefix) {
		value, _, err := r.k.db.Get(key)
		if err != nil {
			r.t.Fatal(err)
		}
		r.printf("%s = %s", key, value)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) do(t *testing.T, d *datadriven.TestData) error {
	ctx := context.Background()
	var vat, text, bootstrap string
	d.MaybeScanArgs(t, "vat", &vat)
	switch d.Cmd {
	case "init":
		reap := config.ReapInterval{Never: true}
		if d.HasArg("reap") {
			reap.Never = false
			d.ScanArgs(t, "reap", &reap.Deliveries)
		}
		d.MaybeScanArgs(t, "bootstrap", &bootstrap)
		promise, err := r.k.Initialize(ctx, testConfig(bootstrap, d.Input, reap))
		if err == nil && promise != "" {
			r.printf("bootstrap: %s", promise)
		}
		return err
	case "on":
		d.ScanArgs(t, "for", &text)
		r.script(vat+"/"+text, d.Input)
	case "send":
		d.ScanArgs(t, "method", &text)
		args := capdata.CapData{Body: "#[]", Slots: []string{}}
		if d.Input != "" {
			data, err := decodeCapData([]byte(d.Input))
			if err != nil {
				return err
			}
			args = data
		}
		promise, err := r.k.QueueToVat(ctx, vat, text, args)
		if err == nil {
			r.printf("%s", promise)
		}
		return err
	case "run":
		var budget Budget
		d.MaybeScanArgs(t, "cranks", &budget.Cranks)
		d.MaybeScanArgs(t, "block", &budget.BlockCranks)
		d.MaybeScanArgs(t, "cleanups", &budget.Cleanups)
		result, err := r.k.Run(ctx, budget)
		if d.HasArg("result") {
			r.printf("cranks %d, blocks %d, idle %v, cleanups %d, height %d", result.Cranks, result.Blocks, result.Idle, result.Cleanups, r.k.Height())
		}
		return err
	default:
		return r.doMore(ctx, t, d, vat)
	}
	return nil
}

func (r *rig) doMore(ctx context.Context, t *testing.T, d *datadriven.TestData, vat string) error {
	var text, message string
	var err error
	switch d.Cmd {
	case "tables":
		d.MaybeScanArgs(t, "prefix", &text)
		r.dump(text)
	case "result":
		d.ScanArgs(t, "of", &text)
		state, data, err := r.k.PromiseResult(text)
		if err == nil {
			r.printf("%s %s", state, appendCapData(nil, data))
		}
		return err
	case "testlog":
		for _, line := range r.k.TestLog() {
			r.printf("%s", line)
		}
	case "reopen":
		r.reopen()
	case "commit":
		return r.k.Commit(ctx)
	case "pause":
		_, err = r.k.Pause(ctx, vat, "by the test")
	case "resume":
		_, err = r.k.Resume(ctx, vat, "by the test")
	case "suspend":
		_, err = r.k.Suspend(ctx, vat, "by the test")
	case "unsuspend":
		_, err = r.k.Unsuspend(ctx, vat, "by the test")
	case "terminate":
		_, err = r.k.Terminate(ctx, vat, "by the test")
	case "upgrade":
		d.MaybeScanArgs(t, "message", &message)
		var params *capdata.CapData
		if d.Input != "" {
			data, err := decodeCapData([]byte(d.Input))
			if err != nil {
				return err
			}
			params = &data
		}
		_, err = r.k.Upgrade(ctx, vat, "good", params, message)
	default:
		t.Fatalf("%s: no command %q", d.Pos, d.Cmd)
	}
	return err
}

func TestGolden(t *testing.T) {
	datadriven.Walk(t, "testdata/golden", func(t *testing.T, path string) {
		r := newRig(t)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			r.out.Reset()
			if err := r.do(t, d); err != nil {
				r.printf("error (%T): %v", err, err)
			}
			return r.out.String()
		})
	})
}

func TestMain(m *testing.M) {
	if runAsChild() || runAsDaemon() {
		return
	}
	goleak.VerifyTestMain(m)
}
