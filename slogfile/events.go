package slogfile

import (
	"encoding/json"
	"time"
)

// The types of events. Those of SwingSet are from its kernel/slogger.js,
// kernel/vat-warehouse.js and kernel/vat-loader/manager-subprocess-xsnap.js; tools
// that read slogs skip types they do not know.
const (
	TypeCreateVat     = "create-vat"
	TypeStartup       = "vat-startup-start"
	TypeStarted       = "vat-startup-finish"
	TypeCrankStart    = "crank-start"
	TypeCrankFinish   = "crank-finish"
	TypeDeliver       = "deliver"
	TypeDeliverResult = "deliver-result"
	TypeSyscall       = "syscall"
	TypeSyscallResult = "syscall-result"
	TypeCList         = "clist"
	TypeReplay        = "start-replay"
	TypeReplayed      = "finish-replay"
	TypeHeapLoad      = "heap-snapshot-load"
	TypeHeapSave      = "heap-snapshot-save"
	TypeConsole       = "console"
	TypeTerminate     = "terminate"

	// These are vatworkerd's own.
	TypeWorkerStart  = "worker-start"
	TypeWorkerAssign = "worker-assign"
	TypeWorkerExit   = "worker-exit"
	TypeVatEvent     = "vat-event"
	TypeMissing      = "slog-missing"
)

// Event is a line to be. Its fields come out in their order, which is that of
// SwingSet's; what is empty there is left out, as JSON.stringify does.
type Event interface {
	stamp(now time.Time, mono time.Duration)
}

// Stamp ends every event.
type Stamp struct {
	Time     float64  `json:"time"`              // Unix time in seconds, with microseconds
	Monotime float64  `json:"monotime"`          // seconds since this process opened the slog
	Seconds  *float64 `json:"seconds,omitempty"` // what it took; of events that end something
}

func (s *Stamp) stamp(now time.Time, mono time.Duration) {
	s.Time = float64(now.UnixMicro()) / 1e6
	s.Monotime = float64(mono.Microseconds()) / 1e6
}

// Took makes the event one that ends what began then.
func (s *Stamp) Took(began time.Time) {
	seconds := float64(time.Since(began).Microseconds()) / 1e6
	s.Seconds = &seconds
}

// CreateVat introduces a vat: it comes once in a process, before all else of the
// vat.
type CreateVat struct {
	Type        string `json:"type"`
	VatID       string `json:"vatID"`
	Dynamic     bool   `json:"dynamic"`
	Description string `json:"description"`
	Name        string `json:"name,omitempty"`
	ManagerType string `json:"managerType"`
	Stamp
}

// OfVat is an event that says nothing but which vat it is about.
type OfVat struct {
	Type  string `json:"type"`
	VatID string `json:"vatID"`
	Stamp
}

// Crank begins or ends a crank. Message is what the kernel host has queued; only the
// begin of one for an item has it.
type Crank struct {
	Type         string          `json:"type"`
	CrankType    string          `json:"crankType"`
	CrankNum     int64           `json:"crankNum"`
	Message      json.RawMessage `json:"message,omitempty"`
	ActivityHash string          `json:"activityhash,omitempty"`
	Stamp
}

// CList is an entry of a vat's c-list that came (import, export) or went (drop).
type CList struct {
	Type     string `json:"type"`
	CrankNum *int64 `json:"crankNum,omitempty"`
	Mode     string `json:"mode"`
	VatID    string `json:"vatID"`
	KObj     string `json:"kobj"`
	VObj     string `json:"vobj"`
	Stamp
}

// Delivery begins or ends a delivery. A replay has no crank.
type Delivery struct {
	Type        string          `json:"type"`
	CrankNum    *int64          `json:"crankNum,omitempty"`
	VatID       string          `json:"vatID"`
	DeliveryNum int64           `json:"deliveryNum"`
	Replay      bool            `json:"replay"`
	Dispatch    string          `json:"dispatch,omitempty"`
	KD          json.RawMessage `json:"kd,omitempty"`
	VD          json.RawMessage `json:"vd,omitempty"`
	DR          *Result         `json:"dr,omitempty"`
	Stamp
}

// Result is a SwingSet vat delivery result: [status, problem, metering].
type Result struct {
	Status  string
	Problem string
	Meter   *Metering
}

