package capdata

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"strconv"
	"strings"
)

// Go values of what JSON, and Go, have no type for.
type (
	// Ref is a remotable or a promise, by its kref (ko20, kp40), or a device node
	// (kd30). Iface is the name it goes by, such as "Alleged: root"; "" = none.
	Ref struct{ Kref, Iface string }
	// UndefinedValue is undefined.
	UndefinedValue struct{}
	// Symbol is a registered symbol, by its name.
	Symbol string
	// Tagged is a tagged value of the passable data model.
	Tagged struct {
		Tag     string
		Payload any
	}
	// ErrorValue is an error of JavaScript.
	ErrorValue struct{ Name, Message string }
)

// Error gives the text that JavaScript shows.
func (e *ErrorValue) Error() string { return e.Name + ": " + e.Message }

// Marshal is the smallcaps capdata of a Go value: nil is null; booleans,
// strings, numbers, slices and maps with string keys are what they look like;
// *big.Int is a BigInt; an error is an Error; the types of this package are
// themselves. Everything else goes through encoding/json and FromJSON. Integers
// that a JavaScript number cannot hold are errors: pass a *big.Int.
func Marshal(value any) (CapData, error) {
	switch v := value.(type) {
	case nil:
		return smallcaps(node{kind: kindNull}, nil), nil
	case CapData:
		return v, nil
	case bool:
		return Bool(v), nil
	case string:
		return String(v), nil
	case float64:
		return marshalFloat(v)
	case *big.Int:
		return BigInt(v), nil
	case Ref:
		return Slot(v.Kref, v.Iface), nil
	case UndefinedValue:
		return Undefined(), nil
	case Symbol:
		return smallcaps(text("%"+string(v)), nil), nil
	case Tagged:
		return marshalTagged(v)
	case *ErrorValue:
		return marshalError(v.Name, v.Message), nil
	case json.RawMessage:
		return FromJSON(v)
	case error:
		return marshalError("Error", v.Error()), nil
	}
	switch v := reflect.ValueOf(value); {
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() != reflect.Uint8, v.Kind() == reflect.Array:
		return marshalList(v)
	case v.Kind() == reflect.Map && v.Type().Key().Kind() == reflect.String:
		return marshalMap(v)
	}
	plain, err := json.Marshal(value)
	if err != nil {
		return CapData{}, fmt.Errorf("cannot marshal a %T: %w", value, err)
	}
	return FromJSON(plain)
}

// Arguments is the capdata of an array of arguments.
func Arguments(values ...any) (CapData, error) { return marshalList(reflect.ValueOf(values)) }

func marshalFloat(f float64) (CapData, error) {
	switch {
	case math.IsNaN(f):
		return smallcaps(text("#NaN"), nil), nil
	case math.IsInf(f, 1):
		return smallcaps(text("#Infinity"), nil), nil
	case math.IsInf(f, -1):
		return smallcaps(text("#-Infinity"), nil), nil
	}
	return smallcaps(node{kind: kindNumber, text: formatNumber(f)}, nil), nil
}

func marshalTagged(v Tagged) (CapData, error) {
	payload, err := Marshal(v.Payload)
	if err != nil {
		return CapData{}, err
	}
	var to relocation
	value, err := to.add(payload)
	if err != nil {
		return CapData{}, err
	}
	return smallcaps(record("#tag", text(escape(v.Tag)), "payload", value), to.slots), nil
}

func marshalError(name, message string) CapData {
	return smallcaps(record("#error", text(escape(message)), "name", text(escape(name))), nil)
}

func marshalList(list reflect.Value) (CapData, error) {
	items := make([]CapData, list.Len())
	for i := range items {
		var err error
		if items[i], err = Marshal(list.Index(i).Interface()); err != nil {
			return CapData{}, err
		}
	}
	return List(items...)
}

func marshalMap(m reflect.Value) (CapData, error) {
	var fields []Field
	for _, key := range m.MapKeys() {
		data, err := Marshal(m.MapIndex(key).Interface())
		if err != nil {
			return CapData{}, err
		}
		fields = append(fields, Field{Name: key.String(), Data: data})
	}
	return Record(fields...)
}

// Unmarshal makes a Go value of smallcaps: null is nil, numbers are float64,
// BigInts *big.Int, arrays []any, records map[string]any, errors *ErrorValue;
// undefined, symbols, tagged values, remotables and promises are of the types of
// this package.
func Unmarshal(data CapData) (any, error) {
	tree, err := parseBody(data)
	if err != nil {
		return nil, err
	}
	if data.Body[0] != '#' {
		return nil, fmt.Errorf("cannot unmarshal the older encoding: %s", data.Body)
	}
	d := valueDecoder{slots: data.Slots, names: interfaceNames(tree)}
	return d.value(tree)
}

type valueDecoder struct {
	slots []string
	names map[int]string
}

func (d valueDecoder) value(n node) (any, error) {
	switch n.kind {
	case kindNull:
		return nil, nil
	case kindBool:
		return n.text == "true", nil
	case kindNumber:
		return strconv.ParseFloat(n.text, 64)
	case kindString:
		return d.string(n.text)
	case kindArray:
		list := make([]any, len(n.list))
		for i, element := range n.list {
			var err error
			if list[i], err = d.value(element); err != nil {
				return nil, err
			}
		}
		return list, nil
	}
	return d.object(n)
}

func (d valueDecoder) string(s string) (any, error) {
	if !isSpecial(s) {
		return s, nil
	}
	switch s[0] {
	case '!':
		return s[1:], nil
	case '%':
		return Symbol(s[1:]), nil
	case '+', '-':
		n, ok := new(big.Int).SetString(strings.TrimPrefix(s, "+"), 10)
		if !ok {
			return nil, fmt.Errorf("%q is no BigInt", s)
		}
		return n, nil
	case '$', '&':
		return d.ref(s)
	}
	switch s {
	case "#undefined":
		return UndefinedValue{}, nil
	case "#NaN":
		return math.NaN(), nil
	case "#Infinity":
		return math.Inf(1), nil
	case "#-Infinity":
		return math.Inf(-1), nil
	}
	return nil, fmt.Errorf("unknown constant %q", s)
}

func (d valueDecoder) ref(s string) (any, error) {
	at, _, err := slotIndex(s)
	if err != nil {
		return nil, err
	}
	if at >= len(d.slots) {
		return nil, fmt.Errorf("%q refers to a slot that is not there", s)
	}
	return Ref{Kref: d.slots[at], Iface: strings.TrimPrefix(d.names[at], ".")}, nil
}

func (d valueDecoder) object(n node) (any, error) {
	if message, ok := n.field("#error"); ok {
		name, _ := n.field("name")
		return &ErrorValue{Name: strings.TrimPrefix(name.text, "!"), Message: strings.TrimPrefix(message.text, "!")}, nil
	}
	if tag, ok := n.field("#tag"); ok {
		payload, _ := n.field("payload")
		value, err := d.value(payload)
		return Tagged{Tag: strings.TrimPrefix(tag.text, "!"), Payload: value}, err
	}
	record := make(map[string]any, len(n.keys))
	for i, key := range n.keys {
		value, err := d.value(n.list[i])
		if err != nil {
			return nil, err
		}
		record[strings.TrimPrefix(key, "!")] = value
	}
	return record, nil
}
