package kernelhost

import (
	"encoding/json"
	"strings"
	"testing"

	"vatworkerd/kernelhost/config"
)

// TestRegisterVats: vats made in bulk cost no start; the one that is sent to
// starts with that delivery. A batch with a fault in it leaves nothing.
func TestRegisterVats(t *testing.T) {
	r := newRealRig(t)
	r.init(`{"vats": {"first": {"bundleName": "echo"}}, "bundles": {"echo": {"bundleSpec": "BUNDLES/echo.json"}}}`)
	id, _, err := r.k.BundleID("echo")
	if err != nil {
		t.Fatal(err)
	}
	vat := func(name, bundleID string) config.Vat {
		return config.Vat{Name: name, BundleID: bundleID, Parameters: json.RawMessage("{}")}
	}
	for _, bad := range []struct {
		vats []config.Vat
		want string
	}{
		{[]config.Vat{vat("new", id), vat("first", id)}, `there is a vat "first" already`},
		{[]config.Vat{vat("twin", id), vat("twin", id)}, `there is a vat "twin" already`},
		{[]config.Vat{vat("new", id), vat("other", "b1-none")}, "bundle b1-none is not known"},
	} {
		if ids, err := r.k.RegisterVats(r.ctx, bad.vats); err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("%v, %v; want an error with %q", ids, err, bad.want)
		}
	}
	ids, err := r.k.RegisterVats(r.ctx, []config.Vat{vat("second", id), vat("third", id), vat("fourth", id)})
	if err != nil {
		t.Fatal(err)
	}
	r.equal(ids, []string{"v2", "v3", "v4"})
	r.equal(r.run().Cranks, int64(0))
	r.equal(r.state("third"), "suspended")

	value, err := r.call("third", "echo", "hello")
	if err != nil {
		t.Fatal(err)
	}
	r.equal(value, []any{"hello"})
	r.equal(r.state("third"), "running")
	r.equal(r.state("v4"), "suspended")
	r.audit()
}
