package main

import "time"

// system is one of the two systems under test, with one store open at a time.
// Its methods are called by one goroutine.
type system interface {
	// name is the column's, in tables.
	name() string
	// open opens the store in dir, or makes it from a SwingSet config and runs
	// bootstrap. At most maxOnline vats have a worker.
	open(dir, config string, maxOnline int) error
	// run queues messages, runs until nothing is left and commits one block.
	run(messages []message) (ran, error)
	// snapshot takes heap snapshots of vats that have had a delivery since their
	// last, commits them as a block and gives the time of both.
	snapshot(vats ...string) (time.Duration, error)
	// progress tells how far a vat of the config has come.
	progress(vat string) (progress, error)
	// stored tells how much a vat's newest snapshot takes.
	stored(vat string) (storedSnapshot, error)
	// close closes the store and ends the workers.
	close() error
	// end ends all processes.
	end() error
}

// message is for the root object of a vat of the config.
type message struct {
	Vat    string
	Method string
	Args   []any // as JSON has them
}

func tell(vat, method string, args ...any) message {
	return message{Vat: vat, Method: method, Args: args}
}

// repeat gives count times the same message.
func repeat(count int, m message) []message {
	messages := make([]message, count)
	for i := range messages {
		messages[i] = m
	}
	return messages
}

// ran is what a block did. Took is from the first message queued to the block
// durable, as the system's own process sees it.
type ran struct {
	Took    time.Duration
	Results []string // JSON of each message's result, or its state
}

// progress is how far a vat has come. Equal span hashes mean equal deliveries,
// syscalls with their results, and computrons.
type progress struct {
	Position     int64
	SpanHash     string
	SnapshotHash string
}

// storedSnapshot has the sizes of a heap snapshot, in bytes.
type storedSnapshot struct {
	Size   int64 // of the heap
	Stored int64 // on the disk
}

// list is the message as peer.mjs takes it.
func (m message) list() [3]any {
	args := m.Args
	if args == nil {
		args = []any{}
	}
	return [3]any{m.Vat, m.Method, args}
}
