package xsnap

import (
	"bytes"
	"strconv"
)

// Meter is what the engine counted in one command.
type Meter struct {
	Compute          int64 // computrons; in consensus
	Allocate         int64 // bytes the machine has allocated; differs between nodes
	CurrentHeapCount int64 // slots in use
}

// meterSeparator ends the meter record in front of a reply.
const meterSeparator = 1

// splitReply takes apart `{"currentHeapCount":…}\x01reply`, the payload of a
// good reply after its dot. A reply without a separator has no meter.
func splitReply(payload []byte) (m *Meter, reply []byte, ok bool) {
	at := bytes.IndexByte(payload, meterSeparator)
	if at < 0 {
		return nil, payload, true
	}
	meter, ok := parseMeter(payload[:at])
	if !ok {
		return nil, nil, false
	}
	return &meter, payload[at+1:], true
}

// parseMeter reads the record xsnap-worker prints with one fixed format.
// It is no general JSON reader because it runs once per delivery.
func parseMeter(b []byte) (m Meter, ok bool) {
	if m.CurrentHeapCount, b, ok = cutNumber(b, `{"currentHeapCount":`); !ok {
		return Meter{}, false
	}
	if m.Compute, b, ok = cutNumber(b, `,"compute":`); !ok {
		return Meter{}, false
	}
	if m.Allocate, b, ok = cutNumber(b, `,"allocate":`); !ok {
		return Meter{}, false
	}
	b, ok = bytes.CutPrefix(b, []byte(`,"timestamps":[`))
	if !ok || !bytes.HasSuffix(b, []byte(`]}`)) {
		return Meter{}, false
	}
	return m, true
}

func cutNumber(b []byte, label string) (int64, []byte, bool) {
	if len(b) < len(label) || string(b[:len(label)]) != label {
		return 0, nil, false
	}
	b = b[len(label):]
	end := 0
	for end < len(b) && b[end] >= '0' && b[end] <= '9' {
		end++
	}
	n, err := strconv.ParseInt(string(b[:end]), 10, 64)
	if err != nil {
		return 0, nil, false
	}
	return n, b[end:], true
}
