package supervisor

import (
	"cmp"
	"slices"
)

// The input queues tell which vats are needed next. While one crank runs, the
// vats of the items behind it are brought in on other CPUs, and whoever has to
// go to make room is one whose item comes later, or for whom none waits.

// windowItems is how many items the supervisor looks ahead.
const windowItems = 32

// foresight is the part of the run index that was read last. It is a hint: what
// runs is always asked of the store.
type foresight struct {
	window []head
	whole  bool // the index held no more than that
	stale  bool // items have joined or left the index since
}

// after gives the known items behind the one whose turn it is.
func (f *foresight) after(now itemOrder) []head {
	i, found := slices.BinarySearchFunc(f.window, now, func(h head, o itemOrder) int { return cmp.Compare(h.order, o) })
	if found {
		i++
	}
	f.window = f.window[i:]
	return f.window
}

// worn tells whether the window should be read anew.
func (f *foresight) worn() bool {
	return len(f.window) < windowItems/2 && (f.stale || !f.whole)
}

// lookAhead has the vats of waiting items brought in while the crank of the
// present item runs. It comes once that item's vat has its place.
func (s *Supervisor) lookAhead() {
	if s.aheadAtOnce == 0 || s.turn == nil {
		return
	}
	now := *s.turn
	items := s.foresight.after(now.order)
	if s.foresight.worn() {
		if s.readAhead() != nil {
			return // the crank meets the same trouble
		}
		items = s.foresight.after(now.order)
	}
	for i, item := range items {
		if item.vatID == now.vatID || s.pool.has(item.vatID) || s.pager.has(item.vatID) {
			continue
		}
		// One more than are brought in at a time, so that nobody idles.
		if len(s.pager.underWay(forNext)) > s.aheadAtOnce || !s.bringAhead(item, i+1, usesOf(now, items)) {
			return
		}
	}
}

// readAhead reads the window.
func (s *Supervisor) readAhead() error {
	heads, err := s.heads(windowItems)
	s.foresight = foresight{window: heads, whole: len(heads) < windowItems}
	return err
}

// bringAhead has the vat of the item at a distance brought in, unless somebody
// would have to go who is needed sooner: then there is no use in looking further.
func (s *Supervisor) bringAhead(item head, distance int, uses map[string]int) (goOn bool) {
	rec, err := s.recordOf(item.vatID)
	if err != nil {
		return false
	}
	behind, err := s.behind(rec)
	if err != nil || behind || rec.state() != running {
		return err == nil // its item starts an incarnation, or goes back to the host
	}
	p, err := s.planFor(s.db, rec)
	if err != nil || !s.pager.worthTrying(p) {
		return err == nil
	}
	seat := s.makeRoomAhead(distance, uses)
	if seat == nil {
		return false
	}
	s.pager.schedule(newArrival(p, forNext, distance, seat))
	return true
}

// usesOf gives at which distance each vat is needed, 0 being now.
func usesOf(now head, items []head) map[string]int {
	uses := map[string]int{now.vatID: 0}
	for i, item := range items {
		if _, ok := uses[item.vatID]; !ok {
			uses[item.vatID] = i + 1
		}
	}
	return uses
}

// knownUses reads the queues for it. It is a hint: what cannot be read is not known.
func (s *Supervisor) knownUses() map[string]int {
	heads, err := s.heads(windowItems)
	if err != nil || len(heads) == 0 {
		return nil
	}
	return usesOf(heads[0], heads[1:])
}
