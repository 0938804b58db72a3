package dbdir

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vatworkerd/kernelhost"
	"vatworkerd/store"
	"vatworkerd/supervisor"
)

func diffOf(t testing.TB, a, b string, vats ...string) Comparison {
	t.Helper()
	c, err := Diff(context.Background(), a, b, vats, nil)
	must(t, err)
	return c
}

// What differs is found: vats, their transcripts, keys; beside an open kernel too.
func TestDiff(t *testing.T) {
	a, b := written(t), copied(t)
	if c := diffOf(t, a, b); !c.Same || len(c.Vats) != 5 || len(c.Keys) != 0 || c.A.ActivityHash != c.B.ActivityHash {
		t.Errorf("copies differ: %+v", c)
	}
	k := openKernel(t, b)
	work(t, k, 1, "a")
	ahead := diffOf(t, a, b)
	must(t, k.Close())
	var differ []string
	for _, v := range ahead.Vats {
		if !v.Same {
			differ = append(differ, fmt.Sprintf("%s %s: %s", v.VatID, v.Name, v.Parting.What))
		}
	}
	if ahead.Same || len(differ) != 1 || !strings.HasPrefix(differ[0], "v1 a: the same up to position ") || ahead.Vats[0].Parting.SameSpans == 0 {
		t.Errorf("after work for a: %v, %+v", differ, ahead.Vats[0])
	}
	places := map[string]int{}
	for _, key := range ahead.Keys {
		file, _, _ := strings.Cut(key.Place, " ")
		places[file]++
		if key.A != nil && key.B != nil && *key.A == *key.B {
			t.Errorf("%s is the same", key.Place)
		}
	}
	if places[supervisor.DatabaseFile] == 0 || places[supervisor.DatabaseFile] > keysShown || places[kernelhost.DatabaseFile] == 0 {
		t.Errorf("keys of %v", places)
	}
	if c := diffOf(t, a, b, "v2", "v3"); !c.Same || len(c.Vats) != 2 || len(c.Keys) != 0 {
		t.Errorf("the others differ: %+v", c)
	}
}

// A vat that only one side has differs, and so does one in another state.
func TestDiffOfVats(t *testing.T) {
	a, b := copied(t), copied(t)
	alter(t, b, supervisor.DatabaseFile, `DELETE FROM kv WHERE key = 'vat.002.v2'`,
		`UPDATE kv SET value = replace(value, '"incarnation":0', '"incarnation":7') WHERE key = 'vat.002.v3'`)
	got := map[string]bool{}
	for _, v := range diffOf(t, a, b).Vats {
		got[v.VatID] = v.Same
		if v.VatID == "v2" && (v.A == nil || v.B != nil) || v.VatID == "v3" && (v.A.Incarnation == v.B.Incarnation || !v.Parting.Same()) {
			t.Errorf("%+v", v)
		}
	}
	if want := map[string]bool{"v1": true, "v2": false, "v3": false, "v4": true, "v5": true}; !maps.Equal(got, want) {
		t.Errorf("same are %v, want %v", got, want)
	}
}

// Keys are compared in their order, those that one side lacks too.
func TestDiffOfKeys(t *testing.T) {
	a, b := copied(t), copied(t)
	alter(t, a, supervisor.DatabaseFile, `INSERT INTO kv (key, value) VALUES ('+', 'of A'), ('~', 'last')`)
	alter(t, b, supervisor.DatabaseFile, `INSERT INTO kv (key, value) VALUES ('-', 'of B'), ('~', 'other')`)
	d := &differ{ctx: context.Background()}
	var err error
	d.a, err = Open(a)
	must(t, err)
	defer d.a.Close()
	d.b, err = Open(b)
	must(t, err)
	defer d.b.Close()
	must(t, d.keys("file", d.a.vats, d.b.vats))
	var got []string
	for _, k := range d.Keys {
		got = append(got, fmt.Sprintf("%s %s %s", k.Place, orNone(k.A), orNone(k.B)))
	}
	if want := []string{"file kv.+ of A -", "file kv.- - of B", "file kv.~ last other"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func orNone(value *string) string {
	if value == nil {
		return "-"
	}
	return *value
}

func TestDiffRefuses(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Diff(ctx, written(t), written(t), nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	var none *NoDatabaseError
	if _, err := Diff(context.Background(), written(t), t.TempDir(), nil, nil); !errors.As(err, &none) {
		t.Errorf("no database: %v", err)
	}
	// Sides that do not belong together are no state that could be compared.
	broken := copied(t)
	old, err := os.ReadFile(filepath.Join(written(t), kernelhost.DatabaseFile))
	must(t, err)
	k := openKernel(t, broken)
	work(t, k, 2, "a")
	must(t, k.Close())
	must(t, os.WriteFile(filepath.Join(broken, kernelhost.DatabaseFile), old, 0o600))
	var height *store.HeightError
	if _, err := Diff(context.Background(), written(t), broken, nil, nil); !errors.As(err, &height) {
		t.Errorf("two heights: %v", err)
	}
}
