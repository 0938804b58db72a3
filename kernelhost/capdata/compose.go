package capdata

import (
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// Field is a property of a record.
type Field struct {
	Name string
	Data CapData
}

// Elements takes the smallcaps of an array apart: each element as capdata of
// its own, with the slots that it refers to.
func Elements(data CapData) ([]CapData, error) {
	tree, err := smallcapsTree(data, kindArray)
	if err != nil {
		return nil, err
	}
	names := interfaceNames(tree)
	elements := make([]CapData, len(tree.list))
	for i, element := range tree.list {
		if elements[i], err = extract(element, data.Slots, names); err != nil {
			return nil, err
		}
	}
	return elements, nil
}

// Fields takes the smallcaps of a record apart, as Elements does with arrays.
func Fields(data CapData) ([]Field, error) {
	tree, err := smallcapsTree(data, kindObject)
	if err != nil {
		return nil, err
	}
	names := interfaceNames(tree)
	fields := make([]Field, len(tree.keys))
	for i, key := range tree.keys {
		if strings.HasPrefix(key, "#") {
			return nil, fmt.Errorf("this is no record: %s", data.Body)
		}
		fields[i].Name = strings.TrimPrefix(key, "!")
		if fields[i].Data, err = extract(tree.list[i], data.Slots, names); err != nil {
			return nil, err
		}
	}
	return fields, nil
}

func smallcapsTree(data CapData, want kind) (node, error) {
	tree, err := parseBody(data)
	if err != nil {
		return node{}, err
	}
	if data.Body[0] != '#' || tree.kind != want {
		what := map[kind]string{kindArray: "an array", kindObject: "a record"}[want]
		return node{}, fmt.Errorf("this is not the smallcaps of %s: %s", what, data.Body)
	}
	return tree, nil
}

// List is the capdata of an array of values, all smallcaps.
func List(items ...CapData) (CapData, error) {
	var to relocation
	tree := node{kind: kindArray, list: make([]node, len(items))}
	for i, item := range items {
		var err error
		if tree.list[i], err = to.add(item); err != nil {
			return CapData{}, err
		}
	}
	return smallcaps(tree, to.slots), nil
}

// Record is the capdata of a record; its names are put in marshal's order.
func Record(fields ...Field) (CapData, error) {
	var to relocation
	tree := node{kind: kindObject}
	for _, f := range sortedBy(fields, func(f Field) string { return f.Name }) {
		value, err := to.add(f.Data)
		if err != nil {
			return CapData{}, fmt.Errorf("%s: %w", f.Name, err)
		}
		tree.keys = append(tree.keys, escape(f.Name))
		tree.list = append(tree.list, value)
	}
	return smallcaps(tree, to.slots), nil
}

// relocation collects parts of other capdata, with slots numbered anew.
type relocation struct {
	slots []string
	names map[int]string // of the source, by its slot index
	from  []string
}

// add takes over a whole value.
func (r *relocation) add(data CapData) (node, error) {
	tree, err := parseBody(data)
	if err != nil {
		return node{}, err
	}
	if data.Body[0] != '#' {
		return node{}, fmt.Errorf("this is no smallcaps: %s", data.Body)
	}
	r.from, r.names = data.Slots, interfaceNames(tree)
	return r.move(tree)
}

func extract(part node, slots []string, names map[int]string) (CapData, error) {
	r := relocation{from: slots, names: names}
	tree, err := r.move(part)
	if err != nil {
		return CapData{}, err
	}
	return smallcaps(tree, r.slots), nil
}

func (r *relocation) move(n node) (node, error) {
	switch n.kind {
	case kindString:
		return r.moveString(n)
	case kindArray:
		return eachOf(n.list, r.move)
	case kindObject:
		moved, err := eachOf(n.list, r.move)
		return node{kind: kindObject, keys: n.keys, list: moved.list}, err
	}
	return n, nil
}

func (r *relocation) moveString(n node) (node, error) {
	at, ok, err := slotIndex(n.text)
	if err != nil || !ok {
		return n, err
	}
	if at >= len(r.from) {
		return node{}, fmt.Errorf("%q refers to a slot that is not there", n.text)
	}
	slot := r.from[at]
	now := slices.Index(r.slots, slot)
	if now >= 0 {
		return text(n.text[:1] + strconv.Itoa(now)), nil
	}
	r.slots = append(r.slots, slot)
	return text(n.text[:1] + strconv.Itoa(len(r.slots)-1) + r.names[at]), nil
}

// slotIndex reads "$3.name" and "&3".
func slotIndex(s string) (at int, ok bool, err error) {
	if s == "" || s[0] != '$' && s[0] != '&' {
		return 0, false, nil
	}
	number, _, _ := strings.Cut(s[1:], ".")
	at, err = strconv.Atoi(number)
	if err != nil || at < 0 {
		return 0, false, fmt.Errorf("%q is no reference to a slot", s)
	}
	return at, true, nil
}

// interfaceNames gives what follows the number where a slot is first named.
func interfaceNames(tree node) map[int]string {
	names := map[int]string{}
	var visit func(node)
	visit = func(n node) {
		if n.kind == kindString {
			at, ok, _ := slotIndex(n.text)
			_, name, named := strings.Cut(n.text, ".")
			if ok && named && names[at] == "" {
				names[at] = "." + name
			}
		}
		for _, inner := range n.list {
			visit(inner)
		}
	}
	visit(tree)
	return names
}

// String is the capdata of a string.
func String(s string) CapData { return smallcaps(text(escape(s)), nil) }

// Bool is the capdata of a boolean.
func Bool(b bool) CapData { return smallcaps(node{kind: kindBool, text: strconv.FormatBool(b)}, nil) }

// Int is the capdata of a number.
func Int(n int64) CapData {
	return smallcaps(node{kind: kindNumber, text: strconv.FormatInt(n, 10)}, nil)
}

// BigInt is the capdata of a BigInt.
func BigInt(n *big.Int) CapData {
	digits := n.String()
	if n.Sign() >= 0 {
		digits = "+" + digits
	}
	return smallcaps(text(digits), nil)
}

// Undefined is the capdata of undefined.
func Undefined() CapData { return smallcaps(text("#undefined"), nil) }

// Slot is the capdata of a remotable or, for a promise's kref, a promise. iface
// is the name it goes by, "" = none.
func Slot(slot, iface string) CapData {
	if isPromise(slot) {
		return smallcaps(text("&0"), []string{slot})
	}
	if iface != "" {
		iface = "." + iface
	}
	return smallcaps(text("$0"+iface), []string{slot})
}
