package swingstore

import "fmt"

// Kind says what a problem is about.
type Kind string

// The kinds of problems.
const (
	KindDatabase Kind = "database" // the SQLite file itself
	KindKernel   Kind = "kernel"   // a record of the kernel, in kvStore
	KindSpan     Kind = "span"
	KindItem     Kind = "item"
	KindSnapshot Kind = "snapshot"
	KindBundle   Kind = "bundle"
	KindExport   Kind = "export" // an export record waiting in pendingExports
)

// Problem is one thing that is not as it must be.
type Problem struct {
	Kind  Kind   `json:"kind"`
	VatID string `json:"vatID,omitempty"`
	// Place is the name of the artifact, key or row, as the JavaScript store
	// names it in exports: "transcript.v8.23.27", "snapshot.v8.31",
	// "bundle.b1-…", "kv.v8.options".
	Place string `json:"place"`
	// Position is the transcript item's, if it is about one.
	Position *int64 `json:"position,omitempty"`
	What     string `json:"what"`
	Expected string `json:"expected,omitempty"`
	Got      string `json:"got,omitempty"`
}

// String is one line for people.
func (p Problem) String() string {
	place := p.Place
	if p.Position != nil {
		place += fmt.Sprintf(" item %d", *p.Position)
	}
	return place + ": " + p.text()
}

func (p Problem) text() string {
	if p.Expected == "" && p.Got == "" {
		return p.What
	}
	return fmt.Sprintf("%s: expected %s, got %s", p.What, p.Expected, p.Got)
}

// Progress tells how far an operation is.
type Progress struct {
	What        string // what is being looked at: an artifact's name
	Done, Total int64  // spans, snapshots and bundles of Verify; items of Replay
}
