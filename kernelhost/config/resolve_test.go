package config

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"vatworkerd/pipeproto"
)

// write makes a file in a new directory.
func write(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// manySources is a config of n vats with a source each.
func manySources(t *testing.T, n int, content func(i int) string) Config {
	t.Helper()
	var vats []string
	dir := t.TempDir()
	for i := range n {
		name := "vat" + strconv.Itoa(i)
		if err := os.WriteFile(filepath.Join(dir, name+".js"), []byte(content(i)), 0o600); err != nil {
			t.Fatal(err)
		}
		vats = append(vats, `"`+name+`": {"sourceSpec": "`+name+`.js"}`)
	}
	path := filepath.Join(dir, "config.json")
	if err := os.WriteFile(path, []byte(`{"vats": {`+strings.Join(vats, ",")+`}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Parse(path)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// pairBundler lets nobody go before there are two, or the last has come.
type pairBundler struct {
	fakeBundler
	total int
	full  chan struct{} // takes one for each that is in

	lock         sync.Mutex // guards what follows
	in, most, at int
}

func (b *pairBundler) Bundle(ctx context.Context, source string, dev bool) ([]byte, error) {
	b.lock.Lock()
	b.in++
	b.at++
	b.most = max(b.most, b.in)
	if b.in == bundlersAtOnce || b.at == b.total {
		for range b.in {
			b.full <- struct{}{}
		}
		b.in = 0
	}
	b.lock.Unlock()
	<-b.full
	return b.fakeBundler.Bundle(ctx, source, dev)
}

func TestTwoAreBundledAtATime(t *testing.T) {
	const n = 7
	c := manySources(t, n, strconv.Itoa)
	b := &pairBundler{fakeBundler: fakeBundler{t: t}, total: n, full: make(chan struct{}, n)}
	var told []int
	err := c.ResolveBundles(context.Background(), b, func(name string, done, total int) {
		if total != n || (name == "") != (done == 0) {
			t.Errorf("progress %q %d/%d", name, done, total)
		}
		told = append(told, done)
	})
	if err != nil {
		t.Fatal(err)
	}
	if b.most != bundlersAtOnce {
		t.Errorf("%d at once", b.most)
	}
	for i, done := range told {
		if i != done {
			t.Errorf("progress %v", told)
		}
	}
	if len(c.Bundles) != n || len(told) != n+1 {
		t.Errorf("%d bundles, progress %v", len(c.Bundles), told)
	}
}

// TestFirstFailureIsTold does so whatever the timing.
func TestFirstFailureIsTold(t *testing.T) {
	for range 20 {
		c := manySources(t, 6, func(i int) string {
			if i < 3 {
				return "good " + strconv.Itoa(i)
			}
			return "fail number " + strconv.Itoa(i)
		})
		err := c.ResolveBundles(context.Background(), &fakeBundler{t: t}, nil)
		if err == nil || !strings.HasSuffix(err.Error(), "vats.vat3.sourceSpec: cannot bundle vat3.js: number 3") {
			t.Fatalf("got %v", err)
		}
	}
}

func TestResolveEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	c := manySources(t, 2, strconv.Itoa)
	if err := c.ResolveBundles(ctx, &fakeBundler{t: t}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("sources: %v", err)
	}
	ready := write(t, "ready.json", string(fakeBundle{source: "x"}.json(t)))
	d, err := Parse(write(t, "config.json", `{"vats": {"a": {"bundleSpec": "`+ready+`"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.ResolveBundles(ctx, nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("ready bundles: %v", err)
	}
	if _, _, err := LoadBundle(ctx, write(t, "a.js", "x"), &fakeBundler{t: t}); !errors.Is(err, context.Canceled) {
		t.Errorf("one source: %v", err)
	}
}

func TestNoBundler(t *testing.T) {
	c := manySources(t, 1, strconv.Itoa)
	if !c.NeedsBundler() {
		t.Error("a source needs a bundler")
	}
	err := c.ResolveBundles(context.Background(), nil, nil)
	if err == nil || !strings.Contains(err.Error(), "vats.vat0.sourceSpec: cannot bundle") {
		t.Errorf("got %v", err)
	}
}

// TestInlineBundle has a bundle in the config, with blanks and another order.
func TestInlineBundle(t *testing.T) {
	text := fakeBundle{source: "x"}.json(t)
	path := write(t, "config.json", `{"bundles": {"n": {"bundle": `+string(text)+`}}, "vats": {"a": {"bundleName": "n"}, "b": {"bundle": `+string(text)+`}}}`)
	c, err := Parse(path)
	if err != nil {
		t.Fatal(err)
	}
	if c.NeedsBundler() {
		t.Error("there is nothing to bundle")
	}
	if err := c.ResolveBundles(context.Background(), nil, nil); err != nil {
		t.Fatal(err)
	}
	id, err := CheckBundle(text)
	if err != nil || c.Vats[0].BundleID != id || c.Vats[1].BundleID != id || c.NamedBundles["n"] != id || len(c.Bundles) != 1 {
		t.Errorf("got %+v, %v", c.Vats, err)
	}
	if !strings.HasPrefix(string(c.Bundles[id]), `{"moduleFormat":"endoZipBase64","endoZipBase64Sha512":"`+id[3:]+`","endoZipBase64":"UEsD`) {
		t.Errorf("got %.200s", c.Bundles[id])
	}
}

// TestFilesThatGo has a bundle file removed between Parse and ResolveBundles.
func TestFilesThatGo(t *testing.T) {
	ready := write(t, "ready.json", string(fakeBundle{source: "x"}.json(t)))
	c, err := Parse(write(t, "config.json", `{"vats": {"a": {"bundleSpec": "`+ready+`"}}}`))
	if err == nil {
		err = os.Remove(ready)
	}
	if err != nil {
		t.Fatal(err)
	}
	err = c.ResolveBundles(context.Background(), nil, nil)
	if err == nil || !strings.HasSuffix(err.Error(), "there is no such file") {
		t.Errorf("got %v", err)
	}
}

func TestErrorIsOneLineWithACode(t *testing.T) {
	err := &Error{File: "a.json", Line: 3, Place: "vats.a", Problem: "two\nlines", Hint: "mend it"}
	if got := err.Error(); got != "a.json:3: vats.a: two lines; mend it" {
		t.Errorf("got %q", got)
	}
	if told := pipeproto.ErrorOf(err); told.Code != pipeproto.CodeBadRequest {
		t.Errorf("code %q", told.Code)
	}
	if PolicySuspend != pipeproto.PolicySuspend || PolicyTerminate != pipeproto.PolicyTerminate ||
		PolicyHold != pipeproto.PolicyHold || PolicyCommit != pipeproto.PolicyCommit {
		t.Error("the policies have other names in the protocol")
	}
}

// TestDigestStays fails if databases that exist would no longer know their
// config.
func TestDigestStays(t *testing.T) {
	dir := filepath.Dir(write(t, "a.js", ""))
	path := filepath.Join(dir, "config.json")
	text := `{"bootstrap": "a", "bundles": {"n": {"sourceSpec": "./a.js"}}, "defaultReapInterval": "never", "vats": {
		"a": {"bundleName": "n", "parameters": {"b": 1.0, "a": "<ä>"}, "creationOptions": {"allowance": 7, "metered": false, "reapInterval": 2}}}}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Parse(path)
	if err != nil {
		t.Fatal(err)
	}
	const want = "10275c6951c7e344001e934931e1463175fd5f03663d0c5789b117f26b632b27"
	if c.Digest != want {
		t.Errorf("the digest is %s, and was %s", c.Digest, want)
	}
}

func TestDidYouMean(t *testing.T) {
	among := []string{"critical", "metered", "vats", "reapInterval", "reapGCKrefs"}
	for word, want := range map[string]string{
		"crtical": "critical", "Critical": "critical", "critcial": "critical", "meterd": "metered", "vat": "vats", "vast": "vats",
		"reapinterval": "reapInterval", "reapGcKref": "reapGCKrefs", "zzz": "", "": "", "x": "", strings.Repeat("critical", 100): "",
	} {
		if want != "" {
			want = `did you mean "` + want + `"?`
		}
		if got := didYouMean(word, among); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
}

func TestNotUTF8(t *testing.T) {
	_, err := Parse(write(t, "config.json", "{\n\"vats\": {\"\xff\": 1}}"))
	if err == nil || !strings.HasSuffix(err.Error(), "config.json:2: this is not UTF-8 text") {
		t.Errorf("got %v", err)
	}
}
