package capdata

import (
	"errors"
	"fmt"
)

// qclass is the key that the older encoding marks special objects with.
const qclass = "@qclass"

// legacyObject decodes an object of the older encoding.
func (d decoder) legacyObject(n node) (node, error) {
	class, ok := n.field(qclass)
	if !ok {
		return d.legacyRecord(n)
	}
	if class.kind != kindString {
		return node{}, fmt.Errorf("%s is no string", qclass)
	}
	switch class.text {
	case "undefined", "NaN", "Infinity", "-Infinity":
		return constant(class.text)
	case "bigint":
		digits, _ := n.field("digits")
		return bigint(digits.text, digits.text)
	case "@@asyncIterator":
		return record(symbolKey, text("@@asyncIterator")), nil
	case "symbol":
		name, _ := n.field("name")
		if name.kind != kindString {
			return node{}, errors.New("a symbol's name is no string")
		}
		return record(symbolKey, name), nil
	case "tagged":
		tag, _ := n.field("tag")
		return d.tagged(n, tag, []string{qclass, "tag", "payload"})
	case "error":
		message, _ := n.field("message")
		return d.failure(n, message, "message")
	case "slot":
		return d.legacySlot(n)
	case "hilbert":
		return d.hilbert(n)
	}
	return node{}, fmt.Errorf("unknown %s %q", qclass, class.text)
}

func (d decoder) legacyRecord(n node) (node, error) {
	values, err := eachOf(n.list, d.decode)
	return node{kind: kindObject, keys: n.keys, list: values.list}, err
}

func (d decoder) legacySlot(n node) (node, error) {
	index, _ := n.field("index")
	if index.kind != kindNumber {
		return node{}, errors.New("a slot has no index")
	}
	slot, err := d.slotAt(index.text)
	if err != nil {
		return node{}, err
	}
	iface, ok := n.field("iface")
	if !ok {
		return record(slotKey, text(slot)), nil
	}
	if iface.kind != kindString {
		return node{}, errors.New("the iface of a slot is no string")
	}
	return record(slotKey, text(slot), "iface", iface), nil
}

// hilbert decodes a record that itself has a property named @qclass.
func (d decoder) hilbert(n node) (node, error) {
	original, ok := n.field("original")
	if !ok {
		return node{}, errors.New("a hilbert object has no original")
	}
	value, err := d.decode(original)
	if err != nil {
		return node{}, err
	}
	plain := record(qclass, value)
	rest, ok := n.field("rest")
	if !ok {
		return plain, nil
	}
	if rest.kind != kindObject || len(rest.keys) == 0 {
		return node{}, errors.New("the rest of a hilbert object is no record")
	}
	others, err := d.decode(rest)
	if err != nil {
		return node{}, err
	}
	if _, twice := others.field(qclass); twice || others.kind != kindObject {
		return node{}, fmt.Errorf("the rest of a hilbert object has its own %s", qclass)
	}
	plain.keys = append(plain.keys, others.keys...)
	plain.list = append(plain.list, others.list...)
	return plain, nil
}
