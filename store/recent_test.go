package store

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

func TestRecentIsBounded(t *testing.T) {
	var r recent
	big := strings.Repeat("x", recentBytes/4)
	for i := range 20 {
		r.put(fmt.Sprint("k", i), entry{big, true})
		if r.bytes > recentBytes {
			t.Fatalf("%d bytes after %d entries", r.bytes, i+1)
		}
	}
	r.forget()
	r.put("k", entry{big, true})
	r.put("k", entry{"", false})
	if r.bytes != 1 || len(r.entries) != 1 {
		t.Errorf("%d bytes in %d entries", r.bytes, len(r.entries))
	}
}

// TestRecentFollowsRollbacks: what was read in a block that is dropped, or undone
// after it was prepared, is not remembered.
func TestRecentFollowsRollbacks(t *testing.T) {
	db, err := Open(filepath.Join(t.TempDir(), "db"), Options{Undo: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	set := func(value string) {
		t.Helper()
		c, err := db.BeginCrank()
		if err != nil {
			t.Fatal(err)
		}
		c.Set("key", value)
		if _, err := c.Commit(nil); err != nil {
			t.Fatal(err)
		}
	}
	holds := func(want string) {
		t.Helper()
		if value, ok, err := db.Get("key"); err != nil || value != want || ok != (want != "") {
			t.Errorf("key holds %q, %v, %v; want %q", value, ok, err, want)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	holds("")
	set("dropped")
	holds("dropped")
	must(db.Rollback())
	holds("")
	set("first")
	must(db.Prepare(1))
	must(db.Commit(1))
	set("undone")
	must(db.Prepare(2))
	holds("undone")
	must(db.Rollback())
	holds("first")

	c, err := db.BeginCrank()
	must(err)
	c.Set("key", "aborted")
	c.Abort()
	holds("first")
}