// Metering is what the engine counted.
type Metering struct {
	MeterType        string `json:"meterType"`
	CurrentHeapCount int64  `json:"currentHeapCount"`
	Compute          int64  `json:"compute"`
	Allocate         int64  `json:"allocate"`
}

// MeterType names the way the engine counts, as @agoric/xsnap does
// (src/xsnap.js, api.js).
const MeterType = "xs-meter-36"

// MarshalJSON makes the array of it.
func (r *Result) MarshalJSON() ([]byte, error) {
	var problem *string
	if r.Problem != "" {
		problem = &r.Problem
	}
	return json.Marshal([]any{r.Status, problem, r.Meter})
}

// Syscall begins or ends a syscall.
type Syscall struct {
	Type        string          `json:"type"`
	CrankNum    *int64          `json:"crankNum,omitempty"`
	VatID       string          `json:"vatID"`
	DeliveryNum int64           `json:"deliveryNum"`
	SyscallNum  int             `json:"syscallNum"`
	Replay      bool            `json:"replay"`
	Syscall     string          `json:"syscall,omitempty"`
	VSC         json.RawMessage `json:"vsc,omitempty"`
	VSR         json.RawMessage `json:"vsr,omitempty"`
	Stamp
}

// Replay begins or ends the replay of a transcript. Deliveries is how many items
// there are; only the begin has it.
type Replay struct {
	Type       string `json:"type"`
	VatID      string `json:"vatID"`
	Deliveries *int64 `json:"deliveries,omitempty"`
	Stamp
}

// HeapLoad is a worker that is loaded from a snapshot. SnapPos is the position of
// its save-snapshot in the transcript.
type HeapLoad struct {
	Type             string `json:"type"`
	VatID            string `json:"vatID"`
	SnapPos          int64  `json:"snapPos"`
	Hash             string `json:"hash"`
	UncompressedSize int64  `json:"uncompressedSize,omitempty"`
	Stamp
}

// HeapSave is a snapshot that is taken. The worker is always replaced.
type HeapSave struct {
	Type             string `json:"type"`
	VatID            string `json:"vatID"`
	SnapshotID       string `json:"snapshotID"`
	EndPosition      int64  `json:"endPosition"`
	UncompressedSize int64  `json:"uncompressedSize"`
	RestartWorker    bool   `json:"restartWorker"`
	Stamp
}

// Console is what a vat prints in a delivery.
type Console struct {
	Type        string   `json:"type"`
	Source      string   `json:"source"`
	State       string   `json:"state"`
	CrankNum    *int64   `json:"crankNum,omitempty"`
	VatID       string   `json:"vatID"`
	DeliveryNum int64    `json:"deliveryNum"`
	Level       string   `json:"level"`
	Args        []string `json:"args"`
	Stamp
}

// Terminate is the end of a vat. Info is the reason, for people. Whether its
// termination rejects or resolves only the kernel host knows.
type Terminate struct {
	Type  string `json:"type"`
	VatID string `json:"vatID"`
	Info  string `json:"info"`
	Stamp
}

// Worker is a process that starts, becomes a vat's, or ends. One that no vat has
// yet has no vatID.
type Worker struct {
	Type   string   `json:"type"`
	VatID  string   `json:"vatID,omitempty"`
	PID    int      `json:"pid"`
	Argv   []string `json:"argv,omitempty"`
	Engine string   `json:"engine,omitempty"` // sha256 of its file
	Reason string   `json:"reason,omitempty"`
	Stamp
}

// VatEvent is a change in a vat's life that SwingSet's slogs have no type for.
type VatEvent struct {
	Type  string `json:"type"`
	Event string `json:"event"`
	VatID string `json:"vatID"`
	Name  string `json:"name,omitempty"`
	// Deliveries were replayed, for a page-in.
	Deliveries int64  `json:"deliveries,omitempty"`
	Hash       string `json:"hash,omitempty"`
	Detail     string `json:"detail,omitempty"`
	Stamp
}

// Missing says how many lines are missing before it, and why.
type Missing struct {
	Type  string `json:"type"`
	Lines int64  `json:"lines"`
	Why   string `json:"why"`
	Stamp
}
