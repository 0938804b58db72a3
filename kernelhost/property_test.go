package kernelhost

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"vatworkerd/kernelhost/capdata"
	"vatworkerd/pipeproto"
)

// chaos makes vats do random legal things with what they know.
type chaos struct {
	r       *rig
	entropy []byte
	exports int // next export number of any vat
}

func (c *chaos) next(n int) int {
	if len(c.entropy) == 0 || n == 0 {
		return 0
	}
	b := c.entropy[0]
	c.entropy = c.entropy[1:]
	return int(b) % n
}

// known gives the vrefs in a vat's c-list that keep says yes to.
func (c *chaos) known(vatID string, keep func(e clistEntry, kref string) bool) []string {
	prefix := clistKey(vatID, "k")
	var vrefs []string
	key, ok, err := c.r.k.db.NextKey(prefix, prefix)
	for ; ok && err == nil; key, ok, err = c.r.k.db.NextKey(key, prefix) {
		value, _, _ := c.r.k.db.Get(key)
		e := clistEntry{reachable: value[0] == 'R', vref: value[2:]}
		if keep(e, "k"+strings.TrimPrefix(key, prefix)) {
			vrefs = append(vrefs, e.vref)
		}
	}
	return vrefs
}

func (c *chaos) pick(vatID string, keep func(clistEntry, string) bool) (string, bool) {
	vrefs := c.known(vatID, keep)
	if len(vrefs) == 0 {
		return "", false
	}
	return vrefs[c.next(len(vrefs))], true
}

// data is capdata of old and new references.
func (c *chaos) data(vatID string, usable func(clistEntry, string) bool) string {
	slots := []string{}
	for range c.next(4) {
		if vref, ok := c.pick(vatID, usable); ok && c.next(2) == 0 {
			slots = append(slots, vref)
			continue
		}
		c.exports++
		slots = append(slots, fmt.Sprintf([]string{"o+%d", "o+d10/%d", "o+v11/%d", "p+%d"}[c.next(4)], c.exports))
	}
	return string(appendCapData(nil, capdata.CapData{Body: `#["m",[]]`, Slots: slots}))
}

// perform answers a delivery. What the delivery itself brought is not used yet:
// the store shows the tables as of the last crank.
func (c *chaos) perform(v *fakeVat, delivery string) fakeOutcome {
	var out fakeOutcome
	if len(c.entropy) == 0 || deliveryName(delivery) == "startVat" {
		return out
	}
	resolved, retired := map[string]bool{}, retiredBy(delivery)
	for range c.next(4) {
		usable := func(e clistEntry, _ string) bool {
			return e.reachable && !resolved[e.vref] && !slices.Contains(retired, e.vref)
		}
		if call := c.syscall(v.ID, usable, resolved); call != "" {
			out.syscalls = append(out.syscalls, call)
		}
	}
	return out
}

// retiredBy gives the promises that a notify takes out of the c-list.
func retiredBy(delivery string) []string {
	if deliveryName(delivery) != "notify" {
		return nil
	}
	var vrefs []string
	for part := range strings.SplitSeq(delivery, `["`) {
		vref, _, _ := strings.Cut(part, `"`)
		vrefs = append(vrefs, vref)
	}
	return vrefs
}

func (c *chaos) syscall(vatID string, usable func(clistEntry, string) bool, resolved map[string]bool) string {
	switch c.next(4) {
	case 0, 1:
		target, ok := c.pick(vatID, usable)
		if !ok {
			return ""
		}
		c.exports++
		result := c.exports
		return fmt.Sprintf(`["send",%q,{"methargs":%s,"result":"p+%d"}]`, target, c.data(vatID, usable), result)
	case 2:
		vpid, ok := c.pick(vatID, func(e clistEntry, kref string) bool { return usable(e, kref) && isPromise(kref) })
		if !ok {
			return ""
		}
		return fmt.Sprintf(`["subscribe",%q]`, vpid)
	}
	vpid, ok := c.pick(vatID, func(e clistEntry, kref string) bool {
		decider, _, _ := c.r.k.db.Get(kref + ".decider")
		return usable(e, kref) && isPromise(kref) && decider == vatID
	})
	if !ok {
		return ""
	}
	resolved[vpid] = true
	c.exports++
	data := fmt.Sprintf(`{"body":"#\"$0.Alleged: x\"","slots":["o+%d"]}`, c.exports)
	return fmt.Sprintf(`["resolve",[[%q,%v,%s]]]`, vpid, c.next(3) == 0, data)
}

