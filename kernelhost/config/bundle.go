package config

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A bundle is a JSON object {moduleFormat: "endoZipBase64", endoZipBase64,
// endoZipBase64Sha512} as @endo/bundle-source makes it. The first is a ZIP
// archive of modules and a compartment-map.json that has the sha512 of each
// module; endoZipBase64Sha512 is the hex sha512 of that map, and so covers all
// of them (@endo/compartment-mapper, src/import-archive-lite.js). The ID of a
// bundle is "b1-" and that hash.

const (
	bundleFormat = "endoZipBase64"
	mapFile      = "compartment-map.json"
)

// checkedBundle is a bundle whose hashes are right.
type checkedBundle struct {
	id   string
	text []byte // as JSON.stringify prints what SwingSet's bundle store gives
}

// ReadBundle reads and checks a file with a ready bundle. It gives the bundle's
// ID and its JSON text, in the form of Config.Bundles. Errors are *Error.
func ReadBundle(path string) (id string, data []byte, err error) {
	raw, err := readFile(path)
	if err != nil {
		return "", nil, &Error{File: path, Problem: err.Error()}
	}
	b, err := parseBundle(raw)
	if err != nil {
		return "", nil, &Error{File: path, Problem: err.Error()}
	}
	return b.id, b.text, nil
}

// CheckBundle checks the JSON text of a bundle with all its hashes, and gives
// its ID. An error's text begins with "this is no bundle".
func CheckBundle(data []byte) (id string, err error) {
	b, err := parseBundle(data)
	return b.id, err
}

// LoadBundle is ReadBundle, but a JavaScript module (.js, .mjs) is bundled.
// Errors are *Error; that of ctx.
func LoadBundle(ctx context.Context, path string, bundler Bundler) (id string, data []byte, err error) {
	if !isSource(path) {
		return ReadBundle(path)
	}
	absolute, err := filepath.Abs(path)
	if err == nil {
		_, err = os.Stat(absolute)
	}
	if err != nil {
		return "", nil, &Error{File: path, Problem: bare(err).Error()}
	}
	b, err := makeBundle(ctx, bundler, absolute, false)
	if ctx.Err() != nil {
		return "", nil, fmt.Errorf("cannot bundle %s: %w", path, ctx.Err())
	}
	if err != nil {
		return "", nil, sourceError(err, path, absolute)
	}
	return b.id, b.text, nil
}

func isSource(path string) bool {
	ext := filepath.Ext(path)
	return ext == ".js" || ext == ".mjs"
}

func noBundle(format string, args ...any) (checkedBundle, error) {
	return checkedBundle{}, fmt.Errorf("this is no bundle: "+format, args...)
}

// parseBundle checks a bundle as @endo/check-bundle does.
func parseBundle(data []byte) (checkedBundle, error) {
	var props map[string]json.RawMessage
	if err := json.Unmarshal(data, &props); err != nil || props == nil {
		return noBundle("it is not a JSON object")
	}
	texts := map[string]string{}
	for _, key := range []string{"moduleFormat", bundleFormat, bundleFormat + "Sha512", "id"} {
		raw, ok := props[key]
		if !ok {
			continue
		}
		var text *string
		if json.Unmarshal(raw, &text) != nil || text == nil {
			return noBundle("its %s is not a string", key)
		}
		texts[key] = *text
	}
	format, hash := texts["moduleFormat"], texts[bundleFormat+"Sha512"]
	switch {
	case format == "":
		return noBundle("it has no moduleFormat")
	case format != bundleFormat:
		return noBundle("its moduleFormat is %q, not %q", clipped(format), bundleFormat)
	case texts[bundleFormat] == "":
		return noBundle("it has no %s", bundleFormat)
	case hash == "":
		return noBundle("it has no %sSha512", bundleFormat)
	}
	archive, err := base64.StdEncoding.DecodeString(texts[bundleFormat])
	if err != nil {
		return noBundle("its %s is not base64", bundleFormat)
	}
	if err := checkArchive(archive, hash); err != nil {
		return noBundle("%w", err)
	}
	id := "b1-" + hash
	if given, ok := texts["id"]; ok && given != id {
		return noBundle("its id %q is not that of its content", clipped(given))
	}
	return checkedBundle{id: id, text: bundleText(archive, hash)}, nil
}

// bundleText prints a bundle with its properties in the order in which
// SwingSet's bundle store hands it out (@agoric/swing-store, bundleStore.js),
// so that a vat is given the same text there and here.
func bundleText(archive []byte, hash string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"moduleFormat":%q,"endoZipBase64Sha512":%q,"endoZipBase64":"`, bundleFormat, hash)
	b.WriteString(base64.StdEncoding.EncodeToString(archive))
	b.WriteString(`"}`)
	return b.Bytes()
}

// compartmentMap is what matters here of a bundle's compartment-map.json.
type compartmentMap struct {
	Entry struct {
		Compartment string `json:"compartment"`
		Module      string `json:"module"`
	} `json:"entry"`
	Compartments map[string]struct {
		Modules map[string]moduleDescriptor `json:"modules"`
	} `json:"compartments"`
}

// moduleDescriptor has a location if its module is a file of the archive.
type moduleDescriptor struct {
	Location string `json:"location"`
	SHA512   string `json:"sha512"`
}

// checkArchive checks every file of a bundle's archive.
func checkArchive(archive []byte, hash string) error {
	files, err := unpack(archive)
	if err != nil {
		return err
	}
	text, ok := files[mapFile]
	if !ok {
		return fmt.Errorf("its archive has no %s", mapFile)
	}
	if got := sha512Hex(text); got != hash {
		return fmt.Errorf("its content does not have the hash that it says (%s…, not %s…)", got[:12], clippedTo(hash, 12))
	}
	var m compartmentMap
	if err := json.Unmarshal(text, &m); err != nil {
		return fmt.Errorf("its %s is not one", mapFile)
	}
	if _, ok := m.Compartments[m.Entry.Compartment].Modules[m.Entry.Module]; !ok {
		return fmt.Errorf("its %s does not have the module to begin with", mapFile)
	}
	return checkModules(m, files)
}

// checkModules checks the modules' hashes, and that they are all the archive
// has.
func checkModules(m compartmentMap, files map[string][]byte) error {
	unseen := map[string]bool{}
	for name := range files {
		unseen[name] = name != mapFile
	}
	for _, compartment := range slices.Sorted(maps.Keys(m.Compartments)) {
		modules := m.Compartments[compartment].Modules
		for _, specifier := range slices.Sorted(maps.Keys(modules)) {
			module := modules[specifier]
			if module.Location == "" {
				continue
			}
			name := compartment + "/" + module.Location
			content, ok := files[name]
			if !ok {
				return fmt.Errorf("its archive lacks the module %q", clipped(name))
			}
			if module.SHA512 != "" && sha512Hex(content) != module.SHA512 {
				return fmt.Errorf("its module %q does not have the hash that the map says", clipped(name))
			}
			unseen[name] = false
		}
	}
	for _, name := range slices.Sorted(maps.Keys(unseen)) {
		if unseen[name] {
			return fmt.Errorf("its archive has a file that is no module of it: %q", clipped(name))
		}
	}
	return nil
}

// unpack reads all files of an archive, which the workers can read only if
// they are stored uncompressed.
func unpack(archive []byte) (map[string][]byte, error) {
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return nil, errors.New("its archive is not a ZIP file")
	}
	files := map[string][]byte{}
	for _, f := range r.File {
		if _, ok := files[f.Name]; ok {
			return nil, fmt.Errorf("its archive has %q twice", clipped(f.Name))
		}
		if f.Method != zip.Store {
			return nil, fmt.Errorf("its archive has %q compressed", clipped(f.Name))
		}
		content, err := unpackFile(f)
		if err != nil {
			return nil, fmt.Errorf("its archive is damaged at %q", clipped(f.Name))
		}
		files[f.Name] = content
	}
	return files, nil
}

func unpackFile(f *zip.File) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func sha512Hex(data []byte) string {
	sum := sha512.Sum512(data)
	return hex.EncodeToString(sum[:])
}

// clipped bounds a text that a file brings into an error.
func clipped(text string) string { return clippedTo(text, 100) }

func clippedTo(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "")
}

// BundleID checks a bundle's JSON text and gives its ID.
func BundleID(text []byte) (string, error) {
	b, err := parseBundle(text)
	return b.id, err
}
