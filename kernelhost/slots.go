package kernelhost

import (
	"fmt"
	"strings"
)

// slotType is what a kref or vref refers to.
type slotType byte

const (
	typeObject  slotType = 'o'
	typePromise slotType = 'p'
	typeDevice  slotType = 'd'
)

// kslotType gives the type of a kref: ko20, kp40, kd30.
func kslotType(kref string) (slotType, error) {
	if len(kref) > 2 && kref[0] == 'k' && isNumber(kref[2:]) {
		switch t := slotType(kref[1]); t {
		case typeObject, typePromise, typeDevice:
			return t, nil
		}
	}
	return 0, fmt.Errorf("%q is no kref", kref)
}

// isObject tells whether a kref is an object's.
func isObject(kref string) bool { return strings.HasPrefix(kref, "ko") }

// isPromise tells whether a kref is a promise's.
func isPromise(kref string) bool { return strings.HasPrefix(kref, "kp") }

// vslot is a vref taken apart.
type vslot struct {
	slotType slotType
	exported bool // allocated by the vat
}

// parseVref reads a vref: T-N, T+N, and for objects a vat exports also
// o+vN/I, o+dN/I and either with a facet :F. The format is SwingSet's
// (lib/parseVatSlots.js); numbers must be plain decimal.
func parseVref(vref string) (vslot, error) {
	bad := illegalf("invalid vref %q", vref)
	if len(vref) < 3 {
		return vslot{}, bad
	}
	s := vslot{slotType: slotType(vref[0]), exported: vref[1] == '+'}
	if s.slotType != typeObject && s.slotType != typePromise && s.slotType != typeDevice {
		return vslot{}, bad
	}
	if !s.exported && vref[1] != '-' {
		return vslot{}, bad
	}
	if isNumber(vref[2:]) {
		return s, nil
	}
	if s.slotType != typeObject || !s.exported || !isVirtualID(vref[2:]) {
		return vslot{}, bad
	}
	return s, nil
}

// isVirtualID tells whether id is that of a virtual or durable object, a kind
// or an instance of one: v10, d10/3, d10/3:1.
func isVirtualID(id string) bool {
	if id[0] != 'v' && id[0] != 'd' {
		return false
	}
	kind, instance, has := strings.Cut(id[1:], "/")
	if !has {
		return isNumber(kind)
	}
	instance, facet, has := strings.Cut(instance, ":")
	return isNumber(kind) && isNumber(instance) && (!has || isNumber(facet))
}

// isNumber tells whether s is a natural number in plain decimal.
func isNumber(s string) bool {
	if s == "" || len(s) > 20 || (s[0] == '0' && len(s) > 1) {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
