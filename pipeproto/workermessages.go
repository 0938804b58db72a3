package pipeproto

// The same protocol serves the hop from vatworkerd to a native worker
// (xsnap/native). There vatworkerd is the end that sends requests, and a worker
// calls back for its vat. The worker's end is written in C: what is added here
// is added there too.

// WorkerVersion is the version of the messages between vatworkerd and a worker.
const WorkerVersion = 1

// Requests vatworkerd sends to a worker.
const (
	ReqWorkerHello    = "hello"    // WorkerHello -> WorkerHelloReply: comes first; answered once the machine is there
	ReqWorkerReady    = "ready"    // Empty -> Empty
	ReqWorkerEvaluate = "evaluate" // WorkerCode -> WorkerOutcome: in the start compartment
	ReqWorkerDeliver  = "deliver"  // WorkerCommand -> WorkerOutcome: given to handleCommand; the worker calls back while it runs
	ReqWorkerSnapshot = "snapshot" // Empty -> WorkerHeap: the heap goes to descriptor 7
	ReqWorkerQuit     = "quit"     // Empty -> Empty: the worker ends after the reply
	ReqWorkerFork     = "fork"     // WorkerFork -> WorkerForked: of a zygote, with the new worker's descriptors
)

// Requests a worker sends to vatworkerd, only while it serves a request.
const (
	ReqWorkerCommand = "issueCommand" // WorkerCommand -> WorkerAnswer: a vat's upcall
)

// Events of a worker.
const (
	EventWorkerHeap = "heap" // WorkerHeap: the size of the snapshot that follows on descriptor 7
	EventWorkerExit = "exit" // WorkerExit: the last frame before the process ends by itself
)

// WorkerHello tells a worker what it is to be.
type WorkerHello struct {
	Version int `msgpack:"version"`
	// MeterLimit is the computrons one request may use; 0 is no limit. At most 2147483647.
	MeterLimit int64 `msgpack:"meterLimit"`
	// Heap: the machine is loaded from descriptor 8, which ends where the heap
	// ends. Else it is a fresh one.
	Heap bool `msgpack:"heap"`
	// Area: the heap comes in portions. Four bytes on descriptor 8, big-endian, say
	// how many bytes of it follow there; with the highest bit set, how many more lie
	// in descriptor 5. Only for workers of which -v prints "heap-area".
	Area bool `msgpack:"area"`
	// Zygote: the process forks workers and runs nothing itself.
	Zygote bool `msgpack:"zygote"`
	// Filter is the system call filter a zygote's workers enter, an array of
	// struct sock_filter as it lies in memory; empty is none.
	Filter []byte `msgpack:"filter"`
}

// WorkerHelloReply says that a worker's machine is there.
type WorkerHelloReply struct {
	Version       int    `msgpack:"version"`
	MaxFrameBytes int    `msgpack:"maxFrameBytes"`
	Engine        string `msgpack:"engine"`
}

// WorkerCode is JavaScript.
type WorkerCode struct {
	Code []byte `msgpack:"code"`
}

// WorkerCommand is what passes between vatworkerd and the JavaScript in the worker, an ArrayBuffer on its side.
type WorkerCommand struct {
	Command []byte `msgpack:"command"`
}

// WorkerAnswer answers an upcall.
type WorkerAnswer struct {
	Result []byte `msgpack:"result"`
}

// WorkerOutcome tells what a request came to. Code that throws is an error of code uncaught instead.
type WorkerOutcome struct {
	Compute   int64  `msgpack:"compute"`   // computrons
	Allocate  int64  `msgpack:"allocate"`  // bytes the machine has allocated
	HeapCount int64  `msgpack:"heapCount"` // slots in use
	Result    []byte `msgpack:"result"`    // empty if the code gave no ArrayBuffer
}

// WorkerHeap is the size of a heap snapshot.
type WorkerHeap struct {
	Bytes int64 `msgpack:"bytes"`
}

// WorkerExit says why a worker ends; Code is its exit code.
type WorkerExit struct {
	Code   int    `msgpack:"code"`
	Reason string `msgpack:"reason"`
}

// WorkerFork asks a zygote for a worker.
type WorkerFork struct {
	Name   string `msgpack:"name"`   // shown by ps
	Parent int64  `msgpack:"parent"` // vatworkerd's process ID: the worker ends if that is not its parent
}

// WorkerForked is the new process.
type WorkerForked struct {
	PID int64 `msgpack:"pid"`
}
