package supervisor

import (
	"encoding/json"
	"fmt"

	"vatworkerd/pipeproto"
)

// record is a vat's consensus record, JSON under vatKey. A record without the
// flags reads as not suspended, not paused.
type record struct {
	ID              string               `json:"-"`
	Name            string               `json:"name"`
	BundleID        string               `json:"bundleID"`
	Options         pipeproto.VatOptions `json:"options"`
	AdminKey        string               `json:"adminKey"`
	Suspended       *bool                `json:"suspended,omitempty"`
	Paused          *bool                `json:"paused,omitempty"`
	Deliberate      bool                 `json:"deliberate,omitempty"`
	SuspendReason   string               `json:"suspendReason,omitempty"`
	PauseReason     string               `json:"pauseReason,omitempty"`
	Terminated      bool                 `json:"terminated,omitempty"`
	Incarnation     int64                `json:"incarnation"` // of the last incarnation started; noIncarnation before the first
	ImageID         string               `json:"imageID,omitempty"`
	WorkerBundleIDs []string             `json:"workerBundleIDs,omitempty"`
	Epoch           int64                `json:"epoch,omitempty"` // restart-all epoch this record has been brought up to
	LastError       string               `json:"lastError,omitempty"`
	LastEnd         string               `json:"lastEnd,omitempty"` // why the last incarnation ended
}

// noIncarnation is the incarnation number of a vat that was never started.
const noIncarnation = -1

// usage is what changes with every delivery, kept apart from the record.
type usage struct {
	Deliveries int64  `json:"deliveries"`
	Computrons int64  `json:"computrons"`
	Allowance  *int64 `json:"allowance,omitempty"` // computrons left; nil = no meter
}

// Keys of the consensus key-value store. Vat IDs are ordered by length first so
// that v2 comes before v10.
const (
	prefixVat       = "vat."
	prefixUsage     = "use."
	prefixQueue     = "q."
	prefixQueueLen  = "qlen."
	prefixRun       = "run."
	prefixVatstore  = "vs."
	prefixImmediate = "immediate."
	prefixCleanup   = "cleanup."
	prefixToken     = "restart.token."
	keySequence     = "seq"
	keyCounts       = "counts"
	keyConfig       = "config"
	keyEpoch        = "restart.epoch"
	keyCursor       = "restart.cursor"
)

func orderedID(vatID string) string    { return fmt.Sprintf("%03d.%s", len(vatID), vatID) }
func vatKey(vatID string) string       { return prefixVat + orderedID(vatID) }
func usageKey(vatID string) string     { return prefixUsage + vatID }
func immediateKey(vatID string) string { return prefixImmediate + orderedID(vatID) }

// vatIDOfKey is the inverse of vatKey and immediateKey.
func vatIDOfKey(key, prefix string) string { return key[len(prefix)+len("000."):] }

func isSet(flag *bool) bool { return flag != nil && *flag }

// state derives the vat's state from its flags.
func (r *record) state() state {
	switch {
	case r.Terminated:
		return terminated
	case isSet(r.Suspended) && isSet(r.Paused) && r.Deliberate:
		return deliberate
	case isSet(r.Suspended) && isSet(r.Paused):
		return pausedSuspended
	case isSet(r.Suspended):
		return suspended
	case isSet(r.Paused):
		return paused
	}
	return running
}

// enter sets the flags of a state and keeps the reasons. It is called by
// crank.apply only, with a state from the table.
func (r *record) enter(next state, reason string) {
	isSuspended, isPaused := next.flags()
	r.SuspendReason = keepReason(isSet(r.Suspended), isSuspended, r.SuspendReason, reason)
	r.PauseReason = keepReason(isSet(r.Paused), isPaused, r.PauseReason, reason)
	r.Suspended = flagOf(r.Suspended, isSuspended)
	r.Paused = flagOf(r.Paused, isPaused)
	r.Deliberate = next == deliberate
	r.Terminated = next == terminated
}

// keepReason gives a flag's reason after a transition: none when the flag is
// clear, the old one while it stays set, the new one when it becomes set.
func keepReason(was, is bool, old, reason string) string {
	switch {
	case !is:
		return ""
	case was && old != "":
		return old
	}
	return reason
}

// flagOf keeps an absent flag absent while it is clear: only the migration
// writes clear flags out.
func flagOf(old *bool, value bool) *bool {
	if old == nil && !value {
		return nil
	}
	return &value
}

func (r *record) encode() (string, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return "", fmt.Errorf("cannot encode the record of %s: %w", r.ID, err)
	}
	return string(text), nil
}

// maxRecords bounds the records that are kept decoded.
const maxRecords = 1024

// records keeps records as they were decoded last, with the text they were
// decoded from: every delivery reads its vat's, few change it.
type records struct {
	last map[string]decoded
}

type decoded struct {
	text   string
	record record
}

// decode is decodeRecord. What it gives is the caller's to change.
func (r *records) decode(vatID, text string) (*record, error) {
	if known, ok := r.last[vatID]; ok && known.text == text {
		rec := known.record
		return &rec, nil
	}
	rec, err := decodeRecord(vatID, text)
	if err != nil {
		return nil, err
	}
	if len(r.last) >= maxRecords {
		clear(r.last)
	}
	r.last[vatID] = decoded{text: text, record: *rec}
	return rec, nil
}

func decodeRecord(vatID, text string) (*record, error) {
	rec := &record{ID: vatID}
	if err := json.Unmarshal([]byte(text), rec); err != nil {
		return nil, fmt.Errorf("cannot decode the record of %s: %w", vatID, err)
	}
	return rec, nil
}

// label names a vat for people.
func (r *record) label() string { return label(r.ID, r.Name) }

func label(vatID, name string) string {
	if name == "" {
		return vatID
	}
	return vatID + " (" + name + ")"
}