// authority checks that no unresolved promise is forgotten: a vat decides it,
// or it is the result of a message that waits somewhere.
func (r *rig) authority(items []fakeItem) error {
	waiting := map[string]bool{}
	for _, item := range items {
		if item.Start {
			continue
		}
		e, err := decodeEvent(item.Payload)
		if err != nil {
			return err
		}
		waiting[e.Msg.Result] = true
	}
	var open []string
	key, ok, err := r.k.db.NextKey("kp", "kp")
	for ; ok && err == nil; key, ok, err = r.k.db.NextKey(key, "kp") {
		value, _, _ := r.k.db.Get(key)
		switch {
		case strings.Contains(key, ".queue.") && !strings.HasSuffix(key, "nextID"):
			e, err := decodeEvent([]byte(`{"type":"send","msg":` + value + `}`))
			if err != nil {
				return err
			}
			waiting[e.Msg.Result] = true
		case strings.HasSuffix(key, ".decider") && value == "":
			open = append(open, strings.TrimSuffix(key, ".decider"))
		}
	}
	for _, kpid := range open {
		if !waiting[kpid] {
			return fmt.Errorf("nobody can resolve %s", kpid)
		}
	}
	return err
}

func (r *rig) checkAll(t *rapid.T) {
	kv, err := r.k.db.BeginCrank()
	if err != nil {
		t.Fatal(err)
	}
	defer kv.Abort()
	if err := checkTables(tables{kv: kv}); err != nil {
		t.Fatal(err)
	}
	if err := r.authority(r.disk.committed.Items); err != nil {
		t.Fatalf("%v\n%s", err, r.out.String())
	}
}

// TestChaos lets three vats do random things, ends and restarts them, and
// checks after every block that the tables agree and no promise is orphaned.
func TestChaos(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := newRig(t)
		defer func() { _ = r.k.Close() }()
		c := &chaos{r: r, exports: 100}
		ctx := context.Background()
		r.wild = c.perform
		if _, err := r.k.Initialize(ctx, testConfig("", "a\nb pipelining\nc terminate", never())); err != nil {
			rt.Fatal(err)
		}
		for range rapid.IntRange(1, 8).Draw(rt, "steps") {
			c.entropy = rapid.SliceOfN(rapid.Byte(), 0, 120).Draw(rt, "entropy")
			vat := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "vat")
			if err := c.step(ctx, rapid.IntRange(0, 9).Draw(rt, "step"), vat); err != nil {
				rt.Fatalf("%v\n%s", err, r.out.String())
			}
			if _, err := r.k.Run(ctx, Budget{BlockCranks: 7, Cranks: 200}); err != nil {
				rt.Fatalf("%v\n%s", err, r.out.String())
			}
			if err := r.k.Commit(ctx); err != nil {
				rt.Fatal(err)
			}
			r.checkAll(rt)
		}
	})
}

// step acts on a vat from outside; what its state refuses is fine.
func (c *chaos) step(ctx context.Context, step int, vat string) (err error) {
	k := c.r.k
	switch step {
	case 0:
		_, err = k.Terminate(ctx, vat, "chaos")
	case 1:
		_, err = k.Upgrade(ctx, vat, "good", nil, "chaos")
	case 2:
		_, err = k.Suspend(ctx, vat, "chaos")
	case 3:
		_, err = k.Unsuspend(ctx, vat, "chaos")
	case 4:
		_, err = k.Pause(ctx, vat, "chaos")
	case 5:
		_, err = k.Resume(ctx, vat, "chaos")
	default:
		_, err = k.QueueToVat(ctx, vat, "m", capdata.CapData{Body: "#[]", Slots: c.someKrefs()})
	}
	var refused *pipeproto.Error
	if errors.As(err, &refused) && refused.Code == pipeproto.CodeRefused {
		return nil
	}
	return err
}

// someKrefs gives the roots of the vats that have one, to make them meet.
func (c *chaos) someKrefs() []string {
	krefs := []string{}
	for _, vatID := range []string{"v1", "v2", "v3"} {
		if kref, ok, _ := c.r.k.db.Get(clistKey(vatID, rootVref)); ok {
			krefs = append(krefs, kref)
		}
	}
	return krefs
}
