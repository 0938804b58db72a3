package watch

import (
	"cmp"
	"slices"
	"strings"
)

// What rows can be sorted by.
const (
	ByVat         = "vat"
	ByName        = "name"
	ByState       = "state"
	ByMemory      = "memory"
	ByIdle        = "idle"
	ByDeliveries  = "deliveries"
	ByRate        = "rate"
	ByComputrons  = "computrons"
	ByHeld        = "held"
	ByIncarnation = "incarnation"
)

// orders gives, for each key, how rows are compared in their usual order: the
// most first where it is about numbers, and what has none last.
func orders() map[string]func(a, b Row) int {
	return map[string]func(a, b Row) int{
		ByVat:         func(a, b Row) int { return 0 },
		ByName:        func(a, b Row) int { return cmp.Compare(strings.ToLower(a.Vat.Name), strings.ToLower(b.Vat.Name)) },
		ByState:       func(a, b Row) int { return cmp.Compare(a.Vat.State, b.Vat.State) },
		ByMemory:      func(a, b Row) int { return cmp.Compare(b.memory(), a.memory()) },
		ByIdle:        func(a, b Row) int { return cmp.Compare(b.idle(), a.idle()) },
		ByDeliveries:  func(a, b Row) int { return cmp.Compare(b.Vat.Deliveries, a.Vat.Deliveries) },
		ByRate:        func(a, b Row) int { return cmp.Compare(b.Deliveries, a.Deliveries) },
		ByComputrons:  func(a, b Row) int { return cmp.Compare(b.Computrons, a.Computrons) },
		ByHeld:        func(a, b Row) int { return cmp.Compare(b.Vat.Held, a.Vat.Held) },
		ByIncarnation: func(a, b Row) int { return cmp.Compare(b.Vat.Incarnation, a.Vat.Incarnation) },
	}
}

// Keys gives what Sort takes.
func Keys() []string {
	return []string{ByVat, ByName, ByState, ByMemory, ByIdle, ByRate, ByComputrons, ByDeliveries, ByHeld, ByIncarnation}
}

// Sort sorts rows by a key, those that are alike by vat; reverse turns all of it
// around.
func Sort(rows []Row, key string, reverse bool) {
	order := orders()[key]
	slices.SortFunc(rows, func(a, b Row) int {
		n := order(a, b)
		if n == 0 {
			n = compareIDs(a.Vat.VatID, b.Vat.VatID)
		}
		if reverse {
			return -n
		}
		return n
	})
}

// compareIDs has v9 before v10.
func compareIDs(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

func (r Row) memory() int64 {
	if r.Worker == nil {
		return -1
	}
	return r.Worker.RSSBytes
}

func (r Row) idle() int64 {
	if r.Worker == nil {
		return -1
	}
	return r.Worker.Idle
}
