package supervisor

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"sync"
	"time"

	"vatworkerd/control"
	"vatworkerd/frames"
	"vatworkerd/pipeproto"
)

// DefaultFramesBytes is the default of the command line for a recording.
const DefaultFramesBytes = 256 << 20

// recorders are the recordings that go on, by vat. Safe for concurrent use.
type recorders struct {
	mu    sync.Mutex // guards byVat
	byVat map[string]*frames.Recording
}

func newRecorders() *recorders { return &recorders{byVat: map[string]*frames.Recording{}} }

// of gives the recording of a vat, nil if there is none.
func (r *recorders) of(vatID string) *frames.Recording {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.byVat[vatID]
}

// begin has the frames of vats recorded; a vat can be in one recording only.
func (r *recorders) begin(vatIDs []string, to *frames.Recording) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, vatID := range vatIDs {
		if r.byVat[vatID] != nil {
			return pipeproto.Errorf(pipeproto.CodeRefused, "the frames of %s are being recorded already", vatID)
		}
	}
	for _, vatID := range vatIDs {
		r.byVat[vatID] = to
	}
	return nil
}

func (r *recorders) end(to *frames.Recording) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for vatID, recording := range r.byVat {
		if recording == to {
			delete(r.byVat, vatID)
		}
	}
}

// frames records what passes between vats and their workers until the time is
// up, the caller goes away or the supervisor ends. A worker that is started
// meanwhile is recorded from its begin on.
func (k *socket) frames(c *control.Caller, req pipeproto.FramesRecord) (pipeproto.FramesRecorded, error) {
	var reply pipeproto.FramesRecorded
	if !filepath.IsAbs(req.Path) || len(req.VatIDs) == 0 || req.Bytes <= 0 {
		return reply, badRequest("path", "a recording needs vats, the absolute path of a new file, and a bound")
	}
	recording, err := k.record(c, req)
	if err != nil {
		return reply, wire(err)
	}
	defer recording.Close()
	defer k.s.recorders.end(recording)
	if err := c.Event(pipeproto.EventFramesBegun, pipeproto.Empty{}); err != nil {
		return reply, err
	}
	ctx, stop := c.Watch()
	defer stop()
	if req.ForMicros > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(req.ForMicros)*time.Microsecond)
		defer cancel()
	}
	<-ctx.Done()
	k.s.recorders.end(recording)
	end, err := recording.Close()
	if err != nil {
		return reply, wire(err)
	}
	return pipeproto.FramesRecorded{Frames: end.Frames, Bytes: end.Bytes, Full: end.Full}, nil
}

// badPath tells that a file cannot be made, without the path: who asked for it knows
// that one.
func badPath(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return badRequest("path", err.Error())
}

// record begins a recording.
func (k *socket) record(c *control.Caller, req pipeproto.FramesRecord) (recording *frames.Recording, err error) {
	err = k.with(c.Context(), func() error {
		for _, vatID := range req.VatIDs {
			if _, err := k.s.recordOf(vatID); err != nil {
				return err
			}
		}
		if recording, err = frames.Create(req.Path, req.Bytes); err != nil {
			return badPath(err)
		}
		if err := k.s.recorders.begin(req.VatIDs, recording); err != nil {
			_, _ = recording.Close()
			return err
		}
		for _, vatID := range req.VatIDs {
			if w := k.s.pool.peek(vatID); w != nil {
				w.process.Tape().RecordTo(recording)
			}
		}
		return nil
	})
	return recording, err
}
