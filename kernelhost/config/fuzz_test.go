package config

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzParse demands an *Error with a line in the file, or a config that is
// whole and reads the same when it is laid out differently.
func FuzzParse(f *testing.F) {
	seed(f)
	dir := f.TempDir()
	for _, name := range []string{"a.js", "b.js"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := (reader{doc: &document{file: "config.json", data: text}, dir: dir}).read()
		if err != nil {
			checkError(t, err, text)
			return
		}
		var again any
		if err := json.Unmarshal(text, &again); err != nil {
			t.Fatalf("this was read, but is no JSON: %v", err)
		}
		d, err := (reader{doc: &document{file: "config.json", data: compact(text)}, dir: dir}).read()
		if err != nil || d.Digest != c.Digest {
			t.Errorf("compact it is another: %v", err)
		}
		if len(c.Vats) == 0 || len(c.Vats) != len(c.sources) || len(c.Digest) != 64 {
			t.Errorf("not whole: %+v", c)
		}
	})
}

// seed adds the inputs of the golden scripts.
func seed(f *testing.F) {
	scripts, err := filepath.Glob("testdata/golden/*")
	if err != nil || len(scripts) == 0 {
		f.Fatalf("there are no golden scripts: %v", err)
	}
	for _, script := range scripts {
		text, err := os.ReadFile(script)
		if err != nil {
			f.Fatal(err)
		}
		for part := range strings.SplitSeq(string(text), "\n\n") {
			input, _, _ := strings.Cut(part, "\n----")
			_, input, _ = strings.Cut(input, "parse\n")
			f.Add([]byte(input))
		}
	}
}

func checkError(t *testing.T, err error, text []byte) {
	t.Helper()
	var wrong *Error
	if !errors.As(err, &wrong) {
		t.Fatalf("%v is no *Error", err)
	}
	if last := (&document{data: text}).line(int64(len(text))); wrong.Line < 1 || wrong.Line > last || wrong.Problem == "" {
		t.Errorf("%+v, but there are %d lines", wrong, last)
	}
}

// FuzzCheckBundle demands that what is accepted stays what it is.
func FuzzCheckBundle(f *testing.F) {
	f.Add(fakeBundle{source: "x"}.json(f))
	f.Add(fakeBundle{source: "x", files: map[string]string{"e": "f"}}.json(f))
	f.Add([]byte(`{"moduleFormat":"endoZipBase64","endoZipBase64":"UEsF","endoZipBase64Sha512":"x"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := parseBundle(data)
		if err != nil {
			return
		}
		if id, err := CheckBundle(b.text); err != nil || id != b.id {
			t.Errorf("%s became %s: %v", b.id, id, err)
		}
	})
}
