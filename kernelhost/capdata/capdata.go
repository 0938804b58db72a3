// Package capdata encodes and decodes the data that vats exchange: a JSON body
// with references to slots.
//
// Bodies that begin with "#" are smallcaps, what today's liveslots and kernel
// write; others are the older @qclass encoding, which is only read. Both are
// those of the npm package @endo/marshal (encodeToSmallcaps.js,
// encodeToCapData.js), as @agoric/kmarshal uses it: errors without an errorId.
// All functions are pure and safe for concurrent use.
package capdata

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// CapData is a body and the slots it refers to: krefs in kernel space, vrefs
// in a vat's space. Slots is never nil in what this package returns.
type CapData struct {
	Body  string   `json:"body"`
	Slots []string `json:"slots"`
}

// Root is the root object of a vat, or the root node of a device, by its name.
type Root struct {
	Name string
	Kref string
}

// MakeError is the capdata of Error(text).
func MakeError(text string) CapData {
	return smallcaps(object{
		{name: "#error", value: text, raw: true},
		{name: "name", value: "Error"},
	}.literal(), nil)
}

// UpgradeDisconnection is what the promises of an ended incarnation are
// rejected with (@agoric/internal, upgrade-api.js). incarnation is the number
// of the incarnation that follows.
func UpgradeDisconnection(message string, incarnation int64) CapData {
	return smallcaps(object{
		{name: "incarnationNumber", number: strconv.FormatInt(incarnation, 10)},
		{name: "name", value: "vatUpgraded"},
		{name: "upgradeMessage", value: message},
	}.literal(), nil)
}

// MethArgs is the capdata of [method, args], given that of the array args,
// which must be smallcaps.
func MethArgs(method string, args CapData) (CapData, error) {
	tree, err := parseBody(args)
	if err != nil {
		return CapData{}, err
	}
	if args.Body[0] != '#' || tree.kind != kindArray {
		return CapData{}, fmt.Errorf("the arguments must be the smallcaps of an array, not %s", args.Body)
	}
	b := AppendString([]byte("#["), escape(method))
	b = append(b, ',')
	b = append(b, args.Body[1:]...)
	return CapData{Body: string(append(b, ']')), Slots: append([]string{}, args.Slots...)}, nil
}

// Bootstrap is the capdata of ["bootstrap", [vats, devices]]: vats maps the
// names of vats, which must be distinct, to their root objects, devices those of
// devices to their root nodes.
func Bootstrap(vats, devices []Root) CapData {
	var slots []string
	args := []node{named(vats, "root", &slots), named(devices, "device", &slots)}
	method := node{kind: kindString, text: "bootstrap"}
	return smallcaps(node{kind: kindArray, list: []node{method, {kind: kindArray, list: args}}}, slots)
}

// named is the record of roots by their names; slots takes theirs.
func named(roots []Root, iface string, slots *[]string) node {
	record := node{kind: kindObject}
	for _, root := range sortedBy(roots, func(r Root) string { return r.Name }) {
		at := slices.Index(*slots, root.Kref)
		text := fmt.Sprintf("$%d", at)
		if at < 0 {
			text = fmt.Sprintf("$%d.Alleged: %s", len(*slots), iface)
			*slots = append(*slots, root.Kref)
		}
		record.keys = append(record.keys, escape(root.Name))
		record.list = append(record.list, node{kind: kindString, text: text})
	}
	return record
}

// SingleSlot is the slot of capdata that is nothing but one remotable or
// promise, else "". Capdata that cannot be decoded is an error.
func SingleSlot(data CapData) (string, error) {
	tree, err := parseBody(data)
	if err != nil {
		return "", err
	}
	d := decoderOf(data)
	plain, err := d.decode(tree)
	if err != nil {
		return "", err
	}
	return d.single(tree, plain), nil
}

// Method is the name of the method in the capdata of [method, args] for
// messages, word for word what SwingSet's extractMethod (lib/kdebug.js) says.
func Method(methargs CapData) string {
	tree, err := parseBody(methargs)
	if err != nil || tree.kind == kindNull {
		return "<unknown>"
	}
	if tree.kind != kindArray || len(tree.list) == 0 {
		return "<funcall>"
	}
	method := tree.list[0]
	switch {
	case method.kind == kindString && methargs.Body[0] == '#':
		return smallcapsMethod(method.text)
	case method.kind == kindString:
		return method.text
	case method.kind == kindObject && methargs.Body[0] != '#':
		return legacyMethod(method)
	}
	return unintelligible
}

const unintelligible = "<unintelligible method>"

func smallcapsMethod(s string) string {
	switch {
	case s == "#undefined":
		return "<funcall>"
	case strings.HasPrefix(s, "%"):
		return "[" + s[1:] + "]"
	case strings.HasPrefix(s, "!"):
		return s[1:]
	case s != "" && strings.ContainsRune("#+-$&", rune(s[0])):
		return unintelligible
	}
	return s
}

func legacyMethod(method node) string {
	class, _ := method.field(qclass)
	switch class.text {
	case "undefined":
		return "<funcall>"
	case "symbol":
		name, _ := method.field("name")
		return "[" + name.text + "]"
	case "@@asyncIterator":
		return "[Symbol.asyncIterator]"
	}
	return "<invalid method type>"
}

func smallcaps(tree node, slots []string) CapData {
	if slots == nil {
		slots = []string{}
	}
	return CapData{Body: string(tree.appendJSON([]byte("#"))), Slots: slots}
}

func parseBody(data CapData) (node, error) {
	if data.Body == "" {
		return node{}, errors.New("the body of capdata is empty")
	}
	body := data.Body
	if body[0] == '#' {
		body = body[1:]
	}
	tree, err := parseJSON([]byte(body))
	if err != nil {
		return node{}, fmt.Errorf("the body of capdata is no JSON: %w", err)
	}
	return tree, nil
}

// object is a record in the making, in its final order.
type object []field

type field struct {
	name   string
	value  string // encoded as a string, unless number is set
	number string
	raw    bool // the name is part of the encoding, not of the record
}

func (o object) literal() node {
	tree := node{kind: kindObject}
	for _, f := range o {
		value := node{kind: kindString, text: escape(f.value)}
		if f.number != "" {
			value = node{kind: kindNumber, text: f.number}
		}
		name := f.name
		if !f.raw {
			name = escape(name)
		}
		tree.keys = append(tree.keys, name)
		tree.list = append(tree.list, value)
	}
	return tree
}
