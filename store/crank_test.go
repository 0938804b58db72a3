package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

func TestCrankSeesItsOwnChanges(t *testing.T) {
	d := openTest(t, testPath(t), true)
	inCrank(t, d, func(c *Crank) {
		c.Set("a", "1")
		c.Set("nul\x00key", "nul\x00value")
		c.Set("", "empty key")
		c.Set("e", "")
	})
	c, err := d.BeginCrank()
	must(t, err)
	c.Set("b", "2")
	c.Delete("a")
	c.Delete("never was")
	for key, want := range map[string]string{"a": "", "b": "2", "nul\x00key": "nul\x00value", "": "empty key"} {
		if got, ok := c.Get(key); got != want || ok != (want != "") {
			t.Errorf("%q is %q, %t", key, got, ok)
		}
	}
	if got, ok := c.Get("e"); got != "" || !ok {
		t.Errorf("the empty value reads as %q, %t", got, ok)
	}
	wantKey(t, d, "a", "1") // outside of the crank
	c.Abort()
	c.Abort() // harmless
	wantKey(t, d, "a", "1")
	wantKey(t, d, "b", "")
}

func TestNextKeyMergesOverlayAndTable(t *testing.T) {
	d := openTest(t, testPath(t), false)
	inCrank(t, d, func(c *Crank) {
		for _, k := range []string{"a.1", "a.3", "a.5", "a.7", "b", "\xff", "\xff\xff", "a."} {
			c.Set(k, "x")
		}
	})
	c, err := d.BeginCrank()
	must(t, err)
	c.Set("a.2", "y")
	c.Delete("a.3")
	c.Delete("a.5")
	c.Set("a.6", "y")
	c.Delete("a.6")
	c.Set("a.9", "y")
	c.Set("\xff\xffz", "y")
	for _, q := range []struct{ prior, prefix, want string }{
		{"", "a.", "a."}, {"a.", "a.", "a.1"}, {"a.1", "a.", "a.2"}, {"a.2", "a.", "a.7"}, {"a.7", "a.", "a.9"},
		{"a.9", "a.", ""}, {"", "", "a."}, {"zz", "a.", ""}, {"b", "", "\xff"}, {"\xff", "\xff", "\xff\xff"},
		{"\xff\xff", "\xff\xff", "\xff\xffz"}, {"", "nothing", ""}, {"a.25", "a.", "a.7"},
	} {
		got, ok := c.NextKey(q.prior, q.prefix)
		if got != q.want || ok != (q.want != "") {
			t.Errorf("after %q with %q: %q, %t, want %q", q.prior, q.prefix, got, ok, q.want)
		}
	}
	if got, ok, err := d.NextKey("a.1", "a."); got != "a.3" || !ok || err != nil {
		t.Errorf("outside of the crank: %q, %t, %v", got, ok, err)
	}
	c.Abort()
}

// The worked example of docs/store.md: change both or neither.
func TestActivityHashIsTheDocumentedOne(t *testing.T) {
	d := openTest(t, testPath(t), true)
	if d.ActivityHash() != "" {
		t.Errorf("a new database has activity hash %q", d.ActivityHash())
	}
	c, err := d.BeginCrank()
	must(t, err)
	c.Set("v1.vs.b", "2\n")
	c.Note("transcript", "v1", "0")
	c.Set("v1.vs.a", "1")
	c.Delete("none")
	got, err := c.Commit([]byte("host"))
	must(t, err)

	text := "note\n10:transcript,2:v1,1:0,\n" + "add\n7:v1.vs.a,1:1,\n" + "add\n7:v1.vs.b,2:2\n,\n" + "host\n4:host,\n"
	crank := sha256.Sum256([]byte(text))
	const wantCrank = "54913cab7b189a484dd30f5a461e3c753306b2246aae16abf37c5ff8dc94e4b1"
	if hex.EncodeToString(crank[:]) != wantCrank {
		t.Errorf("crank hash %x, documented is %s", crank, wantCrank)
	}
	const want = "f02fa006295b275d0925348b6df86c7546fdab5cfb18b470a48ef982e7b901a9"
	if got != want || d.ActivityHash() != want {
		t.Errorf("activity hash %s, documented is %s", got, want)
	}
}

func TestWhatIsNoChangeEntersNoHash(t *testing.T) {
	plain, busy := openTest(t, testPath(t), true), openTest(t, testPath(t), true)
	for _, d := range []*DB{plain, busy} {
		inCrank(t, d, func(c *Crank) { c.Set("a", "1") })
	}
	a := inCrank(t, plain, func(c *Crank) { c.Set("b", "2") })
	b := inCrank(t, busy, func(c *Crank) {
		c.Set("a", "1")
		c.Set("b", "x")
		c.Set("b", "2")
		c.Set("t", "x")
		c.Delete("t")
		c.Delete("none")
	})
	if a != b {
		t.Error("writes that change nothing changed the hash")
	}
	c, err := busy.BeginCrank()
	must(t, err)
	c.Set("a", "aborted")
	c.Note("aborted")
	c.Abort()
	if busy.ActivityHash() != b {
		t.Error("an aborted crank changed the hash")
	}
}

