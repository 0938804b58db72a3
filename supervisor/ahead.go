package supervisor

import (
	"encoding/json"

	"vatworkerd/pipeproto"
)

// A crank costs one round trip to the host: with the report of a delivery the
// supervisor names the item whose turn comes next, and the host's verdict brings
// that item's delivery along. It is a guess. What the verdict enqueues may go
// first, or the run may end: then the host forgets what it has begun.

// aheadTurn is a turn that the host has taken before it was asked to: it keeps
// a unit open for that item's crank.
type aheadTurn struct {
	vatID string
	order itemOrder
	reply pipeproto.TurnReply
}

// guessTurn names the item that runs after this crank if its verdict changes
// nothing, where that item is sure to be a delivery to a running vat.
func (c *crank) guessTurn() (*pipeproto.Turn, itemOrder, error) {
	if !c.s.goesOn {
		return nil, "", nil
	}
	key, ok := c.tx.NextKey(prefixRun, prefixRun)
	if !ok {
		return nil, "", c.tx.Err()
	}
	vatID, _ := c.tx.Get(key)
	order := orderOfRunKey(key)
	turn, err := c.sureTurn(vatID, order)
	return turn, order, err
}

// sureTurn gives an item's turn if that is sure to be a delivery to a running vat,
// and the item small enough to be told ahead; else nil.
func (c *crank) sureTurn(vatID string, order itemOrder) (*pipeproto.Turn, error) {
	rec, err := c.load(vatID)
	if err != nil || rec.state() != running {
		return nil, err
	}
	epoch, err := epochIn(c)
	if err != nil || rec.Epoch != epoch {
		return nil, err
	}
	text, _ := c.tx.Get(queueKey(vatID, order))
	var item queued
	if err := json.Unmarshal([]byte(text), &item); err != nil || item.Start || len(item.Payload) > pipeproto.MaxAheadBytes {
		return nil, c.tx.Err() // the item's own crank tells of a damaged one
	}
	return &pipeproto.Turn{VatID: vatID, Payload: item.Payload}, c.tx.Err()
}

// keepAhead keeps the host's answer to a guess.
func (s *Supervisor) keepAhead(guess *pipeproto.Turn, order itemOrder, reply *pipeproto.TurnReply) error {
	if guess == nil || reply == nil {
		return nil
	}
	if reply.Drop || reply.Action != nil {
		return badRequest("next", "a turn that is taken with a verdict must come to a delivery; leave it out otherwise")
	}
	s.ahead = &aheadTurn{vatID: guess.VatID, order: order, reply: *reply}
	return nil
}

// takeAhead gives the reply to an item's turn if the host has taken it already.
func (s *Supervisor) takeAhead(vatID string, order itemOrder) (pipeproto.TurnReply, bool) {
	a := s.ahead
	if a == nil || a.vatID != vatID || a.order != order {
		return pipeproto.TurnReply{}, false
	}
	s.ahead = nil
	return a.reply, true
}

// dropAhead lets the host forget a turn it has taken too early.
func (s *Supervisor) dropAhead() error {
	if s.ahead == nil {
		return nil
	}
	s.ahead = nil
	return s.call(pipeproto.ReqCrankAbort, pipeproto.Empty{}, &pipeproto.Empty{})
}
