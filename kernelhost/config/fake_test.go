package config

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

// fakeBundle describes a bundle to be made for a test, and what is to be wrong
// with it.
type fakeBundle struct {
	source  string            // the only module
	method  uint16            // of the ZIP archive
	files   map[string]string // to be added to the archive, or replaced; "" = left out
	repeat  bool              // the archive has the module twice
	mapText string            // instead of the map
	props   map[string]any    // to be added to the bundle, or replaced; nil = left out
}

const fakeModule = "vat-v1.0.0/index.js"

func (f fakeBundle) json(t testing.TB) []byte {
	t.Helper()
	mapText := f.mapText
	if mapText == "" {
		mapText = fmt.Sprintf(`{"entry":{"compartment":"vat-v1.0.0","module":"./index.js"},"compartments":{"vat-v1.0.0":{"modules":{
			"./index.js":{"location":"index.js","parser":"pre-mjs-json","sha512":%q},"@endo/far":{"compartment":"far","module":"."}}}}}`, sha512Hex([]byte(f.source)))
	}
	files := map[string]string{mapFile: mapText, fakeModule: f.source}
	for name, content := range f.files {
		files[name] = content
		if content == "" {
			delete(files, name)
		}
	}
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f.add(t, w, name, files[name])
	}
	if f.repeat {
		f.add(t, w, fakeModule, f.source)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	props := map[string]any{
		"moduleFormat": bundleFormat, bundleFormat: base64.StdEncoding.EncodeToString(archive.Bytes()),
		bundleFormat + "Sha512": sha512Hex([]byte(mapText)),
	}
	for key, v := range f.props {
		props[key] = v
		if v == nil {
			delete(props, key)
		}
	}
	text, err := json.MarshalIndent(props, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (f fakeBundle) add(t testing.TB, w *zip.Writer, name, content string) {
	t.Helper()
	entry, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: f.method})
	if err == nil {
		_, err = entry.Write([]byte(content))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// fakeBundler makes fake bundles of sources. A source that begins with "fail "
// or "garbage " is one that does not work.
type fakeBundler struct {
	t testing.TB

	mu   sync.Mutex // guards what follows
	made []string   // the calls
}

func (b *fakeBundler) Bundle(_ context.Context, source string, dev bool) ([]byte, error) {
	b.mu.Lock()
	b.made = append(b.made, fmt.Sprintf("%s dev=%t", source, dev))
	b.mu.Unlock()
	content, err := os.ReadFile(source)
	if err != nil {
		return nil, err
	}
	if what, ok := strings.CutPrefix(string(content), "fail "); ok {
		return nil, errors.New(strings.ReplaceAll(what, "SOURCE", source))
	}
	if what, ok := strings.CutPrefix(string(content), "garbage "); ok {
		return []byte(what), nil
	}
	return fakeBundle{source: string(content)}.json(b.t), nil
}
