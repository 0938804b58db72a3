package kernelhost

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"vatworkerd/kernelhost/capdata"
	"vatworkerd/kernelhost/config"
	"vatworkerd/pipeproto"
)

// chaos makes vats do random legal things with what they know.
type chaos struct {
	r       *rig
	dice    *rand.Rand
	entropy int // throws left
	exports int // next export number of any vat
	results []string
}

// next throws dice: a number below n, 0 once the entropy of a step is used up,
// so that vats come to rest.
func (c *chaos) next(n int) int {
	if c.entropy == 0 || n == 0 {
		return 0
	}
	c.entropy--
	return c.dice.IntN(n)
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
	if c.entropy == 0 || deliveryName(delivery) == "startVat" {
		return out
	}
	used, retired := map[string]bool{}, retiredBy(delivery)
	for range c.next(4) {
		usable := func(e clistEntry, _ string) bool {
			return (e.reachable || e.exported()) && !used[e.vref] && !slices.Contains(retired, e.vref)
		}
		call := ""
		if n := c.next(8); n < 4 {
			call = c.syscall(v.ID, usable, used)
		} else {
			call = c.gcSyscall(v.ID, n, delivery, used)
		}
		if call != "" {
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

// gcSyscall lets go of something that neither the delivery nor an earlier
// syscall speaks of.
func (c *chaos) gcSyscall(vatID string, which int, delivery string, used map[string]bool) string {
	free := func(e clistEntry, kref string, exported bool) bool {
		return isObject(kref) && e.exported() == exported && !used[e.vref] && !strings.Contains(delivery, `"`+e.vref+`"`)
	}
	format := map[int]string{4: `["dropImports",[%q]]`, 5: `["retireImports",[%q]]`, 6: `["retireExports",[%q]]`, 7: `["abandonExports",[%q]]`}[which]
	vref, ok := c.pick(vatID, func(e clistEntry, kref string) bool {
		switch which {
		case 4:
			return free(e, kref, false)
		case 5:
			return free(e, kref, false) && !e.reachable
		case 6:
			return free(e, kref, true) && !e.reachable
		}
		return free(e, kref, true)
	})
	if !ok {
		return ""
	}
	used[vref] = true
	return fmt.Sprintf(format, vref)
}

func (c *chaos) syscall(vatID string, usable func(clistEntry, string) bool, used map[string]bool) string {
	mention := func(slots string) string {
		for _, vref := range c.known(vatID, func(e clistEntry, _ string) bool { return strings.Contains(slots, `"`+e.vref+`"`) }) {
			used[vref] = used[vref] || !strings.HasPrefix(vref, "p")
		}
		return slots
	}
	switch c.next(4) {
	case 0, 1:
		target, ok := c.pick(vatID, usable)
		if !ok {
			return ""
		}
		mention(`"` + target + `"`)
		c.exports++
		result := c.exports
		return fmt.Sprintf(`["send",%q,{"methargs":%s,"result":"p+%d"}]`, target, mention(c.data(vatID, usable)), result)
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
	used[vpid] = true
	c.exports++
	data := fmt.Sprintf(`{"body":"#\"$0.Alleged: x\"","slots":["o+%d"]}`, c.exports)
	return fmt.Sprintf(`["resolve",[[%q,%v,%s]]]`, vpid, c.next(3) == 0, data)
}

func (r *rig) checkAll(t *rapid.T) {
	kv, err := r.tables()
	if err == nil {
		err = auditTables(kv, r.disk.committed.Items)
	}
	if err != nil {
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
		cfg := testConfig("", "a reap=3\nb pipelining\nc terminate", never())
		cfg.DefaultReapGCKrefs = config.ReapGCKrefs{Krefs: 2}
		if _, err := r.k.Initialize(ctx, cfg); err != nil {
			rt.Fatal(err)
		}
		c.dice = rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))
		for range rapid.IntRange(3, 8).Draw(rt, "steps") {
			c.entropy = 20 + c.dice.IntN(100)
			vat := []string{"a", "b", "c"}[c.next(3)]
			if err := c.step(ctx, c.next(40), vat); err != nil {
				rt.Fatalf("%v\n%s", err, r.out.String())
			}
			budget := Budget{BlockCranks: 7, Cranks: 200, Cleanups: int64(c.next(7) - 1)}
			if _, err := r.k.Run(ctx, budget); err != nil {
				rt.Fatalf("%v\n%s", err, r.out.String())
			}
			if err := r.k.Commit(ctx); err != nil {
				rt.Fatal(err)
			}
			r.checkAll(rt)
		}
		c.endAll(ctx, rt)
		if t.Failed() {
			rt.Fatalf("%s", r.out.String())
		}
	})
}

// endAll ends all vats and lets go of all results: nothing may be left then.
func (c *chaos) endAll(ctx context.Context, t *rapid.T) {
	c.entropy = 0
	for _, vat := range []string{"a", "b", "c"} {
		if err := c.step(ctx, terminateStep, vat); err != nil {
			t.Fatal(err)
		}
	}
	for _, promise := range c.results {
		if err := c.r.k.Unpin(ctx, promise); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.r.k.Run(ctx, Budget{Cleanups: pipeproto.UnlimitedCleanup}); err != nil {
		t.Fatal(err)
	}
	kv, err := c.r.tables()
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range kv {
		if !strings.HasSuffix(key, ".nextID") && strings.ContainsAny(key[:1], "kvgdp") && !strings.HasPrefix(key, "kernel.") && !strings.HasPrefix(key, "vat.name.") && key != "version" {
			t.Errorf("left over: %s = %s\n%s", key, value, c.r.out.String())
		}
	}
}

// terminateStep ends a vat.
const terminateStep = 39

// step acts on a vat from outside; what its state refuses is fine.
func (c *chaos) step(ctx context.Context, step int, vat string) (err error) {
	k := c.r.k
	switch step {
	case terminateStep:
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
		var result string
		if result, err = k.QueueToVat(ctx, vat, "m", capdata.CapData{Body: "#[]", Slots: c.someKrefs()}); err == nil {
			c.results = append(c.results, result)
		}
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
