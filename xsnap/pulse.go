package xsnap

import "sync/atomic"

// op is what a worker is asked to do by one command.
type op uint8

const (
	opNone op = iota
	opReady
	opLoad // ready, of a worker that starts from a snapshot
	opEvaluate
	opSetBundle
	opDeliver
	opSnapshot
	opFork // of a zygote
)

// opNames are for errors, opTexts say what the worker does.
var (
	opNames = [...]string{opNone: "nothing", opReady: "ready", opLoad: "ready", opEvaluate: "evaluate", opSetBundle: "setBundle", opDeliver: "deliver", opSnapshot: "snapshot", opFork: "fork"}
	opTexts = [...]string{
		opNone: "does nothing", opReady: "starts", opLoad: "loads its heap snapshot", opEvaluate: "evaluates a bundle of its image",
		opSetBundle: "takes its vat's bundle", opDeliver: "runs a delivery", opSnapshot: "writes its heap snapshot", opFork: "forks a worker",
	}
)

func (o op) String() string { return opNames[o] }

// pulse is what a watchdog sees of a worker. The goroutines that work with the
// worker change it, a few nanoseconds at a time; the watchdog's reads it.
type pulse struct {
	command atomic.Uint64 // number of the command, and its op in the lowest byte
	beats   atomic.Uint64 // grows with each message and each part of a snapshot
	ours    atomic.Int64  // how many goroutines of this side the worker waits for

	commands uint64 // so far; owned by the worker's owner
}

// begin opens a command.
func (p *pulse) begin(o op) {
	p.commands++
	p.command.Store(p.commands<<8 | uint64(o))
}

// end closes the command.
func (p *pulse) end() { p.command.Store(p.commands << 8) }

// beat notes that the worker gave or took something.
func (p *pulse) beat() { p.beats.Add(1) }

// wait notes that from now on it is this side that keeps the worker waiting;
// done ends that.
func (p *pulse) wait() { p.ours.Add(1) }
func (p *pulse) done() { p.ours.Add(-1) }

// doing is the op of the open command, or opNone, and the command's number.
func (p *pulse) doing() (o op, command uint64) {
	c := p.command.Load()
	return op(c & 0xff), c >> 8
}
