package supervisor

import (
	"errors"
	"io"
	"sync"

	"vatworkerd/xsnap"
)

// hulls keeps engines ready for vats that are paged in: their machines are made,
// and only the heap is missing. Making a machine is two thirds of what an engine
// takes to load a heap of the usual size. A hull is of use for a heap of its
// shape alone, which is that of the base snapshot. It takes the place of no vat:
// bounds count it by its memory only. Safe for concurrent use.
type hulls struct {
	*spares
	kit *kit

	once  sync.Once // finds the rest
	shape xsnap.Shape
	known bool
}

func newHulls(k *kit, want int) *hulls {
	h := &hulls{kit: k}
	h.spares = newSpares(k, want, spareSort{
		name: "hull", seat: k.census.takeBeside, start: h.start,
		// It is no larger, once it has made its machine.
		weigh: func(_ process, at *seat) { at.weigh(h.shape.MachineBytes()) },
	})
	return h
}

var errNoShape = errors.New("the base snapshot has no shape of a heap")

// start starts an engine and does not wait for its machine.
func (h *hulls) start(o xsnap.StartOptions) (process, error) {
	h.once.Do(h.learn)
	if !h.known {
		return nil, errNoShape
	}
	return h.kit.starter.hull(h.kit.image, o, h.shape)
}

// learn reads the shape of the base snapshot.
func (h *hulls) learn() {
	base, err := h.kit.starter.base(h.kit.image)
	if err != nil {
		return // whoever needs the base meets the same
	}
	defer base.Close()
	h.shape, h.known = xsnap.ReadShape(base)
}

// load gives a heap to a hull; ok tells whether there was one that it fits.
// If not, heap gives all of it again.
func (h *hulls) load(rec *record, image xsnap.Image, heap *io.Reader, o xsnap.StartOptions) (p process, ok bool, err error) {
	sp := h.take(image, limitOf(rec))
	if sp == nil {
		return nil, false, nil
	}
	from := *heap
	shape, ok := xsnap.ReadShape(from)
	if !ok || !shape.Fits(h.shape) {
		*heap = shape.Before(from)
		h.giveBack(sp)
		return nil, false, nil
	}
	sp.seat.leave() // the vat has one
	sp.assign(o)
	h.kit.slog.assigned(rec, sp.process.PID())
	if err := sp.process.Fill(from); err != nil {
		_ = sp.process.Close() // kills one that is not ready
		return nil, true, err
	}
	return sp.process, true, nil
}
