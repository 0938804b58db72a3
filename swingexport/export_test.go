package swingexport

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestWrittenAndRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	w, err := Create(dir)
	must(t, err)
	want := [][2]string{{"kv.a", "naïve ☃ <&>\n\x00\u2028"}, {"kv.", ""}, {"transcript.v1.current", "{}"}}
	for _, r := range want {
		must(t, w.Record(r[0], r[1]))
	}
	must(t, w.Artifact("transcript.v1.0.1", func(to io.Writer) error {
		_, err := io.WriteString(to, "item\n")
		return err
	}))
	must(t, w.Finish(7, Replay))
	e, err := Open(dir)
	must(t, err)
	var got [][2]string
	must(t, e.Records(func(key string, value *string) error {
		got = append(got, [2]string{key, *value})
		return nil
	}))
	if fmt.Sprint(got) != fmt.Sprint(want) || e.Height() != 7 || e.Mode() != Replay || !e.Has("transcript.v1.0.1") {
		t.Errorf("read %q at %d, %s", got, e.Height(), e.Mode())
	}
	artifact, err := e.Artifact("transcript.v1.0.1")
	must(t, err)
	defer artifact.Close()
	if text, err := io.ReadAll(artifact); err != nil || string(text) != "item\n" {
		t.Errorf("the artifact is %q (%v)", text, err)
	}
}

func TestWriterRefuses(t *testing.T) {
	w, err := Create(filepath.Join(t.TempDir(), "out"))
	must(t, err)
	defer w.Discard()
	if w.Record("kv.a", "\xff") == nil {
		t.Error("a value that is no text was written")
	}
	if w.Artifact("../a", func(io.Writer) error { return nil }) == nil {
		t.Error("an artifact left the directory")
	}
	broken := errors.New("broken")
	if err := w.Artifact("a", func(io.Writer) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

// parsed reads an export whose files are as given.
func parsed(t testing.TB, manifest, data string) (lines int, err error) {
	t.Helper()
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, ManifestFile), []byte(manifest), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, dataFile), []byte(data), 0o600))
	e, err := Open(dir)
	if err != nil {
		return 0, err
	}
	return lines, e.Records(func(string, *string) error {
		lines++
		return nil
	})
}

func TestReader(t *testing.T) {
	const sound = `{"blockHeight":1,"data":"export-data.jsonl","artifacts":[]}`
	for _, c := range []struct {
		manifest, data string
		lines          int
		says           string // empty: it is read
	}{
		{sound, "", 0, ""},
		{sound, "[\"a\",\"b\"]\n\n[\"a\",null]\n[\"a\"]", 3, ""},
		{sound, "[\"a\",\"b\"]\n[", 1, "export-data.jsonl line 2"},
		{sound, `["a",1]`, 0, "it is no record"},
		{sound, `["a","b","c"]`, 0, "it is no record"},
		{sound, `[null,"b"]`, 0, "it is no record"},
		{sound, `[]`, 0, "it is no record"},
		{`{}`, "", 0, "names no export data"},
		{`[]`, "", 0, "not as it should be"},
		{`{"data":"/etc/passwd"}`, "", 0, "not in it"},
		{`{"data":"none"}`, "", 0, "the file is missing"},
		{`{"data":"."}`, "", 0, "no regular file"},
		{`{"data":"d","artifacts":[["a","../a"]]}`, "", 0, "cannot be meant"},
		{`{"data":"d","artifacts":[["","a"]]}`, "", 0, "cannot be meant"},
	} {
		lines, err := parsed(t, c.manifest, c.data)
		if lines != c.lines || c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s with %q: %d lines, %v; want %d, %q", c.manifest, c.data, lines, err, c.lines, c.says)
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add(`{"blockHeight":1,"data":"export-data.jsonl","artifacts":[["a","b"]]}`, `["a","b"]`)
	f.Add(`{"data":"export-data.jsonl"}`, `["a",null]`)
	f.Fuzz(func(t *testing.T, manifest, data string) {
		_, err := parsed(t, manifest, data)
		var bad *BadError
		var none *NotExportError
		if err != nil && !errors.As(err, &bad) && !errors.As(err, &none) {
			t.Errorf("an error of no kind: %v", err)
		}
	})
}
