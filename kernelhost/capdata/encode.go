package capdata

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// Keys of the objects that stand for what JSON cannot say. The decoder writes
// all but bigintKey and undefinedKey; the encoder reads the first three.
const (
	slotKey      = "@slot"
	bigintKey    = "@bigint"
	undefinedKey = "@undefined"
	symbolKey    = "@symbol"
	errorKey     = "@error"
	tagKey       = "@tag"
)

var decimal = regexp.MustCompile(`^(0|-?[1-9][0-9]*)$`)

// FromJSON is the smallcaps capdata of a plain JSON value; of no text, that of
// undefined. Objects with exactly these keys stand for what JSON cannot say:
//
//	{"@bigint": "123"}                    a BigInt
//	{"@undefined": true}                  undefined
//	{"@slot": "ko23"}                     a remotable or, for "kp…", a promise
//	{"@slot": "ko23", "iface": "name"}    the same with an interface name
//
// Numbers are taken as JavaScript takes them; an integer it cannot hold exactly
// is an error that names {"@bigint": …}.
func FromJSON(text json.RawMessage) (CapData, error) {
	if len(text) == 0 {
		return smallcaps(node{kind: kindString, text: "#undefined"}, nil), nil
	}
	tree, err := parseJSON(text)
	if err != nil {
		return CapData{}, fmt.Errorf("this is no JSON: %w", err)
	}
	e := encoder{index: map[string]int{}}
	encoded, err := e.encode(tree)
	if err != nil {
		return CapData{}, err
	}
	return smallcaps(encoded, e.slots), nil
}

type encoder struct {
	slots []string
	index map[string]int // of each slot
}

func (e *encoder) encode(n node) (node, error) {
	switch n.kind {
	case kindString:
		return text(escape(n.text)), nil
	case kindNumber:
		spelt, err := jsNumber(n.text)
		return node{kind: kindNumber, text: spelt}, err
	case kindArray:
		return eachOf(n.list, e.encode)
	case kindObject:
		if special, ok, err := e.special(n); ok || err != nil {
			return special, err
		}
		return e.record(n)
	}
	return n, nil
}

// record encodes in the order of the names, so that slots are numbered as
// marshal numbers them.
func (e *encoder) record(n node) (node, error) {
	record := node{kind: kindObject}
	for _, at := range sortedBy(upTo(len(n.keys)), func(i int) string { return n.keys[i] }) {
		encoded, err := e.encode(n.list[at])
		if err != nil {
			return node{}, err
		}
		record.keys = append(record.keys, escape(n.keys[at]))
		record.list = append(record.list, encoded)
	}
	return record, nil
}

// special encodes the objects that FromJSON documents.
func (e *encoder) special(n node) (node, bool, error) {
	if slot, ok := n.field(slotKey); ok && slot.kind == kindString {
		return e.slot(n, slot.text)
	}
	if len(n.keys) != 1 {
		return node{}, false, nil
	}
	value := n.list[0]
	switch {
	case n.keys[0] == undefinedKey && value.kind == kindBool && value.text == "true":
		return text("#undefined"), true, nil
	case n.keys[0] == bigintKey:
		if value.kind != kindString || !decimal.MatchString(value.text) {
			return node{}, false, fmt.Errorf(`%s is no BigInt: write {"@bigint": "123"}`, n.appendJSON(nil))
		}
		if value.text[0] != '-' {
			value.text = "+" + value.text
		}
		return value, true, nil
	}
	return node{}, false, nil
}

func (e *encoder) slot(n node, slot string) (node, bool, error) {
	iface, named := n.field("iface")
	if len(n.keys) > 2 || len(n.keys) == 2 && (!named || iface.kind != kindString) {
		return node{}, false, nil
	}
	if slot == "" {
		return node{}, false, fmt.Errorf("a slot has no name: %s", n.appendJSON(nil))
	}
	at, repeated := e.index[slot]
	if !repeated {
		at = len(e.slots)
		e.slots = append(e.slots, slot)
		e.index[slot] = at
	}
	if isPromise(slot) {
		return text(fmt.Sprintf("&%d", at)), true, nil
	}
	if named && !repeated {
		return text(fmt.Sprintf("$%d.%s", at, iface.text)), true, nil
	}
	return text(fmt.Sprintf("$%d", at)), true, nil
}

// isPromise tells from a kref or vref, as @agoric/kmarshal does.
func isPromise(slot string) bool {
	for _, prefix := range []string{"p", "kp", "lp", "rp"} {
		if strings.HasPrefix(slot, prefix) {
			return true
		}
	}
	return false
}

// isSpecial: smallcaps gives a meaning to strings that begin so.
func isSpecial(s string) bool { return s != "" && s[0] >= '!' && s[0] <= '-' }

// escape is the smallcaps encoding of a string.
func escape(s string) string {
	if isSpecial(s) {
		return "!" + s
	}
	return s
}

func text(s string) node { return node{kind: kindString, text: s} }

// eachOf is an array of what convert makes of each value.
func eachOf(values []node, convert func(node) (node, error)) (node, error) {
	array := node{kind: kindArray, list: make([]node, len(values))}
	for i, value := range values {
		converted, err := convert(value)
		if err != nil {
			return node{}, err
		}
		array.list[i] = converted
	}
	return array, nil
}
