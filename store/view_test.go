package store

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func openView(t testing.TB, path string) *View {
	t.Helper()
	v, err := OpenView(path)
	must(t, err)
	t.Cleanup(func() { must(t, v.Close()) })
	return v
}

// standsAt is what two sources that show the same state have in common.
func standsAt(t testing.TB, s Source) string {
	t.Helper()
	height, prepared := s.Prepared()
	return fmt.Sprintf("height %d, prepared %d %t, hash %s\n%s", s.Height(), height, prepared, s.ActivityHash(), dump(t, s))
}

func TestAViewIsOfTheLastCommit(t *testing.T) {
	path := testPath(t)
	d := openTest(t, path, true)
	for n := 1; n <= 3; n++ {
		commitBlock(t, d, n)
	}
	want := standsAt(t, d)
	work(t, d, 4) // an open block
	v := openView(t, path)
	if got := standsAt(t, v); got != want {
		t.Errorf("beside an open block: %s\nwant %s", got, want)
	}
	must(t, d.Prepare(4))
	must(t, d.Commit(4))
	commitBlock(t, d, 5)
	if got := standsAt(t, v); got != want {
		t.Errorf("after later blocks: %s\nwant %s", got, want)
	}
	if got, want := standsAt(t, openView(t, path)), standsAt(t, d); got != want {
		t.Errorf("a new view: %s\nwant %s", got, want)
	}
	must(t, d.LocalSet("key", "value"))
	if value, ok, err := openView(t, path).LocalGet("key"); value != "value" || !ok || err != nil {
		t.Errorf("local: %q, %t, %v", value, ok, err)
	}
}

// What a rewound view shows is what a rollback makes of the file, in every table.
func TestRewindIsWhatRollbackMakes(t *testing.T) {
	path := testPath(t)
	d := openTest(t, path, true)
	for n := 1; n <= 4; n++ {
		before := standsAt(t, d)
		work(t, d, n)
		must(t, d.Prepare(int64(n)))
		v := openView(t, path)
		if got, want := standsAt(t, v), standsAt(t, d); got != want {
			t.Errorf("block %d prepared: %s\nwant %s", n, got, want)
		}
		must(t, v.Rewind())
		must(t, v.Rewind()) // again is harmless
		if got := standsAt(t, v); got != before {
			t.Errorf("block %d rewound: %s\nwant %s", n, got, before)
		}
		wantKey(t, d, "count", fmt.Sprint(n, " again"))
		if value, _, err := v.Get("count"); err != nil || n > 1 && value != fmt.Sprint(n-1, " again") {
			t.Errorf("block %d rewound: count is %q, %v", n, value, err)
		}
		if key, ok, err := v.NextKey("new", "new"); err != nil || ok != (n > 1) || ok && key != fmt.Sprint("new", n-1) {
			t.Errorf("block %d rewound: the next key is %q, %t, %v", n, key, ok, err)
		}
		must(t, d.Rollback())
		if got := standsAt(t, d); got != before {
			t.Errorf("block %d rolled back: %s\nwant %s", n, got, before)
		}
		commitBlock(t, d, n)
	}
}

func TestAViewLeavesNothingBehind(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(t *testing.T, path string)
	}{
		{"closed", func(t *testing.T, path string) {}},
		{"killed", func(t *testing.T, path string) { killedCopy(t, path) }},
		{"killed, index lost", func(t *testing.T, path string) {
			killedCopy(t, path)
			must(t, os.Remove(path+"-shm"))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := testPath(t)
			d := openTest(t, path, true)
			commitBlock(t, d, 1)
			must(t, d.Close())
			c.make(t, path)
			before := filesOf(t, path)
			v, err := OpenView(path)
			must(t, err)
			if v.Height() < 1 {
				t.Errorf("height %d", v.Height())
			}
			must(t, v.Close())
			must(t, v.Close()) // again is harmless
			if after := filesOf(t, path); !maps.Equal(before, after) {
				t.Errorf("files %v, before %v", slices.Sorted(maps.Keys(after)), slices.Sorted(maps.Keys(before)))
			}
		})
	}
}

