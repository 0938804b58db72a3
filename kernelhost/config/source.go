package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
)

// source is where a bundle comes from, with the place that says so.
type source struct {
	mode string // sourceSpec, bundleSpec, bundleName or bundle
	spec string // as written; of an inline bundle its ID
	path string // absolute: the file that a sourceSpec or bundleSpec means
	text []byte // of an inline bundle
	vat  string // the vat it is for, "" for a named bundle

	line  int
	place string
}

type namedSource struct {
	name string
	source
}

// fail makes an error at the source's place.
func (s source) fail(file, problem, hint string) *Error {
	return &Error{File: file, Line: s.line, Place: s.place, Problem: problem, Hint: hint}
}

// source reads exactly one of the keys that say where a bundle comes from.
func (r reader) source(f *fields, modes ...string) (source, error) {
	if f.err != nil {
		return source{}, f.err
	}
	var given []string
	var last member
	for _, m := range f.object.members {
		if slices.Contains(modes, m.key) {
			given, last = append(given, m.key), m
		}
	}
	if len(given) == 0 {
		return source{}, r.doc.fail(f.object.start, f.place, "it has no source", "exactly one is needed of "+strings.Join(modes, ", "))
	}
	if len(given) > 1 {
		return source{}, r.doc.fail(last.at, f.place, "it has several sources: "+strings.Join(given, ", "), "exactly one is needed")
	}
	s := source{mode: last.key, place: join(f.place, last.key), line: r.doc.line(last.value.start)}
	if s.mode == "bundle" {
		return r.inline(s, last.value)
	}
	s.spec = f.string(s.mode, "")
	if f.err != nil {
		return source{}, f.err
	}
	if s.mode == "bundleName" {
		return s, nil
	}
	return r.locate(s)
}

// inline reads a bundle that stands in the config itself.
func (r reader) inline(s source, v value) (source, error) {
	if v.kind != kindObject {
		return source{}, wrongType(r.doc, v, s.place, "a bundle (an object)")
	}
	b, err := parseBundle(r.doc.data[v.start:v.end])
	if err != nil {
		return source{}, s.fail(r.doc.file, err.Error(), "")
	}
	s.spec, s.text = b.id, b.text
	return s, nil
}

// locate finds the file that a source means.
func (r reader) locate(s source) (source, error) {
	path, err := resolveSpec(r.dir, s.spec)
	if err != nil {
		return source{}, s.fail(r.doc.file, err.Error(), "")
	}
	info, err := os.Stat(path)
	switch {
	case err != nil && strings.HasPrefix(s.spec, "@"):
		hint := "check its name"
		if name, _ := splitModule(s.spec); name != "" {
			hint = "check its name, or run: npm install " + name
		}
		return source{}, s.fail(r.doc.file, fmt.Sprintf("cannot find the module %q in a node_modules directory", s.spec), hint)
	case err != nil:
		return source{}, s.fail(r.doc.file, fmt.Sprintf("cannot find %q: %v", s.spec, bare(err)), relativeHint(s.spec))
	case !info.Mode().IsRegular():
		return source{}, s.fail(r.doc.file, fmt.Sprintf("%q is not a file", s.spec), "")
	}
	s.path = path
	return s, nil
}

// relativeHint reminds of what paths are relative to.
func relativeHint(spec string) string {
	if strings.HasPrefix(spec, "/") || strings.HasPrefix(spec, "file:") {
		return ""
	}
	return "paths are relative to the config's directory"
}

// checkBundleName finds a bundle by its name among those of the config.
func (s source) checkBundleName(doc *document, named []namedSource) error {
	if s.mode != "bundleName" {
		return nil
	}
	var names []string
	for _, n := range named {
		if n.name == s.spec {
			return nil
		}
		names = append(names, n.name)
	}
	hint := didYouMean(s.spec, names)
	if hint == "" && len(names) == 0 {
		hint = `"bundles" has none`
	}
	return s.fail(doc.file, fmt.Sprintf("there is no bundle %q", s.spec), hint)
}

// compact takes the blanks out of JSON.
func compact(text []byte) json.RawMessage {
	var b bytes.Buffer
	if json.Compact(&b, text) != nil {
		return text // cannot be: the document has been parsed
	}
	return b.Bytes()
}
