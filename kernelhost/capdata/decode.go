package capdata

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ToJSON is Decode for showing: capdata that cannot be decoded gives
// {"@undecodable": why}.
func ToJSON(data CapData) json.RawMessage {
	plain, err := Decode(data)
	if err != nil {
		return append(AppendString([]byte(`{"@undecodable":`), err.Error()), '}')
	}
	return plain
}

// Decode is the plain JSON of capdata in either encoding. What JSON cannot say
// becomes
//
//	undefined          null
//	NaN, ±Infinity     "NaN", "Infinity", "-Infinity"
//	a BigInt           its decimal digits, a string
//	a symbol           {"@symbol": name}
//	an error           {"@error": message, "name": …}, and errorId if it has one
//	a tagged value     {"@tag": tag, "payload": …}
//	a remotable        {"@slot": slot, "iface": …}, iface only where it is given
//	a promise          {"@slot": slot}
func Decode(data CapData) (json.RawMessage, error) {
	tree, err := parseBody(data)
	if err != nil {
		return nil, err
	}
	plain, err := decoderOf(data).decode(tree)
	if err != nil {
		return nil, err
	}
	return plain.appendJSON(nil), nil
}

// Legible is one line for people: an error's name and message, a string as it
// is, anything else as ToJSON gives it. What a vat wrote is untrusted, control
// characters included.
func Legible(data CapData) string {
	plain, err := parseJSON(ToJSON(data))
	if err != nil {
		return data.Body
	}
	if plain.kind == kindString {
		return plain.text
	}
	message, isError := plain.field(errorKey)
	if !isError {
		return string(plain.appendJSON(nil))
	}
	name, _ := plain.field("name")
	return name.text + ": " + message.text
}

// decoder turns the tree of a body into that of plain JSON.
type decoder struct {
	slots  []string
	legacy bool
}

func decoderOf(data CapData) decoder {
	return decoder{slots: data.Slots, legacy: data.Body[0] != '#'}
}

func (d decoder) decode(n node) (node, error) {
	switch {
	case n.kind == kindNumber:
		return node{kind: kindNumber, text: displayNumber(n.text)}, nil
	case n.kind == kindString && !d.legacy && isSpecial(n.text):
		return d.special(n.text)
	case n.kind == kindArray:
		return eachOf(n.list, d.decode)
	case n.kind == kindObject && d.legacy:
		return d.legacyObject(n)
	case n.kind == kindObject:
		return d.object(n)
	}
	return n, nil
}

func record(pairs ...any) node {
	n := node{kind: kindObject}
	for i := 0; i < len(pairs); i += 2 {
		n.keys = append(n.keys, pairs[i].(string))
		n.list = append(n.list, pairs[i+1].(node))
	}
	return n
}

// special decodes a smallcaps string with one of the prefixes.
func (d decoder) special(s string) (node, error) {
	switch s[0] {
	case '!':
		return text(s[1:]), nil
	case '%':
		return record(symbolKey, text(s[1:])), nil
	case '+', '-':
		return bigint(strings.TrimPrefix(s, "+"), s)
	case '$', '&':
		return d.smallcapsSlot(s)
	case '#':
		return constant(s[1:])
	}
	return node{}, fmt.Errorf("the string %q begins with a character that smallcaps keeps for later", s)
}

func constant(name string) (node, error) {
	switch name {
	case "undefined":
		return node{kind: kindNull}, nil
	case "NaN", "Infinity", "-Infinity":
		return text(name), nil
	}
	return node{}, fmt.Errorf("unknown constant %q", "#"+name)
}

func bigint(digits, spelt string) (node, error) {
	if !decimal.MatchString(digits) {
		return node{}, fmt.Errorf("%q is no BigInt", spelt)
	}
	return text(digits), nil
}

func (d decoder) smallcapsSlot(s string) (node, error) {
	number, iface, named := strings.Cut(s[1:], ".")
	slot, err := d.slotAt(number)
	if err != nil {
		return node{}, err
	}
	if isPromise(slot) != (s[0] == '&') {
		return node{}, fmt.Errorf("%q refers to the slot %s, which is of the other kind", s, slot)
	}
	if !named {
		return record(slotKey, text(slot)), nil
	}
	return record(slotKey, text(slot), "iface", text(iface)), nil
}

func (d decoder) slotAt(number string) (string, error) {
	index, err := strconv.ParseUint(number, 10, 31)
	if err != nil {
		return "", fmt.Errorf("%q is no index of a slot", number)
	}
	if index >= uint64(len(d.slots)) {
		return "", fmt.Errorf("the body refers to slot %d of %d", index, len(d.slots))
	}
	return d.slots[index], nil
}

// object decodes a smallcaps record, error or tagged value.
func (d decoder) object(n node) (node, error) {
	if tag, ok := n.field("#tag"); ok {
		return d.tagged(n, tag, []string{"#tag", "payload"})
	}
	if message, ok := n.field("#error"); ok {
		if _, twice := n.field("message"); twice {
			return node{}, errors.New("an error has two messages")
		}
		return d.failure(n, message, "#error")
	}
	plain := node{kind: kindObject}
	for i, key := range n.keys {
		if isSpecial(key) && key[0] != '!' {
			return node{}, fmt.Errorf("%q is neither a kind of record nor the name of a property", key)
		}
		value, err := d.decode(n.list[i])
		if err != nil {
			return node{}, err
		}
		plain.keys = append(plain.keys, strings.TrimPrefix(key, "!"))
		plain.list = append(plain.list, value)
	}
	return plain, nil
}

func (d decoder) tagged(n, tag node, allowed []string) (node, error) {
	for _, key := range n.keys {
		if !slices.Contains(allowed, key) {
			return node{}, fmt.Errorf("a tagged value has an unknown property %q", key)
		}
	}
	// A tag that is no plain string is refused: only strings decode to strings.
	name, err := d.decode(tag)
	if err != nil {
		return node{}, err
	}
	if tag.kind != kindString || name.kind != kindString {
		return node{}, errors.New("a tag is no string")
	}
	payload := node{kind: kindNull}
	if encoded, ok := n.field("payload"); ok {
		if payload, err = d.decode(encoded); err != nil {
			return node{}, err
		}
	}
	return record(tagKey, name, "payload", payload), nil
}

// failure decodes an error; what it has beside message, name and errorId
// (cause, errors) is checked and left out.
func (d decoder) failure(n, message node, messageKey string) (node, error) {
	told, err := d.decode(message)
	if err != nil {
		return node{}, err
	}
	encodedName, _ := n.field("name")
	name, err := d.decode(encodedName)
	if err != nil {
		return node{}, err
	}
	if told.kind != kindString || name.kind != kindString {
		return node{}, errors.New("an error's message and name must be strings")
	}
	plain := record(errorKey, told, "name", name)
	for i, key := range n.keys {
		if key == messageKey || key == "name" || key == qclass {
			continue
		}
		value, err := d.decode(n.list[i])
		if err != nil {
			return node{}, err
		}
		if key == "errorId" {
			plain.keys = append(plain.keys, key)
			plain.list = append(plain.list, value)
		}
	}
	return plain, nil
}

// single is the slot that the whole body is, or "".
func (d decoder) single(tree, plain node) string {
	isSlot := !d.legacy && tree.kind == kindString && (strings.HasPrefix(tree.text, "$") || strings.HasPrefix(tree.text, "&"))
	if d.legacy {
		class, _ := tree.field(qclass)
		isSlot = class.text == "slot"
	}
	if !isSlot {
		return ""
	}
	slot, _ := plain.field(slotKey)
	return slot.text
}
