package kernelhost

import (
	"context"

	"vatworkerd/pipeproto"
)

// Status is what `vatworkerd status --json` shows. Height and activity hash
// include the open block's cranks as far as the daemon has committed them.
type Status struct {
	Height       int64                 `json:"height"`
	ActivityHash string                `json:"activityHash"`
	StateHash    string                `json:"stateHash"` // of all keys and values of the daemon's
	Epoch        int64                 `json:"epoch"`     // restart-alls so far
	Panic        string                `json:"panic,omitempty"`
	ImageID      string                `json:"imageID"`
	Engine       string                `json:"engine"`
	EngineSHA256 string                `json:"engineSHA256"`
	Counts       pipeproto.Counts      `json:"counts"`
	Pool         pipeproto.Pool        `json:"pool"` // the daemon's workers; local
	Vats         []pipeproto.VatStatus `json:"vats"`
	More         bool                  `json:"more,omitempty"` // the list of vats goes on
}

// pageOfVats is how many vats one request lists.
const pageOfVats = 500

// Status gives the state of the kernel and of at most limit vats, from the
// first ID after after on; limit 0 means all of them, -1 none.
func (k *Kernel) Status(ctx context.Context, after string, limit int) (Status, error) {
	defer k.leave()
	if err := k.enter(); err != nil {
		return Status{}, err
	}
	status := Status{Vats: []pipeproto.VatStatus{}, More: true}
	for status.More {
		page := pageOfVats
		if limit > 0 {
			page = min(page, limit-len(status.Vats))
		}
		var reply pipeproto.Status
		if err := k.call(ctx, pipeproto.ReqStatus, pipeproto.StatusRequest{After: after, Limit: max(page, 0)}, &reply); err != nil {
			return Status{}, err
		}
		status.Add(reply)
		if n := len(reply.Vats); n > 0 {
			after = reply.Vats[n-1].VatID
		}
		if len(reply.Vats) == 0 || limit != 0 && len(status.Vats) >= limit {
			break
		}
	}
	if limit < 0 {
		status.Vats = status.Vats[:0]
	}
	return status, nil
}

// Add appends a page of vats, with the state as of that page.
func (s *Status) Add(page pipeproto.Status) {
	s.Height, s.ActivityHash, s.StateHash, s.Epoch, s.Panic = page.Height, page.ActivityHash, page.StateHash, page.Epoch, page.Panic
	s.ImageID, s.Engine, s.EngineSHA256 = page.ImageID, page.Engine, page.EngineSHA256
	s.Counts, s.Pool, s.More = page.Counts, page.Pool, page.More
	s.Vats = append(s.Vats, page.Vats...)
}

// Vat gives the status of a vat, named by name or ID.
func (k *Kernel) Vat(ctx context.Context, vat string) (status pipeproto.VatStatus, err error) {
	err = k.requireVat(ctx, pipeproto.ReqVat, vat, &status)
	return status, err
}

// SnapshotTake takes a heap snapshot of a vat now. Like all that changes the
// state it is part of the open block.
func (k *Kernel) SnapshotTake(ctx context.Context, vat string) (info pipeproto.SnapshotInfo, err error) {
	err = k.requireVat(ctx, pipeproto.ReqSnapshotTake, vat, &info)
	return info, err
}

// requireVat is askVat that does not take "" for all vats.
func (k *Kernel) requireVat(ctx context.Context, msgType, vat string, reply any) error {
	if vat == "" {
		return &UnknownVatError{}
	}
	return k.askVat(ctx, msgType, vat, reply)
}

// SnapshotList lists the snapshots of a vat, or of all vats for "".
func (k *Kernel) SnapshotList(ctx context.Context, vat string) ([]pipeproto.SnapshotInfo, error) {
	var reply pipeproto.SnapshotList
	err := k.askVat(ctx, pipeproto.ReqSnapshotList, vat, &reply)
	return reply.Snapshots, err
}

// SnapshotVerify reads and checks the snapshots of a vat, or of all for "".
func (k *Kernel) SnapshotVerify(ctx context.Context, vat string) ([]pipeproto.SnapshotCheck, error) {
	var reply pipeproto.SnapshotVerifyReply
	err := k.askVat(ctx, pipeproto.ReqSnapshotVerify, vat, &reply)
	return reply.Checks, err
}

// Spans lists the transcript spans of a vat, or of all vats for "".
func (k *Kernel) Spans(ctx context.Context, vat string) ([]pipeproto.SpanInfo, error) {
	var reply pipeproto.SpanList
	err := k.askVat(ctx, pipeproto.ReqSpans, vat, &reply)
	return reply.Spans, err
}

// Replay runs a vat's transcript again in a throw-away worker and compares;
// full: the whole incarnation with its snapshots. A difference is told by the
// reply's Identical and Report.
func (k *Kernel) Replay(ctx context.Context, vat string, full bool) (reply pipeproto.ReplayReply, err error) {
	defer k.leave()
	if err := k.enter(); err != nil {
		return reply, err
	}
	vatID, err := k.vatID(vat)
	if err != nil {
		return reply, err
	}
	err = k.call(ctx, pipeproto.ReqReplay, pipeproto.Replay{VatID: vatID, Full: full}, &reply)
	return reply, err
}

// Daemon gives what the daemon said of itself when it was opened.
func (k *Kernel) Daemon() pipeproto.HelloReply { return k.hello }
