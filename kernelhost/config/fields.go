package config

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// fields reads the members of one object by key. The first thing wrong stays;
// all that is read after it is zero.
type fields struct {
	doc    *document
	place  string
	object value
	err    error
}

// open reads v, which must be an object with no other keys than those known.
// Keys of SwingSet that cannot be had here are in refused, with the reason.
func open(doc *document, place string, v value, known []string, refused map[string]string) *fields {
	f := &fields{doc: doc, place: place, object: v}
	if v.kind != kindObject {
		f.err = wrongType(doc, v, place, "an object")
		return f
	}
	for _, m := range v.members {
		if slices.Contains(known, m.key) {
			continue
		}
		if reason, ok := refused[m.key]; ok {
			f.err = doc.fail(m.at, place, fmt.Sprintf("%q is not supported", m.key), reason)
			return f
		}
		f.err = doc.fail(m.at, place, fmt.Sprintf("unknown key %q", m.key), didYouMean(m.key, known))
		return f
	}
	return f
}

func wrongType(doc *document, v value, place, want string) *Error {
	return doc.fail(v.start, place, fmt.Sprintf("this must be %s, not %s", want, describe(doc, v)), "")
}

// describe names a value in an error: short ones are shown.
func describe(doc *document, v value) string {
	const most = 40
	text := string(doc.data[v.start:v.end])
	if v.kind == kindNull || v.kind == kindArray || v.kind == kindObject || len(text) > most {
		return v.kind.String()
	}
	return text
}

// fail notes an error at a member.
func (f *fields) fail(at int64, key, problem, hint string) {
	if f.err == nil {
		f.err = f.doc.fail(at, join(f.place, key), problem, hint)
	}
}

// want gives the member of a key if it is of a kind.
func (f *fields) want(key string, k kind) (member, bool) {
	m, ok := f.object.get(key)
	if f.err != nil || !ok {
		return m, false
	}
	if m.value.kind != k {
		f.err = wrongType(f.doc, m.value, join(f.place, key), k.String())
		return m, false
	}
	return m, true
}

func (f *fields) bool(key string, otherwise bool) bool {
	if m, ok := f.want(key, kindBool); ok {
		return m.value.truth
	}
	return otherwise
}

// string reads a string that is not empty.
func (f *fields) string(key, otherwise string) string {
	m, ok := f.want(key, kindString)
	if !ok {
		return otherwise
	}
	if m.value.text == "" {
		f.fail(m.value.start, key, "this must not be empty", "")
	}
	return m.value.text
}

// choice reads one of some strings.
func (f *fields) choice(key, otherwise string, among ...string) string {
	m, ok := f.want(key, kindString)
	if !ok {
		return otherwise
	}
	if !slices.Contains(among, m.value.text) {
		f.fail(m.value.start, key, fmt.Sprintf("%q is none of %s", m.value.text, quoted(among)), didYouMean(m.value.text, among))
	}
	return m.value.text
}

// only reads a value that has no choice.
func (f *fields) only(key string, must bool, hint string) {
	m, ok := f.want(key, kindBool)
	if ok && m.value.truth != must {
		f.fail(m.value.start, key, fmt.Sprintf("%t is not supported", m.value.truth), hint)
	}
}

// count reads a whole number of at least least.
func (f *fields) count(key string, otherwise, least int64) int64 {
	m, ok := f.want(key, kindNumber)
	if !ok {
		return otherwise
	}
	return f.number(key, m.value, least)
}

func (f *fields) number(key string, v value, least int64) int64 {
	n, ok := wholeNumber(v.text)
	if ok && n >= least {
		return n
	}
	bound := fmt.Sprintf("at least %d", least)
	if f64, err := strconv.ParseFloat(v.text, 64); err != nil || f64 > maxSafeInteger {
		bound = fmt.Sprintf("at most %d", int64(maxSafeInteger))
	}
	f.fail(v.start, key, fmt.Sprintf("this must be a whole number of %s, not %s", bound, describe(f.doc, v)), "")
	return 0
}

// countOrNever reads a whole number of at least 1, or "never". ok: it is there.
func (f *fields) countOrNever(key string) (n int64, never, ok bool) {
	m, ok := f.object.get(key)
	if f.err != nil || !ok {
		return 0, false, false
	}
	switch {
	case m.value.kind == kindNumber:
		return f.number(key, m.value, 1), false, true
	case m.value.kind == kindString && m.value.text == neverWord:
		return 0, true, true
	}
	f.err = wrongType(f.doc, m.value, join(f.place, key), fmt.Sprintf("a whole number of at least 1 or %q", neverWord))
	return 0, false, false
}

// neverWord is how SwingSet spells an infinite interval.
const neverWord = "never"

// maxSafeInteger is the largest integer that JavaScript knows to be exact.
const maxSafeInteger = 1<<53 - 1

// wholeNumber reads a JSON number as JavaScript does: 3, 3.0 and 3e0 are one.
func wholeNumber(text string) (int64, bool) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > maxSafeInteger {
		return 0, false
	}
	return int64(f), true
}

// raw gives the bytes of a value, compact.
func (d *document) raw(v value) json.RawMessage {
	return compact(d.data[v.start:v.end])
}

func quoted(words []string) string {
	all := make([]string, len(words))
	for i, word := range words {
		all[i] = strconv.Quote(word)
	}
	return strings.Join(all, ", ")
}
