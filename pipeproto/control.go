package pipeproto

// ControlVersion is the protocol version of the control sockets.
const ControlVersion = 1

// Bounds of the frames on a control socket. Requests are small; long lists come
// in pages.
const (
	ControlRequestBytes = 1 << 20
	ControlReplyBytes   = 16 << 20
)

// What a control connection may do. It says so in its hello and keeps to it.
const (
	AccessRead  = "read"  // look
	AccessAdmin = "admin" // also change what is local, or give commands
)

// What a control socket belongs to.
const (
	ServesVats = "vats" // vatworkerd serve
	ServesHost = "host" // a kernel host that stays: vatworkerd run --stay
)

// Requests to the control socket of vatworkerd. Those that touch its state wait
// for the end of the present crank, a few seconds at most, and are then refused
// with code "busy".
const (
	ReqControlHello          = "hello"           // ControlHello -> ControlHelloReply: comes first on every control socket
	ReqLive                  = "live"            // Empty -> Live: what is going on now; it never waits
	ReqControlStatus         = ReqStatus         // StatusRequest -> Status
	ReqControlVat            = ReqVat            // VatRef -> VatStatus
	ReqFind                  = "find"            // VatName -> VatsFound
	ReqControlSpans          = ReqSpans          // Page -> SpanPage
	ReqControlSnapshotList   = ReqSnapshotList   // Page -> SnapshotPage
	ReqControlSnapshotVerify = ReqSnapshotVerify // VatRef -> SnapshotVerifyReply: of one vat, beside the cranks
	ReqControlPin            = ReqPin            // Pin -> VatStatus; needs admin
	ReqFrames                = "frames"          // FramesRecord -> FramesRecorded: record frames of workers, until the time is up or the caller goes; needs admin
	ReqPageOut               = "pageOut"         // VatRef -> Count: end the vat's worker, if it has one; needs admin
)

// Requests to the control socket of a kernel host that stays.
const (
	ReqHolder  = "holder"  // Empty -> Holder: what it does now; it never waits
	ReqCommand = "command" // Command -> CommandReply: waits for its turn; its output comes as events; needs admin
)

// Events on the control socket of vatworkerd.
const (
	EventFramesBegun = "framesBegun" // Empty: a recording has begun
)

// Events on the control socket of a kernel host that stays.
const (
	EventOutput = "output" // Output
)

// ControlHello opens a connection to a control socket. The peer's name is for
// people only.
type ControlHello struct {
	Version       int    `msgpack:"version"`
	Peer          string `msgpack:"peer"`
	MaxFrameBytes int    `msgpack:"maxFrameBytes"`
	Access        string `msgpack:"access"` // "read" or "admin"
}

// ControlHelloReply says who is at the other end.
type ControlHelloReply struct {
	Version       int    `msgpack:"version"`
	Peer          string `msgpack:"peer"`
	MaxFrameBytes int    `msgpack:"maxFrameBytes"`
	Serves        string `msgpack:"serves"` // "vats" or "host"
	PID           int    `msgpack:"pid"`
}

// FramesRecord asks for a recording of all that passes between vats and their
// workers, in a new file that vatworkerd writes (docs/debugging.md).
type FramesRecord struct {
	VatIDs    []string `msgpack:"vatIDs"`
	Path      string   `msgpack:"path"`      // absolute
	Bytes     int64    `msgpack:"bytes"`     // that the file may have
	ForMicros int64    `msgpack:"forMicros"` // 0 = until the caller goes
}

// FramesRecorded tells how a recording has ended.
type FramesRecorded struct {
	Frames int64 `msgpack:"frames"`
	Bytes  int64 `msgpack:"bytes"` // of the frames
	Full   bool  `msgpack:"full"`  // it ended because its file had reached its bound
}

// VatName is a vat's name, which need not be its alone.
type VatName struct {
	Name string `msgpack:"name"`
}

// VatsFound lists the first vats of a name, in vat order.
type VatsFound struct {
	VatIDs []string `msgpack:"vatIDs"`
	More   bool     `msgpack:"more"` // there are others
}

