package watch

import (
	"context"
	"time"

	"vatworkerd/pipeproto"
	"vatworkerd/workerlogs"
)

// Look is what a daemon was doing at one moment.
type Look struct {
	At     time.Time
	Live   pipeproto.Live
	Holder *pipeproto.Holder // the process that stays with the database, if one does
}

// Vats are the first vats of a daemon, in vat order, at one moment.
type Vats struct {
	At   time.Time
	List []pipeproto.VatStatus
	More bool // there are others
}

// Detail is all that is shown of one vat.
type Detail struct {
	Vat       pipeproto.VatStatus
	Spans     []pipeproto.SpanInfo
	Snapshots []pipeproto.SnapshotInfo
	Log       []workerlogs.Entry // the last of it
}

// Daemon is looked at. Methods may be called by several goroutines at a time.
// Errors: *control.NobodyError while there is no daemon; *pipeproto.Error with
// code "busy" from Vats and Detail while a crank does not end.
type Daemon interface {
	Look(ctx context.Context) (Look, error)
	Vats(ctx context.Context, limit int) (Vats, error)
	Detail(ctx context.Context, vatID string) (Detail, error)
}

// Memory gives what all workers together have in memory, in bytes.
func (l Look) Memory() int64 {
	var bytes int64
	for _, w := range l.Live.Workers {
		bytes += w.RSSBytes
	}
	return bytes
}
