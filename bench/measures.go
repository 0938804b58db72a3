package main

// measure is one row of the table.
type measure struct {
	ID    string
	Title string
	Unit  string
	Rate  bool // more is better; otherwise less is
	Need  need
	How   string // how the figure is taken, for README and table
}

// need is what is required of a measure. Zero values require nothing.
type need struct {
	OverPeer  float64 // so many times better than the peer, at least
	OfLimit   float64 // so many times the limit, at most
	Below     float64 // in the measure's unit
	FlatOver  string  // at most flatWithin more than another measure
	PeerShare float64 // so much of what the peer takes, at most
	Native    nativeNeed
}

// nativeNeed is what is required of the native worker's column.
type nativeNeed struct {
	AtMost  float64 // in the measure's unit
	OfLimit float64 // so many times the limit, at most
	OfStock float64 // so many times what we take with the stock worker, at most
}

// flatWithin is what a wait for the disk may add to a figure that is the same, in
// the measure's unit.
const flatWithin = 10

const (
	milliseconds = "ms"
	micro        = "µs"
	bytesUnit    = "bytes"
	perSecond    = "1/s"
)

// measures is the table, in its order. Issue, README and RESULTS.md name them so.
func measures() []measure {
	return []measure{
		{ID: "fresh-cold", Title: "fresh worker ready for setBundle, cold", Unit: milliseconds, Need: need{OverPeer: 10},
			How: "from the call that starts a process to its first answer; ours and the limit load the base snapshot"},
		{ID: "fresh-spare", Title: "fresh worker ready for setBundle, a warm spare", Unit: milliseconds, Need: need{OverPeer: 100},
			How: "the peer as above; ours from asking a worker that waits to its answer"},
		{ID: "fresh-forked", Title: "fresh worker ready for setBundle, forked", Unit: milliseconds, Need: need{Native: nativeNeed{AtMost: 3}},
			How: "from the call that has a zygote fork a process to its first answer"},
		{ID: "idle-32", Title: "memory of 32 idle workers", Unit: "MiB", Need: need{Native: nativeNeed{OfStock: 0.5}},
			How: "Pss of workers that have the base snapshot and wait; stock ones have loaded it, native ones are forked, and their zygote is counted with them"},
		{ID: "create", Title: "createVat whole, a contract", Unit: milliseconds, Need: need{OverPeer: 4},
			How: "message create() to the bootstrap vat, which calls vat-admin, until the block is durable; limit: base snapshot, setBundle and startVat alone"},
		{ID: "create-tiny", Title: "createVat whole, the smallest vat", Unit: milliseconds, Need: need{OverPeer: 4},
			How: "the same with a vat that imports nothing"},
		{ID: "deliver-null", Title: "delivery, null", Unit: milliseconds,
			How: "50 messages idle() to one vat in one block, per message, commit included; one syscall, the result; limit: a C program drives the engine"},
		{ID: "deliver-5", Title: "delivery, 5 syscalls", Unit: milliseconds,
			How: "the same with touch(1)"},
		{ID: "deliver-60", Title: "delivery, 60 syscalls", Unit: milliseconds,
			How: "the same with touch(19, 1), 20 messages"},
		{ID: "block", Title: "block of one null delivery", Unit: milliseconds,
			How: "one message, until the block is durable: mostly the wait for the disk"},
		{ID: "ring", Title: "deliveries per second over 8 vats", Unit: perSecond, Rate: true, Need: need{OverPeer: 3},
			How: "8 vats in a ring pass 8 messages around at once, each with a result; all deliveries of the block over its time"},
		{ID: "roundtrip", Title: "syscall round trip", Unit: micro, Need: need{OfLimit: 1.5, Native: nativeNeed{OfStock: 1}},
			How: "a worker calls back 20,000 times in one command; limit: one byte to another process and back on one CPU"},
		{ID: "pagein-8", Title: "page-in, 8 MB of heap", Unit: milliseconds, How: pageInHow},
		{ID: "pagein-13", Title: "page-in, 13 MB", Unit: milliseconds, Need: need{OverPeer: 5, OfLimit: 1.4, Native: nativeNeed{OfLimit: 0.5}}, How: pageInHow},
		{ID: "pagein-50", Title: "page-in, 50 MB", Unit: milliseconds, How: pageInHow},
		{ID: "pagein-150", Title: "page-in, 150 MB", Unit: milliseconds, How: pageInHow},
		{ID: "replay", Title: "replay, per delivery", Unit: milliseconds, Need: need{OfLimit: 1.15},
			How: "page-in with 150 deliveries (touch(4)) since the snapshot, less page-in without, per delivery; limit: the CPU time of a worker that is driven by a C program"},
		{ID: "save-13", Title: "snapshot save, 13 MB", Unit: milliseconds, Need: need{OverPeer: 5}, How: saveHow},
		{ID: "save-50", Title: "snapshot save, 50 MB", Unit: milliseconds, How: saveHow},
		{ID: "stored-8", Title: "stored snapshot, 8 MB", Unit: bytesUnit, How: storedHow},
		{ID: "stored-13", Title: "stored snapshot, 13 MB", Unit: bytesUnit, Need: need{PeerShare: 0.45}, How: storedHow},
		{ID: "stored-50", Title: "stored snapshot, 50 MB", Unit: bytesUnit, How: storedHow},
		{ID: "stored-150", Title: "stored snapshot, 150 MB", Unit: bytesUnit, How: storedHow},
		{ID: "transcript", Title: "stored for 1,000 transcript entries", Unit: bytesUnit,
			How: "growth of all files of the closed store over 1,000 deliveries touch(1) in blocks of 50; limit: the items' own bytes"},
		{ID: "restart-8", Title: "restart with 8 vats, to the first delivery", Unit: milliseconds, How: restartHow},
		{ID: "restart-50", Title: "restart with 50 vats, to the first delivery", Unit: milliseconds, Need: need{OverPeer: 10}, How: restartHow},
		{ID: "restartall-1000", Title: "restart-all, 10³ vats", Unit: milliseconds, Need: need{Below: 50}, How: restartAllHow},
		{ID: "restartall-100000", Title: "restart-all, 10⁵ vats", Unit: milliseconds, Need: need{Below: 50, FlatOver: "restartall-1000"}, How: restartAllHow},
		{ID: "restartall-1000000", Title: "restart-all, 10⁶ vats", Unit: milliseconds, Need: need{Below: 50, FlatOver: "restartall-1000"}, How: restartAllHow},
	}
}

