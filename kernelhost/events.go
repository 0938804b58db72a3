package kernelhost

import (
	"fmt"

	"vatworkerd/pipeproto"
)

// EventSink is told what happens as it happens, for people: events are local
// and may differ between hosts that agree on everything else. Functions that
// are nil are not called. They run on the goroutine that is inside a method of
// the Kernel and must not call it.
type EventSink struct {
	Vat      func(pipeproto.VatEvent)
	Console  func(pipeproto.ConsoleEvent) // untrusted text
	Warning  func(pipeproto.WarningEvent)
	Progress func(pipeproto.ProgressEvent)
}

// HandleEvent implements pipeproto.Handler.
func (h *callbacks) HandleEvent(msgType string, body pipeproto.Body) {
	sink := h.k.opts.Events
	var err error
	switch msgType {
	case pipeproto.EventVat:
		err = tell(body, sink.Vat)
	case pipeproto.EventConsole:
		err = tell(body, sink.Console)
	case pipeproto.EventWarning:
		err = tell(body, sink.Warning)
	case pipeproto.EventTick:
		err = tell(body, sink.Progress)
	default:
		err = fmt.Errorf("there is no such event")
	}
	if err != nil {
		h.k.log.Warn("cannot read an event of vatworkerd", "type", msgType, "error", err)
	}
}

func tell[Event any](body pipeproto.Body, to func(Event)) error {
	if to == nil {
		return nil
	}
	var ev Event
	if err := body.Decode(&ev); err != nil {
		return err
	}
	to(ev)
	return nil
}
