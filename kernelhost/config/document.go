package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"syscall"
	"unicode/utf8"
)

// maxFileBytes bounds configs and bundles, so that a wrong path does not fill
// the memory. It is what the largest frame to vatworkerd could never hold.
const maxFileBytes = 1 << 29

// document is a JSON file whose values know where they stand.
type document struct {
	file string
	data []byte
}

type kind int

const (
	kindNull kind = iota
	kindBool
	kindNumber
	kindString
	kindArray
	kindObject
)

func (k kind) String() string {
	return [...]string{"null", "a boolean", "a number", "a string", "an array", "an object"}[k]
}

// value is one JSON value in a document.
type value struct {
	kind       kind
	start, end int64    // its bytes
	text       string   // of a string, or of a number as it is written
	truth      bool     // of a boolean
	members    []member // of an object, in the order of the file
}

type member struct {
	key   string
	at    int64 // where the key begins
	value value
}

// get gives the member of a key.
func (v value) get(key string) (member, bool) {
	for _, m := range v.members {
		if m.key == key {
			return m, true
		}
	}
	return member{}, false
}

// readFile reads a file for Parse or ReadBundle; an error's text does not
// repeat the path.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, bare(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, bare(err)
	}
	if len(data) > maxFileBytes {
		return nil, fmt.Errorf("the file is larger than %d MiB", maxFileBytes>>20)
	}
	return data, nil
}

// bare takes the path out of an error of package os.
func bare(err error) error {
	var path *os.PathError
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return errors.New("there is no such file")
	case errors.Is(err, syscall.EISDIR):
		return errors.New("it is a directory, not a file")
	case errors.As(err, &path):
		return path.Err
	}
	return err
}

// fail makes an error at a byte of the document.
func (d *document) fail(at int64, place, problem, hint string) *Error {
	return &Error{File: d.file, Line: d.line(at), Place: place, Problem: problem, Hint: hint}
}

// line gives the line, from 1, of a byte.
func (d *document) line(at int64) int {
	return 1 + bytes.Count(d.data[:min(at, int64(len(d.data)))], []byte("\n"))
}

// parse reads the document. Its root is an object; no object in it has a key
// twice.
func (d *document) parse() (value, error) {
	if bad := invalidUTF8(d.data); bad >= 0 {
		return value{}, d.fail(bad, "", "this is not UTF-8 text", "")
	}
	if err := checkJSON(d.data); err != nil {
		return value{}, d.syntax(err)
	}
	w := walker{doc: d, dec: json.NewDecoder(bytes.NewReader(d.data))}
	w.dec.UseNumber()
	root, err := w.value("")
	if err != nil {
		return value{}, err
	}
	if root.kind != kindObject {
		return value{}, d.fail(root.start, "", fmt.Sprintf("this must be an object, not %s", root.kind), "docs/config.md shows one")
	}
	return root, nil
}

// checkJSON finds the first error with its offset, which the token reader does
// not always give.
func checkJSON(data []byte) error {
	var whole json.RawMessage
	return json.Unmarshal(data, &whole)
}

func (d *document) syntax(err error) error {
	var wrong *json.SyntaxError
	if !errors.As(err, &wrong) {
		return d.fail(0, "", "this is not JSON: "+err.Error(), "")
	}
	hint := ""
	switch {
	case len(bytes.TrimSpace(d.data)) == 0:
		return d.fail(0, "", "the file is empty", "docs/config.md shows a config")
	case d.precededBy(wrong.Offset-1, ','):
		hint = "JSON has no comma after the last of a list"
	case wrong.Offset > 0 && d.data[wrong.Offset-1] == '/':
		hint = "JSON has no comments"
	case wrong.Offset > 0 && d.data[wrong.Offset-1] == '\'':
		hint = `JSON has its strings in "double quotes"`
	}
	return d.fail(max(wrong.Offset-1, 0), "", "this is not JSON: "+wrong.Error(), hint)
}

// precededBy tells whether the closing bracket at is right after a given byte.
func (d *document) precededBy(at int64, c byte) bool {
	if at < 0 || at >= int64(len(d.data)) || d.data[at] != '}' && d.data[at] != ']' {
		return false
	}
	before := bytes.TrimRight(d.data[:at], " \t\r\n")
	return len(before) > 0 && before[len(before)-1] == c
}

// invalidUTF8 gives where data ceases to be UTF-8, -1 if it does not.
func invalidUTF8(data []byte) int64 {
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size == 1 {
			return int64(i)
		}
		i += size
	}
	return -1
}

// walker makes values of tokens, which know where they end.
type walker struct {
	doc *document
	dec *json.Decoder
}

// begin gives where the next token begins: after blanks and separators.
func (w *walker) begin() int64 {
	at := w.dec.InputOffset()
	rest := w.doc.data[at:]
	return at + int64(len(rest)-len(bytes.TrimLeft(rest, " \t\r\n,:")))
}

func (w *walker) token(place string) (json.Token, error) {
	token, err := w.dec.Token()
	if err != nil {
		return nil, w.doc.fail(w.dec.InputOffset(), place, "this is not JSON: "+err.Error(), "")
	}
	return token, nil
}

func (w *walker) value(place string) (value, error) {
	v := value{start: w.begin()}
	token, err := w.token(place)
	if err != nil {
		return v, err
	}
	switch t := token.(type) {
	case bool:
		v.kind, v.truth = kindBool, t
	case json.Number:
		v.kind, v.text = kindNumber, t.String()
	case string:
		v.kind, v.text = kindString, t
	case json.Delim:
		if t == '[' {
			v.kind, err = kindArray, w.array(place)
		} else {
			v.kind = kindObject
			v.members, err = w.object(place)
		}
	}
	v.end = w.dec.InputOffset()
	return v, err
}

// array checks the values of an array; no config key has one.
func (w *walker) array(place string) error {
	for i := 0; w.dec.More(); i++ {
		if _, err := w.value(place + "[" + strconv.Itoa(i) + "]"); err != nil {
			return err
		}
	}
	_, err := w.token(place)
	return err
}

func (w *walker) object(place string) ([]member, error) {
	var members []member
	seen := map[string]int64{}
	for w.dec.More() {
		m := member{at: w.begin()}
		token, err := w.token(place)
		if err != nil {
			return nil, err
		}
		m.key = token.(string) // the decoder has nothing else before a colon
		if first, ok := seen[m.key]; ok {
			return nil, w.doc.fail(m.at, place, fmt.Sprintf("the key %q is here twice", m.key), fmt.Sprintf("it is on line %d already", w.doc.line(first)))
		}
		seen[m.key] = m.at
		if m.value, err = w.value(join(place, m.key)); err != nil {
			return nil, err
		}
		members = append(members, m)
	}
	_, err := w.token(place)
	return members, err
}

// join adds a key to a place: vats.alice, or vats["a b"].
func join(place, key string) string {
	if !isPlain(key) {
		return place + "[" + strconv.Quote(key) + "]"
	}
	if place == "" {
		return key
	}
	return place + "." + key
}

func isPlain(key string) bool {
	for _, r := range key {
		plain := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' || r == '$'
		if !plain {
			return false
		}
	}
	return key != ""
}