const (
	pageInHow     = "a message to an offline vat less the same message again, until the block is durable; limit: a C program starts the engine with -r on the uncompressed heap, until it answers"
	saveHow       = "bringOutYourDead, snapshot, worker replaced, block durable; limit: the engine alone writes its heap to a file"
	storedHow     = "what is kept of the newest snapshot; ours without the image's base snapshot, of which there is one for all vats"
	restartHow    = "a new process opens the store, delivers one message to the last vat and commits; the limit is the engine's load of that one heap"
	restartAllHow = "the call, and the commit of its block; the JavaScript system has no such thing"
)

// column is one column of the table.
type column struct {
	ID    string
	Title string
}

// Columns that scenarios know.
const (
	peerColumn   = "peer"
	oursColumn   = "ours"
	nativeColumn = "native"
	limitColumn  = "limit"
)

func columns() []column {
	return []column{
		{ID: peerColumn, Title: "JavaScript system"},
		{ID: oursColumn, Title: "vatworkerd"},
		{ID: nativeColumn, Title: "with the native worker"},
		{ID: limitColumn, Title: "limit"},
	}
}

// systemColumns are those that run a whole system.
func systemColumns() []string { return []string{peerColumn, oursColumn, nativeColumn} }

// everyColumn gives the columns in the order in which they take turns.
func everyColumn() []string { return append(systemColumns(), limitColumn) }
