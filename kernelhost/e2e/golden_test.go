package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// do runs one command of a script. In bodies, $NAME of "with=(NAME,…)" stands
// for the root objects of vats, as slots in that order.
func (r *rig) do(t *testing.T, d *datadriven.TestData) {
	var vat, method, prefix string
	d.MaybeScanArgs(t, "vat", &vat)
	switch d.Cmd {
	case "init":
		r.init(d.Input)
	case "call":
		d.ScanArgs(t, "method", &method)
		var slots []string
		for _, arg := range d.CmdArgs {
			if arg.Key == "with" {
				for _, name := range arg.Vals {
					slots = append(slots, r.root(name))
				}
			}
		}
		body := "#[]"
		if d.Input != "" {
			body = "#" + d.Input
		}
		fmt.Fprintln(&r.out, r.call(vat, method, body, slots...))
	case "deliveries":
		r.deliveries(r.vatID(vat))
	case "skip":
		for _, vatID := range []string{"v1", "v2", "v3"} {
			r.deliveries(vatID)
		}
		r.out.Reset()
	case "terminate":
		_, err := r.k.Terminate(context.Background(), vat, "by the test")
		r.must(err)
		r.run()
	case "upgrade":
		_, err := r.k.Upgrade(context.Background(), vat, r.bundleID, nil, "by the test")
		r.must(err)
		r.run()
	case "tables":
		d.MaybeScanArgs(t, "prefix", &prefix)
		kv := r.tables()
		for _, key := range slices.Sorted(maps.Keys(kv)) {
			if strings.HasPrefix(key, prefix) {
				fmt.Fprintf(&r.out, "%s = %s\n", key, kv[key])
			}
		}
	default:
		t.Fatalf("%s: no command %q", d.Pos, d.Cmd)
	}
}

// TestGolden runs scripts on real vats.
func TestGolden(t *testing.T) {
	datadriven.Walk(t, "testdata/golden", func(t *testing.T, path string) {
		r := newRig(t)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			r.out.Reset()
			r.do(t, d)
			return r.out.String()
		})
	})
}