// Sequences that a framing by newlines alone would confuse.
func TestHashFramingIsUnambiguous(t *testing.T) {
	seen := map[string]string{}
	for name, f := range map[string]func(c *Crank){
		"one value":   func(c *Crank) { c.Set("a", "1\nadd\nb\n2") },
		"two values":  func(c *Crank) { c.Set("a", "1"); c.Set("b", "2") },
		"note":        func(c *Crank) { c.Note("a", "b") },
		"note 1":      func(c *Crank) { c.Note("ab") },
		"note 2":      func(c *Crank) { c.Note("a"); c.Note("b") },
		"note order":  func(c *Crank) { c.Note("b"); c.Note("a") },
		"empty note":  func(c *Crank) { c.Note() },
		"empty part":  func(c *Crank) { c.Note("") },
		"nothing":     func(*Crank) {},
		"looks alike": func(c *Crank) { c.Note("a,1:b") },
	} {
		d := openTest(t, testPath(t), false)
		hash := inCrank(t, d, f)
		if other, ok := seen[hash]; ok {
			t.Errorf("%s hashes as %s", name, other)
		}
		seen[hash] = name
	}
}

func TestErrorSticksToTheCrankOnly(t *testing.T) {
	d := openTest(t, testPath(t), true)
	inCrank(t, d, func(c *Crank) { c.Set("a", "1") })
	c, err := d.BeginCrank()
	must(t, err)
	c.Set("a", "2")
	must(t, c.Exec("INSERT INTO transcriptItems VALUES ('v1', 0, 'x', 0)"))
	if err := c.Exec("INSERT INTO transcriptItems VALUES ('v1', 0, 'y', 0)"); err == nil {
		t.Fatal("a duplicate was taken")
	}
	c.Set("b", "2")
	c.Note("x")
	if _, ok := c.Get("a"); ok || c.Err() == nil {
		t.Error("the crank goes on after an error")
	}
	if _, ok := c.NextKey("", ""); ok {
		t.Error("the crank goes on after an error")
	}
	if _, err := c.Query("SELECT 1"); err == nil {
		t.Error("the crank goes on after an error")
	}
	if _, err := c.Commit(nil); err == nil {
		t.Error("the crank was committed")
	}
	if _, err := c.Commit(nil); err == nil {
		t.Error("the crank was committed the second time")
	}
	wantKey(t, d, "a", "1")
	if rows, err := d.Query("SELECT * FROM transcriptItems"); len(rows) != 0 || err != nil {
		t.Errorf("items are left: %v, %v", rows, err)
	}
	inCrank(t, d, func(c *Crank) { c.Set("c", "3") }) // the block goes on
	must(t, d.Prepare(1))
	wantKey(t, d, "a", "1")
	wantKey(t, d, "c", "3")
}

func TestACrankThatIsOverDoesNothing(t *testing.T) {
	d := openTest(t, testPath(t), true)
	c, err := d.BeginCrank()
	must(t, err)
	if _, err := d.BeginCrank(); err == nil || !strings.Contains(err.Error(), "crank is open") {
		t.Errorf("a second crank: %v", err)
	}
	if err := d.Prepare(1); err == nil {
		t.Error("prepared with an open crank")
	}
	must(t, d.Rollback())
	c.Set("a", "1")
	if err := c.Exec("DELETE FROM kv"); !errors.Is(err, ErrCrankOver) {
		t.Errorf("Exec gives %v", err)
	}
	if _, err := c.Commit(nil); !errors.Is(err, ErrCrankOver) {
		t.Errorf("Commit gives %v", err)
	}
	wantKey(t, d, "a", "")
}

func TestBundlesNeverChange(t *testing.T) {
	d := openTest(t, testPath(t), true)
	inCrank(t, d, func(c *Crank) {
		must(t, c.PutBundle("b1-a", []byte("x")))
		must(t, c.PutBundle("b1-a", []byte("x")))
		must(t, c.PutBundle("b1-empty", nil))
		if err := c.PutBundle("b1-a", []byte("y")); err == nil {
			t.Error("another content was taken")
		}
		if got, ok, err := c.Bundle("b1-a"); string(got) != "x" || !ok || err != nil {
			t.Errorf("in the crank: %q, %t, %v", got, ok, err)
		}
	})
	if got, ok, err := d.Bundle("b1-a"); !bytes.Equal(got, []byte("x")) || !ok || err != nil {
		t.Errorf("got %q, %t, %v", got, ok, err)
	}
	if got, ok, err := d.Bundle("b1-empty"); len(got) != 0 || !ok || err != nil {
		t.Errorf("got %q, %t, %v", got, ok, err)
	}
	if _, ok, err := d.Bundle("b1-none"); ok || err != nil {
		t.Errorf("got %t, %v", ok, err)
	}
}

// A bundle of which the disk has changed a byte is not given to anybody.
func TestAlteredBundleIsNoticed(t *testing.T) {
	d := openTest(t, testPath(t), true)
	inCrank(t, d, func(c *Crank) { must(t, c.PutBundle("b1-a", []byte("x"))) })
	inCrank(t, d, func(c *Crank) {
		must(t, c.Exec("UPDATE bundles SET data = ? WHERE id = 'b1-a'", []byte("y")))
		var corrupt *CorruptError
		if _, _, err := c.Bundle("b1-a"); !errors.As(err, &corrupt) || !strings.Contains(err.Error(), "bundle b1-a") {
			t.Errorf("got %v", err)
		}
		must(t, c.Exec("UPDATE bundles SET data = ? WHERE id = 'b1-a'", []byte("x")))
	})
}

func TestUnknownArgumentTypesAreRefused(t *testing.T) {
	d := openTest(t, testPath(t), false)
	if _, err := d.Query("SELECT ?", 1.5); err == nil {
		t.Error("a float was bound")
	}
}
