package pipeproto

// Version is the protocol version both ends announce in their Hello. Ends of
// different versions refuse each other.
const Version = 1

// DefaultMaxFrameBytes bounds the body of one frame. It leaves room for the
// largest syscall a worker may send (12,000,000 bytes) and for contract bundles.
const DefaultMaxFrameBytes = 64 << 20

// MaxAheadBytes bounds what a Delivered says of turns to come, and what its Verdict
// does: the items of Next and Later together, and their deliveries. The frame is
// for what has come.
const MaxAheadBytes = 2 << 20

// Requests a kernel host sends to vatworkerd.
const (
	ReqHello          = "hello"          // Hello -> HelloReply
	ReqConfigure      = "configure"      // Configure -> Empty
	ReqAddBundle      = "addBundle"      // AddBundle -> Empty
	ReqCreateVat      = "createVat"      // CreateVat -> CreateVatReply
	ReqCreateVats     = "createVats"     // CreateVats -> CreateVatsReply
	ReqEnqueue        = "enqueue"        // Enqueue -> Empty
	ReqRun            = "run"            // Run -> RunReply; the daemon calls back while it runs
	ReqPrepare        = "prepare"        // Height -> Empty
	ReqCommit         = "commit"         // Height -> Empty
	ReqRollback       = "rollback"       // Empty -> Empty
	ReqStatus         = "status"         // StatusRequest -> Status
	ReqVat            = "vat"            // VatRef -> VatStatus
	ReqSnapshotTake   = "snapshotTake"   // VatRef -> SnapshotInfo
	ReqSnapshotList   = "snapshotList"   // VatRef (empty = all) -> SnapshotList
	ReqSnapshotVerify = "snapshotVerify" // VatRef (empty = all) -> SnapshotVerifyReply
	ReqSpans          = "spans"          // VatRef (empty = all) -> SpanList
	ReqReplay         = "replay"         // Replay -> ReplayReply
	ReqPause          = "pause"          // VatControl -> VatStatus
	ReqResume         = "resume"         // VatControl -> VatStatus
	ReqSuspend        = "suspend"        // VatControl -> VatStatus
	ReqUnsuspend      = "unsuspend"      // VatControl -> VatStatus
	ReqUpgrade        = "upgrade"        // Upgrade -> VatStatus
	ReqTerminate      = "terminate"      // VatControl -> VatStatus
	ReqRefill         = "refill"         // Refill -> VatStatus
	ReqPin            = "pin"            // Pin -> VatStatus; local, it needs no admin node
	ReqRestartAll     = "restartAll"     // RestartAll -> RestartAllReply
	ReqRehearse       = "rehearse"       // Rehearse -> RehearseReply
	ReqExplicitFlags  = "explicitFlags"  // Empty -> Count
	ReqShutdown       = "shutdown"       // Empty -> Empty
)

// Requests vatworkerd sends to its kernel host, only while it serves a request
// of the host. Together they form the host's half of a crank: the host keeps
// what they change in one undoable unit, which ends with the reply to a
// Delivered whose Last is set, with CrankEnd, or with CrankAbort.
const (
	ReqTurn             = "turn"             // Turn -> TurnReply: the item's turn has come
	ReqBeginIncarnation = "beginIncarnation" // Incarnation -> TurnReply with the startVat delivery
	ReqEndIncarnation   = "endIncarnation"   // Incarnation -> Empty: disconnect promises, abandon exports
	ReqDelivered        = "delivered"        // Delivered -> Verdict
	ReqCallNow          = "callNow"          // CallNow -> CallNowReply
	ReqActed            = "acted"            // Acted -> Empty: an action of a TurnReply is done, or has failed
	ReqVatState         = "vatState"         // VatState -> Empty: a vat has moved to another state or incarnation
	ReqCrankEnd         = "crankEnd"         // Empty -> Verdict (Commit is true): close the unit
	ReqCrankAbort       = "crankAbort"       // Empty -> Empty: forget the unit
)

// Events vatworkerd sends at any time; nothing answers them.
const (
	EventVat     = "vat"     // VatEvent
	EventConsole = "console" // ConsoleEvent
	EventWarning = "warning" // WarningEvent
	EventTick    = "tick"    // ProgressEvent
)

// Empty is the body of messages that carry nothing.
type Empty struct{}

// Count is a number of things done.
type Count struct {
	Count int64 `msgpack:"count"`
}

