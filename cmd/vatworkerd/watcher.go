package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"vatworkerd/cmd/vatworkerd/internal/watch"
	"vatworkerd/control"
	"vatworkerd/pipeproto"
	"vatworkerd/supervisor"
	"vatworkerd/workerlogs"
)

// watcher looks at the daemon of a database again and again, each time through a
// connection of its own: the daemon may end meanwhile, and another begin. It
// implements top.Daemon.
type watcher struct {
	app    *app
	socket string
}

func (a *app) watcher() watcher { return watcher{a, filepath.Join(a.db, vatsSocket)} }

// tailEntries is how many entries of a vat's log are shown with it.
const tailEntries = 50

func (w watcher) with(ctx context.Context, f func(*session) error) error {
	client, err := control.Dial(ctx, w.socket, pipeproto.AccessRead)
	if err != nil {
		return err
	}
	defer client.Close()
	daemon := &daemonView{app: w.app, client: client}
	return f(&session{app: w.app, ctx: ctx, see: daemon, daemon: daemon})
}

// Look implements watch.Daemon.
func (w watcher) Look(ctx context.Context) (look watch.Look, err error) {
	err = w.with(ctx, func(s *session) error {
		if look.Live, err = s.daemon.Live(ctx); err != nil {
			return err
		}
		look.At = time.Now()
		look.Holder, err = s.holder()
		return err
	})
	return look, err
}

// Vats implements watch.Daemon.
func (w watcher) Vats(ctx context.Context, limit int) (vats watch.Vats, err error) {
	err = w.with(ctx, func(s *session) error {
		st, err := s.see.Status(ctx, "", limit)
		vats = watch.Vats{At: time.Now(), List: st.Vats, More: st.More}
		return err
	})
	return vats, err
}

// Detail implements watch.Daemon.
func (w watcher) Detail(ctx context.Context, vatID string) (d watch.Detail, err error) {
	err = w.with(ctx, func(s *session) error {
		if d.Vat, err = s.see.Vat(ctx, vatID); err != nil {
			return err
		}
		if d.Spans, err = s.see.Spans(ctx, vatID); err != nil {
			return err
		}
		d.Snapshots, err = s.see.SnapshotList(ctx, vatID)
		return err
	})
	if err == nil {
		d.Log, err = logTail(filepath.Join(w.app.db, supervisor.LogDir), vatID)
	}
	return d, err
}

// logTail gives the last entries of a vat's log.
func logTail(dir, vatID string) ([]workerlogs.Entry, error) {
	r := workerlogs.NewReader(dir, workerlogs.Query{VatIDs: []string{vatID}})
	defer r.Close()
	var last []workerlogs.Entry
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return last, nil
		}
		if err != nil {
			return nil, err
		}
		last = append(last, e)
		last = last[max(0, len(last)-tailEntries):]
	}
}

// Do implements top.Daemon: the process that stays runs the command.
func (w watcher) Do(ctx context.Context, verb, vatID string) error {
	var stderr bytes.Buffer
	a := &app{
		args: []string{"vat", verb, vatID, "--db", w.app.db}, stdin: strings.NewReader(""), stdout: io.Discard, stderr: &stderr, db: w.app.db, color: "never",
	}
	ok, err := a.forward(ctx)
	var done forwarded
	switch {
	case !ok && err == nil:
		return fmt.Errorf("no process stays with the vats (run --stay)")
	case !errors.As(err, &done):
		return err
	case done.exit != exitDone:
		line, _, _ := strings.Cut(stderr.String(), "\n")
		return errors.New(strings.TrimPrefix(line, "vatworkerd: "))
	}
	return nil
}