// killedCopy replaces the database at path by what a killed process leaves of
// it after another block.
func killedCopy(t *testing.T, path string) {
	t.Helper()
	d := openTest(t, path, true)
	commitBlock(t, d, 2)
	saved := map[string][]byte{}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		data, err := os.ReadFile(path + suffix)
		must(t, err)
		saved[suffix] = data
	}
	must(t, d.Close())
	for suffix, data := range saved {
		must(t, os.WriteFile(path+suffix, data, 0o600))
	}
}

// filesOf gives the content of all files but the log's index, which is a cache.
func filesOf(t *testing.T, path string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	must(t, err)
	found := map[string]string{}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(filepath.Dir(path), e.Name()))
		must(t, err)
		if e.Name() == filepath.Base(path)+"-shm" {
			data = nil
		}
		found[e.Name()] = string(data)
	}
	return found
}

// Nobody had the file open when the view began, so SQLite takes no locks: the
// view must tell that somebody has written since.
func TestAViewTellsThatSomebodyBeganToWrite(t *testing.T) {
	path := testPath(t)
	d := openTest(t, path, true)
	commitBlock(t, d, 1)
	must(t, d.Close())
	v := openView(t, path)
	wantChanged := func(want bool) {
		t.Helper()
		if changed, err := v.Changed(); changed != want || err != nil {
			t.Errorf("changed %t, %v, want %t", changed, err, want)
		}
	}
	wantChanged(false)
	d = openTest(t, path, true)
	commitBlock(t, d, 2)
	wantChanged(true)
}

func TestViewsOfWhatIsNoDatabase(t *testing.T) {
	rewrite := func(sql string) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			d, err := Open(path, Options{})
			must(t, err)
			must(t, d.conn.script(sql))
			must(t, d.Close())
		}
	}
	text := []byte("this is no database, whatever its name says, and it is long enough to be one of them\n")
	for name, c := range map[string]struct {
		make func(t *testing.T, path string)
		want any
	}{
		"newer schema":    {rewrite("PRAGMA user_version = 99"), new(*NewerSchemaError)},
		"another program": {rewrite("PRAGMA application_id = 5"), new(*ForeignFileError)},
		"empty":           {func(t *testing.T, path string) { must(t, os.WriteFile(path, nil, 0o600)) }, new(*EmptyError)},
		"no database": {func(t *testing.T, path string) {
			must(t, os.WriteFile(path, slices.Repeat(text, 50), 0o600))
		}, new(*CorruptError)},
		"no file": {func(t *testing.T, path string) {}, new(*IOError)},
	} {
		t.Run(name, func(t *testing.T) {
			path := testPath(t)
			c.make(t, path)
			if _, err := OpenView(path); err == nil || !errors.As(err, c.want) {
				t.Errorf("got %T: %v", err, err)
			}
		})
	}
}

func TestEachKey(t *testing.T) {
	d := openTest(t, testPath(t), true)
	want := map[string]string{}
	inCrank(t, d, func(c *Crank) {
		for n := range 3 * keysAtOnce {
			for _, prefix := range []string{"a", "b", "b\xff"} {
				key := fmt.Sprint(prefix, n)
				c.Set(key, fmt.Sprint(n))
				if prefix != "a" {
					want[key] = fmt.Sprint(n)
				}
			}
		}
		c.Set("b", "itself")
		want["b"] = "itself"
	})
	walk := func(prefix string) (keys []string) {
		must(t, EachKey(d, prefix, func(key, value string) error {
			if want[key] != value && prefix != "" {
				t.Errorf("%q is %q", key, value)
			}
			keys = append(keys, key)
			return nil
		}))
		return keys
	}
	if keys := walk("b"); !slices.Equal(keys, slices.Sorted(maps.Keys(want))) {
		t.Errorf("%d keys, want %d in order", len(keys), len(want))
	}
	if n := len(walk("")); n != len(want)+3*keysAtOnce {
		t.Errorf("%d keys in all", n)
	}
	if n := len(walk("c")); n != 0 {
		t.Errorf("%d keys under c", n)
	}
	stop := errors.New("stop")
	if err := EachKey(d, "b", func(string, string) error { return stop }); err != stop {
		t.Errorf("got %v", err)
	}
}