// Hello opens a connection. The peer's name is for people only.
type Hello struct {
	Version       int    `msgpack:"version"`
	Peer          string `msgpack:"peer"`
	MaxFrameBytes int    `msgpack:"maxFrameBytes"`
	// Height is the last block the host has committed on its own side; the
	// daemon finishes or undoes a prepared block accordingly.
	Height int64 `msgpack:"height"`
}

// HelloReply says where the daemon's store stands after it has aligned itself.
type HelloReply struct {
	Version       int    `msgpack:"version"`
	Peer          string `msgpack:"peer"`
	MaxFrameBytes int    `msgpack:"maxFrameBytes"`
	Height        int64  `msgpack:"height"`
	ActivityHash  string `msgpack:"activityHash"`
	// StoreID is the random name of the daemon's store: a host that has worked
	// with another one must not go on with this.
	StoreID       string `msgpack:"storeID"`
	EngineSHA256  string `msgpack:"engineSHA256"`
	EngineVersion string `msgpack:"engineVersion"`
	ImageID       string `msgpack:"imageID"`
	// Slog: a slog is written. Then the host says with turns and verdicts what it
	// alone knows of them.
	Slog bool `msgpack:"slog"`
}

// Configure sets consensus parameters. Counts are transcript entries of a span,
// pseudo-entries included.
type Configure struct {
	SnapshotInitial      int64 `msgpack:"snapshotInitial"`
	SnapshotInterval     int64 `msgpack:"snapshotInterval"`
	RelaxDurabilityRules bool  `msgpack:"relaxDurabilityRules"`
}

// AddBundle stores a bundle: Data is the bundle's JSON text, ID its content id
// (b1-…). Adding the same ID again is no change.
type AddBundle struct {
	ID   string `msgpack:"id"`
	Data []byte `msgpack:"data"`
}

// VatOptions are a vat's options that the supervisor acts on.
type VatOptions struct {
	Critical        bool   `msgpack:"critical" json:"critical,omitempty"`               // its death panics
	RestartCritical bool   `msgpack:"restartCritical" json:"restartCritical,omitempty"` // unsuspended at once by restart-all
	Static          bool   `msgpack:"static" json:"static,omitempty"`                   // made by the config
	Unmetered       bool   `msgpack:"unmetered" json:"unmetered,omitempty"`             // no computron limit a crank
	EnableDisavow   bool   `msgpack:"enableDisavow" json:"enableDisavow,omitempty"`     // liveslots option
	FatalPolicy     string `msgpack:"fatalPolicy" json:"fatalPolicy,omitempty"`         // "suspend" (default) or "terminate"
	// Allowance is the computrons the vat may use before it is paused; nil = no meter.
	Allowance     *int64 `msgpack:"allowance" json:"allowance,omitempty"`
	OverrunPolicy string `msgpack:"overrunPolicy" json:"overrunPolicy,omitempty"` // "hold" (default: undo and hold the delivery) or "commit"
}

// CreateVat registers a vat. It has no incarnation until its first item runs;
// enqueue an Item with Start set to start it in queue order.
type CreateVat struct {
	VatID    string     `msgpack:"vatID"`
	Name     string     `msgpack:"name"`
	BundleID string     `msgpack:"bundleID"`
	Options  VatOptions `msgpack:"options"`
}

// AdminNode is the authority over one vat. Only CreateVat hands it out, and
// every request that pauses, resumes, suspends, unsuspends, upgrades, refills
// or terminates a vat must present it.
type AdminNode struct {
	VatID string `msgpack:"vatID"`
	Key   string `msgpack:"key"`
}

// CreateVatReply carries the new vat's admin node.
type CreateVatReply struct {
	Admin AdminNode `msgpack:"admin"`
}

// CreateVats registers many vats at once, all or none.
type CreateVats struct {
	Vats []CreateVat `msgpack:"vats"`
}

// CreateVatsReply carries the new vats' admin nodes, in the order of the request.
type CreateVatsReply struct {
	Admins []AdminNode `msgpack:"admins"`
}

// Item is one thing waiting in a vat's input queue. Payload is the host's own
// business. Within a priority items run in the order they were enqueued.
type Item struct {
	VatID    string `msgpack:"vatID"`
	Priority uint8  `msgpack:"priority"`
	Start    bool   `msgpack:"start"` // start an incarnation, deliver nothing else
	Payload  []byte `msgpack:"payload"`
}

