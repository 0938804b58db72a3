package main

import (
	"encoding/json"

	"vatworkerd/kernelhost"
	"vatworkerd/pipeproto"
)

// The JSON documents of --json. Their keys are an interface: docs/commands.md
// lists them.

// errorDoc is the document of a command that failed.
type errorDoc struct {
	Error pipeproto.Error `json:"error"`
}

// snapshotRef names a heap snapshot in use.
type snapshotRef struct {
	Hash     string `json:"hash"`
	Position int64  `json:"position"`
}

// vatDoc is a vat in `vat show`, `vat list`, `status` and `run`. A key whose
// value does not exist is null.
type vatDoc struct {
	VatID              string               `json:"vatID"`
	Name               string               `json:"name"`
	State              string               `json:"state"`
	Incarnation        int64                `json:"incarnation"`
	Suspended          bool                 `json:"suspended"`
	SuspendReason      *string              `json:"suspendReason"`
	Paused             bool                 `json:"paused"`
	PauseReason        *string              `json:"pauseReason"`
	Online             bool                 `json:"online"`
	Pinned             bool                 `json:"pinned"`
	Held               int64                `json:"held"`
	Deliveries         int64                `json:"deliveries"`
	Computrons         int64                `json:"computrons"`
	Allowance          *int64               `json:"allowance"`
	LastError          *string              `json:"lastError"`
	LastIncarnationEnd *string              `json:"lastIncarnationEnd"`
	Snapshot           *snapshotRef         `json:"snapshot"`
	SnapshotHash       *string              `json:"snapshotHash"`
	SnapshotPosition   *int64               `json:"snapshotPosition"`
	Position           int64                `json:"position"`
	SpanHash           *string              `json:"spanHash"`
	BundleID           string               `json:"bundleID"`
	ImageID            *string              `json:"imageID"`
	Engine             *string              `json:"engine"`
	Options            pipeproto.VatOptions `json:"options"`
}

func vatDocOf(v pipeproto.VatStatus) vatDoc {
	doc := vatDoc{
		VatID: v.VatID, Name: v.Name, State: v.State, Incarnation: v.Incarnation,
		Suspended: v.Suspended, SuspendReason: orNull(v.SuspendReason),
		Paused: v.Paused, PauseReason: orNull(v.PauseReason),
		Online: v.Online, Pinned: v.Pinned, Held: v.Held, Deliveries: v.Deliveries, Computrons: v.Computrons,
		Allowance: v.Allowance, LastError: orNull(v.LastError), LastIncarnationEnd: orNull(v.LastEnd),
		Position: v.Position, SpanHash: orNull(v.SpanHash),
		BundleID: v.BundleID, ImageID: orNull(v.ImageID), Engine: orNull(v.Engine), Options: v.Options,
	}
	if v.SnapshotHash != "" {
		doc.Snapshot = &snapshotRef{Hash: v.SnapshotHash, Position: v.SnapshotPosition}
		doc.SnapshotHash, doc.SnapshotPosition = &v.SnapshotHash, &v.SnapshotPosition
	}
	return doc
}

func vatDocsOf(vats []pipeproto.VatStatus) []vatDoc {
	docs := make([]vatDoc, 0, len(vats))
	for _, v := range vats {
		docs = append(docs, vatDocOf(v))
	}
	return docs
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// statusDoc is the document of `status`.
type statusDoc struct {
	ActivityHash string           `json:"activityHash"`
	StateHash    string           `json:"stateHash"`
	Height       int64            `json:"height"`
	Epoch        int64            `json:"epoch"`
	Panic        *string          `json:"panic"`
	Counts       pipeproto.Counts `json:"counts"`
	Pool         pipeproto.Pool   `json:"pool"`
	ImageID      string           `json:"imageID"`
	Engine       string           `json:"engine"`
	EngineSHA256 string           `json:"engineSHA256"`
	Vats         []vatDoc         `json:"vats"`
	More         bool             `json:"more"`
	Daemon       *daemonDoc       `json:"daemon"`
}

func statusDocOf(st kernelhost.Status, daemon *daemonDoc) statusDoc {
	if st.Pool.Pinned == nil {
		st.Pool.Pinned = []string{}
	}
	return statusDoc{
		ActivityHash: st.ActivityHash, StateHash: st.StateHash, Height: st.Height, Epoch: st.Epoch, Panic: orNull(st.Panic),
		Counts: st.Counts, Pool: st.Pool, ImageID: st.ImageID, Engine: st.Engine, EngineSHA256: st.EngineSHA256,
		Vats: vatDocsOf(st.Vats), More: st.More, Daemon: daemon,
	}
}

// resultDoc is the document of `send`, and `bootstrap` in that of `run`.
type resultDoc struct {
	Status string          `json:"status"`
	Value  json.RawMessage `json:"value"`
	Body   string          `json:"body"`
	Slots  []string        `json:"slots"`

	reason string // of a rejection, for people
}

// heldDoc is the document of a `send` whose delivery waits.
type heldDoc struct {
	Status string `json:"status"`
}

// runDoc is the document of `run`.
type runDoc struct {
	Vats         []vatDoc   `json:"vats"`
	TestLog      []string   `json:"testLog"`
	ActivityHash string     `json:"activityHash"`
	Height       int64      `json:"height"`
	Bootstrap    *resultDoc `json:"bootstrap"`
}

// restartDoc is the document of `restart-all`.
type restartDoc struct {
	Token       string   `json:"token"`
	Applied     bool     `json:"applied"`
	Epoch       int64    `json:"epoch"`
	Suspended   int64    `json:"suspended"`
	Unsuspended []string `json:"unsuspended"`
	ImageID     string   `json:"imageID"`
}

// rehearsalDoc is the document of `restart-all --rehearse`.
type rehearsalDoc struct {
	Rehearsals []pipeproto.Rehearsal `json:"rehearsals"`
	Failed     int                   `json:"failed"`
}
