package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"vatworkerd/cmd/vatworkerd/internal/screen"
	"vatworkerd/control"
	"vatworkerd/frames"
	"vatworkerd/pipeproto"
	"vatworkerd/supervisor"
)

// recordQuery is what `frames record` was asked for.
type recordQuery struct {
	out      string
	duration time.Duration
	bytes    byteSize
}

// recordDoc is its result.
type recordDoc struct {
	Path string `json:"path"`
	frames.End
}

func (a *app) framesRecordCommand() *cobra.Command {
	q := recordQuery{bytes: supervisor.DefaultFramesBytes}
	cmd := &cobra.Command{
		Use: "record VAT…", Short: "Record all frames of vats of a running daemon, until Ctrl-C",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError("%s needs vats: their names or IDs", nameOf(cmd)).hint("`vatworkerd vat list` shows them")
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&q.out, "out", "", "the new file to record to (default: vatworkerd-TIME.frames)")
	cmd.Flags().DurationVar(&q.duration, "for", 0, "how long; 0 = until Ctrl-C")
	cmd.Flags().Var(&q.bytes, "bytes", "what the file may have; then the recording ends")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return a.recordFrames(cmd.Context(), args, q) }
	return cmd
}

func (a *app) recordFrames(ctx context.Context, vats []string, q recordQuery) error {
	if q.duration < 0 || q.bytes < 1 {
		return usageError("cannot record for %v and %v: both must be more than nothing", q.duration, &q.bytes)
	}
	if err := a.needVats(); err != nil {
		return err
	}
	if q.out == "" {
		q.out = time.Now().Format("vatworkerd-20060102-150405.frames")
	}
	path, err := filepath.Abs(a.path(q.out))
	if err != nil {
		return fmt.Errorf("cannot find the directory of the recording: %w", err)
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	client, err := control.Dial(ctx, filepath.Join(a.db, vatsSocket), pipeproto.AccessAdmin)
	var nobody *control.NobodyError
	if errors.As(err, &nobody) {
		f := &failure{exit: exitFailed}
		f.told = *pipeproto.Errorf(pipeproto.CodeRefused, "no daemon has the vats of %s: there is nothing to record", a.db)
		return f.hint("`vatworkerd run --stay` keeps one")
	}
	if err != nil {
		return err
	}
	defer client.Close()
	end, err := a.recordOn(ctx, client, vats, path, q)
	if err != nil {
		return err
	}
	return a.recorded(recordDoc{path, end})
}

// recordOn asks a daemon for the recording, and waits for its end.
func (a *app) recordOn(ctx context.Context, client *control.Client, vats []string, path string, q recordQuery) (end frames.End, err error) {
	view := &daemonView{app: a, client: client}
	req := pipeproto.FramesRecord{Path: path, Bytes: int64(q.bytes), ForMicros: q.duration.Microseconds()}
	for _, vat := range vats {
		vatID, err := view.vatID(ctx, vat)
		if err != nil {
			return end, err
		}
		req.VatIDs = append(req.VatIDs, vatID)
	}
	begun := &recordingBegun{tell: func() { a.note("recording to %s; Ctrl-C ends it", screen.Escape(q.out)) }}
	var reply pipeproto.FramesRecorded
	err = client.Call(ctx, pipeproto.ReqFrames, req, &reply, begun)
	switch {
	case err != nil && ctx.Err() != nil && begun.is:
		return endOf(path)
	case err != nil:
		return end, recordProblem(err, q.out, vats[0])
	}
	return frames.End{Frames: reply.Frames, Bytes: reply.Bytes, Full: reply.Full}, nil
}

// recordProblem tells wrong input from what else keeps a daemon from recording.
func recordProblem(err error, out, vat string) error {
	var told *pipeproto.Error
	if errors.As(err, &told) && told.Code == pipeproto.CodeBadRequest {
		return usageError("cannot use --out %s: %s", screen.Escape(out), told.Message).hint("name a file that does not exist, in a directory that does")
	}
	return known(err, vat)
}

// recordingBegun waits for the begin of a recording. It implements
// pipeproto.Handler.
type recordingBegun struct {
	tell func()
	is   bool
}

// HandleEvent implements pipeproto.Handler.
func (b *recordingBegun) HandleEvent(msgType string, _ pipeproto.Body) {
	if msgType == pipeproto.EventFramesBegun && !b.is {
		b.is = true
		b.tell()
	}
}

// HandleRequest implements pipeproto.Handler: daemons ask nothing.
func (*recordingBegun) HandleRequest(msgType string, _ pipeproto.Body) (any, error) {
	return nil, pipeproto.UnknownType(msgType)
}

// endPatience is how long a daemon may take to end a recording whose caller has
// gone; there is nothing to wait on.
const endPatience = 10 * time.Second

// endOf waits until a recording has its end.
func endOf(path string) (frames.End, error) {
	for deadline := time.Now().Add(endPatience); ; time.Sleep(viewEvery) {
		end, err := frames.Open(path, func(frames.Recorded) error { return nil })
		if end != nil || time.Now().After(deadline) {
			if end == nil {
				return frames.End{}, errors.Join(fmt.Errorf("the recording %s has no end: is the daemon gone?", path), err)
			}
			return *end, nil
		}
	}
}

func (a *app) recorded(doc recordDoc) error {
	if a.json {
		return a.document(doc)
	}
	full := ""
	if doc.Full {
		full = "; the file was full"
	}
	_, err := fmt.Fprintf(a.stdout, "recorded %s (%s) in %s%s\n", screen.Plural(doc.Frames, "frame"), screen.Bytes(doc.Bytes), screen.Escape(doc.Path), full)
	return err
}