// Priorities: garbage collection and reaping go before messages.
const (
	PriorityGC      uint8 = 0
	PriorityReap    uint8 = 1
	PriorityMessage uint8 = 2
)

// Enqueue appends items to input queues, in order.
type Enqueue struct {
	Items []Item `msgpack:"items"`
}

// Run processes cranks until the queues hold nothing runnable or a budget ends.
type Run struct {
	MaxCranks int64 `msgpack:"maxCranks"` // 0 = no limit
	// MaxComputrons: the crank that reaches it is the last; 0 = no limit.
	MaxComputrons int64 `msgpack:"maxComputrons"`
	// CleanupBudget is how many units of deferred deletion this run may do; 0
	// means none, UnlimitedCleanup no limit.
	CleanupBudget int64 `msgpack:"cleanupBudget"`
}

// UnlimitedCleanup is said explicitly; zero always means "none".
const UnlimitedCleanup int64 = -1

// RunReply says how a Run ended. Idle: nothing runnable is left.
type RunReply struct {
	Cranks     int64 `msgpack:"cranks"`
	Computrons int64 `msgpack:"computrons"`
	Idle       bool  `msgpack:"idle"`
	Held       int64 `msgpack:"held"`
	Cleanups   int64 `msgpack:"cleanups"`
}

// Height names a block.
type Height struct {
	Height int64 `msgpack:"height"`
}

// Turn tells the host that an item's turn has come. Dead is set when the vat is
// terminated: the host answers the sender and replies with Drop.
type Turn struct {
	VatID   string `msgpack:"vatID"`
	Payload []byte `msgpack:"payload"`
	Dead    bool   `msgpack:"dead"`
}

// TurnReply is what to do with the item: deliver the vat-space Delivery (JSON),
// perform Action, or drop it. Enqueue is only read with Drop, where it closes
// the host's unit.
type TurnReply struct {
	Drop     bool    `msgpack:"drop"`
	Delivery []byte  `msgpack:"delivery"`
	Action   *Action `msgpack:"action"`
	Enqueue  []Item  `msgpack:"enqueue"`
	Digest   []byte  `msgpack:"digest"`
	// Slog is only looked at where the HelloReply says that there is one.
	Slog *SlogNote `msgpack:"slog"`
}

// SlogNote is what a host says for the slog: local, and in no hash. Delivery is the
// TurnReply's delivery in the host's own terms (JSON; SwingSet's kd), CList what has
// changed in c-lists since the note before in the same crank.
type SlogNote struct {
	Delivery []byte        `msgpack:"delivery"`
	CList    []CListChange `msgpack:"cList"`
}

// Modes of a CListChange.
const (
	CListImport = "import" // the vat was given it
	CListExport = "export" // the vat made it
	CListDrop   = "drop"   // the entry is gone
)

// CListChange is one entry of a vat's c-list that came or went.
type CListChange struct {
	Mode  string `msgpack:"mode"`
	VatID string `msgpack:"vatID"`
	KObj  string `msgpack:"kobj"`
	VObj  string `msgpack:"vobj"`
}

// Kinds of actions. Those with a worker in them are for a TurnReply; the others
// are for a Verdict.
const (
	ActionCreate    = "create"    // register a vat and start it
	ActionUpgrade   = "upgrade"   // as ReqUpgrade
	ActionSuspend   = "suspend"   // as ReqSuspend
	ActionUnsuspend = "unsuspend" // as ReqUnsuspend
	ActionPause     = "pause"     // in a Verdict: as ReqPause
	ActionResume    = "resume"    // in a Verdict: as ReqResume
	ActionTerminate = "terminate" // in a Verdict: as ReqTerminate
)

// Action is what the host has done to a vat as part of a crank: by a vat's
// wish, in its place among the items. Create is set for ActionCreate, Upgrade
// for ActionUpgrade, Control for the others.
type Action struct {
	Kind    string      `msgpack:"kind"`
	Create  *CreateVat  `msgpack:"create"`
	Upgrade *Upgrade    `msgpack:"upgrade"`
	Control *VatControl `msgpack:"control"`
	// Info is the host's own; it comes back in the VatState that terminates the vat.
	Info []byte `msgpack:"info"`
}

