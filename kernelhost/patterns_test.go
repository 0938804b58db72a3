package kernelhost

import "testing"

// TestPatterns: messages between three vats, pipelined and not, as SwingSet's
// own tests of message patterns have them. With and without enablePipelining
// what userspace sees is the same.
func TestPatterns(t *testing.T) {
	for _, options := range []string{"{}", `{"enablePipelining": true}`} {
		t.Run(options, func(t *testing.T) {
			r := newRealRig(t)
			vat := func(name string) string {
				return `"` + name + `": {"bundleSpec": "BUNDLES/patterns.json", "parameters": {"name": "` + name + `"}, "creationOptions": ` + options + `}`
			}
			promise := r.init(`{"bootstrap": "a", "vats": {` + vat("a") + "," + vat("b") + "," + vat("c") + `}}`)
			value, err := r.k.Result(promise)
			if err != nil {
				t.Fatal(err)
			}
			r.equal(value, []any{"b ready", "c ready"})
			for _, tc := range []struct {
				method string
				want   any
				err    string
				log    []string
			}{
				{method: "thirdParty", want: true, log: []string{"c: target by way of b"}},
				{method: "pipelined", want: []any{"far away", nil, "far away"}, log: []string{"c: far away pipelined"}},
				{method: "promiseArgument", want: "a value"},
				{method: "promiseChain", want: "end of the chain"},
				{method: "broken", err: "Error: broken"},
				{method: "toData", err: "label"},
				{method: "identity", want: true},
			} {
				r.pattern(tc.method, tc.want, tc.err)
				r.logged(tc.log...)
			}
		})
	}
}
