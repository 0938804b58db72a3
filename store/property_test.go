package store

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// model is what the store should hold.
type model struct {
	path             string
	d                *DB
	c                *Crank
	committed, block map[string]string // as of the last commit, of the last crank
	crank            map[string]string
	local            map[string]string
	height           int64
	prepared         bool
	oldHash, hash    string // activity hash as of the last commit, of the last crank
	inBlock          bool
}

func TestStoreIsLikeAMap(t *testing.T) {
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		m := &model{path: filepath.Join(dir, fmt.Sprint(n)), committed: map[string]string{}, block: map[string]string{}, local: map[string]string{}}
		m.open(rt)
		defer func() {
			if err := m.d.Close(); err != nil {
				rt.Fatal(err)
			}
			for _, suffix := range []string{"", ".lock", "-wal", "-shm"} {
				_ = os.Remove(m.path + suffix)
			}
		}()
		rt.Repeat(m.actions())
	})
}

func (m *model) open(t *rapid.T) {
	var err error
	if m.d, err = Open(m.path, Options{Undo: true, CheckpointBytes: 64 << 10}); err != nil {
		t.Fatal(err)
	}
}

func (m *model) check(t *rapid.T, err error) {
	if err != nil {
		t.Fatal(err)
	}
}

// begin opens a crank where there is none, or skips the action.
func (m *model) begin(t *rapid.T) {
	if m.prepared {
		t.Skip("a block is prepared")
	}
	if m.c != nil {
		return
	}
	var err error
	m.c, err = m.d.BeginCrank()
	m.check(t, err)
	m.inBlock = true
	m.crank = maps.Clone(m.block)
}

func (m *model) actions() map[string]func(*rapid.T) {
	key := rapid.StringMatching(`[ab]{0,3}(\.[0-3])?|\x00|é`)
	value := rapid.SampledFrom([]string{"", "1", "2", "three", "nul\x00", "line\nline"})
	return map[string]func(*rapid.T){
		"set": func(t *rapid.T) {
			m.begin(t)
			k, v := key.Draw(t, "key"), value.Draw(t, "value")
			m.c.Set(k, v)
			m.crank[k] = v
		},
		"delete": func(t *rapid.T) {
			m.begin(t)
			k := key.Draw(t, "key")
			m.c.Delete(k)
			delete(m.crank, k)
		},
		"get": func(t *rapid.T) {
			m.begin(t)
			k := key.Draw(t, "key")
			got, ok := m.c.Get(k)
			if want, exists := m.crank[k]; got != want || ok != exists {
				t.Fatalf("%q is %q, %t; want %q, %t", k, got, ok, want, exists)
			}
		},
		"nextKey": func(t *rapid.T) {
			m.begin(t)
			prior, prefix := key.Draw(t, "prior"), key.Draw(t, "prefix")
			got, ok := m.c.NextKey(prior, prefix)
			if want, exists := nextIn(m.crank, prior, prefix); got != want || ok != exists {
				t.Fatalf("after %q with %q: %q, %t; want %q, %t", prior, prefix, got, ok, want, exists)
			}
		},
		"draft": func(t *rapid.T) {
			d := m.d.Draft()
			own := maps.Clone(m.block)
			k, v := key.Draw(t, "key"), value.Draw(t, "value")
			d.Set(k, v)
			own[k] = v
			prior, prefix := key.Draw(t, "prior"), key.Draw(t, "prefix")
			got, ok := d.NextKey(prior, prefix)
			if want, exists := nextIn(own, prior, prefix); got != want || ok != exists {
				t.Fatalf("after %q with %q: %q, %t; want %q, %t", prior, prefix, got, ok, want, exists)
			}
			if got, ok := d.Get(prior); got != own[prior] || ok != has(own, prior) {
				t.Fatalf("%q is %q, %t; want %q", prior, got, ok, own[prior])
			}
			m.check(t, d.Err())
		},
		"first": func(t *rapid.T) {
			prefix, most := key.Draw(t, "prefix"), rapid.IntRange(1, 5).Draw(t, "most")
			rows, err := FirstKeys(m.d, prefix, most)
			m.check(t, err)
			prior := ""
			for i := range most {
				want, exists := nextIn(m.block, prior, prefix)
				if i == 0 && has(m.block, "") && prefix == "" {
					want, exists = "", true // the least of all
				}
				if !exists {
					if len(rows) > i {
						t.Fatalf("%d pairs, want %d", len(rows), i)
					}
					break
				}
				if len(rows) <= i || rows[i].Text(0) != want || rows[i].Text(1) != m.block[want] {
					t.Fatalf("pair %d of %v is not %q", i, rows, want)
				}
				prior = want
			}
		},
		"flush before the next crank": func(*rapid.T) { m.d.pending.due = m.inBlock },
		"commitCrank": func(t *rapid.T) {
			m.begin(t)
			hash, err := m.c.Commit(nil)
			m.check(t, err)
			m.c, m.block, m.hash = nil, m.crank, hash
		},
		"abortCrank": func(t *rapid.T) {
			m.begin(t)
			m.c.Abort()
			m.c = nil
		},
		"prepare": func(t *rapid.T) {
			if m.prepared || m.c != nil {
				t.Skip("not now")
			}
			m.check(t, m.d.Prepare(m.height+1))
			m.prepared, m.inBlock = true, false
		},
		"commit": func(t *rapid.T) {
			if !m.prepared {
				t.Skip("nothing is prepared")
			}
			m.height++
			m.check(t, m.d.Commit(m.height))
			m.committed, m.oldHash, m.prepared = m.block, m.hash, false
		},
		"rollback": func(t *rapid.T) {
			m.check(t, m.d.Rollback())
			m.c, m.prepared, m.inBlock = nil, false, false
			m.block, m.hash = m.committed, m.oldHash
		},
		"local": func(t *rapid.T) {
			k, v := key.Draw(t, "key"), value.Draw(t, "value")
			m.check(t, m.d.LocalSet(k, v))
			m.local[k] = v
		},
		"reopen": func(t *rapid.T) {
			m.check(t, m.d.Close())
			m.open(t)
			m.c, m.inBlock = nil, false
			if !m.prepared {
				m.block, m.hash = m.committed, m.oldHash
			}
		},
		"": m.invariants,
	}
}

func (m *model) invariants(t *rapid.T) {
	got := map[string]string{}
	m.check(t, EachKey(m.d, "", func(key, value string) error {
		got[key] = value
		return nil
	}))
	if !maps.Equal(got, m.block) {
		t.Fatalf("kv is %q, want %q", got, m.block)
	}
	if h, p := m.d.Prepared(); m.d.Height() != m.height || p != m.prepared || p && h != m.height+1 {
		t.Fatalf("height %d, prepared %d; want %d, %t", m.d.Height(), h, m.height, m.prepared)
	}
	if m.d.ActivityHash() != m.hash {
		t.Fatalf("activity hash %s, want %s", m.d.ActivityHash(), m.hash)
	}
	for k, want := range m.local {
		if v, ok, err := m.d.LocalGet(k); v != want || !ok || err != nil {
			t.Fatalf("local %q is %q, %t, %v", k, v, ok, err)
		}
	}
	m.check(t, m.d.Check())
}

func nextIn(kv map[string]string, prior, prefix string) (string, bool) {
	for _, k := range slices.Sorted(maps.Keys(kv)) {
		if k > prior && len(k) >= len(prefix) && k[:len(prefix)] == prefix {
			return k, true
		}
	}
	return "", false
}

func has(pairs map[string]string, key string) bool {
	_, ok := pairs[key]
	return ok
}
