package capdata

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf16"
)

type kind int

const (
	kindNull kind = iota
	kindBool
	kindNumber
	kindString
	kindArray
	kindObject
)

// maxDepth bounds nesting, so that no input can exhaust the stack.
const maxDepth = 5000

// node is a JSON value that keeps the order of its keys and the spelling of
// its numbers.
type node struct {
	kind kind
	text string   // of a number or string; "true" or "false" of a bool
	keys []string // of an object, one for each of list
	list []node   // of an array or object
}

func parseJSON(text []byte) (node, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	tree, err := parseValue(d, 0)
	if err != nil {
		return node{}, err
	}
	if _, err := d.Token(); err != io.EOF {
		return node{}, errors.New("there is more after the value")
	}
	return tree, nil
}

func parseValue(d *json.Decoder, depth int) (node, error) {
	token, err := d.Token()
	if err != nil {
		return node{}, unexpectedEOF(err)
	}
	switch token := token.(type) {
	case nil:
		return node{kind: kindNull}, nil
	case bool:
		return node{kind: kindBool, text: fmt.Sprint(token)}, nil
	case json.Number:
		return node{kind: kindNumber, text: string(token)}, nil
	case string:
		return node{kind: kindString, text: token}, nil
	}
	if depth == maxDepth {
		return node{}, fmt.Errorf("it is nested deeper than %d", maxDepth)
	}
	if token == json.Delim('[') {
		return parseArray(d, depth)
	}
	return parseObject(d, depth)
}

func parseArray(d *json.Decoder, depth int) (node, error) {
	array := node{kind: kindArray}
	for d.More() {
		value, err := parseValue(d, depth+1)
		if err != nil {
			return node{}, err
		}
		array.list = append(array.list, value)
	}
	_, err := d.Token()
	return array, unexpectedEOF(err)
}

// parseObject takes the last of equal keys in the place of the first, as
// JavaScript does.
func parseObject(d *json.Decoder, depth int) (node, error) {
	object := node{kind: kindObject}
	index := map[string]int{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return node{}, unexpectedEOF(err)
		}
		key, ok := token.(string)
		if !ok {
			return node{}, fmt.Errorf("the key %v is no string", token)
		}
		value, err := parseValue(d, depth+1)
		if err != nil {
			return node{}, err
		}
		if at, again := index[key]; again {
			object.list[at] = value
			continue
		}
		index[key] = len(object.keys)
		object.keys = append(object.keys, key)
		object.list = append(object.list, value)
	}
	_, err := d.Token()
	return object, unexpectedEOF(err)
}

func unexpectedEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// field is the value of an object's key.
func (n node) field(key string) (node, bool) {
	if n.kind != kindObject {
		return node{}, false
	}
	at := slices.Index(n.keys, key)
	if at < 0 {
		return node{}, false
	}
	return n.list[at], true
}

// appendJSON writes what JSON.stringify writes: an object's keys that are
// array indices go first, in their numeric order.
func (n node) appendJSON(b []byte) []byte {
	switch n.kind {
	case kindNull:
		return append(b, "null"...)
	case kindBool, kindNumber:
		return append(b, n.text...)
	case kindString:
		return AppendString(b, n.text)
	case kindArray:
		b = append(b, '[')
		for i, value := range n.list {
			if i > 0 {
				b = append(b, ',')
			}
			b = value.appendJSON(b)
		}
		return append(b, ']')
	}
	b = append(b, '{')
	for i, at := range visitOrder(n.keys) {
		if i > 0 {
			b = append(b, ',')
		}
		b = AppendString(b, n.keys[at])
		b = append(b, ':')
		b = n.list[at].appendJSON(b)
	}
	return append(b, '}')
}

func upTo(n int) []int {
	indices := make([]int, n)
	for i := range indices {
		indices[i] = i
	}
	return indices
}

// visitOrder is the order in which JavaScript visits an object's keys.
func visitOrder(keys []string) []int {
	order := upTo(len(keys))
	slices.SortStableFunc(order, func(a, b int) int {
		x, xIsIndex := arrayIndex(keys[a])
		y, yIsIndex := arrayIndex(keys[b])
		switch {
		case xIsIndex && yIsIndex:
			return int(x - y)
		case xIsIndex:
			return -1
		case yIsIndex:
			return 1
		}
		return 0
	})
	return order
}

// arrayIndex reads the canonical spelling of 0 to 2^32-2.
func arrayIndex(key string) (int64, bool) {
	if key == "" || len(key) > 10 || (key[0] == '0' && key != "0") {
		return 0, false
	}
	var n int64
	for i := range len(key) {
		if key[i] < '0' || key[i] > '9' {
			return 0, false
		}
		n = n*10 + int64(key[i]-'0')
	}
	return n, n < 1<<32-1
}

// sortedBy sorts a copy by keys in JavaScript's order of strings, that of
// UTF-16 units.
func sortedBy[T any](list []T, key func(T) string) []T {
	sorted := slices.Clone(list)
	slices.SortStableFunc(sorted, func(a, b T) int { return compareUTF16(key(a), key(b)) })
	return sorted
}

func compareUTF16(a, b string) int {
	return slices.Compare(utf16.Encode([]rune(a)), utf16.Encode([]rune(b)))
}