// Page asks for a page of a long list: of one vat, or of all where VatID is
// empty. The first page leaves the rest out; for the others a reply's Next is
// the request.
type Page struct {
	VatID    string `msgpack:"vatID"`
	From     string `msgpack:"from"`     // the vat that is next
	Position int64  `msgpack:"position"` // of its first entry that has not come
}

// SpanPage lists spans by vat and position; Next is nil at the end. A page may
// be empty before the end.
type SpanPage struct {
	Spans []SpanInfo `msgpack:"spans"`
	Next  *Page      `msgpack:"next"`
}

// SnapshotPage lists snapshots as SpanPage does spans.
type SnapshotPage struct {
	Snapshots []SnapshotInfo `msgpack:"snapshots"`
	Next      *Page          `msgpack:"next"`
}

// Live is what a supervisor is doing, as it last noted it down. All of it is
// local. Durations are in microseconds.
type Live struct {
	PID            int          `msgpack:"pid" json:"pid"`
	Started        int64        `msgpack:"startedMicros" json:"startedMicros"` // Unix time
	Host           string       `msgpack:"host" json:"host"`                   // the kernel host's name for itself
	Height         int64        `msgpack:"height" json:"height"`               // last committed
	ActivityHash   string       `msgpack:"activityHash" json:"activityHash"`
	OpenBlock      bool         `msgpack:"openBlock" json:"openBlock"` // the next block has begun
	Epoch          int64        `msgpack:"epoch" json:"epoch"`
	ImageID        string       `msgpack:"imageID" json:"imageID"`
	Engine         string       `msgpack:"engine" json:"engine"` // its kind: stock, native
	EngineSHA256   string       `msgpack:"engineSHA256" json:"engineSHA256"`
	Doing          *Doing       `msgpack:"doing" json:"doing"` // nil while the host asks for nothing
	Counts         Counts       `msgpack:"counts" json:"counts"`
	MaxOnline      int          `msgpack:"maxOnline" json:"maxOnline"`
	MaxMemoryBytes int64        `msgpack:"maxMemoryBytes" json:"maxMemoryBytes"` // 0 = no limit
	Workers        []LiveWorker `msgpack:"workers" json:"workers"`               // most recently used first
	Spares         int          `msgpack:"spares" json:"spares"`                 // workers that are ready for vats that start
	Hulls          int          `msgpack:"hulls" json:"hulls"`                   // engines without a heap, ready for vats that are paged in
	ComingIn       int          `msgpack:"comingIn" json:"comingIn"`             // vats that are brought in beside the deliveries
	Pinned         []string     `msgpack:"pinned" json:"pinned"`                 // names or IDs of vats that keep their workers
	Totals         Totals       `msgpack:"totals" json:"totals"`                 // since the start
	Deliveries     Histogram    `msgpack:"deliveries" json:"deliveries"`
	PageIns        Histogram    `msgpack:"pageIns" json:"pageIns"`
	Snapshots      Histogram    `msgpack:"snapshots" json:"snapshots"`
	WorkerEnds     Histogram    `msgpack:"workerEnds" json:"workerEnds"` // until a worker that was paged out, or discarded, is gone
	Alarms         []Alarm      `msgpack:"alarms" json:"alarms"`
	Warnings       []Warned     `msgpack:"warnings" json:"warnings"` // the last few, newest last
	Panic          string       `msgpack:"panic" json:"panic"`
}

// Doing is the request of the host that is being served, and the step it is at.
type Doing struct {
	Request    string `msgpack:"request" json:"request"`
	RequestFor int64  `msgpack:"requestForMicros" json:"requestForMicros"`
	Step       string `msgpack:"step" json:"step,omitempty"` // "delivery", "page-in", "snapshot"; "" between two of them
	StepFor    int64  `msgpack:"stepForMicros" json:"stepForMicros,omitempty"`
	VatID      string `msgpack:"vatID" json:"vatID,omitempty"`
	Name       string `msgpack:"name" json:"name,omitempty"`
	Position   int64  `msgpack:"position" json:"position"` // of a delivery in the vat's transcript
}

