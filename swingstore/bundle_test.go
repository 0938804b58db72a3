package swingstore

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"vatworkerd/internal/testrig"
	"vatworkerd/store"
)

// realArchive gives a bundle made by @endo/bundle-source: its file's JSON, its
// ID and the archive.
func realArchive(t testing.TB) (file []byte, id string, archive []byte) {
	t.Helper()
	file = testrig.ReadBundle(t, "counter")
	var bundle struct {
		EndoZipBase64       string `json:"endoZipBase64"`
		EndoZipBase64Sha512 string `json:"endoZipBase64Sha512"`
	}
	must(t, json.Unmarshal(file, &bundle))
	archive, err := base64.StdEncoding.DecodeString(bundle.EndoZipBase64)
	must(t, err)
	return file, prefixArchive + bundle.EndoZipBase64Sha512, archive
}

// rewritten copies an archive; change may alter a file's content, or give nil
// to leave it out. more is a file added, if not empty.
func rewritten(t *testing.T, archive []byte, more string, change func(name string, content []byte) []byte) []byte {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	must(t, err)
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	write := func(name string, content []byte) {
		f, err := w.Create(name)
		must(t, err)
		_, err = f.Write(content)
		must(t, err)
	}
	for _, f := range r.File {
		in, err := f.Open()
		must(t, err)
		content, err := io.ReadAll(in)
		must(t, err)
		if content = change(f.Name, content); content != nil {
			write(f.Name, content)
		}
	}
	if more != "" {
		write(more, []byte("more"))
	}
	must(t, w.Close())
	return b.Bytes()
}

func TestCheckBundle(t *testing.T) {
	file, id, archive := realArchive(t)
	same := func(_ string, content []byte) []byte { return content }
	isModule := func(name string) bool { return strings.Contains(name, "counter.js") }
	text := []byte(`{"moduleFormat":"nestedEvaluate","source":"x"}`)
	idOf := func(data []byte) string {
		sum := sha256.Sum256(data)
		return prefixJSON + hex.EncodeToString(sum[:])
	}
	for _, c := range []struct {
		name, id string
		data     []byte
		want     []string
	}{
		{"sound archive", id, archive, nil},
		{"sound archive, compressed otherwise", id, rewritten(t, archive, "", same), nil},
		{"altered module", id, rewritten(t, archive, "", func(name string, content []byte) []byte {
			if isModule(name) {
				return append(content, ' ')
			}
			return content
		}), []string{"the sha512 of its file "}},
		{"missing module", id, rewritten(t, archive, "", func(name string, content []byte) []byte {
			if isModule(name) {
				return nil
			}
			return content
		}), []string{"it lacks the file "}},
		{"missing map", id, rewritten(t, archive, "", func(name string, content []byte) []byte {
			if name == archiveMap {
				return nil
			}
			return content
		}), []string{"it lacks the file compartment-map.json"}},
		{"a file more", id, rewritten(t, archive, "more.js", same), []string{"its compartment-map.json does not name the file more.js"}},
		{"altered map", id, rewritten(t, archive, "", func(name string, content []byte) []byte {
			if name == archiveMap {
				return append(content, ' ')
			}
			return content
		}), []string{"the sha512 of its compartment-map.json"}},
		{"truncated archive", id, archive[:len(archive)/2], []string{"it is no zip archive"}},
		{"sound JSON", idOf(text), text, nil},
		{"altered JSON", idOf(text), append(text[:len(text):len(text)], ' '), []string{"its sha256"}},
		{"text that is no bundle", idOf([]byte("[")), []byte("["), []string{"it is no bundle"}},
		{"JSON that is no bundle", idOf([]byte("{}")), []byte("{}"), []string{"it is no bundle"}},
		{"another kind", "b7-00", text, []string{"its ID is of no known kind"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := checkBundle(c.id, c.data, true)
			if len(got) != len(c.want) {
				t.Fatalf("got %v, want %v", got, c.want)
			}
			for i, p := range got {
				if !strings.HasPrefix(p.What, c.want[i]) || p.Place != "bundle."+c.id || p.Kind != store.KindBundle {
					t.Errorf("got %v, want %v", p, c.want[i])
				}
			}
		})
	}
	if got := checkBundle(id, nil, false); len(got) != 1 || got[0].What != "the store does not hold it" {
		t.Errorf("got %v", got)
	}
	// The worker gets the text that JSON.stringify gives for the bundle.
	var want, got map[string]string
	must(t, json.Unmarshal(file, &want))
	must(t, json.Unmarshal(bundleJSON(id, archive), &got))
	for _, key := range []string{"moduleFormat", "endoZipBase64", "endoZipBase64Sha512"} {
		if got[key] != want[key] {
			t.Errorf("another %s", key)
		}
	}
	if !bytes.Equal(bundleJSON(idOf(text), text), text) {
		t.Error("a JSON bundle is given as it is stored")
	}
}

func FuzzCheckBundle(f *testing.F) {
	f.Add([]byte("PK\x03\x04"))
	f.Add([]byte(`{"moduleFormat":"nestedEvaluate"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, id := range []string{"b0-00", "b1-00", ""} {
			if len(checkBundle(id, data, true)) == 0 {
				t.Errorf("%q is no %s", data, id)
			}
		}
	})
}

func FuzzHeapReader(f *testing.F) {
	f.Add([]byte("\x1f\x8b\x08"))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := snapshotRow{vatID: "v1", hash: "00", blob: data}.open()
		if err == nil {
			_, err = io.Copy(io.Discard, h)
		}
		if err == nil {
			t.Errorf("%q is no heap", data)
		}
	})
}