// Acted tells what became of an item's action. After a failure, which a Problem
// says, all that the host did in the item's turn is undone and the item is used
// up. Admin is the admin node of a vat that was created.
type Acted struct {
	VatID       string    `msgpack:"vatID"` // the vat that was acted on
	Payload     []byte    `msgpack:"payload"`
	Problem     string    `msgpack:"problem"`
	Incarnation int64     `msgpack:"incarnation"`
	Admin       AdminNode `msgpack:"admin"`
}

// VatState tells that a vat has moved to another state or incarnation: State is as in
// VatStatus, Reason why, LastError the error that is kept. It is the last that
// is heard of a vat with State "terminated"; Info is then the Verdict's or the
// Action's that ended it.
type VatState struct {
	VatID       string `msgpack:"vatID"`
	State       string `msgpack:"state"`
	Reason      string `msgpack:"reason"`
	LastError   string `msgpack:"lastError"`
	Incarnation int64  `msgpack:"incarnation"`
	Epoch       int64  `msgpack:"epoch"` // how many restart-alls the vat has been brought up to
	Info        []byte `msgpack:"info"`
}

// Reasons an incarnation begins or ends with.
const (
	ReasonCreated    = "created"
	ReasonUnsuspend  = "unsuspended"
	ReasonUpgraded   = "upgraded"
	ReasonSuspended  = "suspended"
	ReasonTerminated = "terminated"
	ReasonRestarted  = "restarted"
)

// Incarnation names an incarnation that begins or ends. On an upgrade,
// Parameters are the new vat parameters (kernel-space capdata JSON, empty =
// the old ones).
type Incarnation struct {
	VatID       string `msgpack:"vatID"`
	Incarnation int64  `msgpack:"incarnation"`
	Reason      string `msgpack:"reason"`
	Message     string `msgpack:"message"`
	Parameters  []byte `msgpack:"parameters"`
}

// Purposes of a delivery.
const (
	PurposeItem     = "item"
	PurposeStart    = "startVat"
	PurposeBOYD     = "bringOutYourDead" // before a snapshot, a suspension or an upgrade
	StatusOK        = "ok"
	StatusError     = "error"
	ThenPause       = "pause"
	ThenSuspend     = "suspend"
	ThenTerminate   = "terminate"
	PolicySuspend   = "suspend"
	PolicyTerminate = "terminate"
	PolicyHold      = "hold"
	PolicyCommit    = "commit"
)

// Delivered reports a delivery that ran: its outcome and, in one batch and in
// order, every syscall the host has to act on (send, subscribe, resolve, exit,
// dropImports, retireImports, retireExports, abandonExports), as JSON.
type Delivered struct {
	VatID      string   `msgpack:"vatID"`
	Purpose    string   `msgpack:"purpose"`
	Status     string   `msgpack:"status"`
	Problem    string   `msgpack:"problem"`
	Computrons int64    `msgpack:"computrons"`
	Syscalls   [][]byte `msgpack:"syscalls"`
	TestLog    []string `msgpack:"testLog"`
	// Last: the reply decides the crank. Otherwise more deliveries of the same
	// crank follow and the reply's Enqueue and Digest are empty.
	Last bool `msgpack:"last"`
	// Next, only with Last, is the item that has the next turn if the verdict
	// changes nothing about that.
	Next *Turn `msgpack:"next"`
	// Later, only with Last, are items whose turns may come after that, each of
	// another vat. The host says what they would come to by now; see Verdict.
	Later []Turn `msgpack:"later"`
}

// Verdict decides a delivery or a crank.
type Verdict struct {
	Commit  bool   `msgpack:"commit"`  // false: undo all the crank did
	Consume bool   `msgpack:"consume"` // with Commit false: the item is used up; else it stays first in its queue
	Then    string `msgpack:"then"`    // "", ThenPause, ThenSuspend, ThenTerminate
	Reason  string `msgpack:"reason"`  // why, for people; goes into the vat's record with Then
	Enqueue []Item `msgpack:"enqueue"` // new items, in order; with Commit false: what the undoing itself caused
	Digest  []byte `msgpack:"digest"`  // hash of the host's own changes; goes into the activity hash
	Info    []byte `msgpack:"info"`    // the host's own; see VatState
	// Actions are done at the end of the crank, in order. One that the vat's state
	// does not allow is left out.
	Actions []Action `msgpack:"actions"`
	// Next answers a Delivered's Next as a turn would be answered, with a Delivery,
	// and opens the unit of that crank. nil: the turn is asked for when it comes.
	Next *TurnReply `msgpack:"next"`
	// Later answers a Delivered's Later: for each of them, in order, the delivery
	// that its turn would make now, or nothing where it would make none. It is a
	// hint: the host keeps nothing of it and is asked again when the turn comes. It
	// may be left out.
	Later [][]byte `msgpack:"later"`
	// Slog is as in a TurnReply, without a Delivery.
	Slog *SlogNote `msgpack:"slog"`
}

