package store

import "fmt"

// ProblemKind says what a problem is about.
type ProblemKind string

// The kinds of problems that several checks find. Others are named by the
// package that finds them.
const (
	KindDatabase ProblemKind = "database" // the SQLite file itself
	KindSpan     ProblemKind = "span"
	KindItem     ProblemKind = "item"
	KindSnapshot ProblemKind = "snapshot"
	KindBundle   ProblemKind = "bundle"
)

// Problem is one thing in a database that is not as it must be.
type Problem struct {
	Kind  ProblemKind `json:"kind"`
	VatID string      `json:"vatID,omitempty"`
	// Place is the name of the artifact, key, row or file:
	// "transcript.v8.23.27", "snapshot.v8.31", "bundle.b1-…", "kv.v8.options".
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
	return place + ": " + p.Text()
}

// Text is String without the place.
func (p Problem) Text() string {
	switch {
	case p.Expected == "" && p.Got == "":
		return p.What
	case p.Expected == "":
		return fmt.Sprintf("%s: got %s", p.What, p.Got)
	}
	return fmt.Sprintf("%s: expected %s, got %s", p.What, p.Expected, p.Got)
}

// Progress tells how far an operation is.
type Progress struct {
	What        string // what is being looked at: an artifact's name
	Done, Total int64
}
