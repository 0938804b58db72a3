package store

import (
	"crypto/sha256"
	"crypto/sha3"
	"encoding/hex"
	"fmt"
	"math/big"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// documentedSum computes the hash of a set as docs/store.md describes it.
func documentedSum(kv map[string]string) string {
	sum := new(big.Int)
	for key, value := range kv {
		record := fmt.Sprintf("add\n%d:%s,%d:%s,\n", len(key), key, len(value), value)
		digest := sha256.Sum256([]byte(record))
		number := sha3.SumSHAKE128(digest[:], 168)
		slices.Reverse(number) // little-endian
		sum.Add(sum, new(big.Int).SetBytes(number))
	}
	sum.Mod(sum, new(big.Int).Lsh(big.NewInt(1), 1344))
	text := sum.FillBytes(make([]byte, 168))
	slices.Reverse(text)
	hash := sha256.Sum256(text)
	return hex.EncodeToString(hash[:])
}

func TestStateHashIsTheDocumentedOne(t *testing.T) {
	d := openTest(t, testPath(t), true)
	want := map[string]string{}
	compare := func(when string) {
		t.Helper()
		if got := d.StateHash(); got != documentedSum(want) {
			t.Errorf("%s: the state hash is %s, want %s", when, got, documentedSum(want))
		}
	}
	compare("empty")
	inCrank(t, d, func(c *Crank) {
		for n := range 300 {
			want[fmt.Sprint("key", n)] = strings.Repeat("v", n)
			c.Set(fmt.Sprint("key", n), strings.Repeat("v", n))
		}
	})
	compare("filled")
	inCrank(t, d, func(c *Crank) {
		c.Delete("key5")
		c.Set("key6", "other")
		c.Set("key7", "other")
		c.Set("key7", strings.Repeat("v", 7)) // no change
		c.Delete("none")
	})
	delete(want, "key5")
	want["key6"] = "other"
	compare("changed")
}

// The sum depends on the set alone, not on the way to it.
func TestStateHashForgetsTheWay(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var sum stateSum
		numbers := newPairNumbers()
		kv := map[string]string{}
		keys := rapid.SampledFrom([]string{"", "a", "b", "a.b", "k1"})
		values := rapid.SampledFrom([]string{"", "1", "a", "1:"})
		for range rapid.IntRange(0, 30).Draw(rt, "changes") {
			key := keys.Draw(rt, "key")
			value, has := kv[key]
			was, now := entry{value, has}, entry{values.Draw(rt, "value"), true}
			if rapid.Bool().Draw(rt, "delete") {
				now = entry{}
				delete(kv, key)
			} else {
				kv[key] = now.value
			}
			sum.replace(numbers, key, was, now)
		}
		if got, want := sum.hash(), documentedSum(kv); got != want {
			rt.Fatalf("%s, want %s for %q", got, want, kv)
		}
		if back, err := decodeStateSum(sum.encode()); err != nil || back != sum {
			rt.Fatalf("decoded %v, %v", back, err)
		}
	})
	if _, err := decodeStateSum("00"); err == nil {
		t.Error("a short sum is taken")
	}
}

