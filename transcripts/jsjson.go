package transcripts

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// JSON text as V8 writes it. Transcript items are hashed as text, so an item
// must be spelled the way JSON.stringify(JSON.parse(x)) spells it: no spaces,
// the shortest escapes, numbers as Number.prototype.toString gives them, keys
// that are array indices first and ascending, the last of equal keys at the
// place of the first.

// maxDepth bounds the nesting, as encoding/json does.
const maxDepth = 10000

// JSRestringify gives what JSON.stringify(JSON.parse(raw)) gives in V8. Text
// that is spelled so already is given back as it is. Text that is not JSON, or
// not UTF-8, is an error.
func JSRestringify(raw []byte) ([]byte, error) {
	if !utf8.Valid(raw) {
		return nil, errors.New("cannot read JSON: it is not UTF-8")
	}
	if s := (canonicalScanner{text: raw}); s.value(0) && s.at == len(raw) {
		return raw, nil
	}
	v, err := parseJS(raw)
	if err != nil {
		return nil, err
	}
	return v.append(make([]byte, 0, len(raw)), keepOrder), nil
}

// sortedJSON gives JSON text with the keys of all objects sorted, for comparison.
func sortedJSON(raw []byte) ([]byte, error) {
	v, err := parseJS(raw)
	if err != nil {
		return nil, err
	}
	return v.append(nil, sortKeys), nil
}

// sameJSON tells whether two texts are equal but for the order of keys.
func sameJSON(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	sa, errA := sortedJSON(a)
	sb, errB := sortedJSON(b)
	return errA == nil && errB == nil && bytes.Equal(sa, sb)
}

type kind byte

const (
	kindWord   kind = iota // null, true, false, or a number: text says it
	kindString             // text is WTF-8: lone surrogates have three bytes each
	kindArray
	kindObject
)

type jsValue struct {
	kind  kind
	text  []byte
	items []jsValue // elements of an array, values of an object
	keys  [][]byte  // of an object, WTF-8
}

type keyOrder bool

const (
	keepOrder keyOrder = false
	sortKeys  keyOrder = true
)

func (v *jsValue) append(b []byte, order keyOrder) []byte {
	switch v.kind {
	case kindWord:
		return append(b, v.text...)
	case kindString:
		return appendString(b, v.text)
	case kindArray:
		b = append(b, '[')
		for i := range v.items {
			if i > 0 {
				b = append(b, ',')
			}
			b = v.items[i].append(b, order)
		}
		return append(b, ']')
	}
	b = append(b, '{')
	for n, i := range v.propertyOrder(order) {
		if n > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, v.keys[i]), ':')
		b = v.items[i].append(b, order)
	}
	return append(b, '}')
}

// propertyOrder gives the order in which V8 enumerates the keys.
func (v *jsValue) propertyOrder(order keyOrder) []int {
	out := make([]int, len(v.keys))
	for i := range out {
		out[i] = i
	}
	slices.SortStableFunc(out, func(a, b int) int {
		if order == sortKeys {
			return bytes.Compare(v.keys[a], v.keys[b])
		}
		ia, okA := arrayIndex(v.keys[a])
		ib, okB := arrayIndex(v.keys[b])
		switch {
		case okA && okB:
			return int(ia - ib)
		case okA:
			return -1
		case okB:
			return 1
		}
		return 0
	})
	return out
}