// CallNow asks the host to run a device invocation. Args and Result are capdata
// JSON. Syscalls are those the vat has made before it: Delivered does not repeat
// them.
type CallNow struct {
	VatID    string   `msgpack:"vatID"`
	Target   string   `msgpack:"target"`
	Method   string   `msgpack:"method"`
	Args     []byte   `msgpack:"args"`
	Syscalls [][]byte `msgpack:"syscalls"`
}

// CallNowReply is the vat-space result; Problem, if set, is given to the vat as an error.
type CallNowReply struct {
	Result  []byte `msgpack:"result"`
	Problem string `msgpack:"problem"`
}

// VatRef names a vat by ID.
type VatRef struct {
	VatID string `msgpack:"vatID"`
}

// VatControl is a request of an admin node's holder. Deliberate belongs to
// ReqSuspend: no delivery starts the vat again, only an upgrade or unsuspend.
type VatControl struct {
	Admin      AdminNode `msgpack:"admin"`
	Reason     string    `msgpack:"reason"`
	Deliberate bool      `msgpack:"deliberate"`
}

// Upgrade replaces a vat's bundle and starts a new incarnation. Parameters: see Incarnation.
type Upgrade struct {
	Admin      AdminNode `msgpack:"admin"`
	BundleID   string    `msgpack:"bundleID"`
	Parameters []byte    `msgpack:"parameters"`
	Message    string    `msgpack:"message"`
}

// Refill adds computrons to a vat's allowance.
type Refill struct {
	Admin      AdminNode `msgpack:"admin"`
	Computrons int64     `msgpack:"computrons"`
}

// Pin has a vat keep its worker, or no longer: a pinned vat is preloaded first and
// never paged out to make room. It is remembered in the daemon's store, locally.
type Pin struct {
	VatID  string `msgpack:"vatID"`
	Pinned bool   `msgpack:"pinned"`
}

// RestartAll marks every vat suspended and unsuspends the in-consensus set. The
// same Token a second time changes nothing.
type RestartAll struct {
	Token string `msgpack:"token"`
}

// RestartAllReply says what a RestartAll did.
type RestartAllReply struct {
	Applied     bool     `msgpack:"applied"` // false: this token was applied before
	Epoch       int64    `msgpack:"epoch"`
	Suspended   int64    `msgpack:"suspended"`
	Unsuspended []string `msgpack:"unsuspended"` // the immediate set, in order
}

// Rehearse tries restarts in throw-away state. No VatIDs: every vat.
type Rehearse struct {
	VatIDs         []string `msgpack:"vatIDs"`
	EnginePath     string   `msgpack:"enginePath"`
	LockdownPath   string   `msgpack:"lockdownPath"`
	SupervisorPath string   `msgpack:"supervisorPath"`
}

// Rehearsal is how one vat's restart would go.
type Rehearsal struct {
	VatID    string `msgpack:"vatID" json:"vatID"`
	Name     string `msgpack:"name" json:"name"`
	OK       bool   `msgpack:"ok" json:"ok"`
	Problem  string `msgpack:"problem" json:"problem,omitempty"`
	Duration int64  `msgpack:"durationMicros" json:"durationMicros"`
}

// RehearseReply lists rehearsals in vat order.
type RehearseReply struct {
	Rehearsals []Rehearsal `msgpack:"rehearsals"`
}

// StatusRequest asks for the daemon's state; at most Limit vats are listed,
// from the first ID after After on.
type StatusRequest struct {
	After string `msgpack:"after"`
	Limit int    `msgpack:"limit"`
}

