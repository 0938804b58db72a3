package pipeproto

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
)

// A body is compared with the Go type it is for before it is decoded: the
// decoder alone would cut numbers that are too large and say little about where
// something is wrong.

const codeNil = 0xc0

// shapes knows the fields of message types. It belongs to one goroutine.
type shapes map[reflect.Type]map[string]reflect.Type

// fields gives the types of a struct's fields by their names on the wire.
// Embedded structs lie flat in their outer one.
func (sh shapes) fields(t reflect.Type) map[string]reflect.Type {
	if known, ok := sh[t]; ok {
		return known
	}
	fields := map[string]reflect.Type{}
	for _, f := range reflect.VisibleFields(t) {
		if name := f.Tag.Get("msgpack"); name != "" && f.IsExported() {
			fields[name] = f.Type
		}
	}
	sh[t] = fields
	return fields
}

// misfit says where a body does not fit its type. place is built from the
// inside out.
type misfit struct {
	place  string
	reason string
}

func misfitf(format string, args ...any) *misfit {
	return &misfit{reason: fmt.Sprintf(format, args...)}
}

// within adds an outer step to the place: a field, or an index in brackets.
func (m *misfit) within(step string) *misfit {
	if m.place != "" && m.place[0] != '[' {
		step += "."
	}
	m.place = step + m.place
	return m
}

// Elements of arrays may take this much memory once decoded: an empty map of one
// byte can become a struct of hundreds. The factor leaves honest bodies free,
// down to arrays of empty strings.
const (
	spareMemory  = 16 << 20
	memoryFactor = 16
)

// fitter compares checked msgpack bytes with types.
type fitter struct {
	scanner
	shapes shapes
	memory int // bytes the elements of arrays take so far
}

// fit moves over one value and tells whether it fits t. nil fits everything: it
// reads as the zero value.
func (f *fitter) fit(t reflect.Type) *misfit {
	if f.data[f.pos] == codeNil {
		f.pos++
		return nil
	}
	switch t.Kind() {
	case reflect.Pointer:
		return f.fit(t.Elem())
	case reflect.Struct:
		return f.fitStruct(t)
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return f.fitPayload(t, isBin)
		}
		return f.fitSlice(t)
	case reflect.String:
		return f.fitPayload(t, isStr)
	case reflect.Bool:
		return f.fitBool()
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return f.fitInt(t)
	}
	return misfitf("a %s has no form in this protocol", t)
}

func isStr(code byte) bool { return code >= 0xa0 && code <= 0xbf || code >= 0xd9 && code <= 0xdb }
func isBin(code byte) bool { return code >= 0xc4 && code <= 0xc6 }

func (f *fitter) fitStruct(t reflect.Type) *misfit {
	sh, err := f.head()
	if err != nil || !sh.isMap {
		return misfitf("it must be a map")
	}
	fields := f.shapes.fields(t)
	for range sh.pairs {
		key, _ := f.str()
		name := string(key)
		fieldType, known := fields[name]
		if !known {
			_ = f.skip(0) // cannot fail: the frame has been checked
			continue
		}
		if m := f.fit(fieldType); m != nil {
			return m.within(name)
		}
	}
	return nil
}

func (f *fitter) fitSlice(t reflect.Type) *misfit {
	code := f.data[f.pos]
	sh, err := f.head()
	if isArray := code >= 0x90 && code <= 0x9f || code == 0xdc || code == 0xdd; err != nil || !isArray {
		return misfitf("it must be an array")
	}
	f.memory += sh.array * int(t.Elem().Size())
	if f.memory > spareMemory+memoryFactor*len(f.data) {
		return misfitf("its %d elements would take too much memory for a body of %d bytes", sh.array, len(f.data))
	}
	for i := range sh.array {
		if m := f.fit(t.Elem()); m != nil {
			return m.within("[" + strconv.Itoa(i) + "]")
		}
	}
	return nil
}

func (f *fitter) fitPayload(t reflect.Type, is func(code byte) bool) *misfit {
	code := f.data[f.pos]
	sh, err := f.head()
	if err != nil || !is(code) {
		if t.Kind() == reflect.String {
			return misfitf("it must be a string")
		}
		return misfitf("it must be binary")
	}
	f.pos += sh.payload
	return nil
}

func (f *fitter) fitBool() *misfit {
	code := f.data[f.pos]
	f.pos++
	if code != 0xc2 && code != 0xc3 {
		return misfitf("it must be true or false")
	}
	return nil
}

func (f *fitter) fitInt(t reflect.Type) *misfit {
	n, isNegative, ok := f.int()
	if !ok {
		return misfitf("it must be an integer")
	}
	v := reflect.New(t).Elem()
	fits := false
	switch {
	case !v.CanInt():
		fits = !isNegative && !v.OverflowUint(n)
	case isNegative:
		fits = !v.OverflowInt(int64(n))
	default:
		fits = n <= math.MaxInt64 && !v.OverflowInt(int64(n))
	}
	if !fits {
		return misfitf("the number does not fit a %s", t)
	}
	return nil
}

// int reads an integer; a negative one comes as its two's complement.
func (f *fitter) int() (n uint64, isNegative, ok bool) {
	code := f.data[f.pos]
	switch {
	case code >= 0xe0: // negative fixint
		f.pos++
		return uint64(int64(int8(code))), true, true
	case code >= 0xd0 && code <= 0xd3: // int8 … int64
		f.pos++
		width := 1 << (code - 0xd0)
		wide, _ := f.bigEndian(width)
		shift := 64 - 8*width
		signed := int64(wide<<shift) >> shift
		return uint64(signed), signed < 0, true
	}
	n, ok = f.uint()
	return n, false, ok
}