// arrayIndex tells whether a key is the decimal form of 0 … 2^32-2.
func arrayIndex(key []byte) (int64, bool) {
	if len(key) == 0 || len(key) > 10 || key[0] == '0' && len(key) > 1 {
		return 0, false
	}
	var n int64
	for _, c := range key {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, n < math.MaxUint32
}

// appendString writes a WTF-8 string as JSON.stringify does.
func appendString(b, s []byte) []byte {
	const hexDigits = "0123456789abcdef"
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20:
			if short := shortEscape(c); short != 0 {
				b = append(b, '\\', short)
			} else {
				b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			}
		case c == 0xed && i+2 < len(s) && s[i+1] >= 0xa0:
			r := rune(0xd000) | rune(s[i+1]&0x3f)<<6 | rune(s[i+2]&0x3f)
			b = append(b, '\\', 'u', 'd', hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
			i += 2
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

func shortEscape(c byte) byte {
	switch c {
	case '\b':
		return 'b'
	case '\t':
		return 't'
	case '\n':
		return 'n'
	case '\f':
		return 'f'
	case '\r':
		return 'r'
	}
	return 0
}

// jsNumber spells a JSON number as V8 does after parsing it.
func jsNumber(text []byte) []byte {
	f, err := strconv.ParseFloat(string(text), 64)
	switch {
	case err != nil && math.IsInf(f, 0):
		return []byte("null")
	case f == 0:
		return []byte("0")
	}
	if abs := math.Abs(f); abs >= 1e-6 && abs < 1e21 {
		return strconv.AppendFloat(nil, f, 'f', -1, 64)
	}
	b := strconv.AppendFloat(nil, f, 'e', -1, 64)
	// Go writes at least two digits of exponent, JavaScript one.
	if n := len(b); n >= 4 && b[n-4] == 'e' && b[n-2] == '0' {
		b = append(b[:n-2], b[n-1])
	}
	return b
}

// jsParser is a recursive descent over JSON text.
type jsParser struct {
	text []byte
	at   int
}

func parseJS(raw []byte) (*jsValue, error) {
	p := &jsParser{text: raw}
	v, err := p.value(0)
	if err != nil {
		return nil, err
	}
	p.space()
	if p.at != len(raw) {
		return nil, p.fail("the end")
	}
	return &v, nil
}

func (p *jsParser) fail(wanted string) error {
	if p.at >= len(p.text) {
		return fmt.Errorf("cannot read JSON: it ends where %s should be", wanted)
	}
	return fmt.Errorf("cannot read JSON: %q at byte %d where %s should be", p.text[p.at], p.at, wanted)
}

func (p *jsParser) space() {
	for p.at < len(p.text) && (p.text[p.at] == ' ' || p.text[p.at] == '\t' || p.text[p.at] == '\n' || p.text[p.at] == '\r') {
		p.at++
	}
}

// next skips space and takes c if it comes next.
func (p *jsParser) next(c byte) bool {
	p.space()
	if p.at < len(p.text) && p.text[p.at] == c {
		p.at++
		return true
	}
	return false
}

func (p *jsParser) value(depth int) (jsValue, error) {
	if depth > maxDepth {
		return jsValue{}, fmt.Errorf("cannot read JSON: nested deeper than %d", maxDepth)
	}
	switch {
	case p.next('{'):
		return p.object(depth)
	case p.next('['):
		return p.array(depth)
	case p.next('"'):
		s, err := p.str()
		return jsValue{kind: kindString, text: s}, err
	}
	for _, word := range []string{"null", "true", "false"} {
		if bytes.HasPrefix(p.text[p.at:], []byte(word)) {
			p.at += len(word)
			return jsValue{text: []byte(word)}, nil
		}
	}
	end := numberEnd(p.text, p.at)
	if end == p.at {
		return jsValue{}, p.fail("a value")
	}
	number := p.text[p.at:end]
	p.at = end
	return jsValue{text: jsNumber(number)}, nil
}

func (p *jsParser) array(depth int) (jsValue, error) {
	v := jsValue{kind: kindArray}
	if p.next(']') {
		return v, nil
	}
	for {
		item, err := p.value(depth + 1)
		if err != nil {
			return v, err
		}
		v.items = append(v.items, item)
		if p.next(']') {
			return v, nil
		}
		if !p.next(',') {
			return v, p.fail("',' or ']'")
		}
	}
}

func (p *jsParser) object(depth int) (jsValue, error) {
	v := jsValue{kind: kindObject}
	if p.next('}') {
		return v, nil
	}
	places := map[string]int{}
	for {
		if !p.next('"') {
			return v, p.fail("a key")
		}
		key, err := p.str()
		if err != nil {
			return v, err
		}
		if !p.next(':') {
			return v, p.fail("':'")
		}
		item, err := p.value(depth + 1)
		if err != nil {
			return v, err
		}
		if i, seen := places[string(key)]; seen {
			v.items[i] = item
		} else {
			places[string(key)] = len(v.keys)
			v.keys, v.items = append(v.keys, key), append(v.items, item)
		}
		if p.next('}') {
			return v, nil
		}
		if !p.next(',') {
			return v, p.fail("',' or '}'")
		}
	}
}

// str reads a string after its opening quote, into WTF-8.
func (p *jsParser) str() ([]byte, error) {
	out := []byte{}
	for p.at < len(p.text) {
		c := p.text[p.at]
		switch {
		case c == '"':
			p.at++
			return out, nil
		case c < 0x20:
			return nil, p.fail("a character of a string")
		case c != '\\':
			out = append(out, c)
			p.at++
		default:
			var err error
			if out, err = p.escape(out); err != nil {
				return nil, err
			}
		}
	}
	return nil, p.fail("the end of a string")
}

func (p *jsParser) escape(out []byte) ([]byte, error) {
	p.at++
	if p.at >= len(p.text) {
		return nil, p.fail("an escape")
	}
	c := p.text[p.at]
	if i := bytes.IndexByte([]byte(`"\/bfnrt`), c); i >= 0 {
		p.at++
		return append(out, "\"\\/\b\f\n\r\t"[i]), nil
	}
	if c != 'u' {
		return nil, p.fail("an escape")
	}
	p.at++
	r, ok := p.hex4(p.at)
	if !ok {
		return nil, p.fail("four hex digits")
	}
	p.at += 4
	if !utf16.IsSurrogate(r) {
		return utf8.AppendRune(out, r), nil
	}
	if low, ok := p.hex4(p.at + 2); ok && p.text[p.at] == '\\' && p.text[p.at+1] == 'u' {
		if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
			p.at += 6
			return utf8.AppendRune(out, pair), nil
		}
	}
	return append(out, 0xed, byte(0x80|r>>6&0x3f), byte(0x80|r&0x3f)), nil
}

func (p *jsParser) hex4(at int) (rune, bool) {
	if at+4 > len(p.text) {
		return 0, false
	}
	var r rune
	for _, c := range p.text[at : at+4] {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

// numberEnd gives where the JSON number at `at` ends, `at` if there is none.
func numberEnd(text []byte, at int) int {
	digits := func(i int) int {
		for i < len(text) && text[i] >= '0' && text[i] <= '9' {
			i++
		}
		return i
	}
	i := at
	if i < len(text) && text[i] == '-' {
		i++
	}
	end := digits(i)
	if end == i {
		return at
	}
	if text[i] == '0' {
		end = i + 1
	}
	if end+1 < len(text) && text[end] == '.' {
		if frac := digits(end + 1); frac > end+1 {
			end = frac
		}
	}
	if end < len(text) && (text[end] == 'e' || text[end] == 'E') {
		exp := end + 1
		if exp < len(text) && (text[exp] == '+' || text[exp] == '-') {
			exp++
		}
		if last := digits(exp); last > exp {
			end = last
		}
	}
	return end
}
