package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// TestChurn makes, uses and drops objects and promises, round after round: the
// kernel's tables and the vats' stores stay as they are after the first.
func TestChurn(t *testing.T) {
	const each = 6
	for _, kind := range []string{"ephemeral", "virtual", "durable"} {
		t.Run(kind, func(t *testing.T) {
			r := newRig(t)
			r.init("user reap=1\nmaker reap=1")
			maker := r.root("maker")
			round := func() (host, vats []string) {
				if got := r.call("user", "churn", fmt.Sprintf(`#["$0",%q,"+%d"]`, kind, each), maker); got != fmt.Sprintf(`fulfilled #"+%d"`, each) && got != fmt.Sprintf(`fulfilled #%d`, each) {
					t.Fatal(got)
				}
				return slices.Sorted(maps.Keys(r.tables())), r.vatstores()
			}
			round()
			host, vats := round()
			for n := range 3 {
				hostNow, vatsNow := round()
				if !slices.Equal(hostNow, host) {
					t.Fatalf("round %d: the kernel's tables went from\n%s\nto\n%s", n, strings.Join(host, "\n"), strings.Join(hostNow, "\n"))
				}
				if !slices.Equal(vatsNow, vats) {
					t.Fatalf("round %d: the vatstores went from\n%s\nto\n%s", n, strings.Join(vats, "\n"), strings.Join(vatsNow, "\n"))
				}
			}
		})
	}
}

// vatstores gives all keys of the vats' stores.
func (r *rig) vatstores() []string {
	r.t.Helper()
	var keys []string
	r.rows("vats.sqlite", `SELECT key FROM kv WHERE key LIKE '%.vs.%' OR key LIKE 'vs.%' ORDER BY key`, func(scan func(...any) error) error {
		var key string
		err := scan(&key)
		keys = append(keys, key)
		return err
	})
	if len(keys) == 0 {
		r.t.Fatal("no vatstore has a key")
	}
	return keys
}

// TestReapByKrefs: bringOutYourDead comes when enough krefs were in garbage
// collection deliveries, each counted when it is dropped and when it is retired.
func TestReapByKrefs(t *testing.T) {
	r := newRig(t)
	r.init("holder reap=1\nmaker gc=4")
	holder := r.root("holder")
	reaps := func() int {
		r.out.Reset()
		r.deliveries("v2")
		return strings.Count(r.out.String(), `["bringOutYourDead"]`)
	}
	reaps()
	for n, want := range []int{0, 1, 0, 1} {
		name := fmt.Sprintf("cup %d", n)
		r.call("maker", "give", fmt.Sprintf(`#["$0","ephemeral",%q]`, name), holder)
		r.call("holder", "drop", fmt.Sprintf(`#[%q]`, name))
		if got := reaps(); got != want {
			t.Errorf("after %d objects: %d reaps, want %d", n+1, got, want)
		}
	}
	for _, vat := range []string{"holder", "maker"} {
		if _, err := r.k.Terminate(context.Background(), vat, "the end"); err != nil {
			t.Fatal(err)
		}
	}
	r.run()
	for key := range r.tables() {
		if strings.HasPrefix(key, "v1.") || strings.HasPrefix(key, "v2.") || strings.HasSuffix(key, ".refCount") {
			t.Errorf("left over: %s", key)
		}
	}
}