// LiveWorker is the worker of an online vat.
type LiveWorker struct {
	VatID    string `msgpack:"vatID" json:"vatID"`
	Name     string `msgpack:"name" json:"name"`
	PID      int    `msgpack:"pid" json:"pid"`
	RSSBytes int64  `msgpack:"rssBytes" json:"rssBytes"`
	Up       int64  `msgpack:"upMicros" json:"upMicros"`
	Idle     int64  `msgpack:"idleMicros" json:"idleMicros"` // since it was last used
	Busy     bool   `msgpack:"busy" json:"busy"`
}

// Totals count what a supervisor has done, undone cranks included.
type Totals struct {
	Cranks        int64 `msgpack:"cranks" json:"cranks"` // committed
	Blocks        int64 `msgpack:"blocks" json:"blocks"`
	Rollbacks     int64 `msgpack:"rollbacks" json:"rollbacks"` // of blocks
	Deliveries    int64 `msgpack:"deliveries" json:"deliveries"`
	Computrons    int64 `msgpack:"computrons" json:"computrons"`
	PageOuts      int64 `msgpack:"pageOuts" json:"pageOuts"`
	Replayed      int64 `msgpack:"replayed" json:"replayed"`       // deliveries, to page vats in
	EarlyRuns     int64 `msgpack:"earlyRuns" json:"earlyRuns"`     // deliveries that ran before their cranks
	EarlyInVain   int64 `msgpack:"earlyInVain" json:"earlyInVain"` // those that did so in vain, and cost a page-in
	SnapshotBytes int64 `msgpack:"snapshotBytes" json:"snapshotBytes"`
	WorkerDeaths  int64 `msgpack:"workerDeaths" json:"workerDeaths"` // for reasons outside of the vats
	Restarts      int64 `msgpack:"restarts" json:"restarts"`         // restart-alls
	Warnings      int64 `msgpack:"warnings" json:"warnings"`
}

// Histogram counts durations. Counts[i] of them took at most Bounds[i]
// microseconds and longer than the bound before; the last count, which has no
// bound, is of all that took longer.
type Histogram struct {
	Bounds []int64 `msgpack:"boundsMicros" json:"boundsMicros"`
	Counts []int64 `msgpack:"counts" json:"counts"`
	Sum    int64   `msgpack:"sumMicros" json:"sumMicros"`
	Max    int64   `msgpack:"maxMicros" json:"maxMicros"`
}

// Alarm is something wrong that lasts until it is mended.
type Alarm struct {
	Kind    string `msgpack:"kind" json:"kind"`
	VatID   string `msgpack:"vatID" json:"vatID,omitempty"`
	Message string `msgpack:"message" json:"message"`
	For     int64  `msgpack:"forMicros" json:"forMicros"`
}

// Warned is a WarningEvent that was sent.
type Warned struct {
	At      int64  `msgpack:"atMicros" json:"atMicros"` // Unix time
	Message string `msgpack:"message" json:"message"`
}

// Holder is a kernel host that stays, and the command it runs.
type Holder struct {
	PID     int    `msgpack:"pid" json:"pid"`
	Started int64  `msgpack:"startedMicros" json:"startedMicros"`       // Unix time
	Command string `msgpack:"command" json:"command"`                   // "" while there is none
	For     int64  `msgpack:"commandForMicros" json:"commandForMicros"` // since the command began
	Waiting int    `msgpack:"waiting" json:"waiting"`                   // commands whose turn has not come
	Panic   string `msgpack:"panic" json:"panic"`                       // why it refuses all commands
}

// Command is a command line of vatworkerd, without the program's name, to be run
// as if the caller's own process ran it.
type Command struct {
	Args   []string `msgpack:"args"`
	Dir    string   `msgpack:"dir"` // relative paths begin here
	Stdout Stream   `msgpack:"stdout"`
	Stderr Stream   `msgpack:"stderr"`
}

// Stream says where output goes in the end.
type Stream struct {
	Terminal bool `msgpack:"terminal"`
	Color    bool `msgpack:"color"` // with --color auto
}

// CommandReply ends a command.
type CommandReply struct {
	Exit int `msgpack:"exit"`
}

// Output is what a command writes, as it writes it.
type Output struct {
	Stream string `msgpack:"stream"` // "stdout" or "stderr"
	Data   []byte `msgpack:"data"`
}
