package top

import (
	"strconv"
	"time"

	"vatworkerd/cmd/vatworkerd/internal/screen"
	"vatworkerd/cmd/vatworkerd/internal/watch"
)

// column is a column of the vats' table.
type column struct {
	title string
	key   string // that it is sorted by; "" = by none
	width int    // 0 = what is left
	align screen.Align
	from  int // the width of the screen from which on it is shown
	cell  func(watch.Row) part
}

// gap is between two columns.
const gap = 2

// columnsFor gives the columns that a screen has room for.
func columnsFor(width int) []column {
	var shown []column
	for _, c := range allColumns() {
		if width >= c.from {
			shown = append(shown, c)
		}
	}
	left := width - markColumns
	for _, c := range shown {
		left -= c.width + gap
	}
	for i := range shown {
		if shown[i].width == 0 {
			shown[i].width = min(max(minNameColumns, left+gap), maxNameColumns)
		}
	}
	return shown
}

// Widths of the vats' names, and of the mark before the selected one.
const (
	minNameColumns = 8
	maxNameColumns = 24
	markColumns    = 2
)

func allColumns() []column {
	return []column{
		{title: "VAT", key: watch.ByVat, width: 6, cell: func(r watch.Row) part { return plain(r.Vat.VatID) }},
		{title: "NAME", key: watch.ByName, cell: func(r watch.Row) part { return bold(r.Vat.Name) }},
		{title: "STATE", key: watch.ByState, width: 10, cell: stateCell},
		{title: "MEMORY", key: watch.ByMemory, width: 8, align: screen.Right, cell: memoryCell},
		{title: "IDLE", key: watch.ByIdle, width: 6, align: screen.Right, cell: idleCell},
		{title: "DEL/S", key: watch.ByRate, width: 6, align: screen.Right, cell: func(r watch.Row) part { return rateCell(r.Deliveries) }},
		{title: "COMP/S", key: watch.ByComputrons, width: 6, align: screen.Right, cell: func(r watch.Row) part { return rateCell(r.Computrons) }},
		{title: "DELIVERIES", key: watch.ByDeliveries, width: 10, align: screen.Right, from: 92, cell: listed(func(r watch.Row) int64 { return r.Vat.Deliveries })},
		{title: "HELD", key: watch.ByHeld, width: 4, align: screen.Right, cell: heldCell},
		{title: "INC", key: watch.ByIncarnation, width: 4, align: screen.Right, from: 100, cell: listed(func(r watch.Row) int64 { return r.Vat.Incarnation })},
		{title: "PID", width: 7, align: screen.Right, from: 110, cell: pidCell},
		{title: "LAST ERROR", width: 30, from: 150, cell: func(r watch.Row) part { return part{text: r.Vat.LastError, style: screen.Red} }},
	}
}

func stateCell(r watch.Row) part {
	state := part{text: r.Vat.State, style: StateStyle(r.Vat.State)}
	if r.Vat.Pinned {
		state.text += "*"
	}
	return state
}

func memoryCell(r watch.Row) part {
	if r.Worker == nil {
		return dim("offline")
	}
	return plain(screen.Bytes(r.Worker.RSSBytes))
}

func idleCell(r watch.Row) part {
	switch {
	case r.Worker == nil:
		return part{}
	case r.Worker.Busy:
		return part{text: "busy", style: screen.Green}
	}
	return plain(screen.Age(time.Duration(r.Worker.Idle) * time.Microsecond))
}

func rateCell(rate float64) part {
	if rate == 0 {
		return part{}
	}
	return plain(screen.Short(rate))
}

func heldCell(r watch.Row) part {
	if r.Vat.Held == 0 {
		return part{}
	}
	return part{text: screen.Short(float64(r.Vat.Held)), style: screen.Yellow}
}

func pidCell(r watch.Row) part {
	if r.Worker == nil {
		return part{}
	}
	return dim(strconv.Itoa(r.Worker.PID))
}

// listed is a number that only a vat's listing tells.
func listed(number func(watch.Row) int64) func(watch.Row) part {
	return func(r watch.Row) part {
		if r.IsBrief {
			return dim("?")
		}
		return plain(screen.Count(number(r)))
	}
}
