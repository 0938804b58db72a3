package transcripts

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// Entry is one transcript item: a delivery (or a pseudo-delivery that tells
// what happened to the worker), the syscalls made in it, and its result.
type Entry struct {
	Delivery json.RawMessage // JSON array, its first element is the kind
	Syscalls []Syscall
	Result   Result
}

// Syscall is a vat-space syscall and the answer the vat got.
type Syscall struct {
	Request  json.RawMessage `json:"s"`
	Response json.RawMessage `json:"r"`
}

// Result is what became of a delivery.
type Result struct {
	Status     string // "ok" or "error"
	Computrons *int64 // nil if the delivery was not metered
	SnapshotID string // of save-snapshot only
}

// The kinds of pseudo-deliveries.
const (
	KindInitializeWorker = "initialize-worker"
	KindLoadSnapshot     = "load-snapshot"
	KindSaveSnapshot     = "save-snapshot"
	KindShutdownWorker   = "shutdown-worker"
)

// InitializeWorker is the first entry of an incarnation: a new worker ran the
// given worker bundles and the vat's own.
func InitializeWorker(bundleID string, workerBundleIDs []string) Entry {
	if workerBundleIDs == nil {
		workerBundleIDs = []string{}
	}
	options := struct {
		Source struct {
			BundleID string `json:"bundleID"`
		} `json:"source"`
		WorkerOptions struct {
			Type      string   `json:"type"`
			BundleIDs []string `json:"bundleIDs"`
		} `json:"workerOptions"`
	}{}
	options.Source.BundleID = bundleID
	options.WorkerOptions.Type = "xsnap"
	options.WorkerOptions.BundleIDs = workerBundleIDs
	return pseudo(KindInitializeWorker, options)
}

// SaveSnapshot is the last entry of a span that a snapshot ends.
func SaveSnapshot(hash string) Entry {
	e := pseudo(KindSaveSnapshot, nil)
	e.Result.SnapshotID = hash
	return e
}

// LoadSnapshot is the first entry of a span that starts from a snapshot,
// whether or not a worker was loaded from it.
func LoadSnapshot(hash string) Entry {
	return pseudo(KindLoadSnapshot, struct {
		SnapshotID string `json:"snapshotID"`
	}{hash})
}

// ShutdownWorker is the last entry of an incarnation.
func ShutdownWorker() Entry { return pseudo(KindShutdownWorker, nil) }

func pseudo(kind string, options any) Entry {
	delivery := []any{kind}
	if options != nil {
		delivery = append(delivery, options)
	}
	// Strings and slices of strings: nothing that json.Marshal could refuse.
	raw, err := json.Marshal(delivery)
	if err != nil {
		return Entry{}
	}
	return Entry{Delivery: raw, Result: Result{Status: "ok"}}
}

// IsPseudo tells whether the entry was never delivered to a worker.
func (e Entry) IsPseudo() bool {
	switch e.Kind() {
	case KindInitializeWorker, KindLoadSnapshot, KindSaveSnapshot, KindShutdownWorker:
		return true
	}
	return false
}

// Kind gives the first element of the delivery, "" if there is none.
func (e Entry) Kind() string {
	var delivery []json.RawMessage
	if err := json.Unmarshal(e.Delivery, &delivery); err != nil || len(delivery) == 0 {
		return ""
	}
	var kind string
	if err := json.Unmarshal(delivery[0], &kind); err != nil {
		return ""
	}
	return kind
}

// StartsFrom reads the first entry of a span: the hash of the snapshot that it
// loads, or that it starts a new worker and loads none.
func (e Entry) StartsFrom() (hash string, loads bool, err error) {
	switch kind := e.Kind(); kind {
	case KindInitializeWorker:
		return "", false, nil
	case KindLoadSnapshot:
		var delivery []json.RawMessage
		var config struct {
			SnapshotID string `json:"snapshotID"`
		}
		err := json.Unmarshal(e.Delivery, &delivery)
		if err == nil && len(delivery) != 2 {
			err = errors.New("it names no snapshot")
		}
		if err == nil {
			err = json.Unmarshal(delivery[1], &config)
		}
		if err != nil {
			return "", false, fmt.Errorf("its load-snapshot cannot be read: %w", err)
		}
		return config.SnapshotID, true, nil
	default:
		return "", false, fmt.Errorf("a span starts with initialize-worker or load-snapshot, not with %q", kind)
	}
}