// Blocks that are dropped, rolled back, prepared and reopened leave the sum of
// what is there; large ones are added up on the way.
func TestStateHashFollowsBlocks(t *testing.T) {
	path := testPath(t)
	d := openTest(t, path, true)
	commitBlock(t, d, 1)
	before := d.StateHash()
	isBefore := func(when string) {
		t.Helper()
		if d.StateHash() != before {
			t.Errorf("%s: the state hash differs", when)
		}
		must(t, d.Check())
	}
	big := func(c *Crank) {
		for n := range 5 {
			c.Set(fmt.Sprint("big", n), strings.Repeat("x", touchedBytes/4))
		}
	}
	inCrank(t, d, big)
	c, err := d.BeginCrank()
	must(t, err)
	c.Set("big0", "aborted")
	c.Abort()
	must(t, d.Check())
	must(t, d.Rollback())
	isBefore("a dropped block")

	inCrank(t, d, big)
	must(t, d.Prepare(2))
	after := d.StateHash()
	if after == before {
		t.Error("the block changes nothing")
	}
	must(t, d.Close())
	d = openTest(t, path, true)
	if d.StateHash() != after {
		t.Error("the state hash is another after reopening")
	}
	v := openView(t, path)
	if v.StateHash() != after {
		t.Error("a view has another state hash")
	}
	must(t, v.Rewind())
	if v.StateHash() != before {
		t.Error("a rewound view has another state hash")
	}
	must(t, d.Rollback())
	isBefore("a prepared block that was undone")
	inCrank(t, d, big)
	must(t, d.Prepare(2))
	must(t, d.Commit(2))
	if d.StateHash() != after {
		t.Error("the same block has another state hash")
	}
}

// A file from before there were sums gets one, and if its last block is prepared,
// that block can be undone or finished as before.
func TestOldFilesGetASum(t *testing.T) {
	for _, c := range []struct {
		name           string
		undo, prepared bool
	}{{"plain", false, false}, {"undo", true, false}, {"prepared", true, true}} {
		t.Run(c.name, func(t *testing.T) {
			path := testPath(t)
			d := openTest(t, path, c.undo)
			commitBlock(t, d, 1)
			before := d.StateHash()
			if c.prepared {
				work(t, d, 2)
				must(t, d.Prepare(2))
			}
			after := d.StateHash()
			// As version 3 would have written it.
			must(t, d.conn.script("DELETE FROM undo WHERE tbl = 'meta' AND k0 = 'stateSum'"))
			must(t, d.conn.script("DELETE FROM meta WHERE key = 'stateSum'"))
			must(t, d.conn.script("DELETE FROM undo WHERE tbl = 'meta' AND k0 = 'stateSum'; PRAGMA user_version = 3"))
			must(t, d.closeAll())
			v, err := OpenView(path)
			must(t, err)
			if !v.Outdated() {
				t.Error("the file is not outdated")
			}
			must(t, v.Close())
			d = openTest(t, path, c.undo)
			if d.StateHash() != after {
				t.Error("the first sum is not the one it would have had")
			}
			must(t, d.Check())
			if c.prepared {
				must(t, d.Rollback())
			}
			if d.StateHash() != before {
				t.Error("the sum before the prepared block is lost")
			}
			must(t, d.Check())
			commitBlock(t, d, 2)
		})
	}
}

// Whatever happens to a row of kv on the disk, the sum tells.
func TestStateHashTellsWhatWasDone(t *testing.T) {
	path := testPath(t)
	for name, sql := range map[string]string{
		"an altered value": "UPDATE kv SET value = value || 'x' WHERE key = 'count'",
		"a lost row":       "DELETE FROM kv WHERE key = 'count'",
		"a row too many":   "INSERT INTO kv VALUES ('other', '')",
		"a moved row":      "UPDATE kv SET key = 'other' WHERE key = 'count'",
		"two that changed": "UPDATE kv SET value = CASE key WHEN 'count' THEN 'x' ELSE '1' END",
	} {
		t.Run(name, func(t *testing.T) {
			path := path + name
			d, err := Open(path, Options{})
			must(t, err)
			commitBlock(t, d, 1)
			must(t, d.Check())
			must(t, d.conn.script(sql))
			err = d.Check()
			if err == nil || !strings.Contains(err.Error(), "state ") || !strings.Contains(err.Error(), "the hash of all keys and values") {
				t.Errorf("the check says %v", err)
			}
			must(t, d.Close())
			must(t, os.Remove(path))
		})
	}
}

func BenchmarkStateSum(b *testing.B) {
	value := strings.Repeat("v", 150)
	var sum stateSum
	numbers := newPairNumbers()
	for b.Loop() {
		sum.replace(numbers, "v1.vs.some-key", entry{value, true}, entry{value[1:], true})
	}
}