// VatStatus is what is known of one vat.
type VatStatus struct {
	VatID            string     `msgpack:"vatID" json:"vatID"`
	Name             string     `msgpack:"name" json:"name"`
	State            string     `msgpack:"state" json:"state"`
	Incarnation      int64      `msgpack:"incarnation" json:"incarnation"`
	Suspended        bool       `msgpack:"suspended" json:"suspended"`
	SuspendReason    string     `msgpack:"suspendReason" json:"suspendReason,omitempty"`
	Paused           bool       `msgpack:"paused" json:"paused"`
	PauseReason      string     `msgpack:"pauseReason" json:"pauseReason,omitempty"`
	Online           bool       `msgpack:"online" json:"online"`
	Pinned           bool       `msgpack:"pinned" json:"pinned"` // it keeps its worker (local)
	Held             int64      `msgpack:"held" json:"held"`
	Deliveries       int64      `msgpack:"deliveries" json:"deliveries"`
	Computrons       int64      `msgpack:"computrons" json:"computrons"`
	LastError        string     `msgpack:"lastError" json:"lastError"`
	LastEnd          string     `msgpack:"lastEnd" json:"lastIncarnationEnd,omitempty"`
	BundleID         string     `msgpack:"bundleID" json:"bundleID"`
	ImageID          string     `msgpack:"imageID" json:"imageID,omitempty"`
	Engine           string     `msgpack:"engine" json:"engine,omitempty"` // kind of the image's engine: stock, native; empty if not known here
	SnapshotHash     string     `msgpack:"snapshotHash" json:"snapshotHash"`
	SnapshotPosition int64      `msgpack:"snapshotPosition" json:"snapshotPosition"`
	Position         int64      `msgpack:"position" json:"position"`
	SpanHash         string     `msgpack:"spanHash" json:"spanHash"`
	Allowance        *int64     `msgpack:"allowance" json:"allowance,omitempty"`
	Options          VatOptions `msgpack:"options" json:"options"`
}

// Counts are totals over all vats, kept, not counted.
type Counts struct {
	Vats       int64 `msgpack:"vats" json:"vats"`
	Suspended  int64 `msgpack:"suspended" json:"suspended"`
	Paused     int64 `msgpack:"paused" json:"paused"`
	Terminated int64 `msgpack:"terminated" json:"terminated"`
	Online     int64 `msgpack:"online" json:"online"`
	Queued     int64 `msgpack:"queued" json:"queued"`
	Held       int64 `msgpack:"held" json:"held"`
}

// Status is the daemon's state.
type Status struct {
	Height       int64       `msgpack:"height"`
	ActivityHash string      `msgpack:"activityHash"`
	StateHash    string      `msgpack:"stateHash"` // of all keys and values: docs/store.md
	Epoch        int64       `msgpack:"epoch"`
	Counts       Counts      `msgpack:"counts"`
	Pool         Pool        `msgpack:"pool"`
	Panic        string      `msgpack:"panic"`
	ImageID      string      `msgpack:"imageID"`
	Engine       string      `msgpack:"engine"` // its kind: stock, native
	EngineSHA256 string      `msgpack:"engineSHA256"`
	Vats         []VatStatus `msgpack:"vats"`
	More         bool        `msgpack:"more"`
}

// Pool says which worker processes there are, and what bounds them. It is local,
// and memory is as it was last measured.
type Pool struct {
	Workers        int64    `msgpack:"workers" json:"workers"` // spares and those on their way in included
	MaxWorkers     int64    `msgpack:"maxWorkers" json:"maxWorkers"`
	MemoryBytes    int64    `msgpack:"memoryBytes" json:"memoryBytes"`
	MaxMemoryBytes int64    `msgpack:"maxMemoryBytes" json:"maxMemoryBytes"` // 0 = no limit
	Spares         int64    `msgpack:"spares" json:"spares"`                 // ready for vats that start
	Hulls          int64    `msgpack:"hulls" json:"hulls"`                   // engines without a heap, ready for vats that are paged in; not among the workers
	ComingIn       int64    `msgpack:"comingIn" json:"comingIn"`             // vats that are brought in beside the deliveries
	Pinned         []string `msgpack:"pinned" json:"pinned"`                 // names or IDs of vats that keep their workers
}

// SnapshotInfo describes a stored heap snapshot; sizes in bytes.
type SnapshotInfo struct {
	VatID            string `msgpack:"vatID" json:"vatID"`
	VatName          string `msgpack:"vatName" json:"vatName"`
	Position         int64  `msgpack:"position" json:"position"`
	Hash             string `msgpack:"hash" json:"hash"`
	UncompressedSize int64  `msgpack:"uncompressedSize" json:"uncompressedSize"`
	StoredSize       int64  `msgpack:"storedSize" json:"storedSize"`
	InUse            bool   `msgpack:"inUse" json:"inUse"`
}