// Encode gives the item text, byte for byte what JSON.stringify of the
// JavaScript kernel gives, or "" (which Append refuses) where Marshal fails.
func (e Entry) Encode() string {
	text, err := e.Marshal()
	if err != nil {
		return ""
	}
	return text
}

// Marshal is Encode that says what is wrong with an entry that is not JSON.
func (e Entry) Marshal() (string, error) {
	b := append(make([]byte, 0, e.sizeHint()), `{"d":`...)
	b, err := appendJS(b, e.Delivery, "the delivery")
	if err != nil {
		return "", err
	}
	b = append(b, `,"sc":[`...)
	for i, sc := range e.Syscalls {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = appendSyscall(b, i, sc); err != nil {
			return "", err
		}
	}
	b = append(b, `],"r":`...)
	b = appendResult(b, e.Result)
	return string(append(b, '}')), nil
}

func (e Entry) sizeHint() int {
	n := len(e.Delivery) + 128
	for _, sc := range e.Syscalls {
		n += len(sc.Request) + len(sc.Response) + 16
	}
	return n
}

func appendSyscall(b []byte, i int, sc Syscall) ([]byte, error) {
	b, err := appendJS(append(b, `{"s":`...), sc.Request, fmt.Sprintf("syscall %d", i))
	if err != nil {
		return nil, err
	}
	b, err = appendJS(append(b, `,"r":`...), sc.Response, fmt.Sprintf("the answer to syscall %d", i))
	return append(b, '}'), err
}

func appendJS(b []byte, raw json.RawMessage, what string) ([]byte, error) {
	text, err := JSRestringify(raw)
	if err != nil {
		return nil, fmt.Errorf("cannot encode a transcript entry: %s: %w", what, err)
	}
	return append(b, text...), nil
}

func appendResult(b []byte, r Result) []byte {
	b = append(b, `{"status":`...)
	b = appendString(b, []byte(r.Status))
	if r.Computrons != nil {
		b = append(b, `,"metering":{"computrons":`...)
		b = strconv.AppendInt(b, *r.Computrons, 10)
		b = append(b, '}')
	}
	if r.SnapshotID != "" {
		b = append(b, `,"snapshotID":`...)
		b = appendString(b, []byte(r.SnapshotID))
	}
	return append(b, '}')
}

// itemJSON is the JSON form of an entry.
type itemJSON struct {
	D  json.RawMessage `json:"d"`
	SC []Syscall       `json:"sc"`
	R  resultJSON      `json:"r"`
}

type resultJSON struct {
	Status   string `json:"status"`
	Metering *struct {
		Computrons *int64 `json:"computrons"`
	} `json:"metering"`
	SnapshotID string `json:"snapshotID"`
}

// Decode reads an item.
func Decode(item string) (Entry, error) {
	var raw itemJSON
	if err := json.Unmarshal([]byte(item), &raw); err != nil {
		return Entry{}, fmt.Errorf("cannot decode a transcript item: %w", err)
	}
	e := Entry{Delivery: raw.D, Syscalls: raw.SC, Result: Result{Status: raw.R.Status, SnapshotID: raw.R.SnapshotID}}
	if raw.R.Metering != nil {
		e.Result.Computrons = raw.R.Metering.Computrons
	}
	for i, sc := range e.Syscalls {
		if sc.Request == nil || sc.Response == nil {
			return Entry{}, fmt.Errorf("cannot decode a transcript item: syscall %d lacks its request or its answer", i)
		}
	}
	if e.Kind() == "" {
		return Entry{}, errors.New("cannot decode a transcript item: it has no delivery")
	}
	return e, nil
}
