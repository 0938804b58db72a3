package kernelhost

import (
	"encoding/json"
	"errors"
	"fmt"

	"vatworkerd/kernelhost/capdata"
)

// message is what a send carries: the method and arguments, and the promise
// for the result ("" = nobody wants it). Slots are krefs in queues and tables,
// vrefs in deliveries and syscalls.
type message struct {
	Methargs capdata.CapData
	Result   string
}

// event is a thing that waits for a vat or a promise. As JSON it is the
// payload of an item in a vat's input queue.
type event struct {
	Type   string  `json:"type"`
	Target string  `json:"target"` // send: the object, or the promise its decider gets it for
	Msg    message `json:"msg"`    // send
	KPID   string  `json:"kpid"`   // notify
	// Request is for the types that stand for an adminRequest.
	Request *adminRequest `json:"request"`

	vatID string // notify: the subscriber; an item knows its vat
}

// Types of events.
const (
	eventSend   = "send"
	eventNotify = "notify"
	eventBOYD   = "bringOutYourDead"
	eventGC     = "gc" // the vat's turn for a garbage collection delivery
)

// encode gives the payload of the item that carries the event.
func (e event) encode() []byte {
	b := append([]byte(`{"type":`), capdata.AppendString(nil, e.Type)...)
	switch e.Type {
	case eventSend:
		b = append(b, `,"target":`...)
		b = capdata.AppendString(b, e.Target)
		b = append(b, `,"msg":`...)
		b = appendMessage(b, e.Msg)
	case eventNotify:
		b = append(b, `,"kpid":`...)
		b = capdata.AppendString(b, e.KPID)
	}
	if e.Request != nil {
		b = append(b, `,"request":`...)
		b = e.Request.appendJSON(b)
	}
	return append(b, '}')
}

// decodeEvent reads what encode wrote.
func decodeEvent(payload []byte) (event, error) {
	var e event
	if err := json.Unmarshal(payload, &e); err != nil {
		return e, brokenf("an item's payload: %v", err)
	}
	return e, nil
}

// UnmarshalJSON reads what appendMessage wrote, or what a vat sent.
func (m *message) UnmarshalJSON(text []byte) error {
	var raw struct {
		Methargs json.RawMessage `json:"methargs"`
		Result   *string         `json:"result"`
	}
	if err := json.Unmarshal(text, &raw); err != nil {
		return err
	}
	methargs, err := decodeCapData(raw.Methargs)
	if err != nil {
		return fmt.Errorf("methargs: %w", err)
	}
	m.Methargs, m.Result = methargs, ""
	if raw.Result != nil {
		m.Result = *raw.Result
	}
	return nil
}

// appendMessage writes {"methargs":{"body":…,"slots":[…]},"result":…}, byte for
// byte as SwingSet's kernel does: deliveries go into transcripts.
func appendMessage(b []byte, m message) []byte {
	b = append(b, `{"methargs":`...)
	b = appendCapData(b, m.Methargs)
	b = append(b, `,"result":`...)
	if m.Result == "" {
		b = append(b, "null"...)
	} else {
		b = capdata.AppendString(b, m.Result)
	}
	return append(b, '}')
}

func appendCapData(b []byte, c capdata.CapData) []byte {
	b = append(b, `{"body":`...)
	b = capdata.AppendString(b, c.Body)
	b = append(b, `,"slots":`...)
	b = appendStrings(b, c.Slots)
	return append(b, '}')
}

func appendStrings(b []byte, list []string) []byte {
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = capdata.AppendString(b, s)
	}
	return append(b, ']')
}

// decodeCapData reads {"body":…,"slots":[…]}; both must be there.
func decodeCapData(text []byte) (capdata.CapData, error) {
	var raw struct {
		Body  *string    `json:"body"`
		Slots *[]*string `json:"slots"`
	}
	if err := json.Unmarshal(text, &raw); err != nil {
		return capdata.CapData{}, err
	}
	if raw.Body == nil || raw.Slots == nil {
		return capdata.CapData{}, errors.New("capdata needs a body and slots")
	}
	data := capdata.CapData{Body: *raw.Body, Slots: make([]string, len(*raw.Slots))}
	for i, slot := range *raw.Slots {
		if slot == nil {
			return capdata.CapData{}, errors.New("a slot of capdata must be a string")
		}
		data.Slots[i] = *slot
	}
	return data, nil
}
