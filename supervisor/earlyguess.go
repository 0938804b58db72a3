package supervisor

import (
	"bytes"
	"encoding/json"

	"vatworkerd/pipeproto"
)

// guessLater names items whose deliveries may run early: each the first of its
// vat's that waits, of a vat that is online and idle. It goes by the window of the
// look ahead.
func (c *crank) guessLater(now string, next pipeproto.Turn, order itemOrder) []pipeproto.Turn {
	if c.s.early.most == 0 || !c.s.ordinary() || order.priority() != pipeproto.PriorityMessage || c.s.early.resting() {
		return nil
	}
	if c.s.foresight.worn() && c.s.readAhead() != nil {
		return nil // the next crank meets the same trouble
	}
	free := c.s.early.free()
	if next.VatID != now && c.s.idle(next.VatID) != nil {
		free--
	}
	var later []pipeproto.Turn
	room := pipeproto.MaxAheadBytes - len(next.Payload)
	met := map[string]bool{now: true, next.VatID: true}
	for _, item := range c.s.foresight.after(order) {
		if len(later) >= free {
			break
		}
		if met[item.vatID] || item.order.priority() != pipeproto.PriorityMessage {
			continue
		}
		met[item.vatID] = true
		if c.s.idle(item.vatID) == nil {
			continue
		}
		turn, err := c.sureTurn(item.vatID, item.order)
		if err == nil && turn != nil && len(turn.Payload) <= room {
			room -= len(turn.Payload)
			later = append(later, *turn)
		}
	}
	return later
}

// ordinary tells a crank from those of garbage collection, which often make other
// vats collect theirs before anything else.
func (s *Supervisor) ordinary() bool {
	return s.turn != nil && s.turn.order.priority() == pipeproto.PriorityMessage
}

// idle gives a vat's worker if it stands where the store does and nobody is about
// to take its place.
func (s *Supervisor) idle(vatID string) *worker {
	w := s.pool.peek(vatID)
	if w == nil || w.early != nil || s.pager.has(vatID) {
		return nil
	}
	return w
}

// runEarly begins what a verdict has told of other vats' next deliveries.
func (s *Supervisor) runEarly(now string, req pipeproto.Delivered, verdict pipeproto.Verdict) {
	if s.early.most == 0 || s.early.rest > 0 || !s.ordinary() {
		return
	}
	if req.Next != nil && verdict.Next != nil && req.Next.VatID != now {
		s.beginEarly(req.Next.VatID, verdict.Next.Delivery)
	}
	for i, delivery := range verdict.Later[:min(len(verdict.Later), len(req.Later))] {
		if len(delivery) > 0 {
			s.beginEarly(req.Later[i].VatID, delivery)
		}
	}
}

func (s *Supervisor) beginEarly(vatID string, delivery json.RawMessage) {
	if w := s.idle(vatID); w != nil && s.early.free() > 0 && json.Valid(delivery) {
		s.early.begin(s.kit, w, delivery)
	}
}

// dropEarly lets a worker go that has begun another delivery early than the one
// that has come.
func (s *Supervisor) dropEarly(vatID string, delivery json.RawMessage) {
	w := s.pool.peek(vatID)
	if w == nil || w.early == nil || bytes.Equal(w.early.delivery, delivery) {
		return
	}
	if w.early.begun.CompareAndSwap(false, true) {
		w.early = nil
		return
	}
	s.log.Info("a worker is replaced: the delivery that it ran before its turn is not the one that came", "vatID", vatID)
	s.pool.discard(vatID)
	s.ranInVain()
}

// ranInVain notes an early run whose worker must go.
func (s *Supervisor) ranInVain() {
	s.early.inVain()
	s.live.ranInVain()
}
