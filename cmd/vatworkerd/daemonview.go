package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"vatworkerd/cmd/vatworkerd/internal/screen"
	"vatworkerd/control"
	"vatworkerd/kernelhost"
	"vatworkerd/pipeproto"
)

// How long a daemon may take to answer. It says itself when it is busy.
const (
	answerTime = time.Minute
	verifyTime = 30 * time.Minute // reading one heap snapshot
)

// daemonView looks at vats through the control socket of the daemon that has
// them. It implements viewer.
type daemonView struct {
	app      *app
	client   *control.Client
	progress *screen.Progress
}

func (v *daemonView) call(ctx context.Context, msgType string, req, reply any, patience time.Duration) error {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := v.client.Call(limited, msgType, req, reply, nil)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return &control.SilentError{Path: filepath.Join(v.app.db, vatsSocket), PID: v.client.Hello.PID}
	}
	return err
}

func (v *daemonView) ask(ctx context.Context, msgType string, req, reply any) error {
	return v.call(ctx, msgType, req, reply, answerTime)
}

// Live gives what the daemon is doing.
func (v *daemonView) Live(ctx context.Context) (live pipeproto.Live, err error) {
	err = v.ask(ctx, pipeproto.ReqLive, pipeproto.Empty{}, &live)
	return live, err
}

// Status is like the kernel's, over a view of all that cranks have done so far.
func (v *daemonView) Status(ctx context.Context, after string, limit int) (kernelhost.Status, error) {
	status := kernelhost.Status{Vats: []pipeproto.VatStatus{}, More: true}
	for status.More {
		const page = 1000 // the daemon gives less
		req := pipeproto.StatusRequest{After: after, Limit: page}
		if limit != everyVat {
			req.Limit = max(0, min(page, limit-len(status.Vats)))
		}
		var reply pipeproto.Status
		if err := v.ask(ctx, pipeproto.ReqControlStatus, req, &reply); err != nil {
			return status, err
		}
		status.Add(reply)
		if len(reply.Vats) == 0 || limit != everyVat && len(status.Vats) >= limit {
			break
		}
		after = reply.Vats[len(reply.Vats)-1].VatID
	}
	status.More = status.More && limit != noVat
	return status, nil
}

// Vat gives the status of a vat, named by name or ID.
func (v *daemonView) Vat(ctx context.Context, vat string) (status pipeproto.VatStatus, err error) {
	vatID, err := v.vatID(ctx, vat)
	if err != nil {
		return status, err
	}
	err = v.ask(ctx, pipeproto.ReqControlVat, pipeproto.VatRef{VatID: vatID}, &status)
	return status, known(err, vat)
}

// Pin has a vat keep its worker, or no longer.
func (v *daemonView) Pin(ctx context.Context, vat string, pinned bool) (status pipeproto.VatStatus, err error) {
	vatID, err := v.vatID(ctx, vat)
	if err != nil {
		return status, err
	}
	err = v.ask(ctx, pipeproto.ReqControlPin, pipeproto.Pin{VatID: vatID, Pinned: pinned}, &status)
	return status, known(err, vat)
}

// vatID finds a vat by its name or ID: where the kernel host keeps names, as it
// does; else by the names that the vats have, which need not be theirs alone.
func (v *daemonView) vatID(ctx context.Context, vat string) (string, error) {
	if vat == "" {
		return "", nil
	}
	if !v.app.isForeign() {
		return kernelhost.FindVat(v.app.db, vat)
	}
	var found pipeproto.VatsFound
	if err := v.ask(ctx, pipeproto.ReqFind, pipeproto.VatName{Name: vat}, &found); err != nil {
		return "", err
	}
	switch len(found.VatIDs) {
	case 0:
		return vat, nil
	case 1:
		return found.VatIDs[0], nil
	}
	return "", usageError("several vats are named %q, such as %s and %s", vat, found.VatIDs[0], found.VatIDs[1]).hint("name one by its ID")
}

// known makes the daemon's word for a vat that is not there the usual one.
func known(err error, vat string) error {
	var told *pipeproto.Error
	if errors.As(err, &told) && told.Code == pipeproto.CodeNotFound {
		return &kernelhost.UnknownVatError{Ref: vat}
	}
	return err
}

// Spans lists the transcript spans of a vat, or of all vats for "".
func (v *daemonView) Spans(ctx context.Context, vat string) ([]pipeproto.SpanInfo, error) {
	vatID, err := v.vatID(ctx, vat)
	if err != nil {
		return nil, err
	}
	all := []pipeproto.SpanInfo{}
	for next := (&pipeproto.Page{VatID: vatID}); next != nil; {
		var page pipeproto.SpanPage
		if err := v.ask(ctx, pipeproto.ReqControlSpans, next, &page); err != nil {
			return nil, known(err, vat)
		}
		all, next = append(all, page.Spans...), page.Next
	}
	return all, nil
}

// SnapshotList lists the snapshots of a vat, or of all vats for "".
func (v *daemonView) SnapshotList(ctx context.Context, vat string) ([]pipeproto.SnapshotInfo, error) {
	vatID, err := v.vatID(ctx, vat)
	if err != nil {
		return nil, err
	}
	all := []pipeproto.SnapshotInfo{}
	for next := (&pipeproto.Page{VatID: vatID}); next != nil; {
		var page pipeproto.SnapshotPage
		if err := v.ask(ctx, pipeproto.ReqControlSnapshotList, next, &page); err != nil {
			return nil, known(err, vat)
		}
		all, next = append(all, page.Snapshots...), page.Next
	}
	return all, nil
}

// SnapshotVerify reads and checks the snapshots of a vat, or of all for "", one
// vat after the other.
func (v *daemonView) SnapshotVerify(ctx context.Context, vat string) ([]pipeproto.SnapshotCheck, error) {
	list, err := v.SnapshotList(ctx, vat)
	if err != nil {
		return nil, err
	}
	all := []pipeproto.SnapshotCheck{}
	for i, info := range list {
		if i == 0 || info.VatID != list[i-1].VatID {
			var reply pipeproto.SnapshotVerifyReply
			if err := v.call(ctx, pipeproto.ReqControlSnapshotVerify, pipeproto.VatRef{VatID: info.VatID}, &reply, verifyTime); err != nil {
				return nil, fmt.Errorf("cannot verify the snapshots of %s: %w", info.VatID, err)
			}
			all = append(all, reply.Checks...)
		}
		v.progress.Step("verify snapshots", int64(i+1), int64(len(list)))
	}
	return all, nil
}