// SnapshotList lists snapshots by vat and position.
type SnapshotList struct {
	Snapshots []SnapshotInfo `msgpack:"snapshots"`
}

// SnapshotCheck is a verified snapshot; Problem is empty when it is sound.
type SnapshotCheck struct {
	SnapshotInfo
	Problem string `msgpack:"problem" json:"problem,omitempty"`
}

// SnapshotVerifyReply lists checks by vat and position.
type SnapshotVerifyReply struct {
	Checks []SnapshotCheck `msgpack:"checks"`
}

// SpanInfo is a transcript span record.
type SpanInfo struct {
	VatID       string `msgpack:"vatID" json:"vatID"`
	StartPos    int64  `msgpack:"startPos" json:"startPos"`
	EndPos      int64  `msgpack:"endPos" json:"endPos"`
	Hash        string `msgpack:"hash" json:"hash"`
	IsCurrent   bool   `msgpack:"isCurrent" json:"isCurrent"`
	Incarnation int64  `msgpack:"incarnation" json:"incarnation"`
}

// SpanList lists spans by vat and position.
type SpanList struct {
	Spans []SpanInfo `msgpack:"spans"`
}

// Replay re-runs a vat's transcript in a throw-away worker and compares. Full:
// the whole incarnation with its snapshots, not only the current span.
type Replay struct {
	VatID string `msgpack:"vatID"`
	Full  bool   `msgpack:"full"`
}

// ReplayReply says what was replayed; Report is the side-by-side account of the
// first difference and empty when there was none.
type ReplayReply struct {
	VatID      string `msgpack:"vatID" json:"vatID"`
	From       int64  `msgpack:"from" json:"from"`
	Until      int64  `msgpack:"until" json:"until"`
	Deliveries int64  `msgpack:"deliveries" json:"deliveries"`
	Snapshots  int64  `msgpack:"snapshots" json:"snapshots"`
	Identical  bool   `msgpack:"identical" json:"identical"`
	Report     string `msgpack:"report" json:"report,omitempty"`
	Micros     int64  `msgpack:"micros" json:"micros"`
}

// What happened to a vat, in VatEvent.Kind.
const (
	VatCreated       = "create"
	VatPagedIn       = "page-in"
	VatPagedOut      = "page-out"
	VatSnapshotted   = "snapshot"
	VatPaused        = "pause"
	VatResumed       = "resume"
	VatSuspended     = "suspend"
	VatUnsuspended   = "unsuspend"
	VatUpgraded      = "upgrade"
	VatTerminated    = "terminate"
	VatHeld          = "held"
	VatWorkerLost    = "worker-lost"
	VatUpgradeFailed = "upgrade-failed"
)

// VatEvent tells people what happens to a vat as it happens. It is local: it
// may differ between supervisors that agree on everything else.
type VatEvent struct {
	Kind       string `msgpack:"kind" json:"kind"`
	VatID      string `msgpack:"vatID" json:"vatID"`
	Name       string `msgpack:"name" json:"name"`
	Micros     int64  `msgpack:"micros" json:"micros,omitempty"`
	Deliveries int64  `msgpack:"deliveries" json:"deliveries,omitempty"`
	Bytes      int64  `msgpack:"bytes" json:"bytes,omitempty"`
	Hash       string `msgpack:"hash" json:"hash,omitempty"`
	Detail     string `msgpack:"detail" json:"detail,omitempty"`
}

// ConsoleEvent is a line a vat (source "vat"), its liveslots ("ls") or its
// engine ("xsnap", "stdout", "stderr") printed. Text is untrusted.
type ConsoleEvent struct {
	VatID  string `msgpack:"vatID" json:"vatID"`
	Name   string `msgpack:"name" json:"name"`
	Source string `msgpack:"source" json:"source"`
	Level  string `msgpack:"level" json:"level"`
	Text   string `msgpack:"text" json:"text"`
	Replay bool   `msgpack:"replay" json:"replay,omitempty"` // it was printed before, when the delivery was new
}

// WarningEvent is something the operator should know.
type WarningEvent struct {
	Message string `msgpack:"message" json:"message"`
}

// ProgressEvent is a step of a long piece of work.
type ProgressEvent struct {
	What  string `msgpack:"what" json:"what"`
	Done  int64  `msgpack:"done" json:"done"`
	Total int64  `msgpack:"total" json:"total"`
}
