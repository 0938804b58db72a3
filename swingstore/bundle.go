package swingstore

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"vatworkerd/store"
)

// Bundle IDs (bundleStore.js): b0-SHA256 is a bundle stored as JSON text,
// b1-SHA512 an endoZipBase64 bundle stored as the zip archive itself.
const (
	prefixJSON    = "b0-"
	prefixArchive = "b1-"
)

// maxArchiveBytes bounds what the files of one archive inflate to.
const maxArchiveBytes = 512 << 20

// archiveMap is the file of an archive that names all others with their
// hashes; the bundle's ID is its own hash (@endo/compartment-mapper).
const archiveMap = "compartment-map.json"

// bundle reads a stored bundle; ok is false if there is none or it was dropped.
func (s *Store) bundle(id string) (data []byte, ok bool, err error) {
	row, ok, err := s.db.QueryRow("SELECT bundle FROM bundles WHERE bundleID = ?", id)
	if err != nil || !ok || row.IsNull(0) {
		return nil, false, err
	}
	return row.Blob(0), true, nil
}

// soundBundle reads a bundle and checks it against its ID.
func (s *Store) soundBundle(id string) ([]byte, error) {
	data, ok, err := s.bundle(id)
	if err != nil {
		return nil, err
	}
	problems := checkBundle(id, data, ok)
	if len(problems) > 0 {
		return nil, &BundleError{BundleID: id, Problems: problems}
	}
	return data, nil
}

// bundleJSON is a bundle as the JavaScript kernel hands it to a worker: what
// JSON.stringify gives for bundleStore.getBundle(id).
func bundleJSON(id string, data []byte) []byte {
	hash, archive := strings.CutPrefix(id, prefixArchive)
	if !archive {
		return data
	}
	var b bytes.Buffer
	b.WriteString(`{"moduleFormat":"endoZipBase64","endoZipBase64Sha512":"`)
	b.WriteString(hash)
	b.WriteString(`","endoZipBase64":"`)
	b.WriteString(base64.StdEncoding.EncodeToString(data))
	b.WriteString(`"}`)
	return b.Bytes()
}

// checkBundle gives all that is wrong with a bundle's content.
func checkBundle(id string, data []byte, stored bool) []store.Problem {
	c := bundleCheck{id: id}
	switch {
	case !stored:
		c.wrong("the store does not hold it", "", "")
	case strings.HasPrefix(id, prefixJSON):
		c.json(data)
	case strings.HasPrefix(id, prefixArchive):
		c.archive(data)
	default:
		c.wrong("its ID is of no known kind (b0-, b1-)", "", "")
	}
	return c.problems
}

type bundleCheck struct {
	id       string
	problems []store.Problem
	left     int64 // bytes that the archive's files may still inflate to
}

func (c *bundleCheck) wrong(what, expected, got string) {
	c.problems = append(c.problems, store.Problem{Kind: store.KindBundle, Place: "bundle." + c.id, What: what, Expected: expected, Got: got})
}

func (c *bundleCheck) json(data []byte) {
	sum := sha256.Sum256(data)
	if got := prefixJSON + hex.EncodeToString(sum[:]); got != c.id {
		c.wrong("its sha256", c.id, got)
	}
	var form struct {
		ModuleFormat string `json:"moduleFormat"`
	}
	if err := json.Unmarshal(data, &form); err != nil {
		c.wrong(fmt.Sprintf("it is no bundle: %v", err), "", "")
	} else if form.ModuleFormat == "" {
		c.wrong("it is no bundle: it has no moduleFormat", "", "")
	}
}

// compartmentMap is what of compartment-map.json names files.
type compartmentMap struct {
	Compartments map[string]struct {
		Modules map[string]struct {
			Location string `json:"location"`
			SHA512   string `json:"sha512"`
		} `json:"modules"`
	} `json:"compartments"`
}

// archive checks what checkBundle of @endo/check-bundle checks before it parses
// modules: the hash of the map, of each file that the map names, and that
// there are no other files.
func (c *bundleCheck) archive(data []byte) {
	c.left = maxArchiveBytes
	reader, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		c.wrong(fmt.Sprintf("it is no zip archive: %v", err), "", "")
		return
	}
	files := map[string]*zip.File{}
	for _, f := range reader.File {
		files[f.Name] = f
	}
	text, ok := c.read(files, archiveMap)
	if !ok {
		return
	}
	if got := prefixArchive + sha512Hex(text); got != c.id {
		c.wrong("the sha512 of its "+archiveMap, c.id, got)
	}
	var m compartmentMap
	if err := json.Unmarshal(text, &m); err != nil {
		c.wrong(fmt.Sprintf("its %s is none: %v", archiveMap, err), "", "")
		return
	}
	c.modules(m, files)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		c.wrong(fmt.Sprintf("its %s does not name the file %s", archiveMap, name), "", "")
	}
}

// modules checks the files named by the map and takes them out of files.
func (c *bundleCheck) modules(m compartmentMap, files map[string]*zip.File) {
	for _, location := range slices.Sorted(maps.Keys(m.Compartments)) {
		modules := m.Compartments[location].Modules
		for _, specifier := range slices.Sorted(maps.Keys(modules)) {
			module := modules[specifier]
			if module.Location == "" {
				continue // an alias of another module
			}
			name := location + "/" + module.Location
			content, ok := c.read(files, name)
			if !ok || module.SHA512 == "" {
				continue
			}
			if got := sha512Hex(content); got != module.SHA512 {
				c.wrong("the sha512 of its file "+name, module.SHA512, got)
			}
		}
	}
}

// read reads a file of the archive and takes it out of files.
func (c *bundleCheck) read(files map[string]*zip.File, name string) ([]byte, bool) {
	f, ok := files[name]
	if !ok {
		c.wrong("it lacks the file "+name, "", "")
		return nil, false
	}
	delete(files, name)
	r, err := f.Open()
	if err != nil {
		c.wrong(fmt.Sprintf("its file %s cannot be read: %v", name, err), "", "")
		return nil, false
	}
	defer r.Close()
	content, err := io.ReadAll(io.LimitReader(r, c.left+1))
	c.left -= int64(len(content))
	if err == nil && c.left < 0 {
		err = fmt.Errorf("the archive inflates to more than %d bytes", maxArchiveBytes)
	}
	if err != nil {
		c.wrong(fmt.Sprintf("its file %s cannot be read: %v", name, err), "", "")
		return nil, false
	}
	return content, true
}

func sha512Hex(data []byte) string {
	sum := sha512.Sum512(data)
	return hex.EncodeToString(sum[:])
}
