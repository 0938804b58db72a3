package delta

import "encoding/binary"

// A slot begins with the number of the next slot in its list, mostly its own
// number and one. Slots that stand elsewhere than in the base have other numbers
// all through, but the same distances; so distances are stored.

// relative makes the first word of each slot the distance from the slot's own
// number. Zero stands for no next slot and stays; what would become zero takes
// the place that leaves free, so that every word has a way back.
func relative(slots []byte, first uint64) {
	for own := first; len(slots) >= slotBytes; own++ {
		switch next := binary.LittleEndian.Uint64(slots); next {
		case 0:
		case own:
			binary.LittleEndian.PutUint64(slots, -own)
		default:
			binary.LittleEndian.PutUint64(slots, next-own)
		}
		slots = slots[slotBytes:]
	}
}

// absolute undoes relative.
func absolute(slots []byte, first uint64) {
	for own := first; len(slots) >= slotBytes; own++ {
		switch distance := binary.LittleEndian.Uint64(slots); distance {
		case 0:
		case -own:
			binary.LittleEndian.PutUint64(slots, own)
		default:
			binary.LittleEndian.PutUint64(slots, distance+own)
		}
		slots = slots[slotBytes:]
	}
}
